-- When the owner of the address said that they do not know the tenant; none where nobody did, or
-- before that was written down.
ALTER TABLE reply_addresses ADD COLUMN refused_at bigint;
-- When we last wrote to it for this tenant's own sake, and when before that; none where no letter did, or
-- before that was written down.
ALTER TABLE reply_addresses ADD COLUMN told_at bigint;
ALTER TABLE reply_addresses ADD COLUMN told_before bigint;
