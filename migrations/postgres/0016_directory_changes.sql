-- Whose tenants' rows, keys or reply addresses a generation of the directory changed. One of which
-- nobody is named may have changed anything.
CREATE TABLE directory_changes (
    generation bigint NOT NULL,
    tenant     uuid   NOT NULL, -- may be gone
    PRIMARY KEY (generation, tenant)
);
