//! `postrider send --trace`: one small message to one recipient through the whole line, and what is
//! said about it while it goes.

use anyhow::Context;
use postrider_model::{
    EmailAddress, Event, EventKind, MessageId, RecipientState, Tenant, TenantId, Timestamp,
};
use postrider_store::{StoredEvent, StoredRecipient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Office;

/// What is done about a message that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceAct {
    /// Sends it, as a tenant or as this service itself.
    Send {
        tenant: Option<String>,
        to: EmailAddress,
        subject: Option<String>,
        text: Option<String>,
    },
    /// What there is to tell beyond so many lines.
    Follow {
        message: MessageId,
        /// Whose it is, as `Send` told.
        tenant: TenantId,
        seen: usize,
    },
}

impl TraceAct {
    /// Whether nothing changes by it.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self, Self::Follow { .. })
    }
}

impl Office {
    pub(super) async fn trace(&self, act: TraceAct) -> anyhow::Result<Value> {
        match act {
            TraceAct::Send {
                tenant,
                to,
                subject,
                text,
            } => {
                let host = &self.provision.service.host;
                let subject = subject.unwrap_or_else(|| format!("Test of {host}"));
                let text = text.unwrap_or_else(|| {
                    format!(
                        "{host} sent this to see how mail reaches you. Nobody expects an answer.\n"
                    )
                });
                self.send_traced(tenant, to, (subject, text)).await
            }
            TraceAct::Follow {
                message,
                tenant,
                seen,
            } => self.follow(tenant, message, seen).await,
        }
    }

    async fn send_traced(
        &self,
        tenant: Option<String>,
        to: EmailAddress,
        words: (String, String),
    ) -> anyhow::Result<Value> {
        let tenant = match tenant {
            Some(which) => self.find(&which).await?.1,
            None => self.house().await?,
        };
        // Its first attempt begins as soon as it is accepted.
        self.traces.follow(tenant.id, &to);
        let accepted = self.submit(tenant.id, vec![to.clone()], words).await?;
        Ok(json!({
            "id": accepted.get("id"),
            "tenant": tenant.id,
            "from": tenant.from,
            "to": to,
            "live": self.traces.is_served(),
        }))
    }

    async fn house(&self) -> anyhow::Result<Tenant> {
        self.ensure_house().await?;
        let house = self.roster.house();
        let house = house.context("this service has no sender of its own: start it once")?;
        Ok(house.as_ref().clone())
    }

    /// The lines of the dialogue; of a message that another process delivers, what its events say.
    async fn follow(
        &self,
        tenant: TenantId,
        message: MessageId,
        seen: usize,
    ) -> anyhow::Result<Value> {
        let mail = &self.database.mail;
        // Events, then their recipient, then the lines: what it came to is told behind what led to it.
        let events = mail.events(tenant, message).await?.unwrap_or_default();
        let email = mail.email(tenant, message).await?;
        let email = email.context("the message is not there any more")?;
        let recipient = email.recipients.first();
        let recipient = recipient.context("the message has no recipient")?;
        let outcome = outcome(recipient, &events);
        let lines = if self.traces.is_served() {
            json!(self.traces.lines(message, seen))
        } else {
            events.iter().skip(seen).map(told).collect()
        };
        Ok(json!({"lines": lines, "outcome": outcome}))
    }
}

/// What it came to, as far as this command waits for it; `null` while it is under way.
fn outcome(recipient: &StoredRecipient, events: &[StoredEvent]) -> Value {
    let last = events.iter().rev().find(|one| is_result(one.event.kind));
    let last = last.map(|one| &one.event);
    let said = recipient.last_reply.as_ref().map(ToString::to_string);
    let said = said.or_else(|| last.and_then(|event| event.note.clone()));
    let said = said.unwrap_or_else(|| "nothing was said".to_owned());
    let told = |kind: &str, text: String| json!({"kind": kind, "text": text});
    match recipient.state {
        // It ended after its events were read: they are read again.
        RecipientState::Delivered | RecipientState::Failed if last.is_none() => Value::Null,
        RecipientState::Delivered => {
            let mx = last.and_then(|event| event.mx.as_ref());
            let by = mx.map(|mx| format!(" (by {})", mx.host));
            told("delivered", said + &by.unwrap_or_default())
        }
        RecipientState::Failed | RecipientState::Expired => told("refused", said),
        RecipientState::Suppressed => {
            let why = "the address is on the suppression list: `postrider suppression lift`";
            told("refused", why.to_owned())
        }
        RecipientState::Cancelled => told("refused", "it was taken back".to_owned()),
        RecipientState::Held => {
            let why = "it is held until `postrider queue release --message` lets it go on";
            told("waits", why.to_owned())
        }
        RecipientState::Queued | RecipientState::Scheduled if last.is_some() => {
            let next = recipient.due_at.map(second).unwrap_or_default();
            told("waits", format!("{said}, next try at {next}"))
        }
        RecipientState::Queued | RecipientState::Scheduled => Value::Null,
    }
}

fn is_result(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Delivered
            | EventKind::Bounced
            | EventKind::Failed
            | EventKind::Expired
            | EventKind::Deferred
            | EventKind::Ambiguous
    )
}

/// An event as a line of a dialogue.
fn told(stored: &StoredEvent) -> Value {
    let event: &Event = &stored.event;
    let mut text = event.kind.as_str().to_owned();
    if let Some(mx) = &event.mx {
        text = format!("{text} by {} at {}", mx.host, mx.address);
    }
    let said = event.reply.as_ref().map(ToString::to_string);
    if let Some(said) = said.or_else(|| event.note.clone()) {
        text = format!("{text}: {said}");
    }
    json!({"at": event.at, "way": "noted", "text": text})
}

fn second(at: Timestamp) -> String {
    let text = at.to_string();
    let second = text.split('.').next().unwrap_or_default();
    format!("{} UTC", second.replace('T', " "))
}
