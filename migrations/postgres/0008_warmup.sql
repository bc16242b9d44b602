-- Addresses that are warmed up; failures that tenants are told of.

-- Warm-up -----------------------------------------------------------------------------------

-- One more cause.
ALTER TABLE queue DROP CONSTRAINT queue_cause_check;
ALTER TABLE queue ADD CONSTRAINT queue_cause_check CHECK (cause IN ('turn', 'scheduled',
    'tenant_pace', 'destination_cap', 'destination_backoff', 'warm_up', 'greylisting', 'retry',
    'no_route', 'held'));

-- Addresses that mail leaves from, and since when.
CREATE TABLE egress (
    name  text   NOT NULL PRIMARY KEY,
    since bigint NOT NULL -- a UTC day
);

-- Recipients sent to from them while they are warmed up: a few rows for each day of that.
CREATE TABLE egress_days (
    name     text   NOT NULL,
    provider text   NOT NULL,
    day      bigint NOT NULL, -- UTC
    sent     bigint NOT NULL,
    PRIMARY KEY (name, provider, day)
);

-- Failure notices ---------------------------------------------------------------------------

ALTER TABLE tenants ADD COLUMN notices boolean NOT NULL DEFAULT true;

-- Recipients that did not get their mail, until their tenant is told.
CREATE TABLE failures (
    recipient uuid   NOT NULL PRIMARY KEY,
    message   uuid   NOT NULL,
    tenant    uuid   NOT NULL REFERENCES tenants (id),
    at        bigint NOT NULL
);
CREATE INDEX failures_tenant ON failures (tenant, at);

-- When tenants were last told.
CREATE TABLE told (
    tenant uuid   NOT NULL PRIMARY KEY REFERENCES tenants (id),
    at     bigint NOT NULL
);
