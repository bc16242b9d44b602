-- A verb about the queue may be about all tenants of a vendor. What stood is kept; who had
-- acknowledged it says so again.
CREATE TABLE controls_new (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    verb    TEXT    NOT NULL CHECK (verb IN ('hold', 'release', 'cancel', 'suspend', 'retry-now')),
    tenant  BLOB    CHECK (length(tenant) = 16), -- one of these four
    vendor  BLOB    CHECK (length(vendor) = 16),
    domain  TEXT,
    message BLOB    CHECK (length(message) = 16),
    at      INTEGER NOT NULL,
    note    TEXT,
    CHECK ((tenant IS NOT NULL) + (vendor IS NOT NULL) + (domain IS NOT NULL)
        + (message IS NOT NULL) = 1)
) STRICT, WITHOUT ROWID;
INSERT INTO controls_new (id, verb, tenant, domain, message, at, note)
SELECT id, verb, tenant, domain, message, at, note FROM controls;
DROP TABLE controls;
ALTER TABLE controls_new RENAME TO controls;

-- Which limits of a tenant the operator set itself: the most that its vendor may give it. A JSON
-- object; NULL: none, or before this was written down.
ALTER TABLE tenants ADD COLUMN operators_limits TEXT;

-- Which keys enrolment gave: until now its note told, which anybody may change.
ALTER TABLE credentials ADD COLUMN is_enrolled INTEGER NOT NULL DEFAULT 0
    CHECK (is_enrolled IN (0, 1));
UPDATE credentials SET is_enrolled = 1 WHERE note = 'enrolment';
