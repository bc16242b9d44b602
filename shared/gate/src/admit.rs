//! Admission: everything that policy decides about a submission before it is sealed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postrider_message::Received;
use postrider_model::{
    CredentialId, Domain, EmailAddress, IdempotencyKey, Mailbox, MessageId, SessionCode, Stream,
    Tag, Tenant, TenantId, Timestamp,
};
use postrider_store::{ClaimScope, Quota, Roster};

use crate::accept::AcceptError;
use crate::config::IdentityConfig;
use crate::identity::{Identity, Service};
use crate::instruments::Door;
use crate::name::{NameFault, NamePolicy, Names, Own, Shown};
use crate::order::Order;
use crate::quota;
use crate::reply::{Book, Replies, Trust};

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
    /// `None` where the client did not say: then its key does, or it is transactional.
    pub stream: Option<Stream>,
    pub tags: Vec<Tag>,
    pub scheduled_at: Option<Timestamp>,
    /// Not delivered after this.
    pub expires_at: Option<Timestamp>,
    /// Over SMTP the gate makes its own, from the header.
    pub claim: Option<ClaimRequest>,
    /// The SMTP session it came in by.
    pub session: Option<SessionCode>,
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
    pub(crate) id: MessageId,
    /// The first of those that its submission was split into.
    pub(crate) group: Option<MessageId>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) credential: Option<CredentialId>,
    pub(crate) identity: Identity,
    pub(crate) raw: Vec<u8>,
    pub(crate) facts: Received,
    pub(crate) recipients: Vec<EmailAddress>,
    pub(crate) from: Mailbox,
    /// The display name that was asked for and is not shown; the event says so.
    pub(crate) refused_name: Option<(String, NameFault)>,
    /// Whether a person is to look at it first.
    pub(crate) held: bool,
    pub(crate) original_from: Option<Mailbox>,
    /// What stands as Reply-To, and what was asked for and does not; the event says so.
    pub(crate) replies: Replies,
    /// To whom receipts and errors may go beside that.
    pub(crate) receipts: Vec<EmailAddress>,
    /// Those of the recipients, folded, that mail must not go to.
    pub(crate) suppressed: HashSet<String>,
    pub(crate) quota: Quota,
    pub(crate) due_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) submission: Rest,
    _only_here: (),
}

/// What of a submission passes through admission untouched.
pub(crate) struct Rest {
    pub(crate) door: Door,
    pub(crate) session: Option<SessionCode>,
    pub(crate) bcc: Vec<Mailbox>,
    pub(crate) stream: Stream,
    pub(crate) tags: Vec<Tag>,
    pub(crate) scheduled_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The rules of admission.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) service: Service,
    pub(crate) identity: Arc<IdentityConfig>,
    pub(crate) names: Arc<Names>,
    /// Recipients of one message, after removing doubles.
    pub(crate) recipients_most: usize,
    /// How long a message is tried where the client says nothing.
    pub(crate) lifetime: Duration,
    /// How far ahead a message may be scheduled.
    pub(crate) schedule_most: Duration,
    /// The domain whose mail stays on this machine: anybody may try it.
    pub(crate) simulator: Option<Domain>,
}

/// Checks a submission of a tenant that was identified. `trust` says which reply addresses may
/// stand in it.
pub(crate) fn admit(
    (rules, roster, trust): (&Rules, &Roster, Trust),
    tenant: Arc<Tenant>,
    order: Order,
    now: Timestamp,
) -> Result<Admitted, AcceptError> {
    let stream = order.stream();
    let submission = order.submission;
    let recipients = recipients(rules, submission.envelope)?;
    let book = Book {
        roster,
        tenant: &tenant,
        key: order.key.as_deref(),
        trust,
    };
    may_write_to(rules, &book, &recipients)?;
    let (raw, facts) = legible(submission.raw)?;
    let (due_at, expires_at) = times(rules, submission.scheduled_at, submission.expires_at, now)?;
    let identity = Identity::of(&tenant, &rules.service);
    let given = facts.from.first().cloned();
    let shown = shown_name(rules, &book, given.as_ref())?;
    Ok(Admitted {
        id: order.id,
        group: order.group,
        credential: order.key.as_ref().map(|key| key.id),
        from: identity.mailbox(shown.name),
        held: shown.refused.is_some() && rules.names.policy == NamePolicy::Hold,
        refused_name: shown.refused,
        original_from: given.filter(|from| from.address != identity.from),
        replies: book.choose(&facts)?,
        receipts: book.usable(&facts.receipts),
        quota: quota::of(&book, &rules.identity, now),
        suppressed: order.suppressed,
        identity,
        raw,
        facts,
        recipients,
        due_at,
        expires_at,
        submission: Rest {
            door: submission.door,
            session: submission.session,
            bcc: submission.bcc,
            stream,
            tags: submission.tags,
            scheduled_at: submission.scheduled_at,
            expires_at: submission.expires_at,
        },
        tenant,
        _only_here: (),
    })
}

fn recipients(
    rules: &Rules,
    envelope: Vec<EmailAddress>,
) -> Result<Vec<EmailAddress>, AcceptError> {
    let recipients = distinct(envelope);
    let (given, most) = (recipients.len(), rules.recipients_most);
    match given {
        0 => Err(AcceptError::NoRecipients),
        given if given > most => Err(AcceptError::TooManyRecipients { given, most }),
        _ => Ok(recipients),
    }
}

/// The message with its line ends set right, and what is read of it.
fn legible(raw: Vec<u8>) -> Result<(Vec<u8>, Received), AcceptError> {
    let raw = postrider_message::legible(postrider_message::normalise(raw))?;
    let facts = postrider_message::read(&raw)?;
    // RFC 5322 §3.6.2 allows a list with a Sender; whose name would the tenant's address carry?
    if facts.from.len() > 1 {
        return Err(AcceptError::SeveralFrom {
            given: facts.from.len(),
        });
    }
    Ok((raw, facts))
}

// Under a test key mail stays here. A tenant that has not confirmed its own address may try how it
// is, and write to nobody else.
fn may_write_to(
    rules: &Rules,
    book: &Book<'_>,
    recipients: &[EmailAddress],
) -> Result<(), AcceptError> {
    let simulator = rules.simulator.as_ref();
    let is_simulated = |address: &EmailAddress| simulator == Some(address.domain());
    let own = &book.tenant.reply_to;
    let is_own = |address: &EmailAddress| address.folded() == own.folded();
    if book.key.is_some_and(|key| key.is_test) && !recipients.iter().all(is_simulated) {
        return Err(AcceptError::TestKey {
            simulator: rules.simulator.clone(),
        });
    }
    if book.is_confirmed() {
        return Ok(());
    }
    // Whoever does not know the tenant gets nothing from it, and no answer of its customers either.
    let is_disowned = book.is_disowned();
    let may = |address: &EmailAddress| is_own(address) && !is_disowned || is_simulated(address);
    if recipients.iter().all(may) {
        return Ok(());
    }
    let reply_to = own.clone();
    if is_disowned {
        return Err(AcceptError::Disowned { reply_to });
    }
    Err(if book.was_asked_in_vain() {
        AcceptError::AskedInVain { reply_to }
    } else {
        AcceptError::NotConfirmed { reply_to }
    })
}

fn shown_name(
    rules: &Rules,
    book: &Book<'_>,
    given: Option<&Mailbox>,
) -> Result<Shown, AcceptError> {
    let own = Own {
        name: &book.tenant.name,
        domain: &|domain| book.shows_domain(domain),
    };
    let given = given.and_then(|from| from.name.as_deref());
    let shown = rules.names.choose(given, &own);
    match shown.refused {
        Some((name, fault)) if rules.names.policy == NamePolicy::Refuse => {
            Err(AcceptError::NameRefused {
                name: name.chars().take(128).collect::<String>(),
                reason: fault,
            })
        }
        _ => Ok(shown),
    }
}

// Order is kept; of equal mailboxes the first stays.
pub(crate) fn distinct(envelope: Vec<EmailAddress>) -> Vec<EmailAddress> {
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
