-- A tenant that has not confirmed its reply address may try how it is: a few messages, for good.

-- Messages accepted of a tenant while it was not confirmed.
CREATE TABLE newcomers (
    tenant   uuid   NOT NULL PRIMARY KEY REFERENCES tenants (id),
    messages bigint NOT NULL
) WITH (fillfactor = 50);

-- What was counted by the month until now stays used up.
INSERT INTO newcomers (tenant, messages)
SELECT t.id, sum(u.accepted)::bigint
FROM tenants AS t
JOIN reply_addresses AS r ON r.tenant = t.id AND r.address = t.reply_to AND r.status = 'unconfirmed'
JOIN usage AS u ON u.tenant = t.id
WHERE NOT t.is_house
GROUP BY t.id;
