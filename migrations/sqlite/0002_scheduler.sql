-- Owners of shards, verbs about the queue, quotas, the wait ledger.

-- Limits ------------------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN bulk_per_minute INTEGER NOT NULL DEFAULT 0 CHECK (bulk_per_minute >= 0);
ALTER TABLE tenants ADD COLUMN connections INTEGER NOT NULL DEFAULT 0 CHECK (connections >= 0);
ALTER TABLE tenants ADD COLUMN per_day INTEGER NOT NULL DEFAULT 0 CHECK (per_day >= 0);
ALTER TABLE tenants ADD COLUMN per_month INTEGER NOT NULL DEFAULT 0 CHECK (per_month >= 0);

-- Mail --------------------------------------------------------------------------------------

-- When the signatures end (x=). Of what was accepted before this was known: at once, so that it is
-- sealed again before its next attempt.
ALTER TABLE messages ADD COLUMN sealed_until INTEGER NOT NULL DEFAULT 0;

-- JSON object: cause of waiting → microseconds, from acceptance until `updated_at`.
ALTER TABLE recipients ADD COLUMN waits TEXT NOT NULL DEFAULT '{}';
CREATE INDEX recipients_held ON recipients (message) WHERE state = 'held';

-- Only live recipients that may be attempted: a held one has no row here until it is released.
-- `seq` is the order of changes, given by the one writer; a rescheduled row gets a new one.
CREATE TABLE queue_new (
    seq         INTEGER NOT NULL PRIMARY KEY,
    recipient   BLOB    NOT NULL,
    message     BLOB    NOT NULL,
    tenant      BLOB    NOT NULL,
    shard       INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 1023),
    stream      TEXT    NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    domain      TEXT    NOT NULL,
    accepted_at INTEGER NOT NULL,
    since       INTEGER NOT NULL, -- waits for its cause since then
    due_at      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    cause       TEXT    NOT NULL CHECK (cause IN ('turn', 'scheduled', 'tenant_pace',
                    'destination_cap', 'destination_backoff', 'greylisting', 'retry', 'no_route',
                    'held'))
) STRICT;
INSERT INTO queue_new (seq, recipient, message, tenant, shard, stream, domain, accepted_at, since,
    due_at, expires_at, attempts, cause)
SELECT q.seq, q.recipient, q.message, q.tenant, q.shard, m.stream, q.domain, q.accepted_at,
    r.updated_at, q.due_at, q.expires_at, q.attempts, q.cause
FROM queue AS q
JOIN messages AS m ON m.id = q.message
JOIN recipients AS r ON r.message = q.message AND r.id = q.recipient;
DROP TABLE queue;
ALTER TABLE queue_new RENAME TO queue;
CREATE UNIQUE INDEX queue_recipient ON queue (recipient);
-- A lane in the order in which it is due: for its refilling.
CREATE INDEX queue_lane ON queue (shard, tenant, stream, due_at, recipient);
-- What comes due later. Fresh mail, which has its cause 'turn' from the start, is not in it.
-- Not by shard: one process owns all.
CREATE INDEX queue_due ON queue (due_at, recipient) WHERE cause <> 'turn';

-- Nodes -------------------------------------------------------------------------------------

CREATE TABLE nodes (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- of one run
    name         TEXT    NOT NULL,
    key          BLOB    NOT NULL CHECK (length(key) = 16), -- of its folder
    started_at   INTEGER NOT NULL,
    beat_at      INTEGER NOT NULL,
    wants_shards INTEGER NOT NULL CHECK (wants_shards IN (0, 1)),
    clock_offset INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_name ON nodes (name);

CREATE TABLE shards (
    shard INTEGER NOT NULL PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
    owner BLOB CHECK (length(owner) = 16), -- a node's id, or nobody
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO shards (shard, owner, epoch)
WITH RECURSIVE n (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM n WHERE shard < 1023)
SELECT shard, NULL, 0 FROM n;

-- What was left in tenants' buckets when their shard was given back. Taken with the shard.
CREATE TABLE bucket_levels (
    tenant BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    shard  INTEGER NOT NULL,
    level  INTEGER NOT NULL, -- of first attempts, in 60-millionths
    bulk   INTEGER NOT NULL  -- of first attempts in the bulk lane
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_levels_shard ON bucket_levels (shard);

-- Verbs about the queue that are under way, and suspensions that stand.
CREATE TABLE controls (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    verb    TEXT    NOT NULL CHECK (verb IN ('hold', 'release', 'cancel', 'suspend', 'retry-now')),
    tenant  BLOB    CHECK (length(tenant) = 16), -- one of these three
    domain  TEXT,
    message BLOB    CHECK (length(message) = 16),
    at      INTEGER NOT NULL,
    note    TEXT,
    CHECK ((tenant IS NOT NULL) + (domain IS NOT NULL) + (message IS NOT NULL) = 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE acknowledgements (
    control  BLOB NOT NULL REFERENCES controls (id) ON DELETE CASCADE,
    node     BLOB NOT NULL CHECK (length(node) = 16),
    too_late TEXT NOT NULL, -- JSON array of recipient ids
    PRIMARY KEY (control, node)
) STRICT, WITHOUT ROWID;
