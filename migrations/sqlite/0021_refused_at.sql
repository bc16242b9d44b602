-- When the owner of the address said that they do not know the tenant; none where nobody did, or
-- before that was written down.
ALTER TABLE reply_addresses ADD COLUMN refused_at INTEGER;
