//! How the directory's things look in JSON. No secret is ever among it.

use postrider_model::{Credential, DkimKey, Domain, KeyStatus, ReplyAddress, Tenant};
use postrider_store::DirectorySnapshot;
use serde_json::{Value, json};

pub(super) fn tenant(tenant: &Tenant) -> Value {
    json!({
        "id": tenant.id,
        "name": tenant.name,
        "slug": tenant.slug,
        "from": tenant.from,
        "reply_to": tenant.reply_to,
        "status": tenant.status,
        "created_at": tenant.created_at,
    })
}

pub(super) fn tenant_in_full(shown: &Tenant, snapshot: &DirectorySnapshot) -> Value {
    let addresses = snapshot
        .reply_addresses
        .iter()
        .filter(|address| address.tenant == shown.id);
    let keys = snapshot
        .credentials
        .iter()
        .filter(|key| key.tenant == shown.id);
    let more = json!({
        "limits": {
            "requests_per_second": shown.limits.requests_per_second,
            "per_minute": shown.limits.per_minute,
            "burst": shown.limits.burst,
        },
        "reply_addresses": addresses.map(reply_address).collect::<Vec<_>>(),
        "keys": keys.map(credential).collect::<Vec<_>>(),
    });
    joined(tenant(shown), more)
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
        "created_at": address.created_at,
    })
}

pub(super) fn credential(key: &Credential) -> Value {
    json!({
        "id": key.id,
        "prefix": key.prefix,
        "note": key.note,
        "status": key.status,
        "created_at": key.created_at,
    })
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
