//! «Why did it not arrive?», from the recipient's address alone: each message to it, where it stands, what
//! the remote said and what that means, and what happens next.

mod words;

use postrider_model::{EmailAddress, Suppression, TenantStatus, Timestamp};
use postrider_store::{Roster, Senders, Traced};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Office;

/// Messages that are shown.
const MESSAGES: u8 = 10;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindRequest {
    pub address: EmailAddress,
    /// A tenant's id or slug.
    pub tenant: Option<String>,
    /// A vendor's: of its tenants. Without either, all mail is meant.
    #[serde(default)]
    pub vendor: Option<String>,
}

impl Office {
    pub(super) async fn find_mail(&self, request: FindRequest) -> anyhow::Result<Value> {
        let directory = self.directory().await?;
        let senders = match (&request.tenant, &request.vendor) {
            (Some(which), _) => Senders::Tenant(self.find(which).await?.1.id),
            (None, Some(which)) => Senders::Vendor(self.find_vendor(which).await?.id),
            (None, None) => Senders::All,
        };
        let trace = &self.database.trace;
        let now = self.provision.clock.now();
        // One more tells whether there is more.
        let mut found = trace.trace(&request.address, senders, MESSAGES + 1).await?;
        let more = found.len() > usize::from(MESSAGES);
        found.truncate(MESSAGES.into());
        let suppressions = trace
            .suppressions_of(&request.address, senders, now)
            .await?;
        let messages = found.iter().map(|traced| message(traced, directory, now));
        let suppressions = suppressions.iter().map(|one| suppression(one, directory));
        Ok(json!({
            "address": request.address,
            "at": now,
            "messages": messages.collect::<Vec<_>>(),
            "more": more,
            "suppressions": suppressions.collect::<Vec<_>>(),
        }))
    }
}

fn message(traced: &Traced, directory: &Roster, now: Timestamp) -> Value {
    let recipient = &traced.recipient;
    let tenant = directory.tenant(traced.tenant);
    let tenant = tenant.as_ref();
    let suspended = tenant.is_some_and(|tenant| tenant.status == TenantStatus::Suspended);
    json!({
        "id": traced.message,
        "tenant": tenant.map_or_else(|| traced.tenant.to_string(), |tenant| tenant.slug.clone()),
        "accepted_at": traced.accepted_at,
        "subject": traced.summary.subject,
        "stream": traced.stream,
        "state": recipient.state,
        "what": words::what(traced, now),
        "attempts": recipient.attempts,
        "reply": recipient.last_reply.as_ref().map(ToString::to_string),
        "meaning": words::meaning(traced),
        "mx": traced.last.as_ref().and_then(|last| last.mx_host.as_deref()),
        "note": traced.last.as_ref().and_then(|last| last.note.as_deref()),
        "next": words::next(traced, suspended, now),
        "next_at": recipient.due_at,
        "expires_at": (!recipient.state.is_final()).then_some(traced.expires_at),
        "session": traced.summary.session,
    })
}

fn suppression(one: &Suppression, directory: &Roster) -> Value {
    let tenant = directory.tenant(one.tenant);
    json!({
        "tenant": tenant.map_or_else(|| one.tenant.to_string(), |tenant| tenant.slug.clone()),
        "stream": one.stream,
        "reason": one.reason,
        "source": one.source,
        "since": one.since,
        "until": one.until,
    })
}
