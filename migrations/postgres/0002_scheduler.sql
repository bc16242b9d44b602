-- Owners of shards, verbs about the queue, quotas, the wait ledger.

-- Limits ------------------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN bulk_per_minute bigint NOT NULL DEFAULT 0 CHECK (bulk_per_minute >= 0);
ALTER TABLE tenants ADD COLUMN connections bigint NOT NULL DEFAULT 0 CHECK (connections >= 0);
ALTER TABLE tenants ADD COLUMN per_day bigint NOT NULL DEFAULT 0 CHECK (per_day >= 0);
ALTER TABLE tenants ADD COLUMN per_month bigint NOT NULL DEFAULT 0 CHECK (per_month >= 0);

-- Mail --------------------------------------------------------------------------------------

-- When the signatures end (x=). Of what was accepted before this was known: at once, so that it is
-- sealed again before its next attempt.
ALTER TABLE messages ADD COLUMN sealed_until bigint NOT NULL DEFAULT 0;

-- JSON object: cause of waiting → microseconds, from acceptance until `updated_at`.
ALTER TABLE recipients ADD COLUMN waits text NOT NULL DEFAULT '{}';
CREATE INDEX recipients_held ON recipients (message) WHERE state = 'held';

-- A lane in the order in which it is due: for its refilling.
CREATE INDEX queue_lane ON queue (shard, tenant, stream, due_at, recipient);
-- What comes due later. Fresh mail, which has its cause 'turn' from the start, is not in it.
CREATE INDEX queue_due ON queue (due_at, recipient) WHERE cause <> 'turn';

-- Nodes -------------------------------------------------------------------------------------

CREATE TABLE nodes (
    id           uuid    NOT NULL PRIMARY KEY, -- of one run
    name         text    NOT NULL,
    key          bytea   NOT NULL CHECK (length(key) = 16), -- of its folder
    started_at   bigint  NOT NULL,
    beat_at      bigint  NOT NULL,
    wants_shards boolean NOT NULL,
    clock_offset bigint  NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX nodes_name ON nodes (name);

CREATE TABLE shards (
    shard smallint NOT NULL PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
    owner uuid, -- a node's id, or nobody
    epoch bigint   NOT NULL
) WITH (fillfactor = 50);
INSERT INTO shards (shard, owner, epoch) SELECT n, NULL, 0 FROM generate_series(0, 1023) AS n;

-- What was left in tenants' buckets when their shard was given back. Taken with the shard.
CREATE TABLE bucket_levels (
    tenant uuid     NOT NULL PRIMARY KEY,
    shard  smallint NOT NULL,
    level  bigint   NOT NULL, -- of first attempts, in 60-millionths
    bulk   bigint   NOT NULL  -- of first attempts in the bulk lane
);
CREATE INDEX bucket_levels_shard ON bucket_levels (shard);

-- Verbs about the queue that are under way, and suspensions that stand.
CREATE TABLE controls (
    id      uuid   NOT NULL PRIMARY KEY,
    verb    text   NOT NULL CHECK (verb IN ('hold', 'release', 'cancel', 'suspend', 'retry-now')),
    tenant  uuid,
    domain  text,
    message uuid,
    at      bigint NOT NULL,
    note    text,
    CHECK (num_nonnulls(tenant, domain, message) = 1)
);

CREATE TABLE acknowledgements (
    control  uuid NOT NULL REFERENCES controls (id) ON DELETE CASCADE,
    node     uuid NOT NULL,
    too_late text NOT NULL, -- JSON array of recipient ids
    PRIMARY KEY (control, node)
);
