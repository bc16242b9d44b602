-- A tenant that has not confirmed its reply address may try how it is: a few messages, for good.

-- Messages accepted of a tenant while it was not confirmed.
CREATE TABLE newcomers (
    tenant   BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenants (id),
    messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was counted by the month until now stays used up.
INSERT INTO newcomers (tenant, messages)
SELECT t.id, sum(u.accepted)
FROM tenants AS t
JOIN reply_addresses AS r ON r.tenant = t.id AND r.address = t.reply_to AND r.status = 'unconfirmed'
JOIN usage AS u ON u.tenant = t.id
WHERE t.is_house = 0
GROUP BY t.id;
