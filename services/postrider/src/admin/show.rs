//! How the directory's things look in JSON. No secret is ever among it.

use std::time::Duration;

use postrider_model::{
    Credential, DkimKey, Domain, KeyStatus, Limits, Ramp, ReplyAddress, ReplyStatus, Tenant,
    TenantStatus, Timestamp, Vendor, VendorKey,
};
use postrider_store::{DirectorySnapshot, NewLimits, Quota, Usage};
use serde_json::{Value, json};

use super::{Reader, disowned, next_reply_to};

pub(super) fn vendor(vendor: &Vendor) -> Value {
    json!({
        "id": vendor.id,
        "slug": vendor.slug,
        "name": vendor.name,
        "contact": vendor.contact,
        "status": vendor.status,
        "per_day": limit(vendor.per_day),
        "languages": vendor.languages,
        "tenant_limits": limits(vendor.tenant_limits),
        "created_at": vendor.created_at,
    })
}

pub(super) fn vendor_key(key: &VendorKey) -> Value {
    json!({"kid": key.kid, "status": key.status, "created_at": key.created_at})
}

/// `vendor`: its slug.
pub(super) fn tenant(tenant: &Tenant, vendor: &str) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "slug": tenant.slug,
        "from": tenant.from,
        "reply_to": tenant.reply_to,
        "next_reply_to": tenant.next_reply_to,
        "status": tenant.status,
        "vendor": vendor,
        "licence": tenant.licence,
        "plan": tenant.plan,
        "created_at": tenant.created_at,
    })
}

/// A tenant's status; of an active one from which little or nothing is taken, for its default reply address,
/// the word for that.
pub(super) fn standing(tenant: &Tenant, default: Option<&ReplyAddress>) -> &'static str {
    let default = default.filter(|_| tenant.status == TenantStatus::Active && !tenant.is_house);
    match default.map(|entry| (entry.status, entry.confirmed_at)) {
        Some((ReplyStatus::Unconfirmed, _)) => "pending",
        Some((ReplyStatus::Refused, _)) => "refused",
        // One that was confirmed before is named on.
        Some((ReplyStatus::Broken, None)) => "broken",
        Some((ReplyStatus::Confirmed | ReplyStatus::Broken, _)) | None => tenant.status.as_str(),
    }
}

pub(super) fn tenant_in_full(
    (shown, vendor): (&Tenant, &str),
    snapshot: &DirectorySnapshot,
    usage: &Value,
) -> Value {
    let keys = snapshot
        .credentials
        .iter()
        .filter(|key| key.tenant == shown.id);
    let more = json!({
        "limits": limits(shown.limits),
        "usage": usage,
        "language": shown.language,
        "own_domain": shown.own_domain,
        "notices": shown.notices,
        "ramp": ramp(shown.ramp),
        "reply_to_status": default_of(shown, snapshot).map(|entry| entry.status),
        "reply_addresses": reply_addresses(shown, snapshot),
        "keys": keys.map(credential).collect::<Vec<_>>(),
    });
    let next = next_reply_to(shown, &snapshot.reply_addresses, Reader::Command);
    let told = disowned(shown, &snapshot.reply_addresses, Reader::Command);
    joined(joined(joined(tenant(shown, vendor), more), next), told)
}

fn default_of<'a>(tenant: &Tenant, snapshot: &'a DirectorySnapshot) -> Option<&'a ReplyAddress> {
    let mut all = snapshot.reply_addresses.iter();
    all.find(|one| one.tenant == tenant.id && one.address.folded() == tenant.reply_to.folded())
}

/// Where a new tenant stands; `null` once it is past it.
fn ramp(ramp: Ramp) -> Value {
    if ramp.is_past() {
        return Value::Null;
    }
    json!({"since": ramp.since, "per_day": ramp.per_day})
}

/// A tenant's reply addresses, the default first.
pub(super) fn reply_addresses(tenant: &Tenant, snapshot: &DirectorySnapshot) -> Vec<Value> {
    let all = snapshot.reply_addresses.iter();
    let (default, others): (Vec<_>, Vec<_>) = all
        .filter(|address| address.tenant == tenant.id)
        .partition(|address| address.address == tenant.reply_to);
    let default = default.into_iter().map(|a| (a, true));
    let all = default.chain(others.into_iter().map(|a| (a, false)));
    let marked = all.map(|(address, is_default)| {
        joined(reply_address(address), json!({"default": is_default}))
    });
    marked.collect()
}

/// A limit as it is shown: `null` where there is none, so that nobody reads 0 as «nothing may be
/// sent», or counts with it.
pub(super) fn limit(limit: u32) -> Value {
    Value::from((limit > 0).then_some(limit))
}

/// Those limits that the operator set itself, as they were given.
pub(super) fn named_limits(limits: NewLimits) -> Value {
    let named = [
        ("requests_per_second", limits.requests_per_second),
        ("per_minute", limits.per_minute),
        ("burst", limits.burst),
        ("bulk_per_minute", limits.bulk_per_minute),
        ("connections", limits.connections),
        ("per_day", limits.per_day),
        ("per_month", limits.per_month),
    ];
    let named = named.into_iter();
    named
        .filter_map(|(name, given)| Some((name.to_owned(), limit(given?))))
        .collect()
}

/// Limits as they work: where there is a pace, it has a burst.
pub(super) fn limits(limits: Limits) -> Value {
    let burst = match (limits.per_minute, limits.burst) {
        (0, burst) => burst,
        (pace, 0) => (pace / 6).max(1),
        (_, burst) => burst,
    };
    json!({
        "requests_per_second": limit(limits.requests_per_second),
        "per_minute": limit(limits.per_minute),
        "burst": limit(burst),
        "bulk_per_minute": limit(limits.bulk_per_minute),
        "connections": limit(limits.connections),
        "per_day": limit(limits.per_day),
        "per_month": limit(limits.per_month),
    })
}

/// What is used up of what the tenant may send now, and until when.
pub(super) fn usage(quota: &Quota, used: Usage, now: Timestamp) -> Value {
    let period = |used: u64, limit: u32, resets_at: Timestamp| {
        json!({
            "used": used,
            "limit": self::limit(limit),
            "resets_at": resets_at,
        })
    };
    let (today, per_day) = quota.daily(&used);
    json!({
        "daily": period(today, per_day, now.next_day()),
        "monthly": period(used.month, quota.per_month, now.next_month()),
        // It moves with the hour.
        "new_recipients_in_hour": counted(used.new_in_hour, quota.new_per_hour),
        // Messages before the default reply address is confirmed; it never begins anew.
        "unconfirmed": counted(used.unconfirmed, quota.unconfirmed),
    })
}

// Where there is a limit.
fn counted(used: u64, limit: u32) -> Value {
    match limit {
        0 => Value::Null,
        limit => json!({"used": used, "limit": limit}),
    }
}

/// One object with the fields of both.
pub(super) fn joined(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

pub(super) fn reply_address(address: &ReplyAddress) -> Value {
    json!({
        "address": address.address,
        "status": address.status,
        "source": address.source,
        "confirmed_at": address.confirmed_at,
        "asked_at": address.asked_at,
        "refused_at": address.refused_at,
        "attested_by": address.attested_by,
        "created_at": address.created_at,
    })
}

pub(super) fn credential(key: &Credential) -> Value {
    let tags = key.defaults.tags.iter();
    let tags: Vec<_> = tags
        .map(|tag| format!("{}={}", tag.name, tag.value))
        .collect();
    json!({
        "id": key.id,
        "kind": key.kind,
        "prefix": key.prefix,
        "user": key.user,
        "note": key.note,
        "status": key.status,
        "networks": key.networks,
        "per_day": limit(key.per_day),
        "expires_at": key.expires_at,
        "stream": key.defaults.stream,
        "tags": tags,
        "expires_after": key.defaults.expires_after.map(span),
        "reply_to": key.defaults.reply_to,
        "unknown_reply_to": key.unknown_reply_to,
        "skips_duplicates": key.skips_duplicates,
        "test": key.is_test,
        "created_at": key.created_at,
    })
}

/// As `--expires-after` takes it.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds => format!("{}m", seconds / 60),
    }
}

pub(super) fn dkim_record(key: &DkimKey) -> Value {
    json!({"name": format!("{}._domainkey.{}", key.selector, key.domain), "value": key.record})
}

/// The records of all keys that sign: for this domain, and for those of tenants from before the
/// service moved there.
pub(super) fn dkim_records(snapshot: &DirectorySnapshot, domain: &Domain) -> Value {
    let signs = |key: &&DkimKey| {
        let mut senders = snapshot.tenants.iter().map(|tenant| tenant.from.domain());
        key.status == KeyStatus::Active
            && (key.domain == *domain || senders.any(|sender| *sender == key.domain))
    };
    snapshot
        .dkim_keys
        .iter()
        .filter(signs)
        .map(dkim_record)
        .collect()
}

#[cfg(test)]
mod tests {
    use postrider_model::{ReplyAddressId, ReplySource};

    use super::*;

    #[test]
    fn a_burst_that_was_not_given_is_ten_seconds_worth() {
        for (per_minute, burst, want) in [
            (0, 0, Value::Null),
            (600, 0, json!(100)),
            (5, 0, json!(1)),
            (600, 7, json!(7)),
            (0, 7, json!(7)),
        ] {
            let shown = limits(Limits {
                per_minute,
                burst,
                ..Limits::default()
            });
            assert_eq!(shown["burst"], want, "{per_minute} {burst}");
        }
    }

    #[test]
    fn what_is_not_limited_is_null_and_what_the_operator_did_not_name_is_not_there() {
        let shown = limits(Limits {
            per_day: 20,
            ..Limits::default()
        });
        assert_eq!(
            (&shown["per_day"], &shown["per_month"]),
            (&json!(20), &Value::Null)
        );
        let named = NewLimits {
            per_day: Some(0),
            per_month: Some(9),
            ..NewLimits::default()
        };
        let want = json!({"per_day": null, "per_month": 9});
        assert_eq!(named_limits(named), want);
    }

    #[test]
    fn who_stands_still_for_its_reply_address_is_seen() {
        let tenant = crate::holds::eva();
        let entry = |status, was_confirmed: bool| ReplyAddress {
            id: ReplyAddressId::from_bytes([6; 16]),
            tenant: tenant.id,
            address: tenant.reply_to.clone(),
            status,
            source: ReplySource::Tenant,
            confirmed_at: was_confirmed.then_some(tenant.created_at),
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
            created_at: tenant.created_at,
        };
        for (status, was_confirmed, want) in [
            (ReplyStatus::Confirmed, true, "active"),
            (ReplyStatus::Unconfirmed, false, "pending"),
            (ReplyStatus::Refused, true, "refused"),
            (ReplyStatus::Broken, false, "broken"),
            (ReplyStatus::Broken, true, "active"),
        ] {
            let entry = entry(status, was_confirmed);
            assert_eq!(standing(&tenant, Some(&entry)), want);
            let status = TenantStatus::Suspended;
            let stopped = Tenant {
                status,
                ..tenant.clone()
            };
            assert_eq!(standing(&stopped, Some(&entry)), "suspended");
        }
    }
}
