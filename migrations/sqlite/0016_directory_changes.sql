-- Whose tenants' rows, keys or reply addresses a generation of the directory changed. One of which
-- nobody is named may have changed anything.
CREATE TABLE directory_changes (
    generation INTEGER NOT NULL,
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16), -- may be gone
    PRIMARY KEY (generation, tenant)
) STRICT, WITHOUT ROWID;
