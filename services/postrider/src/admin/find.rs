//! «Why did it not arrive?», from the recipient's address alone: each message to it, where it stands, what
//! the remote said and what that means, and what happens next.

mod suppressed;
mod words;

use postrider_model::{CredentialId, EmailAddress, Suppression, Timestamp};
use postrider_store::{Roster, Senders, StoreError, Traced};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Office;
use crate::holds::{Hold, Holds, Mail};

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
        let senders = self.senders(&request).await?;
        let trace = &self.database.trace;
        let now = self.provision.clock.now();
        // One more tells whether there is more.
        let mut found = trace.trace(&request.address, senders, MESSAGES + 1).await?;
        let more = found.len() > usize::from(MESSAGES);
        found.truncate(MESSAGES.into());
        let suppressions = trace
            .suppressions_of(&request.address, senders, now)
            .await?;
        let holds = self.holds().await?;
        let mut messages = Vec::with_capacity(found.len());
        for traced in &found {
            let stopped = self.over(traced, &holds, now).await?;
            let tenant = directory.tenant(traced.tenant);
            let tenant = tenant.map_or_else(|| traced.tenant.to_string(), |it| it.slug.clone());
            let its = suppressions
                .iter()
                .filter(|one| one.tenant == traced.tenant);
            let told = Told {
                tenant: &tenant,
                holds: &stopped,
                suppressions: &its.cloned().collect::<Vec<_>>(),
                now,
            };
            messages.push(message(traced, &told));
        }
        let suppressions = suppressions.iter().map(|one| suppression(one, directory));
        Ok(json!({
            "address": request.address,
            "at": now,
            "messages": messages,
            "more": more,
            "suppressions": suppressions.collect::<Vec<_>>(),
        }))
    }

    async fn senders(&self, request: &FindRequest) -> anyhow::Result<Senders> {
        Ok(match (&request.tenant, &request.vendor) {
            (Some(which), _) => Senders::Tenant(self.find(which).await?.1.id),
            (None, Some(which)) => Senders::Vendor(self.find_vendor(which).await?.id),
            (None, None) => Senders::All,
        })
    }

    /// What keeps it from leaving; nothing where nothing of it waits.
    async fn over(
        &self,
        traced: &Traced,
        holds: &Holds,
        now: Timestamp,
    ) -> Result<Vec<Hold>, StoreError> {
        let recipient = &traced.recipient;
        if recipient.state.is_final() {
            return Ok(Vec::new());
        }
        let mail = &*self.database.mail;
        let answers = holds.answers(mail, (traced.tenant, traced.message)).await?;
        Ok(holds.over(&Mail {
            tenant: traced.tenant,
            message: Some(traced.message),
            domain: Some(recipient.address.domain()),
            key: self.key_of(traced).await?,
            answers: &answers,
            cause: recipient.cause,
            note: traced.last.as_ref().and_then(|last| last.note.as_deref()),
            is_due: recipient.due_at.is_some_and(|due_at| due_at <= now),
        }))
    }

    /// By which key it came in, where one of its tenant's is suspended.
    async fn key_of(&self, traced: &Traced) -> Result<Option<CredentialId>, StoreError> {
        let suspended = self.roster.suspended_keys();
        if !suspended.values().any(|tenant| *tenant == traced.tenant) {
            return Ok(None);
        }
        let mail = &self.database.mail;
        let email = mail.email(traced.tenant, traced.message).await?;
        Ok(email.and_then(|email| email.credential))
    }
}

/// What is known beside a message.
struct Told<'a> {
    /// Its tenant, as commands name it.
    tenant: &'a str,
    /// What stops it.
    holds: &'a [Hold],
    /// Of its tenant and its recipient, those that stand.
    suppressions: &'a [Suppression],
    now: Timestamp,
}

fn message(traced: &Traced, told: &Told<'_>) -> Value {
    let recipient = &traced.recipient;
    json!({
        "id": traced.message,
        "tenant": told.tenant,
        "accepted_at": traced.accepted_at,
        "subject": traced.summary.subject,
        "stream": traced.stream,
        "state": recipient.state,
        "what": words::what(traced, told),
        "attempts": recipient.attempts,
        "reply": recipient.last_reply.as_ref().map(ToString::to_string),
        "meaning": words::meaning(traced),
        "mx": traced.last.as_ref().and_then(|last| last.mx_host.as_deref()),
        "note": traced.last.as_ref().and_then(|last| last.note.as_deref()),
        "held_by": told.holds.iter().map(Hold::word).collect::<Vec<_>>(),
        "next": words::next(traced, told),
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
