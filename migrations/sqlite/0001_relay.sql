-- The first shape of everything that is kept. Ids are UUIDv7 (16 bytes), times integer
-- microseconds since 1970 UTC, enums checked text. JSON columns hold one row's own small print,
-- never what a query looks for.

-- Directory ---------------------------------------------------------------------------------

CREATE TABLE tenants (
    id                  BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name                TEXT    NOT NULL,
    slug                TEXT    NOT NULL,
    from_address        TEXT    NOT NULL,
    reply_to            TEXT    NOT NULL,
    status              TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    requests_per_second INTEGER NOT NULL CHECK (requests_per_second >= 0),
    per_minute          INTEGER NOT NULL CHECK (per_minute >= 0),
    burst               INTEGER NOT NULL CHECK (burst >= 0),
    created_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every slug and From address that was ever given away. Rows outlive their tenant.
CREATE TABLE names (
    kind TEXT NOT NULL CHECK (kind IN ('slug', 'from')),
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE reply_addresses (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants (id),
    address    TEXT    NOT NULL,
    folded     TEXT    NOT NULL, -- what equal mailboxes share
    status     TEXT    NOT NULL CHECK (status IN ('unconfirmed', 'confirmed')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reply_addresses_tenant ON reply_addresses (tenant, folded);

CREATE TABLE credentials (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant     BLOB    NOT NULL REFERENCES tenants (id),
    prefix     TEXT    NOT NULL,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the token
    note       TEXT    NOT NULL,
    status     TEXT    NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credentials_hash ON credentials (hash);
CREATE INDEX credentials_tenant ON credentials (tenant);

CREATE TABLE dkim_keys (
    id                 BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    domain             TEXT    NOT NULL,
    selector           TEXT    NOT NULL,
    algorithm          TEXT    NOT NULL CHECK (algorithm IN ('rsa-sha256', 'ed25519-sha256')),
    record             TEXT    NOT NULL,
    sealed_private_key BLOB    NOT NULL,
    status             TEXT    NOT NULL CHECK (status IN ('active', 'revoked')),
    created_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX dkim_keys_selector ON dkim_keys (domain, selector);

-- One row: rises with every change of the tables above.
CREATE TABLE generation (
    one   INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (one, value) VALUES (1, 1);

-- Mail --------------------------------------------------------------------------------------

CREATE TABLE messages (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant      BLOB    NOT NULL REFERENCES tenants (id),
    accepted_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    size        INTEGER NOT NULL, -- bytes on the wire
    stream      TEXT    NOT NULL CHECK (stream IN ('transactional', 'bulk')),
    smtputf8    INTEGER NOT NULL CHECK (smtputf8 IN (0, 1)),
    selectors   TEXT    NOT NULL, -- JSON array: the DKIM selectors it is signed with
    summary     TEXT    NOT NULL  -- JSON object: what is shown of it
) STRICT;
CREATE INDEX messages_tenant ON messages (tenant, id);

CREATE TABLE bodies (
    message BLOB NOT NULL PRIMARY KEY REFERENCES messages (id),
    bytes   BLOB NOT NULL
) STRICT;

CREATE TABLE recipients (
    message        BLOB    NOT NULL REFERENCES messages (id),
    id             BLOB    NOT NULL CHECK (length(id) = 16),
    position       INTEGER NOT NULL, -- the order in which they were given
    address        TEXT    NOT NULL,
    return_path    TEXT    NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('scheduled', 'queued', 'held', 'delivered',
                       'failed', 'suppressed', 'expired', 'cancelled')),
    attempts       INTEGER NOT NULL,
    events         INTEGER NOT NULL, -- how many it has: the number of the last one
    reply_code     INTEGER,
    reply_enhanced TEXT,
    reply_text     TEXT,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;

-- Only live recipients that may be attempted: a held one has no row here until it is released.
-- `seq` is the order of changes, given by the one writer; a rescheduled row gets a new one.
CREATE TABLE queue (
    seq         INTEGER NOT NULL PRIMARY KEY,
    recipient   BLOB    NOT NULL,
    message     BLOB    NOT NULL,
    tenant      BLOB    NOT NULL,
    shard       INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 1023),
    domain      TEXT    NOT NULL,
    accepted_at INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    cause       TEXT    NOT NULL CHECK (cause IN ('turn', 'scheduled', 'tenant_pace',
                    'destination_cap', 'destination_backoff', 'greylisting', 'retry', 'no_route',
                    'held'))
) STRICT;
CREATE UNIQUE INDEX queue_recipient ON queue (recipient);

-- Facts, append-only. `epoch` tells apart two owners of a shard that number at once; with one
-- process it is 0.
CREATE TABLE events (
    recipient      BLOB    NOT NULL CHECK (length(recipient) = 16),
    seq            INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN ('accepted', 'scheduled', 'rescheduled',
                       'attempted', 'deferred', 'ambiguous', 'delivered', 'failed', 'bounced',
                       'expired', 'held', 'released', 'suppressed', 'cancelled',
                       'reply_to_replaced', 'duplicate', 'complained', 'auto_reply')),
    attempt        INTEGER NOT NULL,
    reply_code     INTEGER,
    reply_enhanced TEXT,
    reply_text     TEXT,
    mx_host        TEXT,
    mx_address     TEXT,
    tls_version    TEXT,
    tls_cipher     TEXT,
    tls_verdict    TEXT,
    duration       INTEGER, -- microseconds
    cause          TEXT,
    note           TEXT,
    PRIMARY KEY (recipient, seq, epoch)
) STRICT, WITHOUT ROWID;

-- What was answered under a key. `message` tells a repeated commit from another request.
CREATE TABLE idempotency (
    tenant   BLOB    NOT NULL REFERENCES tenants (id),
    endpoint TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    message  BLOB    NOT NULL,
    request  BLOB    NOT NULL CHECK (length(request) = 32), -- SHA-256 of the request
    status   INTEGER NOT NULL,
    answer   TEXT    NOT NULL,
    until    INTEGER NOT NULL,
    PRIMARY KEY (tenant, endpoint, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_until ON idempotency (until);

-- Recipients accepted, per tenant and UTC day.
CREATE TABLE usage (
    tenant   BLOB    NOT NULL REFERENCES tenants (id),
    day      INTEGER NOT NULL, -- days since 1970-01-01
    accepted INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;
