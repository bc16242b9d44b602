-- What became of mail, counted as it happens: reports read these, whatever the number of messages.

-- Recipients, each once by its tenant and once by its provider. By the hour, later by the UTC day.
CREATE TABLE traffic (
    grain      TEXT    NOT NULL CHECK (grain IN ('hour', 'day')),
    axis       TEXT    NOT NULL CHECK (axis IN ('vendor', 'tenant', 'provider')),
    hour       INTEGER NOT NULL, -- hours since 1970-01-01 UTC; of a day, its first
    name       TEXT    NOT NULL, -- a tenant's id, or a provider's word
    part       INTEGER NOT NULL, -- who wrote it: 0, with one writer
    accepted   INTEGER NOT NULL,
    delivered  INTEGER NOT NULL,
    deferred   INTEGER NOT NULL, -- attempts
    bounced    INTEGER NOT NULL,
    expired    INTEGER NOT NULL,
    suppressed INTEGER NOT NULL,
    PRIMARY KEY (grain, axis, hour, name, part)
) STRICT, WITHOUT ROWID;

-- How long deliveries took: how many, up to a bound.
CREATE TABLE delivery_times (
    grain TEXT    NOT NULL CHECK (grain IN ('hour', 'day')),
    axis  TEXT    NOT NULL CHECK (axis IN ('vendor', 'tenant', 'provider')),
    hour  INTEGER NOT NULL,
    name  TEXT    NOT NULL,
    part  INTEGER NOT NULL,
    bound INTEGER NOT NULL, -- milliseconds
    count INTEGER NOT NULL,
    PRIMARY KEY (grain, axis, hour, name, part, bound)
) STRICT, WITHOUT ROWID;

-- What remotes said when they refused, folded so that equal words count together.
CREATE TABLE refusals (
    hour     INTEGER NOT NULL,
    tenant   BLOB    NOT NULL CHECK (length(tenant) = 16),
    provider TEXT    NOT NULL,
    text     TEXT    NOT NULL, -- empty: not told apart
    part     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (hour, tenant, provider, text, part)
) STRICT, WITHOUT ROWID;
