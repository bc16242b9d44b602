-- What became of mail, counted as it happens: reports read these, whatever the number of messages.
--
-- Each process counts in rows of its own (`part`), so that none waits for another's commit. Rows change
-- every few seconds: room on each page for their next versions.

-- Recipients, each once by its tenant and once by its provider. By the hour, later by the UTC day.
CREATE TABLE traffic (
    grain      text COLLATE "C" NOT NULL CHECK (grain IN ('hour', 'day')),
    axis       text COLLATE "C" NOT NULL CHECK (axis IN ('vendor', 'tenant', 'provider')),
    hour       bigint           NOT NULL, -- hours since 1970-01-01 UTC; of a day, its first
    name       text COLLATE "C" NOT NULL, -- a tenant's id, or a provider's word
    part       integer          NOT NULL, -- who wrote it; 0 of what was put together later
    accepted   bigint           NOT NULL,
    delivered  bigint           NOT NULL,
    deferred   bigint           NOT NULL, -- attempts
    bounced    bigint           NOT NULL,
    expired    bigint           NOT NULL,
    suppressed bigint           NOT NULL,
    PRIMARY KEY (grain, axis, hour, name, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- How long deliveries took: how many, up to a bound.
CREATE TABLE delivery_times (
    grain text COLLATE "C" NOT NULL CHECK (grain IN ('hour', 'day')),
    axis  text COLLATE "C" NOT NULL CHECK (axis IN ('vendor', 'tenant', 'provider')),
    hour  bigint           NOT NULL,
    name  text COLLATE "C" NOT NULL,
    part  integer          NOT NULL,
    bound bigint           NOT NULL, -- milliseconds
    count bigint           NOT NULL,
    PRIMARY KEY (grain, axis, hour, name, part, bound)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- What remotes said when they refused, folded so that equal words count together.
CREATE TABLE refusals (
    hour     bigint           NOT NULL,
    tenant   uuid             NOT NULL,
    provider text COLLATE "C" NOT NULL,
    text     text COLLATE "C" NOT NULL, -- empty: not told apart
    part     integer          NOT NULL,
    count    bigint           NOT NULL,
    PRIMARY KEY (hour, tenant, provider, text, part)
);
