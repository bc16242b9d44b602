-- Lists of mail: by stream, by tag, by recipient, newest first.

-- Tags as lists look for them; what is shown of them is in the summary. They go with their message.
CREATE TABLE message_tags (
    tenant  BLOB NOT NULL CHECK (length(tenant) = 16),
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    stream  TEXT NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    message BLOB NOT NULL REFERENCES messages (id),
    PRIMARY KEY (tenant, name, value, stream, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_tags_message ON message_tags (message);
INSERT INTO message_tags (tenant, name, value, stream, message)
SELECT DISTINCT m.tenant, t.value ->> 'name', t.value ->> 'value', m.stream, m.id
FROM messages AS m, json_each(m.summary, '$.tags') AS t;

-- A list of both streams merges the two.
DROP INDEX messages_tenant;
CREATE INDEX messages_tenant ON messages (tenant, stream, id);

-- Not by tenant: an operator looks for an address over all of them.
CREATE INDEX recipients_address ON recipients (lower(address), message);
