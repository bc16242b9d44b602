//! The port of the queue's owner: what is live, and what became of it. Serves all tenants, so
//! it is never handed to code that faces one.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{
    CredentialId, Domain, EmailAddress, Event, MessageId, Provider, RecipientId, RecipientState,
    Reply, Stream, TenantId, Timestamp, WaitCause, Waits,
};

use crate::{Lease, Shard, StoreError};

/// The live recipients.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Rows of these shards that were added or rescheduled after `since`, at most `limit`.
    /// Starting from `Cursor::START`, repeated calls with `next` give every live row. A row may
    /// be given twice, never left out: what is committed late (a transaction that was open for
    /// long) is still found, and costs nothing while it is open.
    async fn load_changed(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, StoreError>;

    /// Where `load_changed` has to begin so that it gives what is committed from here on: asked
    /// before shards are read wholly.
    async fn cursor(&self) -> Result<Cursor, StoreError>;

    /// Returns as soon as there is something new: rows that this process committed, straight
    /// from memory, or word from another. May be cancelled at any point; one caller at a time.
    /// Word may be lost: callers poll as well.
    async fn news(&self) -> News;

    /// The first `limit` rows of each lane of these shards that are due before `until`, in the
    /// order in which they are due. For shards that were just taken.
    async fn load_shards(
        &self,
        shards: &[Shard],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, StoreError>;

    /// Rows of one lane behind `after` that are due before `until`, in the order in which they
    /// are due, at most `limit`.
    async fn load_lane(
        &self,
        lane: LaneKey,
        after: Place,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError>;

    /// Rows of these shards that are due in `from..until` and were rescheduled or scheduled
    /// (their cause is not `Turn`), in the order in which they are due, at most `limit`; `after`
    /// is the last one of the page before.
    async fn load_due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError>;

    /// Scheduled messages whose time has come: their recipients become `queued`, unless the
    /// client took them back or moved them meanwhile. Gives those messages that may be sent now;
    /// of one that is not among them nothing may leave.
    async fn start_scheduled(
        &self,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>, StoreError>;

    /// What an attempt needs: the bytes, but for a large body, and those of `recipients` that are
    /// still live. `None` where the message is not there any more.
    async fn open(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, StoreError>;

    /// The bytes of a message that was opened without them, one message at a time: on their way
    /// out of a database they are in memory several times. `None` where they are gone.
    async fn large_body(&self, message: MessageId) -> Result<Option<Bytes>, StoreError>;

    /// Records what became of one recipient: new state, events, queue row, in one transaction,
    /// on disk when it returns. Many calls at once share one transaction. A final state is
    /// recorded once, whoever owns the shard: what comes later for that recipient is `TooLate`,
    /// its events are kept. A `Retry` under a lease that is lost is `NotOwner`: its events are
    /// kept, and its row stays as it is. Repeating the last settlement of a recipient, as one does
    /// whose commit was not heard of, is `Recorded` and changes nothing.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;
}

/// A place in the order of changes. Opaque: each dialect writes its own text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor(pub String);

impl Cursor {
    /// Before everything.
    pub const START: Self = Self(String::new());
}

/// A page of changes.
#[derive(Clone, Debug)]
pub struct Changes {
    pub rows: Vec<QueueRow>,
    /// Where the next page begins.
    pub next: Cursor,
    /// True where there is more to read at once.
    pub more: bool,
}

/// What came while one waited.
#[derive(Clone, Debug)]
pub enum News {
    /// New rows, already committed, in no shard's order. `load_changed` may give them again.
    Rows(Vec<QueueRow>),
    /// Something changed: `load_changed` tells what.
    Look,
    /// A control was raised or closed: `Controls::controls` tells which.
    Control,
}

/// A tenant's lane: within it rows are refilled in the order in which they are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneKey {
    pub tenant: TenantId,
    pub stream: Stream,
}

/// Where a row stands among those of its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub due_at: Timestamp,
    pub recipient: RecipientId,
}

/// The beginning of a lane.
#[derive(Clone, Debug)]
pub struct LanePage {
    pub lane: LaneKey,
    pub rows: Vec<QueueRow>,
    /// True where the lane has more rows behind these that are due before the time asked for.
    pub more: bool,
}

/// A live recipient as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub recipient: RecipientId,
    pub message: MessageId,
    pub tenant: TenantId,
    pub stream: Stream,
    pub domain: Domain,
    pub accepted_at: Timestamp,
    /// Since when it waits for what it waits for now: its acceptance, or its last settlement.
    pub since: Timestamp,
    pub due_at: Timestamp,
    pub expires_at: Timestamp,
    /// Attempts made so far.
    pub attempts: u32,
    /// Why it waits until `due_at`. `Scheduled`: it has to be started before it may be attempted.
    pub cause: WaitCause,
}

impl QueueRow {
    pub fn lane(&self) -> LaneKey {
        LaneKey {
            tenant: self.tenant,
            stream: self.stream,
        }
    }

    pub fn place(&self) -> Place {
        Place {
            due_at: self.due_at,
            recipient: self.recipient,
        }
    }
}

/// A message, opened for an attempt.
#[derive(Clone, Debug)]
pub struct OpenMessage {
    pub id: MessageId,
    pub tenant: TenantId,
    /// By whose password it came in; `None` of the service's own mail, and of mail from before
    /// that was kept.
    pub credential: Option<CredentialId>,
    /// Bytes on the wire.
    pub size: u64,
    /// There where it has `SMALL_MOST` bytes at most or lies in memory anyway; else `Queue::large_body`
    /// gives it.
    pub body: Option<Bytes>,
    pub smtputf8: bool,
    pub accepted_at: Timestamp,
    pub expires_at: Timestamp,
    /// The DKIM selectors it is signed with.
    pub selectors: Vec<String>,
    /// When its signatures end (`x=`).
    pub sealed_until: Timestamp,
    pub recipients: Vec<OpenRecipient>,
}

impl OpenMessage {
    /// A body up to this size comes with its message, in bytes.
    pub const SMALL_MOST: u64 = 1 << 20;
}

/// A recipient, opened for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRecipient {
    pub id: RecipientId,
    pub address: EmailAddress,
    pub return_path: EmailAddress,
    /// Attempts made so far.
    pub attempts: u32,
    /// Its ledger as it was last written: up to its last settlement.
    pub waits: Waits,
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
    /// What it waited for since its last settlement, to be added to its ledger.
    pub waits: Waits,
    /// Under which a `Retry` is recorded; `None` asks for no lease.
    pub lease: Option<Lease>,
    /// The remote says for good that there is no such mailbox: no mail of the tenant goes there
    /// until then (reason `hard_bounce`, both streams), and a hard bounce is counted against it on
    /// the day of `at`. Only with a `Final` outcome that is recorded.
    pub suppress_until: Option<Timestamp>,
    /// The tenant is told of it by mail (`Failures`). Only with a `Final` outcome that is recorded.
    pub tell_tenant: bool,
    /// Whose exchangers were asked: reports are by it.
    pub provider: Provider,
    /// It is the simulator's, and no report counts it.
    pub simulated: bool,
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
    /// The lease is another node's by now: who has it tries again.
    NotOwner,
}
