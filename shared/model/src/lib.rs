//! The words that Postrider speaks: ids, domains, addresses, replies, recipient
//! states, events, limits.
//!
//! Values from outside become one of these types once, at the door, and are never
//! parsed again. There is no I/O here, no async, no clock.

mod address;
mod credential;
mod directory;
mod domain;
mod event;
mod id;
mod key;
mod mail;
mod network;
mod provider;
mod reply;
mod session;
mod state;
mod suppression;
mod time;
mod user;
mod vendor;
mod verdict;
mod waits;

pub use address::{AddressError, EmailAddress, Mailbox};
pub use credential::{
    Credential, CredentialStatus, KeyDefaults, KeyKind, KeyStatus, UnknownReplyTo,
};
pub use directory::{
    DkimAlgorithm, DkimKey, Language, Limits, Ramp, ReplyAddress, ReplySource, ReplyStatus, Tenant,
    TenantStatus,
};
pub use domain::{Domain, DomainError};
pub use event::{Event, EventKind, MxHost, TlsFacts};
pub use id::{
    AdminTokenId, AuditId, ControlId, CredentialId, DkimKeyId, IdError, MessageId, NodeId,
    RecipientId, ReplyAddressId, SuppressionId, TenantId, VendorId,
};
pub use key::{ApiToken, IdempotencyKey, KeyError};
pub use mail::{Attachment, Stream, Tag};
pub use network::{Network, NetworkError, site_of};
pub use provider::Provider;
pub use reply::{EnhancedCode, Reply};
pub use session::{Session, SessionCode, SessionCodeError, SessionLine, SessionTls, Side};
pub use state::{RecipientState, UnknownWord, WaitCause};
pub use suppression::{Suppression, SuppressionReason};
pub use time::{Timestamp, TimestampError};
pub use user::{USER_MOST, user_name};
pub use vendor::{
    AdminRole, AdminToken, AuditEntry, Authority, LabelError, Licence, Plan, Vendor, VendorKey,
    VendorStatus,
};
pub use verdict::OwnVerdict;
pub use waits::Waits;
