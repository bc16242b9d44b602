-- The first shape of everything that is kept. Ids are UUIDv7, times bigint microseconds since 1970
-- UTC, enums checked text. JSON columns hold one row's own small print, never what a query looks
-- for. Where this differs from SQLite's file of the same name, it says why.

-- Directory ---------------------------------------------------------------------------------

CREATE TABLE tenants (
    id                  uuid    NOT NULL PRIMARY KEY,
    name                text    NOT NULL,
    slug                text    NOT NULL,
    from_address        text    NOT NULL,
    reply_to            text    NOT NULL,
    status              text    NOT NULL CHECK (status IN ('active', 'suspended')),
    requests_per_second bigint  NOT NULL CHECK (requests_per_second >= 0),
    per_minute          bigint  NOT NULL CHECK (per_minute >= 0),
    burst               bigint  NOT NULL CHECK (burst >= 0),
    created_at          bigint  NOT NULL
);

-- Every slug and From address that was ever given away. Rows outlive their tenant.
CREATE TABLE names (
    kind text NOT NULL CHECK (kind IN ('slug', 'from')),
    name text NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE reply_addresses (
    id         uuid   NOT NULL PRIMARY KEY,
    tenant     uuid   NOT NULL REFERENCES tenants (id),
    address    text   NOT NULL,
    folded     text   NOT NULL, -- what equal mailboxes share
    status     text   NOT NULL CHECK (status IN ('unconfirmed', 'confirmed')),
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX reply_addresses_tenant ON reply_addresses (tenant, folded);

CREATE TABLE credentials (
    id         uuid   NOT NULL PRIMARY KEY,
    tenant     uuid   NOT NULL REFERENCES tenants (id),
    prefix     text   NOT NULL,
    hash       bytea  NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    note       text   NOT NULL,
    status     text   NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX credentials_hash ON credentials (hash);
CREATE INDEX credentials_tenant ON credentials (tenant);

CREATE TABLE dkim_keys (
    id                 uuid   NOT NULL PRIMARY KEY,
    domain             text   NOT NULL,
    selector           text   NOT NULL,
    algorithm          text   NOT NULL CHECK (algorithm IN ('rsa-sha256', 'ed25519-sha256')),
    record             text   NOT NULL,
    sealed_private_key bytea  NOT NULL,
    status             text   NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at         bigint NOT NULL
);
CREATE UNIQUE INDEX dkim_keys_selector ON dkim_keys (domain, selector);

-- One row: rises with every change of the tables above.
CREATE TABLE generation (
    one   integer NOT NULL PRIMARY KEY CHECK (one = 1),
    value bigint  NOT NULL
);
INSERT INTO generation (one, value) VALUES (1, 1);

-- Mail --------------------------------------------------------------------------------------

-- These four are cut by ranges of the id, which begins with its milliseconds: a day each. The
-- program makes the parts and drops them (`partitions`). No foreign keys among them: a part could
-- not be dropped for itself then. That a message's tenant is there is seen to by `usage`, of which
-- each new message changes a row.

CREATE TABLE messages (
    id          uuid    NOT NULL PRIMARY KEY,
    tenant      uuid    NOT NULL,
    accepted_at bigint  NOT NULL,
    expires_at  bigint  NOT NULL,
    size        bigint  NOT NULL, -- bytes on the wire
    stream      text    NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    smtputf8    boolean NOT NULL,
    selectors   text    NOT NULL, -- JSON array: the DKIM selectors it is signed with
    summary     text    NOT NULL  -- JSON object: what is shown of it
) PARTITION BY RANGE (id);
CREATE INDEX messages_tenant ON messages (tenant, id);

CREATE TABLE bodies (
    message uuid  NOT NULL PRIMARY KEY,
    bytes   bytea NOT NULL
) PARTITION BY RANGE (message);
-- Not compressed: the time that takes is worth more than the space.
ALTER TABLE bodies ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE recipients (
    message        uuid    NOT NULL,
    id             uuid    NOT NULL,
    position       integer NOT NULL, -- the order in which they were given
    address        text    NOT NULL,
    return_path    text    NOT NULL,
    state          text    NOT NULL CHECK (state IN ('scheduled', 'queued', 'held', 'delivered',
                       'failed', 'suppressed', 'expired', 'cancelled')),
    attempts       bigint  NOT NULL,
    events         bigint  NOT NULL, -- how many it has: the number of the last one
    reply_code     integer,
    reply_enhanced text,
    reply_text     text,
    updated_at     bigint  NOT NULL,
    PRIMARY KEY (message, id)
) PARTITION BY RANGE (message);

-- Only live recipients that may be attempted: a held one has no row here until it is released.
-- `changed` is the transaction that wrote the row last: new to a reader is what its last snapshot
-- did not show. Compared with SQLite's file it has its stream and `since` from the start.
CREATE TABLE queue (
    recipient   uuid     NOT NULL PRIMARY KEY,
    message     uuid     NOT NULL,
    tenant      uuid     NOT NULL,
    shard       smallint NOT NULL CHECK (shard BETWEEN 0 AND 1023),
    stream      text     NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    domain      text     NOT NULL,
    accepted_at bigint   NOT NULL,
    since       bigint   NOT NULL, -- waits for its cause since then
    due_at      bigint   NOT NULL,
    expires_at  bigint   NOT NULL,
    attempts    bigint   NOT NULL,
    cause       text     NOT NULL CHECK (cause IN ('turn', 'scheduled', 'tenant_pace',
                    'destination_cap', 'destination_backoff', 'greylisting', 'retry', 'no_route',
                    'held')),
    changed     xid8     NOT NULL DEFAULT pg_current_xact_id()
-- Small and hot: what a delete leaves is cleared away after thousands of rows, not after a fifth
-- of the table.
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.2);
CREATE INDEX queue_changed ON queue (changed, recipient);

-- Facts, append-only. `epoch` is that of the shard under which a fact was told, 0 without one.
CREATE TABLE events (
    recipient      uuid    NOT NULL,
    seq            bigint  NOT NULL,
    epoch          bigint  NOT NULL,
    at             bigint  NOT NULL,
    kind           text    NOT NULL CHECK (kind IN ('accepted', 'scheduled', 'rescheduled',
                       'attempted', 'deferred', 'ambiguous', 'delivered', 'failed', 'bounced',
                       'expired', 'held', 'released', 'suppressed', 'cancelled',
                       'reply_to_replaced', 'duplicate', 'complained', 'auto_reply')),
    attempt        bigint  NOT NULL,
    reply_code     integer,
    reply_enhanced text,
    reply_text     text,
    mx_host        text,
    mx_address     text,
    tls_version    text,
    tls_cipher     text,
    tls_verdict    text,
    duration       bigint, -- microseconds
    cause          text,
    note           text,
    PRIMARY KEY (recipient, seq, epoch)
) PARTITION BY RANGE (recipient);

-- What was answered under a key. `message` tells a repeated commit from another request. Keys are
-- compared byte by byte, whatever the database's language is: nodes sort them the same way.
CREATE TABLE idempotency (
    tenant   uuid             NOT NULL REFERENCES tenants (id),
    endpoint text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    message  uuid             NOT NULL,
    request  bytea            NOT NULL CHECK (length(request) = 32), -- SHA-256 of the request
    status   integer          NOT NULL,
    answer   text             NOT NULL,
    until    bigint           NOT NULL,
    PRIMARY KEY (tenant, endpoint, key)
);
CREATE INDEX idempotency_until ON idempotency (until);

-- Recipients accepted, per tenant and UTC day.
CREATE TABLE usage (
    tenant   uuid   NOT NULL REFERENCES tenants (id),
    day      bigint NOT NULL, -- days since 1970-01-01
    accepted bigint NOT NULL,
    PRIMARY KEY (tenant, day)
-- Its rows change with every batch: room on each page for their next versions.
) WITH (fillfactor = 50);
