-- Addresses that are warmed up; failures that tenants are told of.

-- Warm-up -----------------------------------------------------------------------------------

-- One more cause, which SQLite cannot add to a CHECK.
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
                    'destination_cap', 'destination_backoff', 'warm_up', 'greylisting', 'retry',
                    'no_route', 'held'))
) STRICT;
INSERT INTO queue_new (seq, recipient, message, tenant, shard, stream, domain, accepted_at, since,
    due_at, expires_at, attempts, cause)
SELECT seq, recipient, message, tenant, shard, stream, domain, accepted_at, since, due_at,
    expires_at, attempts, cause
FROM queue;
DROP TABLE queue;
ALTER TABLE queue_new RENAME TO queue;
CREATE UNIQUE INDEX queue_recipient ON queue (recipient);
-- A lane in the order in which it is due: for its refilling.
CREATE INDEX queue_lane ON queue (shard, tenant, stream, due_at, recipient);
-- What comes due later. Fresh mail, which has its cause 'turn' from the start, is not in it.
-- Not by shard: one process owns all.
CREATE INDEX queue_due ON queue (due_at, recipient) WHERE cause <> 'turn';

-- Addresses that mail leaves from, and since when.
CREATE TABLE egress (
    name  TEXT    NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL -- a UTC day
) STRICT, WITHOUT ROWID;

-- Recipients sent to from them while they are warmed up: a few rows for each day of that.
CREATE TABLE egress_days (
    name     TEXT    NOT NULL,
    provider TEXT    NOT NULL,
    day      INTEGER NOT NULL, -- UTC
    sent     INTEGER NOT NULL,
    PRIMARY KEY (name, provider, day)
) STRICT, WITHOUT ROWID;

-- Failure notices ---------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN notices INTEGER NOT NULL DEFAULT 1 CHECK (notices IN (0, 1));

-- Recipients that did not get their mail, until their tenant is told.
CREATE TABLE failures (
    recipient BLOB    NOT NULL PRIMARY KEY,
    message   BLOB    NOT NULL,
    tenant    BLOB    NOT NULL REFERENCES tenants (id),
    at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX failures_tenant ON failures (tenant, at);

-- When tenants were last told.
CREATE TABLE told (
    tenant BLOB    NOT NULL PRIMARY KEY REFERENCES tenants (id),
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
