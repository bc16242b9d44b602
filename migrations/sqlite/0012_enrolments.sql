-- The newest of its vendor's tokens that a tenant was enrolled with: an older one changes nothing
-- any more, and one that was used stands for the reply address it was used with.
CREATE TABLE enrolments (
    tenant    BLOB    NOT NULL PRIMARY KEY REFERENCES tenants (id),
    issued_at INTEGER NOT NULL,
    reply_to  TEXT    NOT NULL -- folded
) STRICT, WITHOUT ROWID;
