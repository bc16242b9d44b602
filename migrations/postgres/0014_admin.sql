-- A verb about the queue may be about all tenants of a vendor.
ALTER TABLE controls ADD COLUMN vendor uuid;
ALTER TABLE controls DROP CONSTRAINT controls_check;
ALTER TABLE controls ADD CHECK (num_nonnulls(tenant, vendor, domain, message) = 1);
