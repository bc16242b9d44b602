//! Admission: everything that policy decides about a submission before it is sealed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postrider_message::Received;
use postrider_model::{
    EmailAddress, IdempotencyKey, Mailbox, Stream, Tag, Tenant, TenantId, Timestamp,
};
use postrider_store::{ClaimScope, Roster};

use crate::accept::AcceptError;
use crate::identity::{Identity, Service};
use crate::instruments::Door;
use crate::name;

/// What a door hands over: a whole message and its envelope.
#[derive(Clone, Debug)]
pub struct Submission {
    pub door: Door,
    /// RFC 5322, as composed from JSON or as it came; any line ends.
    pub raw: Vec<u8>,
    /// Everybody it goes to. Who stands in the header is irrelevant.
    pub envelope: Vec<EmailAddress>,
    /// Shown to the tenant, never sent.
    pub bcc: Vec<Mailbox>,
    pub stream: Stream,
    pub tags: Vec<Tag>,
    pub scheduled_at: Option<Timestamp>,
    /// Not delivered after this.
    pub expires_at: Option<Timestamp>,
    pub claim: Option<ClaimRequest>,
}

/// A client's Idempotency-Key with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// `POST /emails`.
    pub endpoint: &'static str,
    pub key: IdempotencyKey,
    /// SHA-256 over the canonical request.
    pub request: [u8; 32],
}

impl ClaimRequest {
    /// The key of this tenant.
    pub(crate) fn scope(&self, tenant: TenantId) -> ClaimScope {
        ClaimScope {
            tenant,
            endpoint: self.endpoint,
            key: self.key.clone(),
        }
    }
}

/// A submission that may be sent. Only `admit` makes one.
pub(crate) struct Admitted {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) identity: Identity,
    pub(crate) raw: Vec<u8>,
    pub(crate) facts: Received,
    pub(crate) recipients: Vec<EmailAddress>,
    pub(crate) from: Mailbox,
    /// The display name that was asked for and is not shown; the event says so.
    pub(crate) refused_name: Option<String>,
    pub(crate) original_from: Option<Mailbox>,
    pub(crate) reply_to: Vec<Mailbox>,
    /// What was asked for as reply address and is not confirmed; the event says so.
    pub(crate) unconfirmed: Vec<EmailAddress>,
    pub(crate) due_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) submission: Rest,
    _only_here: (),
}

/// What of a submission passes through admission untouched.
pub(crate) struct Rest {
    pub(crate) bcc: Vec<Mailbox>,
    pub(crate) stream: Stream,
    pub(crate) tags: Vec<Tag>,
    pub(crate) scheduled_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The rules of admission.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) service: Service,
    /// Recipients of one message, after removing doubles.
    pub(crate) recipients_most: usize,
    /// How long a message is tried where the client says nothing.
    pub(crate) lifetime: Duration,
    /// How far ahead a message may be scheduled.
    pub(crate) schedule_most: Duration,
}

/// Checks a submission of a tenant that was identified.
pub(crate) fn admit(
    rules: &Rules,
    roster: &Roster,
    tenant: Arc<Tenant>,
    submission: Submission,
    now: Timestamp,
) -> Result<Admitted, AcceptError> {
    let recipients = distinct(submission.envelope);
    if recipients.is_empty() {
        return Err(AcceptError::NoRecipients);
    }
    if recipients.len() > rules.recipients_most {
        let (given, most) = (recipients.len(), rules.recipients_most);
        return Err(AcceptError::TooManyRecipients { given, most });
    }
    let raw = postrider_message::legible(postrider_message::normalise(submission.raw))?;
    let facts = postrider_message::read(&raw)?;
    // RFC 5322 §3.6.2 allows a list with a Sender; whose name would the tenant's address carry?
    if facts.from.len() > 1 {
        return Err(AcceptError::SeveralFrom {
            given: facts.from.len(),
        });
    }
    let (due_at, expires_at) = times(rules, submission.scheduled_at, submission.expires_at, now)?;
    let identity = Identity::of(&tenant, &rules.service);
    let given = facts.from.first().cloned();
    let shown = name::choose(
        given.as_ref().and_then(|from| from.name.as_deref()),
        &tenant.name,
    );
    let (reply_to, unconfirmed) = reply_addresses(roster, &tenant, &facts);
    Ok(Admitted {
        from: identity.mailbox(shown.name),
        refused_name: shown.refused,
        original_from: given.filter(|from| from.address != identity.from),
        tenant,
        identity,
        raw,
        facts,
        recipients,
        reply_to,
        unconfirmed,
        due_at,
        expires_at,
        submission: Rest {
            bcc: submission.bcc,
            stream: submission.stream,
            tags: submission.tags,
            scheduled_at: submission.scheduled_at,
            expires_at: submission.expires_at,
        },
        _only_here: (),
    })
}

// Order is kept; of equal mailboxes the first stays.
fn distinct(envelope: Vec<EmailAddress>) -> Vec<EmailAddress> {
    let mut seen = HashSet::with_capacity(envelope.len());
    envelope
        .into_iter()
        .filter(|address| seen.insert(address.folded()))
        .collect()
}

/// When the first attempt is, and when the last: `(due_at, expires_at)`.
pub(crate) fn times(
    rules: &Rules,
    scheduled_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AcceptError> {
    let due_at = scheduled_at.unwrap_or(now).max(now);
    if due_at > now.after(rules.schedule_most) {
        return Err(AcceptError::ScheduledTooLate {
            at: due_at,
            most: rules.schedule_most,
        });
    }
    let latest = due_at.after(rules.lifetime);
    let expires_at = expires_at.map_or(latest, |at| at.min(latest));
    if expires_at <= due_at {
        return Err(AcceptError::ExpiresTooEarly {
            at: expires_at,
            due: due_at,
        });
    }
    Ok((due_at, expires_at))
}

// Explicit reply addresses that are confirmed, else the From if confirmed, else the default.
// Whatever was asked for and is not confirmed never leaves; it is reported.
fn reply_addresses(
    roster: &Roster,
    tenant: &Tenant,
    facts: &Received,
) -> (Vec<Mailbox>, Vec<EmailAddress>) {
    let is_confirmed = |mailbox: &Mailbox| roster.is_confirmed(tenant.id, &mailbox.address);
    let (explicit, mut unconfirmed): (Vec<_>, Vec<_>) =
        facts.reply_to.iter().cloned().partition(is_confirmed);
    if !explicit.is_empty() {
        return (without_names(explicit), addresses(unconfirmed));
    }
    for from in facts.from.iter().filter(|from| from.address != tenant.from) {
        if is_confirmed(from) {
            return (without_names(vec![from.clone()]), addresses(unconfirmed));
        }
        unconfirmed.push(from.clone());
    }
    (
        vec![Mailbox::from(tenant.reply_to.clone())],
        addresses(unconfirmed),
    )
}

// A name beside Reply-To is one more place for a deceptive name, and of no use.
fn without_names(mailboxes: Vec<Mailbox>) -> Vec<Mailbox> {
    addresses(mailboxes)
        .into_iter()
        .map(Mailbox::from)
        .collect()
}

fn addresses(mailboxes: Vec<Mailbox>) -> Vec<EmailAddress> {
    distinct(
        mailboxes
            .into_iter()
            .map(|mailbox| mailbox.address)
            .collect(),
    )
}
