//! What was done: every verb that changes something leaves an entry, with who did it and to what.

use std::collections::BTreeMap;

use postrider_model::{AuditEntry, AuditId, CredentialId, TenantId, VendorId};
use postrider_store::AuditFilter;
use serde_json::{Map, Value, json};

use super::{Office, Refused, Since, Verb};

/// Entries in one answer.
const PAGE: u32 = 1_000;
/// What of a verb is not written down: mail, and what is long.
const LEFT_OUT: [&str; 4] = ["text", "subject", "rows", "key"];
/// By what an answer names a thing.
const MADE: [&str; 3] = ["id", "kid", "slug"];

impl Office {
    /// Writes down that a verb was done.
    pub(super) async fn note_done(&self, actor: &str, done: Done) {
        let at = self.provision.clock.now();
        let entry = AuditEntry {
            id: AuditId::new(at, self.provision.rng.bytes()),
            at,
            actor: actor.to_owned(),
            vendor: self.vendor_of(&done).await,
            verb: done.verb,
            subject: self.slug_of(done.subject),
            detail: Value::Object(done.detail),
        };
        // Done is done, and what it answers is shown this one time.
        if let Err(fault) = self.database.audit.record(entry).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "what was done could not be written into the audit"
            );
        }
    }

    /// A tenant is called by its slug, whichever name a verb came with.
    fn slug_of(&self, subject: String) -> String {
        let id = subject.parse::<TenantId>().ok();
        let tenant = id.and_then(|id| self.roster.tenant(id));
        tenant.map_or(subject, |tenant| tenant.slug.clone())
    }

    async fn vendor_of(&self, done: &Done) -> Option<VendorId> {
        let name = |field: &str| done.detail.get(field).and_then(Value::as_str);
        let about = |field: &str| done.detail.get("about")?.get(field)?.as_str();
        let added = name("slug").filter(|_| done.verb == "vendor_add");
        if let Some(vendor) = name("vendor").or(about("vendor")).or(added) {
            let id = vendor.parse::<VendorId>().ok();
            let named = || Some(self.roster.vendor_named(vendor)?.id);
            return id.or_else(named);
        }
        if let Some(message) = about("message") {
            let sender = self.database.vendors.sender_of(message.parse().ok()?).await;
            return Some(self.roster.tenant(sender.ok()??)?.vendor);
        }
        let by_key = || {
            let key: CredentialId = name("id")?.parse().ok()?;
            let tenant = self.roster.credential_of_id(key)?.tenant;
            Some(self.roster.tenant(tenant)?.vendor)
        };
        let made = name("id").filter(|_| done.verb == "tenant_add");
        let tenant = name("tenant").or(about("tenant")).or(made);
        let Some(tenant) = tenant else {
            return by_key();
        };
        let by_id = tenant.parse::<TenantId>().ok();
        let found = by_id.and_then(|id| self.roster.tenant(id));
        let found = found.or_else(|| self.roster.tenant_named(tenant));
        found.map(|tenant| tenant.vendor)
    }

    /// Entries, newest first.
    pub(super) async fn audit(
        &self,
        since: Option<Since>,
        vendor: Option<String>,
    ) -> anyhow::Result<Value> {
        let vendor = match vendor {
            Some(vendor) => Some(self.find_vendor(&vendor).await?.id),
            None => None,
        };
        let now = self.provision.clock.now();
        let since = since.map(|since| since.begun(now)).transpose();
        let filter = AuditFilter {
            vendor,
            since: since.map_err(|why| Refused::argument("--since", "since", &why))?,
            before: None,
        };
        let entries = self.database.audit.audit(filter, PAGE).await?;
        Ok(entries
            .into_iter()
            .map(|entry| self.entry(&entry))
            .collect())
    }

    fn entry(&self, entry: &AuditEntry) -> Value {
        let vendor = entry.vendor.and_then(|id| self.roster.vendor(id));
        json!({
            "id": entry.id,
            "at": entry.at,
            "actor": entry.actor,
            "vendor": vendor.map(|vendor| vendor.slug.clone()),
            "verb": entry.verb,
            "subject": entry.subject,
            "detail": entry.detail,
        })
    }
}

/// A verb, as the audit tells of it.
pub(super) struct Done {
    verb: String,
    subject: String,
    detail: Map<String, Value>,
}

impl Done {
    /// What the relay did without a verb.
    pub(super) fn by_itself(verb: &str, subject: &str, detail: &[(&str, String)]) -> Self {
        let detail = detail.iter();
        let detail = detail.map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        Self {
            verb: verb.to_owned(),
            subject: subject.to_owned(),
            detail: detail.collect(),
        }
    }

    /// With what its answer calls the thing that it made, and never a secret that is in it.
    pub(super) fn with(mut self, answer: &Value) -> Self {
        for name in MADE {
            if let Some(Value::String(made)) = answer.get(name) {
                let made = || Value::String(made.clone());
                self.detail.entry(name).or_insert_with(made);
            }
        }
        if let (Value::Array(outcomes), "tenant_import") = (answer, self.verb.as_str()) {
            self.detail.extend(counted(outcomes));
        }
        self
    }

    /// Of its own fields: `vendor: {act: {add: {…}}}` is `vendor_add` with what is in it.
    pub(super) fn of(verb: &Verb) -> Self {
        let mut detail = match serde_json::to_value(verb) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let mut name = word(detail.remove("verb"));
        match detail.remove("act") {
            Some(Value::Object(act)) => {
                for (act, fields) in act {
                    name = format!("{name}_{act}");
                    if let Value::Object(fields) = fields {
                        detail.extend(fields);
                    }
                }
            }
            Some(act) => name = format!("{name}_{}", word(Some(act))),
            None => {}
        }
        for field in LEFT_OUT {
            detail.remove(field);
        }
        detail.retain(|_, value| !value.is_null());
        let subject = [
            "tenant", "vendor", "id", "selector", "about", "slug", "name",
        ];
        let subject = subject.iter().find_map(|field| detail.get(*field));
        Self {
            verb: name.replace('-', "_"),
            subject: word(subject.cloned()),
            detail,
        }
    }
}

/// The outcomes of an import, each with how often it came.
fn counted(outcomes: &[Value]) -> Map<String, Value> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(outcome) = outcome.get("outcome").and_then(Value::as_str) {
            *counts.entry(outcome).or_default() += 1;
        }
    }
    let counts = counts.into_iter();
    counts
        .map(|(outcome, count)| (outcome.to_owned(), count.into()))
        .collect()
}

fn word(value: Option<Value>) -> String {
    match value {
        Some(Value::String(word)) => word,
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::Authority;

    use super::*;
    use crate::admin::{VendorAct, VendorChange};

    #[test]
    fn an_entry_says_what_was_done_to_what_and_no_mail() {
        let suspended = Done::of(&Verb::TenantSuspend {
            tenant: "joe".to_owned(),
            by: Authority::Operator,
        });
        assert_eq!(
            (suspended.verb.as_str(), suspended.subject.as_str()),
            ("tenant_suspend", "joe")
        );
        let act = VendorAct::Set {
            vendor: "acme".to_owned(),
            name: Some("Acme".to_owned()),
            contact: None,
            change: VendorChange::default(),
        };
        let set = Done::of(&Verb::Vendor { act });
        assert_eq!(
            (set.verb.as_str(), set.subject.as_str()),
            ("vendor_set", "acme")
        );
        assert_eq!(set.detail["name"], "Acme");
        let made = json!({"id": "1", "kid": "k", "slug": "joe", "api_key": "s", "token": "s", "password": "s"});
        let added = Done::of(&Verb::KeyList {
            tenant: "joe".to_owned(),
        });
        let added = Value::Object(added.with(&made).detail);
        assert_eq!(
            added,
            json!({"tenant": "joe", "id": "1", "kid": "k", "slug": "joe"})
        );
        let rows = Verb::TenantImport {
            vendor: "acme".to_owned(),
            rows: Vec::new(),
        };
        let outcomes =
            json!([{"outcome": "added", "key": "s"}, {"outcome": "same"}, {"outcome": "same"}]);
        let counted = Value::Object(Done::of(&rows).with(&outcomes).detail);
        assert_eq!(counted, json!({"vendor": "acme", "added": 1, "same": 2}));
        let letter = Done::of(&Verb::Send {
            tenant: "joe".to_owned(),
            to: Vec::new(),
            subject: "secret".to_owned(),
            text: "secret".to_owned(),
        });
        assert!(!format!("{:?}", letter.detail).contains("secret"));
    }
}
