//! Lists, a page at a time; and the audit, which is one.

use postrider_http::{Answer, Problem, Query};
use postrider_model::{AuditEntry, AuditId, Tenant, Timestamp, VendorId};
use postrider_store::AuditFilter;
use serde_json::{Value, json};

use super::caller::Caller;
use super::missing::no_such;
use super::{AdminDoor, Outcome};
use crate::admin::Since;

const LIMIT_DEFAULT: u32 = 20;
const LIMIT_MOST: u32 = 100;

/// `?limit=&after=`, and what else of a query was read.
pub(super) struct Page {
    pub(super) limit: u32,
    pub(super) after: Option<String>,
}

/// Reads the page's part of a query, and refuses what is neither of it nor among `others`.
pub(super) fn page(query: &Query, others: &[&str]) -> Result<Page, Problem> {
    only(query, &[&["limit", "after"], others].concat())?;
    let after = query.one("after").map(str::to_owned);
    Ok(Page {
        limit: limit(query)?,
        after,
    })
}

/// Refuses what is not among these.
pub(super) fn only(query: &Query, all: &[&str]) -> Result<(), Problem> {
    let Some(name) = query.names().find(|name| !all.contains(name)) else {
        return Ok(());
    };
    let name: String = name.chars().take(60).collect();
    let message = format!("is no parameter of this list; {} are.", all.join(", "));
    Err(Problem::field(422, "invalid_parameter", name, message))
}

/// How many lines at most.
pub(super) fn limit(query: &Query) -> Result<u32, Problem> {
    let Some(text) = query.one("limit") else {
        return Ok(LIMIT_DEFAULT);
    };
    if let Ok(limit @ 1..=LIMIT_MOST) = text.parse() {
        return Ok(limit);
    }
    let text: String = text.chars().take(60).collect();
    let message = format!("{text:?} is not a number from 1 to {LIMIT_MOST}.");
    Err(Problem::field(422, "invalid_parameter", "limit", message))
}

/// A parameter that is there, read.
pub(super) fn parameter<T: std::str::FromStr>(
    query: &Query,
    name: &str,
    example: &str,
) -> Result<Option<T>, Problem> {
    let Some(text) = query.one(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let text: String = text.chars().take(60).collect();
        let message = format!("{text:?} is not like {example}.");
        Problem::field(422, "invalid_parameter", name, message)
    })
}

/// Since when, where it is said: what lies ahead is refused.
pub(super) fn since(query: &Query, now: Timestamp) -> Result<Option<Since>, Problem> {
    let read = query.one("since").map(|text| {
        let since = Since::parse(text)?;
        since.begun(now).map(|_| since)
    });
    read.transpose().map_err(|why| wrong("since", query, &why))
}

/// A parameter that cannot be taken as it is.
pub(super) fn wrong(name: &'static str, query: &Query, remedy: &str) -> Problem {
    let text: String = query.one(name).unwrap_or("").chars().take(60).collect();
    let message = format!("{text:?} is not taken: {remedy}.");
    Problem::field(422, "invalid_parameter", name, message)
}

/// What a page that begins behind it is asked for with.
pub(super) fn cursor<T: std::str::FromStr>(page: &Page) -> Result<Option<T>, Problem> {
    let Some(text) = &page.after else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let message = "is not an id of this list; begin again without it.";
        Problem::field(422, "invalid_parameter", "after", message)
    })
}

/// A page as it is answered.
pub(super) fn list(data: impl IntoIterator<Item = Value>, has_more: bool) -> Answer {
    let data: Vec<_> = data.into_iter().collect();
    let list = json!({"object": "list", "has_more": has_more, "data": data});
    Answer::json(200, &list)
}

/// A page of what was read with one more than its limit.
pub(super) fn cut<T>(mut all: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let limit = limit as usize;
    let has_more = all.len() > limit;
    all.truncate(limit);
    (all, has_more)
}

impl AdminDoor {
    /// `GET /audit`, newest first.
    pub(super) async fn audit(&self, caller: &Caller, query: &Query) -> Outcome {
        let page = page(query, &["since", "vendor"])?;
        let now = self.office.provision.clock.now();
        let since = since(query, now)?.map(|since| since.begins(now));
        let filter = AuditFilter {
            vendor: self.wanted_vendor(caller, query)?,
            since,
            before: cursor::<AuditId>(&page)?,
        };
        let found = self
            .office
            .database
            .audit
            .audit(filter, page.limit + 1)
            .await?;
        let (entries, has_more) = cut(found, page.limit);
        let data = entries.iter().map(|entry| self.entry(entry));
        Ok(list(data, has_more))
    }

    /// Whose things are listed: a vendor's token sees its own, the operator's those of `vendor`.
    pub(super) fn wanted_vendor(
        &self,
        caller: &Caller,
        query: &Query,
    ) -> Result<Option<VendorId>, Problem> {
        let Some(which) = query.one("vendor") else {
            return Ok(caller.vendor.as_ref().map(|vendor| vendor.id));
        };
        let vendor = self.vendor(which)?;
        if !caller.sees(vendor.id) {
            return Err(no_such("vendor", which));
        }
        Ok(Some(vendor.id))
    }

    fn entry(&self, entry: &AuditEntry) -> Value {
        let vendor = entry.vendor.and_then(|id| self.office.roster.vendor(id));
        json!({
            "object": "audit_entry",
            "id": entry.id,
            "at": entry.at,
            "actor": entry.actor,
            "vendor": vendor.map(|vendor| vendor.slug.clone()),
            "verb": entry.verb,
            "subject": entry.subject,
            "detail": entry.detail,
        })
    }

    /// Writes down what was done about a tenant where no verb does so.
    pub(super) async fn note(&self, caller: &Caller, verb: &str, tenant: &Tenant, detail: Value) {
        let provision = &self.office.provision;
        let at = provision.clock.now();
        let entry = AuditEntry {
            id: AuditId::new(at, provision.rng.bytes()),
            at,
            actor: caller.actor(),
            vendor: Some(tenant.vendor),
            verb: verb.to_owned(),
            subject: tenant.slug.clone(),
            detail,
        };
        let database = &self.office.database;
        if let Err(fault) = database.audit.record(entry).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                verb,
                "what was done could not be written into the audit"
            );
        }
        if let Err(fault) = self.office.roster.refresh(&*database.directory).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the directory cannot be read after a change"
            );
        }
    }
}
