-- Who sends, from where and how much; whom mail does not go to; what was said at the door.

-- Directory ---------------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'fr'));
ALTER TABLE tenants ADD COLUMN own_domain boolean NOT NULL DEFAULT false;
-- Who was there before this is past its ramp: 0 recipients a day are no limit.
ALTER TABLE tenants ADD COLUMN ramp_since bigint NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN ramp_per_day bigint NOT NULL DEFAULT 0 CHECK (ramp_per_day >= 0);
ALTER TABLE tenants ADD COLUMN ramp_decided bigint NOT NULL DEFAULT 0; -- a UTC day
-- The tenant that our own mail is written as.
ALTER TABLE tenants ADD COLUMN is_house boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX tenants_house ON tenants (is_house) WHERE is_house;

ALTER TABLE reply_addresses DROP CONSTRAINT reply_addresses_status_check;
ALTER TABLE reply_addresses ADD CHECK (status IN ('unconfirmed', 'confirmed', 'refused', 'broken'));
ALTER TABLE reply_addresses ADD COLUMN source text NOT NULL DEFAULT 'operator'
    CHECK (source IN ('operator', 'tenant', 'observed', 'domain'));
ALTER TABLE reply_addresses ADD COLUMN confirmed_at bigint;
ALTER TABLE reply_addresses ADD COLUMN asked_at bigint;
UPDATE reply_addresses SET confirmed_at = created_at WHERE status = 'confirmed';
-- One mailbox with all tenants.
CREATE INDEX reply_addresses_folded ON reply_addresses (folded);

-- When a mailbox was last written to, so that somebody may confirm it; for whichever tenant.
CREATE TABLE asked (
    address text   NOT NULL PRIMARY KEY, -- folded
    at      bigint NOT NULL
);
CREATE INDEX asked_at ON asked (at);

ALTER TABLE credentials ADD COLUMN kind text NOT NULL DEFAULT 'api' CHECK (kind IN ('api', 'smtp'));
ALTER TABLE credentials ADD COLUMN user_name text;
ALTER TABLE credentials ADD COLUMN networks text NOT NULL DEFAULT '[]'; -- JSON array: 203.0.113.0/24
ALTER TABLE credentials ADD COLUMN per_day bigint NOT NULL DEFAULT 0 CHECK (per_day >= 0);
ALTER TABLE credentials ADD COLUMN expires_at bigint;
ALTER TABLE credentials ADD COLUMN defaults text NOT NULL DEFAULT '{}'; -- JSON object
ALTER TABLE credentials ADD COLUMN unknown_reply_to text NOT NULL DEFAULT 'replace'
    CHECK (unknown_reply_to IN ('replace', 'refuse'));
ALTER TABLE credentials ADD COLUMN skips_duplicates boolean NOT NULL DEFAULT true;

-- Mail --------------------------------------------------------------------------------------

ALTER TABLE messages ADD COLUMN credential uuid;

-- Counted on the day on which they came, whatever day the mail is of.
ALTER TABLE usage ADD COLUMN hard_bounces bigint NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN complaints bigint NOT NULL DEFAULT 0;

-- Recipients accepted per key and UTC day, of keys that have a quota.
CREATE TABLE key_usage (
    tenant     uuid   NOT NULL REFERENCES tenants (id),
    credential uuid   NOT NULL,
    day        bigint NOT NULL, -- days since 1970-01-01
    accepted   bigint NOT NULL,
    PRIMARY KEY (tenant, credential, day)
) WITH (fillfactor = 50);

-- When a tenant first wrote to an address, of tenants for which that is counted.
CREATE TABLE contacts (
    tenant  uuid             NOT NULL REFERENCES tenants (id),
    address text COLLATE "C" NOT NULL, -- folded
    at      bigint           NOT NULL,
    PRIMARY KEY (tenant, address)
);
CREATE INDEX contacts_tenant_at ON contacts (tenant, at);
CREATE INDEX contacts_at ON contacts (at);

-- Where a tenant's mail does not go.
CREATE TABLE suppressions (
    id      uuid             NOT NULL PRIMARY KEY,
    tenant  uuid             NOT NULL REFERENCES tenants (id),
    address text             NOT NULL,
    folded  text COLLATE "C" NOT NULL, -- what equal mailboxes share
    stream  text COLLATE "C" NOT NULL CHECK (stream IN ('transactional', 'bulk', 'all')),
    reason  text             NOT NULL
                CHECK (reason IN ('hard_bounce', 'unsubscribe', 'complaint', 'manual')),
    source  text             NOT NULL,
    since   bigint           NOT NULL,
    until   bigint -- NULL: until it is lifted
);
CREATE UNIQUE INDEX suppressions_address ON suppressions (tenant, folded, stream);
CREATE INDEX suppressions_tenant ON suppressions (tenant, id);
CREATE INDEX suppressions_until ON suppressions (until) WHERE until IS NOT NULL;

-- Submission sessions, with nothing secret in them.
CREATE TABLE sessions (
    code       text COLLATE "C" NOT NULL PRIMARY KEY, -- 7F3K-Q2
    started_at bigint           NOT NULL,
    tenant     uuid, -- nobody's, where no key was shown
    record     text             NOT NULL -- JSON object: all else of it
);
CREATE INDEX sessions_started ON sessions (started_at);
CREATE INDEX sessions_tenant ON sessions (tenant) WHERE tenant IS NOT NULL;
