//! The port of the message trace: what became of mail to an address, over all tenants. For operators,
//! never handed to code that faces a tenant.

use async_trait::async_trait;
use postrider_model::{
    EmailAddress, EventKind, MessageId, Stream, Suppression, SuppressionId, TenantId, Timestamp,
    VendorId,
};

use crate::{StoreError, StoredRecipient, Summary};

/// Mail by its recipient.
#[async_trait]
pub trait Trace: Send + Sync {
    /// The newest `most` (1 to 100) messages to this address, newest first; local parts are compared
    /// without their case. A message to two spellings of it is there twice.
    async fn trace(
        &self,
        address: &EmailAddress,
        senders: Senders,
        most: u8,
    ) -> Result<Vec<Traced>, StoreError>;

    /// What keeps mail from this address at `now`, the newest first.
    async fn suppressions_of(
        &self,
        address: &EmailAddress,
        senders: Senders,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError>;

    /// What stands at `now`, newest first (by id); at most `most`, which is at least 1.
    async fn suppressions_by(
        &self,
        senders: Senders,
        which: Suppressing,
        now: Timestamp,
        most: u8,
    ) -> Result<Vec<Suppression>, StoreError>;
}

/// Whose mail is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senders {
    All,
    /// All tenants of this vendor.
    Vendor(VendorId),
    Tenant(TenantId),
}

impl Senders {
    /// The one tenant that is meant, where one is.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Tenant(tenant) => Some(tenant),
            Self::All | Self::Vendor(_) => None,
        }
    }

    /// The vendor whose tenants are meant, where they are.
    pub fn vendor(self) -> Option<VendorId> {
        match self {
            Self::Vendor(vendor) => Some(vendor),
            Self::All | Self::Tenant(_) => None,
        }
    }
}

/// Which suppressions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suppressing {
    /// Those that keep mail of this stream back: of it alone, and of all mail.
    pub stream: Option<Stream>,
    /// Those that are older than this one.
    pub older_than: Option<SuppressionId>,
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
