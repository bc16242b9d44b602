//! The port of an operator's verbs about the queue. A verb is raised, the owners of shards
//! acknowledge that they have let go of what it is about, then it is enacted: so it cannot race
//! with an attempt.

use async_trait::async_trait;
use postrider_model::{
    ControlId, Domain, EventKind, MessageId, NodeId, RecipientId, TenantId, Timestamp, VendorId,
};

use crate::{QueuedCount, QueuedQuery, StoreError};

/// Verbs about the queue.
#[async_trait]
pub trait Controls: Send + Sync {
    /// Raises a verb, for all owners to see. A suspension of the same scope that stands is given
    /// back instead of a second one.
    async fn raise(&self, control: NewControl) -> Result<ControlId, StoreError>;

    /// All that are raised and not closed, oldest first: suspensions stay among them.
    async fn controls(&self) -> Result<Vec<Control>, StoreError>;

    /// An owner says that it has let go of what the verb is about, but for `too_late`: recipients
    /// that may have been sent to already.
    async fn acknowledge(
        &self,
        control: ControlId,
        node: NodeId,
        too_late: &[RecipientId],
    ) -> Result<(), StoreError>;

    /// Who has acknowledged, and who owns shards, lives, and has not.
    async fn acknowledged(
        &self,
        control: ControlId,
        now: Timestamp,
    ) -> Result<Acknowledged, StoreError>;

    /// Does the verb to the next rows, a batch that holds the writer no longer than about 50 ms,
    /// passing over what is too late. Call it again while there is more. `Release` of a message
    /// frees what is held of it; `Suspend` and `Resume` change no row.
    async fn enact(&self, control: ControlId, now: Timestamp) -> Result<Enacted, StoreError>;

    /// Takes a verb away: owners go on as before. `NotFound` where it is not there.
    async fn close(&self, control: ControlId) -> Result<(), StoreError>;

    /// Messages with a held recipient in this scope, behind `after`, by id, at most `limit`.
    async fn held(
        &self,
        scope: &Scope,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<HeldMessage>, StoreError>;

    /// Counts what waits, what was held too: of each first `most` and not more.
    async fn queued(&self, query: &QueuedQuery) -> Result<QueuedCount, StoreError>;
}

/// What a verb does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlVerb {
    /// Stops the recipients that wait now: they are `held`.
    Hold,
    /// Sends held recipients on.
    Release,
    /// Discards what waits, is scheduled or held: it is `cancelled`.
    Cancel,
    /// Stops what waits and what is accepted later, until it is closed.
    Suspend,
    /// What waits for another attempt is due now.
    RetryNow,
}

impl ControlVerb {
    pub const ALL: [Self; 5] = [
        Self::Hold,
        Self::Release,
        Self::Cancel,
        Self::Suspend,
        Self::RetryNow,
    ];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Suspend => "suspend",
            Self::RetryNow => "retry-now",
        }
    }

    /// From the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }

    /// The event that a recipient gets by it.
    pub fn event(self) -> Option<EventKind> {
        match self {
            Self::Hold => Some(EventKind::Held),
            Self::Release => Some(EventKind::Released),
            Self::Cancel => Some(EventKind::Cancelled),
            Self::Suspend | Self::RetryNow => None,
        }
    }
}

/// What a verb is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Tenant(TenantId),
    /// All tenants of a vendor: those that there are, and while it stands those that come.
    Vendor(VendorId),
    /// All recipients at this domain.
    Domain(Domain),
    Message(MessageId),
}

/// A verb to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewControl {
    pub id: ControlId,
    pub verb: ControlVerb,
    pub scope: Scope,
    pub at: Timestamp,
    /// For the events: who, or why.
    pub note: Option<String>,
}

/// A verb that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    pub id: ControlId,
    pub verb: ControlVerb,
    pub scope: Scope,
    pub at: Timestamp,
}

/// Who has acknowledged a verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Names of nodes that own shards and live and have not acknowledged yet.
    pub waiting_for: Vec<String>,
    pub too_late: Vec<RecipientId>,
}

/// What a batch of a verb did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enacted {
    /// Recipients it changed.
    pub changed: u64,
    pub more: bool,
}

/// A message of which something is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldMessage {
    pub id: MessageId,
    pub tenant: TenantId,
    pub selectors: Vec<String>,
    pub sealed_until: Timestamp,
}
