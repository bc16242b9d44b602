-- Lists of mail: by stream, by tag, by recipient, newest first.
--
-- Where two indexes give messages in their order, one of them has its NULLs at the other end (there
-- are none): so a list that says where it wants them can be read along the one that is meant only.
-- The planner would rather read everybody's mail by the primary key where it takes tenants for few.

-- Tags as lists look for them; what is shown of them is in the summary. They go with their message,
-- cut by days as it is.
CREATE TABLE message_tags (
    tenant  uuid             NOT NULL,
    name    text COLLATE "C" NOT NULL,
    value   text COLLATE "C" NOT NULL,
    stream  text             NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    message uuid             NOT NULL,
    PRIMARY KEY (tenant, name, value, stream, message)
) PARTITION BY RANGE (message);
CREATE INDEX message_tags_message ON message_tags (message NULLS FIRST);

-- A part for each day that there is one of messages for.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT replace(c.relname, 'messages_p', 'message_tags_p') AS name,
            pg_get_expr(c.relpartbound, c.oid) AS bounds
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'messages'::regclass
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF message_tags %s', part.name, part.bounds);
    END LOOP;
END
$$;
INSERT INTO message_tags (tenant, name, value, stream, message)
SELECT DISTINCT m.tenant, t.tag ->> 'name', t.tag ->> 'value', m.stream, m.id
FROM messages AS m, json_array_elements(m.summary::json -> 'tags') AS t (tag);

-- A list of both streams merges the two.
DROP INDEX messages_tenant;
CREATE INDEX messages_tenant ON messages (tenant, stream, id DESC NULLS LAST);

-- Not by tenant: an operator looks for an address over all of them. Only ASCII letters lose their
-- case, as on SQLite, whatever the database's language is.
CREATE INDEX recipients_address ON recipients (lower(address COLLATE "C"), message DESC NULLS LAST);
