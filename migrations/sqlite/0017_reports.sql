-- Reports of a vendor's mail, and of refusals, read as few rows as there are to tell.

-- Vendors have sums of their own; what tenants sent that are gone is nobody's (an empty name).
CREATE TABLE owners (tenant TEXT PRIMARY KEY, vendor TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO owners (tenant, vendor)
WITH digits AS (SELECT lower(hex(id)) AS t, lower(hex(vendor)) AS v FROM tenants)
SELECT substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4)
        || '-' || substr(t, 21),
    substr(v, 1, 8) || '-' || substr(v, 9, 4) || '-' || substr(v, 13, 4) || '-' || substr(v, 17, 4)
        || '-' || substr(v, 21)
FROM digits;
INSERT INTO traffic (grain, axis, hour, name, part, accepted, delivered, deferred, bounced, expired,
    suppressed)
SELECT t.grain, 'vendor', t.hour, coalesce(o.vendor, ''), t.part, sum(t.accepted), sum(t.delivered),
    sum(t.deferred), sum(t.bounced), sum(t.expired), sum(t.suppressed)
FROM traffic AS t LEFT JOIN owners AS o ON o.tenant = t.name
WHERE t.axis = 'tenant'
GROUP BY t.grain, t.hour, coalesce(o.vendor, ''), t.part;
INSERT INTO delivery_times (grain, axis, hour, name, part, bound, count)
SELECT t.grain, 'vendor', t.hour, coalesce(o.vendor, ''), t.part, t.bound, sum(t.count)
FROM delivery_times AS t LEFT JOIN owners AS o ON o.tenant = t.name
WHERE t.axis = 'tenant'
GROUP BY t.grain, t.hour, coalesce(o.vendor, ''), t.part, t.bound;
DROP TABLE owners;

-- By their words first: they are summed over tenants as they lie, and hardly need to be sorted.
CREATE TABLE refusals_by_words (
    hour     INTEGER NOT NULL,
    provider TEXT    NOT NULL,
    text     TEXT    NOT NULL, -- empty: not told apart
    tenant   BLOB    NOT NULL CHECK (length(tenant) = 16),
    part     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (hour, provider, text, tenant, part)
) STRICT, WITHOUT ROWID;
INSERT INTO refusals_by_words (hour, provider, text, tenant, part, count)
SELECT hour, provider, text, tenant, part, count FROM refusals;
DROP TABLE refusals;
ALTER TABLE refusals_by_words RENAME TO refusals;
-- An erasure finds a tenant's.
CREATE INDEX refusals_tenant ON refusals (tenant);
