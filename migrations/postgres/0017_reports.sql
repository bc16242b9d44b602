-- Reports of a vendor's mail read as few rows as there are to tell.

-- Vendors have sums of their own; what tenants sent that are gone is nobody's (an empty name).
INSERT INTO traffic (grain, axis, hour, name, part, accepted, delivered, deferred, bounced, expired,
    suppressed)
SELECT t.grain, 'vendor', t.hour, coalesce(o.vendor::text, ''), t.part, sum(t.accepted),
    sum(t.delivered), sum(t.deferred), sum(t.bounced), sum(t.expired), sum(t.suppressed)
FROM traffic AS t LEFT JOIN tenants AS o ON o.id = t.name::uuid
WHERE t.axis = 'tenant'
GROUP BY t.grain, t.hour, coalesce(o.vendor::text, ''), t.part;

INSERT INTO delivery_times (grain, axis, hour, name, part, bound, count)
SELECT t.grain, 'vendor', t.hour, coalesce(o.vendor::text, ''), t.part, t.bound, sum(t.count)
FROM delivery_times AS t LEFT JOIN tenants AS o ON o.id = t.name::uuid
WHERE t.axis = 'tenant'
GROUP BY t.grain, t.hour, coalesce(o.vendor::text, ''), t.part, t.bound;
