//! Once over SMTP: a key in the header, and without one a short window in which the same message
//! again is taken for a repetition: programs that saw no answer send it anew.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use postrider_model::{
    CredentialId, EmailAddress, EventKind, IdempotencyKey, MessageId, TenantId, Timestamp,
};
use postrider_store::{Answer, Claim, ClaimScope, Note};

use crate::accept::{CLAIM_LIFE, Gate};
use crate::access::Caller;
use crate::admit::Submission;

/// How long the same message again counts as a repetition.
const WINDOW: Duration = Duration::from_mins(15);
const BY_KEY: &str = "SMTP";
const BY_CONTENT: &str = "SMTP duplicate";

/// Under what a message is stored once, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    pub(crate) scope: ClaimScope,
    pub(crate) request: [u8; 32],
    pub(crate) life: Duration,
    /// Whether it is worth a look before the work: most messages under a key of their own making
    /// are no repetitions.
    pub(crate) look: bool,
}

impl Once {
    /// Under a key that a client gave with its request to this endpoint.
    pub(crate) fn by_key(scope: ClaimScope, request: [u8; 32]) -> Self {
        Self {
            scope,
            request,
            life: CLAIM_LIFE,
            look: true,
        }
    }

    /// What is stored of it with the answer.
    pub(crate) fn claim(self, answer: &Answer, now: Timestamp) -> Claim {
        Claim {
            scope: self.scope,
            answer: answer.clone(),
            until: now.after(self.life),
            recent: !self.look,
        }
    }

    /// Of a message that came over SMTP: under the key in its header, or for a while under what
    /// it is. `None` where its key is not to look, or it has no Message-ID of its own.
    pub(crate) fn over_smtp(
        caller: &Caller,
        submission: &Submission,
        key: Option<IdempotencyKey>,
    ) -> Option<Self> {
        let (tenant, raw) = (caller.tenant.id, submission.raw.as_slice());
        if let Some(key) = key {
            let scope = scope(tenant, BY_KEY, key);
            return Some(Self::by_key(scope, of_meaning(&submission.envelope, raw)));
        }
        let credential = caller.key.as_ref().filter(|key| key.skips_duplicates)?;
        let id = postrider_message::header_value(raw, "Message-ID")?;
        if id.trim().is_empty() {
            return None;
        }
        let request = of_content(credential.id, &submission.envelope, raw);
        let digits = request.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let key = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
        let key = IdempotencyKey::parse(&key.collect::<String>()).ok()?;
        Some(Self {
            scope: scope(tenant, BY_CONTENT, key),
            request,
            life: WINDOW,
            look: false,
        })
    }
}

fn scope(tenant: TenantId, endpoint: &'static str, key: IdempotencyKey) -> ClaimScope {
    ClaimScope {
        tenant,
        endpoint,
        key,
    }
}

// The very bytes, to the very people, by the very key; its Message-ID is among the bytes. All of each
// message is read for it: BLAKE3 takes a fifth of SHA-256's time.
fn of_content(key: CredentialId, envelope: &[EmailAddress], raw: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut hash = |bytes: &[u8]| {
        hasher.update(bytes);
    };
    part(&mut hash, key.as_bytes());
    people(&mut hash, envelope);
    part(&mut hash, raw);
    hasher.finalize().into()
}

// What a person would call the same message. A program that sends again after an error writes
// another date, id and boundary; who it is for and what it is about stays.
fn of_meaning(envelope: &[EmailAddress], raw: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mut hash = |bytes: &[u8]| context.update(bytes);
    people(&mut hash, envelope);
    let subject = postrider_message::header_value(raw, "Subject");
    part(&mut hash, subject.unwrap_or_default().as_bytes());
    finish(context)
}

fn people(hash: &mut impl FnMut(&[u8]), envelope: &[EmailAddress]) {
    let mut all: Vec<_> = envelope.iter().map(EmailAddress::folded).collect();
    all.sort_unstable();
    all.dedup();
    for one in &all {
        part(hash, one.as_bytes());
    }
    // No address is empty: here they end.
    part(hash, b"");
}

fn part(hash: &mut impl FnMut(&[u8]), bytes: &[u8]) {
    hash(&(bytes.len() as u64).to_be_bytes());
    hash(bytes);
}

fn finish(context: Context) -> [u8; 32] {
    let mut hash = [0; 32];
    let digest = context.finish();
    hash.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}

/// The message that an answer is about: `{"id":"…"}`.
pub(crate) fn answered_id(answer: &Answer) -> Option<MessageId> {
    let id = answer.body.strip_prefix("{\"id\":\"")?;
    id.split('"').next()?.parse().ok()
}

impl Gate {
    /// Notes with the first message that it came again. Of use to people only: a fault is logged.
    pub(crate) async fn note_duplicate(&self, caller: &Caller, first: &Answer, said: &str) {
        let Some(id) = answered_id(first) else {
            return;
        };
        let note = Note {
            kind: EventKind::Duplicate,
            at: self.clock.now(),
            note: Some(format!(
                "the same message was handed in again{said}; it is not sent twice"
            )),
        };
        if let Err(fault) = self.mail.note(caller.tenant.id, id, note).await {
            tracing::warn!(
                message.id = %id,
                error = &fault as &dyn std::error::Error,
                "a repetition could not be noted"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(list: &[&str]) -> Vec<EmailAddress> {
        list.iter()
            .map(|one| EmailAddress::parse(one).unwrap())
            .collect()
    }

    #[test]
    fn only_the_very_same_is_a_repetition() {
        let key = CredentialId::from_bytes([1; 16]);
        let raw: &[u8] = b"Message-ID: <1@a.example>\r\nSubject: x\r\n\r\ny\r\n";
        let people = to(&["ann@b.example", "bob@b.example"]);
        let first = of_content(key, &people, raw);
        let turned = to(&["bob@b.example", "ANN@b.example", "bob@b.example"]);
        assert_eq!(of_content(key, &turned, raw), first);
        let other: &[u8] = b"Message-ID: <2@a.example>\r\nSubject: x\r\n\r\ny\r\n";
        for differs in [
            of_content(CredentialId::from_bytes([2; 16]), &people, raw),
            of_content(key, &people[..1], raw),
            of_content(key, &people, other),
        ] {
            assert_ne!(differs, first);
        }
        assert_eq!(of_meaning(&people, raw), of_meaning(&turned, other));
        let about: &[u8] = b"Subject: z\r\n\r\ny\r\n";
        assert_ne!(of_meaning(&people, raw), of_meaning(&people, about));
    }

    #[test]
    fn an_answer_names_its_message() {
        let id = MessageId::from_bytes([7; 16]);
        let answer = |body: String| Answer {
            request: [0; 32],
            status: 200,
            body,
        };
        assert_eq!(
            answered_id(&answer(format!("{{\"id\":\"{id}\"}}"))),
            Some(id)
        );
        for other in ["{\"data\":[]}", "{\"id\":\"x\"}", ""] {
            assert_eq!(answered_id(&answer(other.to_owned())), None, "{other}");
        }
    }
}
