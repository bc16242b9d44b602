-- A verb about the queue may be about all tenants of a vendor.
ALTER TABLE controls ADD COLUMN vendor uuid;
ALTER TABLE controls DROP CONSTRAINT controls_check;
ALTER TABLE controls ADD CHECK (num_nonnulls(tenant, vendor, domain, message) = 1);

-- Which limits of a tenant the operator set itself: the most that its vendor may give it. A JSON
-- object; NULL: none, or before this was written down.
ALTER TABLE tenants ADD COLUMN operators_limits text;

-- Which keys enrolment gave: until now its note told, which anybody may change.
ALTER TABLE credentials ADD COLUMN is_enrolled boolean NOT NULL DEFAULT false;
UPDATE credentials SET is_enrolled = true WHERE note = 'enrolment';
