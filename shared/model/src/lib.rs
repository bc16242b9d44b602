//! The words that Postrider speaks: ids, domains, addresses, replies, recipient
//! states, events, limits.
//!
//! Values from outside become one of these types once, at the door, and are never
//! parsed again. There is no I/O here, no async, no clock.

mod address;
mod directory;
mod domain;
mod event;
mod id;
mod key;
mod mail;
mod reply;
mod state;
mod time;
mod waits;

pub use address::{AddressError, EmailAddress, Mailbox};
pub use directory::{
    Credential, DkimAlgorithm, DkimKey, KeyStatus, Limits, ReplyAddress, ReplyStatus, Tenant,
    TenantStatus,
};
pub use domain::{Domain, DomainError};
pub use event::{Event, EventKind, MxHost, TlsFacts};
pub use id::{
    ControlId, CredentialId, DkimKeyId, IdError, MessageId, NodeId, RecipientId, ReplyAddressId,
    TenantId,
};
pub use key::{ApiToken, IdempotencyKey, KeyError};
pub use mail::{Attachment, Stream, Tag};
pub use reply::{EnhancedCode, Reply};
pub use state::{RecipientState, UnknownWord, WaitCause};
pub use time::{Timestamp, TimestampError};
pub use waits::Waits;
