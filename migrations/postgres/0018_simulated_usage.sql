-- Of `accepted`, those of the simulator: a tenant's own limits count them, its ramp does not.
ALTER TABLE usage ADD COLUMN simulated bigint NOT NULL DEFAULT 0;
