-- A tenant's mail to an address is found without walking that of others to the same address.

DROP INDEX recipients_address;
-- Its message's. By default nobody's: a node of the release before, which still runs, goes on
-- accepting mail.
ALTER TABLE recipients
    ADD COLUMN tenant uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE recipients AS r SET tenant = m.tenant FROM messages AS m WHERE m.id = r.message;

-- The address first: an operator looks for one over all tenants. Only ASCII letters lose their
-- case, as on SQLite, whatever the database's language is.
CREATE INDEX recipients_address
    ON recipients (lower(address COLLATE "C"), tenant, message DESC NULLS LAST);
