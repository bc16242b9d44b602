-- Who vouches for a tenant: vendors, with their keys, the tokens of the admin API, and what was
-- done with them.

CREATE TABLE vendors (
    id                  uuid             NOT NULL PRIMARY KEY,
    slug                text COLLATE "C" NOT NULL,
    name                text             NOT NULL,
    contact             text, -- NULL: whom the configuration names as the operator
    status              text             NOT NULL CHECK (status IN ('active', 'suspended')),
    per_day             bigint           NOT NULL CHECK (per_day >= 0),
    -- What its new tenants begin with.
    requests_per_second bigint           NOT NULL CHECK (requests_per_second >= 0),
    per_minute          bigint           NOT NULL CHECK (per_minute >= 0),
    burst               bigint           NOT NULL CHECK (burst >= 0),
    bulk_per_minute     bigint           NOT NULL CHECK (bulk_per_minute >= 0),
    connections         bigint           NOT NULL CHECK (connections >= 0),
    tenant_per_day      bigint           NOT NULL CHECK (tenant_per_day >= 0),
    per_month           bigint           NOT NULL CHECK (per_month >= 0),
    languages           text             NOT NULL, -- JSON array, the first is the default
    created_at          bigint           NOT NULL
);
CREATE UNIQUE INDEX vendors_slug ON vendors (slug);

-- The operator itself, whose all tenants are that were there before.
INSERT INTO vendors (id, slug, name, contact, status, per_day, requests_per_second, per_minute,
    burst, bulk_per_minute, connections, tenant_per_day, per_month, languages, created_at)
VALUES ('00000000-0000-7000-8000-000000000001', 'operator', 'The operator', NULL, 'active', 0, 0, 0,
    0, 0, 0, 0, 0, '["en","fr"]', 0);

ALTER TABLE tenants ADD COLUMN vendor uuid NOT NULL
    DEFAULT '00000000-0000-7000-8000-000000000001' REFERENCES vendors (id);
ALTER TABLE tenants ADD COLUMN licence text COLLATE "C"; -- the vendor's own name for it
ALTER TABLE tenants ADD COLUMN plan text;
-- The default reply address that it gets once it is confirmed.
ALTER TABLE tenants ADD COLUMN next_reply_to text;
CREATE UNIQUE INDEX tenants_licence ON tenants (vendor, licence) WHERE licence IS NOT NULL;
CREATE INDEX tenants_vendor ON tenants (vendor, id);

-- The tenant's vendor vouched for it: who, in whose name.
ALTER TABLE reply_addresses ADD COLUMN attested_by text;

CREATE TABLE vendor_keys (
    kid        text COLLATE "C" NOT NULL PRIMARY KEY, -- RFC 7638: the thumbprint
    vendor     uuid             NOT NULL REFERENCES vendors (id),
    public_key bytea            NOT NULL CHECK (length(public_key) = 32), -- Ed25519
    status     text             NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at bigint           NOT NULL
);
CREATE INDEX vendor_keys_vendor ON vendor_keys (vendor);

CREATE TABLE admin_tokens (
    id         uuid   NOT NULL PRIMARY KEY,
    hash       bytea  NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    role       text   NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    vendor     uuid   REFERENCES vendors (id), -- NULL: the operator's, for all of them
    note       text   NOT NULL,
    status     text   NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at bigint NOT NULL,
    expires_at bigint
);
CREATE UNIQUE INDEX admin_tokens_hash ON admin_tokens (hash);

-- What was done by an operator or a vendor, append-only.
CREATE TABLE audit (
    id      uuid   NOT NULL PRIMARY KEY,
    at      bigint NOT NULL,
    actor   text   NOT NULL,
    vendor  uuid, -- whose vendor's it concerns, if one's
    verb    text   NOT NULL,
    subject text   NOT NULL,
    detail  text   NOT NULL -- JSON object
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_vendor ON audit (vendor, id) WHERE vendor IS NOT NULL;

-- Recipients accepted per UTC day over all tenants of a vendor with a daily volume.
CREATE TABLE vendor_usage (
    vendor   uuid   NOT NULL REFERENCES vendors (id),
    day      bigint NOT NULL, -- days since 1970-01-01
    accepted bigint NOT NULL,
    PRIMARY KEY (vendor, day)
) WITH (fillfactor = 50);

ALTER TABLE credentials DROP CONSTRAINT credentials_status_check;
ALTER TABLE credentials ADD CHECK (status IN ('active', 'suspended', 'revoked'));
ALTER TABLE credentials ADD COLUMN is_test boolean NOT NULL DEFAULT false;
