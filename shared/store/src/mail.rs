//! The port through which a tenant sees its mail, and takes it back. The tenant is the first parameter of every
//! method: what belongs to another is not there.

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{
    CredentialId, EmailAddress, Event, EventKind, MessageId, RecipientId, RecipientState, Reply,
    Stream, Tag, TenantId, Timestamp, WaitCause, Waits,
};

use crate::{StoreError, Summary};

/// A tenant's view of its mail.
#[async_trait]
pub trait Mail: Send + Sync {
    /// One message with its recipients in the order they were given; `None` where this tenant
    /// has none of that id.
    async fn email(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<StoredEmail>, StoreError>;

    /// A page of the tenant's messages, newest first; `None` where the page begins at a message
    /// that this tenant does not have.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &MailFilter,
        page: MailPage,
    ) -> Result<Option<Listing>, StoreError>;

    /// All events of a message, oldest first; `None` where this tenant has none of that id.
    async fn events(
        &self,
        tenant: TenantId,
        id: MessageId,
    ) -> Result<Option<Vec<StoredEvent>>, StoreError>;

    /// The bytes that are sent, while they are kept (24 h after the last final state).
    async fn body(&self, tenant: TenantId, id: MessageId) -> Result<Option<Bytes>, StoreError>;

    /// Takes a scheduled message back, all its recipients at once, unless the queue has started
    /// it. Exactly one of the two wins.
    async fn cancel(
        &self,
        tenant: TenantId,
        id: MessageId,
        at: Timestamp,
    ) -> Result<Cancelled, StoreError>;

    /// What was counted on the UTC day of `at`, in its month and in the hour before it.
    async fn usage(&self, tenant: TenantId, at: Timestamp) -> Result<Usage, StoreError>;

    /// Recipients accepted under a key of the tenant on the UTC day of `at`, as far as
    /// `Quota::key_per_day` had them counted.
    async fn key_usage(
        &self,
        tenant: TenantId,
        credential: CredentialId,
        at: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Adds an event about each recipient of a message; nothing else changes. False where this
    /// tenant has none of that id.
    async fn note(&self, tenant: TenantId, id: MessageId, note: Note) -> Result<bool, StoreError>;
}

/// Which messages are listed: those for which all that is given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailFilter {
    /// One of its recipients; local parts are compared without their case.
    pub recipient: Option<EmailAddress>,
    pub tag: Option<Tag>,
    pub stream: Option<Stream>,
}

/// Which part of a list. Ids are given in the order of acceptance, so that a page stays where it
/// is when more comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailPage {
    /// 1 to 100 messages.
    pub limit: u8,
    pub start: PageStart,
}

/// Where a page of a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    Newest,
    /// What is next older than this message.
    After(MessageId),
    /// What is next newer than this message: the page that ends just before it.
    Before(MessageId),
}

/// A page of messages, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub emails: Vec<ListedEmail>,
    /// Whether there is more beyond it: older, or with `Before` newer.
    pub more: bool,
}

/// A message in a list: as in `StoredEmail`, without its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEmail {
    pub id: MessageId,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    /// Bytes on the wire.
    pub size: u64,
    pub summary: Summary,
    pub last_event: EventKind,
}

/// What became of the wish to take a message back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Nothing of it leaves.
    Done,
    /// It is not scheduled (any more): it was sent, is about to be, or was taken back before.
    NotScheduled,
    /// This tenant has none of that id.
    NotFound,
}

/// Something that happened to a message as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: EventKind,
    pub at: Timestamp,
    /// One sentence for people.
    pub note: Option<String>,
}

/// Recipients, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Accepted on the day.
    pub day: u64,
    /// Of those, the simulator's.
    pub simulated: u64,
    /// Accepted in the month.
    pub month: u64,
    /// Of any day's mail, refused on the day for good because there is no such mailbox
    /// (`Settlement::suppress_until`).
    pub hard_bounces: u64,
    /// Complaints on the day: `Suppressions::suppress` for that reason, and reply addresses that
    /// were refused.
    pub complaints: u64,
    /// First written to in the hour before, as far as `Quota::new_per_hour` had them noted.
    pub new_in_hour: u64,
    /// Messages of all time that had `Quota::unconfirmed`.
    pub unconfirmed: u64,
}

impl Usage {
    /// Accepted on the day without the simulator's: what a ramp counts.
    pub fn real(&self) -> u64 {
        self.day.saturating_sub(self.simulated)
    }
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEmail {
    pub id: MessageId,
    pub tenant: TenantId,
    /// The key it was handed in with, where that was noted.
    pub credential: Option<CredentialId>,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    /// Bytes on the wire.
    pub size: u64,
    pub summary: Summary,
    pub recipients: Vec<StoredRecipient>,
    /// The kind of the newest event that has a word in `last_event`; see the contract §4.6.
    pub last_event: EventKind,
}

/// A recipient as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecipient {
    pub id: RecipientId,
    pub address: EmailAddress,
    pub state: RecipientState,
    pub attempts: u32,
    /// When it is tried next, where it is.
    pub due_at: Option<Timestamp>,
    /// Why it waits until then, where it does.
    pub cause: Option<WaitCause>,
    pub last_reply: Option<Reply>,
    /// Its acceptance, or its last settlement.
    pub updated_at: Timestamp,
    /// What it waited for from its acceptance until `updated_at`.
    pub waits: Waits,
}

/// An event as stored: who it is about, and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Counts from 1 for each recipient.
    pub seq: u32,
    pub address: EmailAddress,
    pub event: Event,
}
