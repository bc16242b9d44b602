-- Mail that counts as the same again for some minutes, in the order in which it came: written at
-- one end and deleted at the other, and looked for in memory only. Under a key that is as good as
-- random each message would rewrite a page of its own.
CREATE TABLE recent_claims (
    id      INTEGER PRIMARY KEY,
    tenant  BLOB    NOT NULL CHECK (length(tenant) = 16),
    mark    BLOB    NOT NULL CHECK (length(mark) = 16), -- first half of the request's SHA-256
    message BLOB    NOT NULL CHECK (length(message) = 16),
    until   INTEGER NOT NULL
) STRICT;
