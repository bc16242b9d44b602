//! The port of the message trace: what became of mail to an address, over all tenants. For operators,
//! never handed to code that faces a tenant.

use async_trait::async_trait;
use postrider_model::{
    EmailAddress, EventKind, MessageId, Stream, Suppression, TenantId, Timestamp,
};

use crate::{StoreError, StoredRecipient, Summary};

/// Mail by its recipient.
#[async_trait]
pub trait Trace: Send + Sync {
    /// The newest `most` (1 to 100) messages to this address, of one tenant or of all, newest first;
    /// local parts are compared without their case. A message to two spellings of it is there twice.
    async fn trace(
        &self,
        address: &EmailAddress,
        tenant: Option<TenantId>,
        most: u8,
    ) -> Result<Vec<Traced>, StoreError>;

    /// What keeps mail from this address at `now`, of one tenant or of all, the newest first.
    async fn suppressions_of(
        &self,
        address: &EmailAddress,
        tenant: Option<TenantId>,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError>;
}

/// A message to the address, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    pub message: MessageId,
    pub tenant: TenantId,
    pub accepted_at: Timestamp,
    /// Not attempted after this.
    pub expires_at: Timestamp,
    pub stream: Stream,
    pub summary: Summary,
    pub recipient: StoredRecipient,
    /// The newest thing that happened to it.
    pub last: Option<LastEvent>,
}

/// The newest thing that happened to a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEvent {
    pub at: Timestamp,
    pub kind: EventKind,
    /// The exchanger that was talked to.
    pub mx_host: Option<String>,
    /// One sentence for people.
    pub note: Option<String>,
}
