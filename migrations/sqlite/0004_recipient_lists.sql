-- A tenant's mail to an address is found without walking that of others to the same address.

CREATE TABLE recipients_new (
    message        BLOB    NOT NULL REFERENCES messages (id),
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    position       INTEGER NOT NULL, -- the order in which they were given
    address        TEXT    NOT NULL,
    return_path    TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('scheduled', 'queued', 'held', 'delivered',
                       'failed', 'suppressed', 'expired', 'cancelled')),
    attempts       INTEGER NOT NULL,
    events         INTEGER NOT NULL, -- how many it has: the number of the last one
    reply_code     INTEGER,
    reply_enhanced TEXT,
    reply_text     TEXT,
    updated_at     INTEGER NOT NULL,
    waits          TEXT    NOT NULL DEFAULT '{}', -- JSON object: cause of waiting → microseconds
    tenant         BLOB    NOT NULL CHECK (length(tenant) = 16), -- its message's
    PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
INSERT INTO recipients_new (message, id, position, address, return_path, state, attempts, events,
    reply_code, reply_enhanced, reply_text, updated_at, waits, tenant)
SELECT r.message, r.id, r.position, r.address, r.return_path, r.state, r.attempts, r.events,
    r.reply_code, r.reply_enhanced, r.reply_text, r.updated_at, r.waits, m.tenant
FROM recipients AS r CROSS JOIN messages AS m ON m.id = r.message
ORDER BY r.message, r.id;
DROP TABLE recipients;
ALTER TABLE recipients_new RENAME TO recipients;
CREATE INDEX recipients_held ON recipients (message) WHERE state = 'held';

-- The address first: an operator looks for one over all tenants.
CREATE INDEX recipients_address ON recipients (lower(address), tenant, message);
