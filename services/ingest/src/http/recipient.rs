//! A recipient as its tenant sees it: where it stands, why it waits now, and what it waited for.

use std::time::Duration;

use postrider_model::{RecipientState, Reply, Timestamp, WaitCause, Waits};
use postrider_store::StoredRecipient;
use serde::{Serialize, Serializer};

/// One of `recipients` in the email object. All of it is ours, beside Resend's.
#[derive(Serialize)]
pub(crate) struct RecipientObject<'a> {
    id: String,
    address: String,
    state: RecipientState,
    attempts: u32,
    /// When it is tried next, where it is.
    due_at: Option<Timestamp>,
    /// Why it waits now, where it does.
    cause: Option<WaitCause>,
    /// The same for people.
    reason: Option<&'static str>,
    waited: Waited,
    last_reply: Option<&'a Reply>,
    updated_at: Timestamp,
}

/// Cause → milliseconds, to the microsecond, from acceptance until now or until its end.
struct Waited(Waits);

impl<'a> RecipientObject<'a> {
    /// `suspended`: since when an operator's suspension stands over it, where one does.
    pub(crate) fn of(
        recipient: &'a StoredRecipient,
        suspended: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let turn = cause(recipient, now);
        let (cause, reason) = match (turn, suspended) {
            (Some(WaitCause::Turn), Some(_)) => (Some(WaitCause::Held), Some(SUSPENDED)),
            _ => (turn, turn.map(reason)),
        };
        Self {
            id: recipient.id.to_string(),
            address: recipient.address.to_string(),
            state: recipient.state,
            attempts: recipient.attempts,
            due_at: recipient.due_at,
            cause,
            reason,
            waited: Waited(waited(recipient, suspended, now)),
            last_reply: recipient.last_reply.as_ref(),
            updated_at: recipient.updated_at,
        }
    }
}

// A row that is due waits for its turn, whatever it waited for before; but where it had no route,
// perhaps for that nothing may leave now: whoever delivers it lets it wait until it may.
fn cause(recipient: &StoredRecipient, now: Timestamp) -> Option<WaitCause> {
    if recipient.state.is_final() {
        return None;
    }
    match recipient.due_at {
        Some(due_at) if due_at <= now => Some(once_due(recipient)),
        _ => Some(until_due(recipient)),
    }
}

// Of a live recipient: why it waits until it is due.
fn until_due(recipient: &StoredRecipient) -> WaitCause {
    match recipient.state {
        RecipientState::Held => WaitCause::Held,
        _ => recipient.cause.unwrap_or(WaitCause::Turn),
    }
}

fn once_due(recipient: &StoredRecipient) -> WaitCause {
    match until_due(recipient) {
        WaitCause::NoRoute => WaitCause::NoRoute,
        _ => WaitCause::Turn,
    }
}

// What is stored ends with the last settlement; of a live recipient the time since then is open.
// Once due it waits for its turn, or for the end of a suspension, from the moment that began.
fn waited(recipient: &StoredRecipient, suspended: Option<Timestamp>, now: Timestamp) -> Waits {
    let mut waits = recipient.waits.clone();
    if recipient.state.is_final() {
        return waits;
    }
    let since = recipient.updated_at;
    let due_at = recipient.due_at.unwrap_or(now);
    waits.add(until_due(recipient), due_at.min(now).since(since));
    let due_since = due_at.max(since);
    let held_since = suspended.map_or(now, |from| from.clamp(due_since.min(now), now));
    waits.add(once_due(recipient), held_since.since(due_since));
    waits.add(WaitCause::Held, now.since(held_since.max(due_since)));
    waits
}

const SUSPENDED: &str = "Its queue is suspended by the operator; it goes on when that ends.";

fn reason(cause: WaitCause) -> &'static str {
    match cause {
        // Which of them it is, only the node that delivers it knows.
        WaitCause::Turn => {
            "It is due: it is being sent, or waits for mail before it, for your account's pace or for the destination."
        }
        WaitCause::Scheduled => "It is scheduled for a later time.",
        WaitCause::TenantPace => "Your account sends no more recipients in this minute.",
        WaitCause::DestinationCap => "The destination takes no more connections from us now.",
        WaitCause::DestinationBackoff => {
            "The destination could not be reached or slowed us down; we wait before we try it again."
        }
        WaitCause::WarmUp => {
            "The address that mail leaves from is new and sends a little more each day; it goes on tomorrow (UTC)."
        }
        WaitCause::Greylisting => "The destination wants to be asked again later (greylisting).",
        WaitCause::Retry => "The last attempt did not succeed; we try again.",
        WaitCause::NoRoute => {
            "There is no way to the destination now: DNS gives no usable answer for it, or this relay may not send yet. It goes on by itself."
        }
        WaitCause::Held => "It is held until somebody releases it.",
        WaitCause::Attempt => "It is being sent.",
    }
}

impl Serialize for Waited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = |span: Duration| (span.as_secs_f64() * 1_000_000.0).round() / 1_000.0;
        serializer.collect_map(self.0.iter().map(|(cause, span)| (cause, millis(span))))
    }
}

#[cfg(test)]
mod tests;
