-- Who vouches for a tenant: vendors, with their keys, the tokens of the admin API, and what was
-- done with them.

CREATE TABLE vendors (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    slug                TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    contact             TEXT, -- NULL: whom the configuration names as the operator
    status              TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    per_day             INTEGER NOT NULL CHECK (per_day >= 0),
    -- What its new tenants begin with.
    requests_per_second INTEGER NOT NULL CHECK (requests_per_second >= 0),
    per_minute          INTEGER NOT NULL CHECK (per_minute >= 0),
    burst               INTEGER NOT NULL CHECK (burst >= 0),
    bulk_per_minute     INTEGER NOT NULL CHECK (bulk_per_minute >= 0),
    connections         INTEGER NOT NULL CHECK (connections >= 0),
    tenant_per_day      INTEGER NOT NULL CHECK (tenant_per_day >= 0),
    per_month           INTEGER NOT NULL CHECK (per_month >= 0),
    languages           TEXT    NOT NULL, -- JSON array, the first is the default
    created_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX vendors_slug ON vendors (slug);

-- The operator itself, whose all tenants are that were there before.
INSERT INTO vendors (id, slug, name, contact, status, per_day, requests_per_second, per_minute,
    burst, bulk_per_minute, connections, tenant_per_day, per_month, languages, created_at)
VALUES (x'00000000000070008000000000000001', 'operator', 'The operator', NULL, 'active', 0, 0, 0,
    0, 0, 0, 0, 0, '["en","fr"]', 0);

-- No REFERENCES: SQLite adds none to a column that is not NULL. No vendor is ever removed.
ALTER TABLE tenants ADD COLUMN vendor BLOB NOT NULL
    DEFAULT x'00000000000070008000000000000001' CHECK (length(vendor) = 16);
ALTER TABLE tenants ADD COLUMN licence TEXT; -- the vendor's own name for it
ALTER TABLE tenants ADD COLUMN plan TEXT;
-- The default reply address that it gets once it is confirmed.
ALTER TABLE tenants ADD COLUMN next_reply_to TEXT;
CREATE UNIQUE INDEX tenants_licence ON tenants (vendor, licence) WHERE licence IS NOT NULL;
CREATE INDEX tenants_vendor ON tenants (vendor, id);

-- The tenant's vendor vouched for it: who, in whose name.
ALTER TABLE reply_addresses ADD COLUMN attested_by TEXT;

CREATE TABLE vendor_keys (
    kid        TEXT    NOT NULL PRIMARY KEY, -- RFC 7638: the thumbprint
    vendor     BLOB    NOT NULL REFERENCES vendors (id),
    public_key BLOB    NOT NULL CHECK (length(public_key) = 32), -- Ed25519
    status     TEXT    NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX vendor_keys_vendor ON vendor_keys (vendor);

CREATE TABLE admin_tokens (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    role       TEXT    NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    vendor     BLOB    REFERENCES vendors (id), -- NULL: the operator's, for all of them
    note       TEXT    NOT NULL,
    status     TEXT    NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX admin_tokens_hash ON admin_tokens (hash);

-- What was done by an operator or a vendor, append-only.
CREATE TABLE audit (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    vendor  BLOB    CHECK (length(vendor) = 16), -- whose vendor's it concerns, if one's
    verb    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL -- JSON object
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_vendor ON audit (vendor, id) WHERE vendor IS NOT NULL;

-- Recipients accepted per UTC day over all tenants of a vendor with a daily volume.
CREATE TABLE vendor_usage (
    vendor   BLOB    NOT NULL REFERENCES vendors (id),
    day      INTEGER NOT NULL, -- days since 1970-01-01
    accepted INTEGER NOT NULL,
    PRIMARY KEY (vendor, day)
) STRICT, WITHOUT ROWID;

-- One more word for the status, which SQLite cannot add to a CHECK.
CREATE TABLE credentials_new (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant           BLOB    NOT NULL REFERENCES tenants (id),
    prefix           TEXT    NOT NULL,
    hash             BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    note             TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    created_at       INTEGER NOT NULL,
    kind             TEXT    NOT NULL CHECK (kind IN ('api', 'smtp')),
    user_name        TEXT,
    networks         TEXT    NOT NULL, -- JSON array: 203.0.113.0/24
    per_day          INTEGER NOT NULL CHECK (per_day >= 0),
    expires_at       INTEGER,
    defaults         TEXT    NOT NULL, -- JSON object
    unknown_reply_to TEXT    NOT NULL CHECK (unknown_reply_to IN ('replace', 'refuse')),
    skips_duplicates INTEGER NOT NULL CHECK (skips_duplicates IN (0, 1)),
    is_test          INTEGER NOT NULL CHECK (is_test IN (0, 1))
) STRICT, WITHOUT ROWID;
INSERT INTO credentials_new (id, tenant, prefix, hash, note, status, created_at, kind, user_name,
    networks, per_day, expires_at, defaults, unknown_reply_to, skips_duplicates, is_test)
SELECT id, tenant, prefix, hash, note, status, created_at, kind, user_name, networks, per_day,
    expires_at, defaults, unknown_reply_to, skips_duplicates, 0
FROM credentials;
DROP TABLE credentials;
ALTER TABLE credentials_new RENAME TO credentials;
CREATE UNIQUE INDEX credentials_hash ON credentials (hash);
CREATE INDEX credentials_tenant ON credentials (tenant);
