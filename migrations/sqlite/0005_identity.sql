-- Who sends, from where and how much; whom mail does not go to; what was said at the door.

-- Directory ---------------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN language TEXT NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr'));
ALTER TABLE tenants ADD COLUMN own_domain INTEGER NOT NULL DEFAULT 0 CHECK (own_domain IN (0, 1));
-- Who was there before this is past its ramp: 0 recipients a day are no limit.
ALTER TABLE tenants ADD COLUMN ramp_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN ramp_per_day INTEGER NOT NULL DEFAULT 0 CHECK (ramp_per_day >= 0);
ALTER TABLE tenants ADD COLUMN ramp_decided INTEGER NOT NULL DEFAULT 0; -- a UTC day
-- The tenant that our own mail is written as.
ALTER TABLE tenants ADD COLUMN is_house INTEGER NOT NULL DEFAULT 0 CHECK (is_house IN (0, 1));
CREATE UNIQUE INDEX tenants_house ON tenants (is_house) WHERE is_house = 1;

-- Two more words for the status, which SQLite cannot add to a CHECK.
CREATE TABLE reply_addresses_new (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant       BLOB    NOT NULL REFERENCES tenants (id),
    address      TEXT    NOT NULL,
    folded       TEXT    NOT NULL, -- what equal mailboxes share
    status       TEXT    NOT NULL CHECK (status IN ('unconfirmed', 'confirmed', 'refused', 'broken')),
    source       TEXT    NOT NULL CHECK (source IN ('operator', 'tenant', 'observed', 'domain')),
    confirmed_at INTEGER,
    asked_at     INTEGER,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO reply_addresses_new (id, tenant, address, folded, status, source, confirmed_at, created_at)
SELECT id, tenant, address, folded, status, 'operator', iif(status = 'confirmed', created_at, NULL),
    created_at
FROM reply_addresses;
DROP TABLE reply_addresses;
ALTER TABLE reply_addresses_new RENAME TO reply_addresses;
CREATE UNIQUE INDEX reply_addresses_tenant ON reply_addresses (tenant, folded);
-- One mailbox with all tenants.
CREATE INDEX reply_addresses_folded ON reply_addresses (folded);

-- When a mailbox was last written to, so that somebody may confirm it; for whichever tenant.
CREATE TABLE asked (
    address TEXT    NOT NULL PRIMARY KEY, -- folded
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX asked_at ON asked (at);

ALTER TABLE credentials ADD COLUMN kind TEXT NOT NULL DEFAULT 'api' CHECK (kind IN ('api', 'smtp'));
ALTER TABLE credentials ADD COLUMN user_name TEXT;
ALTER TABLE credentials ADD COLUMN networks TEXT NOT NULL DEFAULT '[]'; -- JSON array: 203.0.113.0/24
ALTER TABLE credentials ADD COLUMN per_day INTEGER NOT NULL DEFAULT 0 CHECK (per_day >= 0);
ALTER TABLE credentials ADD COLUMN expires_at INTEGER;
ALTER TABLE credentials ADD COLUMN defaults TEXT NOT NULL DEFAULT '{}'; -- JSON object
ALTER TABLE credentials ADD COLUMN unknown_reply_to TEXT NOT NULL DEFAULT 'replace'
    CHECK (unknown_reply_to IN ('replace', 'refuse'));
ALTER TABLE credentials ADD COLUMN skips_duplicates INTEGER NOT NULL DEFAULT 1
    CHECK (skips_duplicates IN (0, 1));

-- Mail --------------------------------------------------------------------------------------

ALTER TABLE messages ADD COLUMN credential BLOB CHECK (length(credential) = 16);

-- Counted on the day on which they came, whatever day the mail is of.
ALTER TABLE usage ADD COLUMN hard_bounces INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN complaints INTEGER NOT NULL DEFAULT 0;

-- Recipients accepted per key and UTC day, of keys that have a quota.
CREATE TABLE key_usage (
    tenant     BLOB    NOT NULL REFERENCES tenants (id),
    credential BLOB    NOT NULL CHECK (length(credential) = 16),
    day        INTEGER NOT NULL, -- days since 1970-01-01
    accepted   INTEGER NOT NULL,
    PRIMARY KEY (tenant, credential, day)
) STRICT, WITHOUT ROWID;

-- When a tenant first wrote to an address, of tenants for which that is counted.
CREATE TABLE contacts (
    tenant  BLOB    NOT NULL REFERENCES tenants (id),
    address TEXT    NOT NULL, -- folded
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_tenant_at ON contacts (tenant, at);
CREATE INDEX contacts_at ON contacts (at);

-- Where a tenant's mail does not go.
CREATE TABLE suppressions (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant  BLOB    NOT NULL REFERENCES tenants (id),
    address TEXT    NOT NULL,
    folded  TEXT    NOT NULL, -- what equal mailboxes share
    stream  TEXT    NOT NULL CHECK (stream IN ('transactional', 'bulk', 'all')),
    reason  TEXT    NOT NULL CHECK (reason IN ('hard_bounce', 'unsubscribe', 'complaint', 'manual')),
    source  TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER -- NULL: until it is lifted
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX suppressions_address ON suppressions (tenant, folded, stream);
CREATE INDEX suppressions_tenant ON suppressions (tenant, id);
CREATE INDEX suppressions_until ON suppressions (until) WHERE until IS NOT NULL;

-- Submission sessions, with nothing secret in them.
CREATE TABLE sessions (
    code       TEXT    NOT NULL PRIMARY KEY, -- 7F3K-Q2
    started_at INTEGER NOT NULL,
    tenant     BLOB    CHECK (length(tenant) = 16), -- nobody's, where no key was shown
    record     TEXT    NOT NULL -- JSON object: all else of it
) STRICT;
CREATE INDEX sessions_started ON sessions (started_at);
CREATE INDEX sessions_tenant ON sessions (tenant) WHERE tenant IS NOT NULL;
