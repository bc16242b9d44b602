//! Sealing: from an admitted submission to the bytes that are stored and sent.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use postrider_message::{SignError, Stamp};
use postrider_model::{Domain, EmailAddress, Mailbox, MessageId, RecipientId, Stream, Timestamp};
use postrider_runtime::Rng;
use postrider_store::{NewMessage, NewRecipient, Summary};

use crate::accept::AcceptError;
use crate::admit::Admitted;
use crate::first;
use crate::identity::Service;
use crate::instruments::Door;
use crate::link::UnsubscribeToken;
use crate::return_path::Scope;
use crate::secret::MasterKey;
use crate::signing::Signers;

/// How long a signature stands after the first attempt is due (`x=`).
const SIGNATURE_LIFE: Duration = Duration::from_hours(48);

/// What sealing needs beside the submission.
pub(crate) struct Seal<'a> {
    pub(crate) service: &'a Service,
    pub(crate) master: &'a MasterKey,
    /// Where links lead to.
    pub(crate) public_url: &'a str,
    pub(crate) signers: Signers,
    pub(crate) rng: &'a Rng,
    pub(crate) now: Timestamp,
    /// Bytes that a message may have on the wire.
    pub(crate) size_most: usize,
    /// The domain whose mail stays on this machine.
    pub(crate) simulator: Option<&'a Domain>,
}

/// Stamps and signs. CPU work of a fraction of a millisecond for small mail; large mail belongs
/// on a blocking thread.
pub(crate) fn seal(mut admitted: Admitted, with: &Seal<'_>) -> Result<NewMessage, AcceptError> {
    let id = admitted.id;
    // Given up as soon as it can be: at most two copies of a large message are in memory.
    let raw = std::mem::take(&mut admitted.raw);
    let stamped = postrider_message::stamp(&raw, &stamp_of(&admitted, id, with))?;
    drop(raw);
    let (signers, size_most) = (&with.signers, with.size_most);
    if signers.is_empty() {
        return Err(AcceptError::NoSigningKey);
    }
    let signed = signed(&stamped.bytes, signers, (with.now, admitted.due_at))?;
    let size = signed.body.len();
    if size > size_most {
        return Err(AcceptError::TooLarge {
            size,
            most: size_most,
        });
    }
    let recipients = recipients(&admitted, id, size, with)?;
    let events = first::events(&admitted, &recipients, with.now);
    Ok(NewMessage {
        id,
        tenant: admitted.tenant.id,
        credential: admitted.credential,
        accepted_at: with.now,
        due_at: admitted.due_at,
        expires_at: admitted.expires_at,
        selectors: signed.selectors,
        sealed_until: signed.until,
        quota: admitted.quota,
        held: admitted.held,
        summary: summary(admitted, stamped.message_id),
        body: signed.body,
        smtputf8: stamped.needs_smtputf8 || recipients.iter().any(|r| r.address.needs_smtputf8()),
        recipients,
        events,
        claim: None,
    })
}

fn stamp_of(admitted: &Admitted, id: MessageId, with: &Seal<'_>) -> Stamp {
    let (tenant, stream) = (admitted.tenant.id, admitted.submission.stream);
    Stamp {
        from: admitted.from.clone(),
        reply_to: admitted.replies.to.clone(),
        receipts: admitted.receipts.clone(),
        unsubscribe: unsubscribe(admitted, with),
        date: admitted.due_at,
        message_id: admitted.identity.message_id(id),
        feedback_id: admitted.identity.feedback_id(tenant, stream),
        // RFC 5321 §4.4, without the client's address: it is nobody's business.
        received: format!(
            "by {}{} id {id}; {}",
            with.service.host,
            protocol(admitted.submission.door),
            with.now.to_rfc5322()
        ),
    }
}

// RFC 3848; HTTP is registered too. Our own letters come by no protocol.
fn protocol(door: Door) -> &'static str {
    match door {
        Door::Smtp => " with ESMTPSA",
        Door::Http | Door::Command => " with HTTP",
        Door::House => "",
    }
}

// Bulk mail is for one alone by now.
fn unsubscribe(admitted: &Admitted, with: &Seal<'_>) -> Option<String> {
    let address = admitted.recipients.first()?;
    (admitted.submission.stream == Stream::Bulk).then(|| {
        let token = UnsubscribeToken {
            tenant: admitted.tenant.id,
            address: address.clone(),
        };
        format!("{}/u/{}", with.public_url, token.print(with.master))
    })
}

/// A message with its signatures before it.
pub(crate) struct Signed {
    pub(crate) body: Bytes,
    /// The keys it is signed with.
    pub(crate) selectors: Vec<String>,
    /// When the signatures end: exactly their `x=`.
    pub(crate) until: Timestamp,
}

/// Signs what was stamped, for a first attempt at `due_at`. There is at least one key.
pub(crate) fn signed(
    stamped: &[u8],
    signers: &Signers,
    (now, due_at): (Timestamp, Timestamp),
) -> Result<Signed, SignError> {
    let life = due_at.since(now) + SIGNATURE_LIFE;
    let mut signed = postrider_message::sign_at(stamped, signers, now, life)?;
    signed.extend_from_slice(stamped);
    Ok(Signed {
        body: Bytes::from(signed),
        selectors: signers
            .iter()
            .map(|key| key.selector().to_owned())
            .collect(),
        // RFC 6376 §3.5: x= is in whole seconds.
        until: Timestamp::from_micros(now.after(life).as_seconds().saturating_mul(1_000_000)),
    })
}

fn recipients(
    admitted: &Admitted,
    message: MessageId,
    size: usize,
    with: &Seal<'_>,
) -> Result<Vec<NewRecipient>, AcceptError> {
    let mut there: HashMap<&Domain, usize> = HashMap::new();
    for address in &admitted.recipients {
        *there.entry(address.domain()).or_default() += 1;
    }
    let stream = admitted.submission.stream;
    let recipient = |address: &EmailAddress| {
        let id = RecipientId::new(with.now, with.rng.bytes());
        let count = there.get(address.domain()).copied().unwrap_or(1);
        let scope = Scope::choose(message, (id, address.domain()), stream, size, count);
        let return_path = scope
            .address(with.master, &admitted.identity.bounce_domain)
            .ok_or(AcceptError::NoReturnPath)?;
        Ok(NewRecipient {
            id,
            suppressed: admitted.suppressed.contains(&address.folded()),
            simulated: with.simulator == Some(address.domain()),
            address: address.clone(),
            return_path,
        })
    };
    admitted.recipients.iter().map(recipient).collect()
}

fn summary(admitted: Admitted, message_id: String) -> Summary {
    let shown = |mailboxes: &[Mailbox]| mailboxes.iter().map(ToString::to_string).collect();
    Summary {
        from: admitted.from.to_string(),
        original_from: admitted.original_from.map(|from| from.to_string()),
        reply_to: shown(&admitted.replies.to),
        to: shown(&admitted.facts.to),
        cc: shown(&admitted.facts.cc),
        bcc: shown(&admitted.submission.bcc),
        subject: admitted.facts.subject,
        message_id,
        stream: admitted.submission.stream,
        tags: admitted.submission.tags,
        attachments: admitted.facts.attachments,
        scheduled_at: admitted.submission.scheduled_at,
        expires_at: admitted.submission.expires_at,
        group: admitted.group,
        session: admitted.submission.session,
    }
}
