//! The port of the queue's owner: what is live, and what became of it. Serves all tenants, so
//! it is never handed to code that faces one.

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{
    Domain, EmailAddress, Event, MessageId, RecipientId, RecipientState, Reply, TenantId,
    Timestamp, WaitCause,
};

use crate::StoreError;

/// The live recipients.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Rows that were added or rescheduled after `since`, in change order, at most `limit`.
    /// Starting from `ChangeSeq::START`, repeated calls give every live row.
    async fn load_changed(&self, since: ChangeSeq, limit: u32)
    -> Result<Vec<QueueRow>, StoreError>;

    /// Returns as soon as a change after `since` is committed by this process. Others may be
    /// seen late: callers poll as well. May be cancelled at any point.
    async fn changed(&self, since: ChangeSeq);

    /// What an attempt needs: the bytes, and those of `recipients` that are still live. `None`
    /// where the message is not there any more.
    async fn open(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, StoreError>;

    /// Records what became of one recipient: new state, events, queue row, in one transaction,
    /// on disk when it returns. Many calls at once share one transaction. A final state is
    /// recorded once: what comes later for that recipient is `TooLate`, its events are kept.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;
}

/// A place in the order of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeSeq(pub i64);

impl ChangeSeq {
    /// Before everything.
    pub const START: Self = Self(0);
}

/// A live recipient as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub recipient: RecipientId,
    pub message: MessageId,
    pub tenant: TenantId,
    pub domain: Domain,
    pub accepted_at: Timestamp,
    pub due_at: Timestamp,
    pub expires_at: Timestamp,
    /// Attempts made so far.
    pub attempts: u32,
    /// Why it waits until `due_at`.
    pub cause: WaitCause,
    pub seq: ChangeSeq,
}

/// A message, opened for an attempt.
#[derive(Clone, Debug)]
pub struct OpenMessage {
    pub id: MessageId,
    pub tenant: TenantId,
    pub body: Bytes,
    pub smtputf8: bool,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    pub recipients: Vec<OpenRecipient>,
}

/// A recipient, opened for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRecipient {
    pub id: RecipientId,
    pub address: EmailAddress,
    pub return_path: EmailAddress,
    /// Attempts made so far.
    pub attempts: u32,
}

/// What became of one recipient.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub message: MessageId,
    pub recipient: RecipientId,
    pub at: Timestamp,
    pub outcome: Outcome,
    /// The remote's last words, kept with the recipient; `None` leaves what is there.
    pub reply: Option<Reply>,
    pub events: Vec<Event>,
}

/// Where a recipient goes from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ends: the queue row goes. `attempts` as in `Retry`.
    Final {
        state: RecipientState,
        attempts: u32,
    },
    /// It is due again.
    Retry {
        due_at: Timestamp,
        attempts: u32,
        cause: WaitCause,
    },
    /// It is stopped until a person lets it go on.
    Held { attempts: u32 },
    /// Only its events are added.
    Noted,
}

/// What `settle` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Recorded,
    /// The recipient had a final state before; the events were added, the state stands.
    TooLate,
    /// The recipient is not there any more (erased, past retention).
    Gone,
}
