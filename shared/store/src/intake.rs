//! The port through which a message comes into being. Only `gate` calls it.

use async_trait::async_trait;
use postrider_model::{
    Attachment, CredentialId, EmailAddress, Event, IdempotencyKey, MessageId, RecipientId,
    SessionCode, Stream, Tag, TenantId, Timestamp,
};

use crate::{OverQuota, Quota, StoreError};

/// Accepts messages, durably.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Stores a message with its body, recipients, queue rows, claim, usage and first events in
    /// one transaction and returns after it is on disk (fsync). Many calls at once share one
    /// transaction (group commit); one bad message fails alone (`Rejected`).
    ///
    /// Repeating a commit with the same message id is safe: it is stored once.
    async fn commit(&self, message: NewMessage) -> Result<Committed, StoreError>;

    /// Stores messages of one tenant together, all of them or none, in one transaction; on disk
    /// when it returns. A claim, for the whole group, stands at the first and at no other. What
    /// `commit` says of one holds for the group: over quota where one of them is. Not empty.
    async fn commit_all(&self, messages: Vec<NewMessage>) -> Result<Committed, StoreError>;

    /// The answer that was given under this key, if its claim still stands at `now`. A look
    /// ahead that saves work; what decides is the claim inside `commit`.
    async fn answered(
        &self,
        scope: &ClaimScope,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError>;

    /// Puts a message's new bytes in the place of the old, on disk when it returns. False where
    /// its signatures are not those of `was` any more (somebody else sealed it), or where it has
    /// no bytes any more: nothing is changed then.
    async fn reseal(&self, message: Resealed) -> Result<bool, StoreError>;

    /// Gives a scheduled message another time, and the bytes that were sealed for it; on disk
    /// when it returns. What it has waited for goes on being counted from where it was. Of this, `Mail::cancel` and `Queue::start_scheduled` each sees what the
    /// one before it left. Its summary tells the new time, each recipient gets its event.
    async fn reschedule(&self, message: Rescheduled) -> Result<Rescheduling, StoreError>;
}

/// A message that was sealed again.
#[derive(Clone, Debug)]
pub struct Resealed {
    pub id: MessageId,
    pub tenant: TenantId,
    pub body: bytes::Bytes,
    pub selectors: Vec<String>,
    pub sealed_until: Timestamp,
    /// Until when the signatures stood that are replaced.
    pub was: Timestamp,
}

/// A scheduled message that is to leave at another time.
#[derive(Clone, Debug)]
pub struct Rescheduled {
    /// Sealed for the new time.
    pub sealed: Resealed,
    /// First attempts start here.
    pub due_at: Timestamp,
    /// Not attempted after this.
    pub expires_at: Timestamp,
    /// When that was asked for.
    pub at: Timestamp,
}

/// What became of the wish for another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescheduling {
    /// It leaves at the new time and not before.
    Done,
    /// It is not scheduled (any more): it was sent, is about to be, or was taken back.
    NotScheduled,
    /// Its signatures are not those of `was` any more: to be read and sealed again.
    SealedByAnother,
    /// This tenant has none of that id.
    NotFound,
}

/// What `commit` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// On disk now, or by an earlier commit of the same message id.
    Stored,
    /// Nothing was stored: the key was used before; this is what was answered then.
    Claimed(Answer),
    /// Nothing was stored, and its key is free: the tenant's quota does not allow it.
    OverQuota(OverQuota),
}

/// Within what an idempotency key counts as the same: (tenant, endpoint, key).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimScope {
    pub tenant: TenantId,
    /// `POST /emails`.
    pub endpoint: &'static str,
    pub key: IdempotencyKey,
}

/// A client's wish that a repeated request stores nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub scope: ClaimScope,
    pub answer: Answer,
    /// When the key may be used afresh (≥ 24 h; minutes for what is recent). A claim past it is
    /// as good as none.
    pub until: Timestamp,
    /// The key is the request's own hash, not one that a client chose, and the answer is 200 with
    /// the id of its message. Only `commit` looks for such a claim; `answered` may not know it.
    pub recent: bool,
}

/// A stored answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// SHA-256 over the canonical request: tells «the same again» from «another under this key».
    pub request: [u8; 32],
    /// The HTTP status that was answered.
    pub status: u16,
    /// The JSON that was answered.
    pub body: String,
}

/// A message as the gate made it: stamped and signed, with all that follows from accepting it.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub id: MessageId,
    pub tenant: TenantId,
    /// The key it was handed in with.
    pub credential: Option<CredentialId>,
    pub accepted_at: Timestamp,
    /// First attempts start here; later than `accepted_at` only where the client asked. Where
    /// it is not, the message is due at once by the database's clock, if that is behind.
    pub due_at: Timestamp,
    /// Not attempted after this.
    pub expires_at: Timestamp,
    /// The DKIM selectors it is signed with, for re-sealing when one is revoked.
    pub selectors: Vec<String>,
    /// When its signatures end (`x=`).
    pub sealed_until: Timestamp,
    pub summary: Summary,
    /// The bytes to be sent, as they are: signatures, header, body.
    pub body: bytes::Bytes,
    /// Needs SMTPUTF8 on the whole way (RFC 6531).
    pub smtputf8: bool,
    /// Its recipients are `held` from the start, until a person lets them go on. Its first events
    /// say so.
    pub held: bool,
    pub recipients: Vec<NewRecipient>,
    /// First events, `accepted` (or `scheduled`) for each recipient among them.
    pub events: Vec<Event>,
    pub claim: Option<Claim>,
    /// Checked with its tenant's usage in the same transaction.
    pub quota: Quota,
}

impl NewMessage {
    /// Its recipients that may be attempted when their time comes: those have rows in the queue.
    pub fn live(&self) -> impl Iterator<Item = &NewRecipient> {
        let waiting = self.recipients.iter();
        waiting.filter(|recipient| !self.held && !recipient.suppressed)
    }

    /// How many of its recipients count in its tenant's ramp: all but the simulator's, which say
    /// nothing of a list.
    pub fn real(&self) -> usize {
        let real = self.recipients.iter().filter(|one| !one.simulated);
        real.count()
    }
}

/// What is shown of a message after its bytes are gone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The effective From, `Name <address>`.
    pub from: String,
    /// The From that the client gave, where it was replaced.
    pub original_from: Option<String>,
    pub reply_to: Vec<String>,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub bcc: Vec<String>,
    pub subject: String,
    /// The Message-ID without angle brackets.
    pub message_id: String,
    pub stream: Stream,
    pub tags: Vec<Tag>,
    pub attachments: Vec<Attachment>,
    /// What the client asked for as `scheduled_at`, if it did.
    pub scheduled_at: Option<Timestamp>,
    /// What the client asked for as `expires_at`, if it did: a later time of sending does not
    /// outlive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The first of those that one submission was split into; itself among them. `None` where it
    /// was not split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<MessageId>,
    /// The SMTP session it came in by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionCode>,
}

/// One recipient of a new message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecipient {
    pub id: RecipientId,
    pub address: EmailAddress,
    /// MAIL FROM for this recipient, the same on every attempt.
    pub return_path: EmailAddress,
    /// It is on the suppression list: its state is `suppressed` from the start, and it is never
    /// attempted. Its first events say so.
    pub suppressed: bool,
    /// It is the simulator's: its mail stays on this machine, and no report and no ramp counts it.
    pub simulated: bool,
}
