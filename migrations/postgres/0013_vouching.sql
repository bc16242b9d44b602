-- Who stopped a tenant or a key for a while: what the operator stopped its vendor does not let go on.
-- NULL: it goes on, or was stopped before this was written down, by the operator.
ALTER TABLE tenants ADD COLUMN stopped_by TEXT CHECK (stopped_by IN ('operator', 'vendor'));
ALTER TABLE credentials ADD COLUMN stopped_by TEXT CHECK (stopped_by IN ('operator', 'vendor'));
