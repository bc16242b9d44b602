//! What keeps a message out.

use std::time::Duration;

use postrider_message::{MessageError, SignError};
use postrider_model::{Domain, EmailAddress, Timestamp};
use postrider_store::StoreError;

use crate::access::Denied;
use crate::name::NameFault;
use crate::quota::QuotaExceeded;

/// Why a message did not come into being. Nothing of it is kept then.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("the message has no recipient")]
    NoRecipients,
    #[error("the message has {given} recipients, {most} are the most")]
    TooManyRecipients { given: usize, most: usize },
    #[error("the From field lists {given} addresses, one is allowed")]
    SeveralFrom { given: usize },
    #[error("the message has {size} bytes on the wire, {most} are the most")]
    TooLarge { size: usize, most: usize },
    #[error("the time {at} is more than {} days ahead", most.as_secs() / 86_400)]
    ScheduledTooLate { at: Timestamp, most: Duration },
    #[error("it expires at {at}, before it is sent at {due}")]
    ExpiresTooEarly { at: Timestamp, due: Timestamp },
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Of a field that asks something of us, as it was written.
    #[error("the header {header} says \"{value}\": {reason}")]
    BadOption {
        header: String,
        value: String,
        reason: &'static str,
    },
    /// The caller was known when it came, and is not let in any more.
    #[error(transparent)]
    DeniedNow(#[from] Denied),
    #[error("{address} is not a confirmed reply address, and this key refuses others")]
    UnknownReplyTo { address: EmailAddress },
    #[error("the name \"{}\" may not stand before the address: {reason}", name.escape_debug())]
    NameRefused { name: String, reason: NameFault },
    #[error("the tenant has not confirmed {reply_to} yet, and may write to nobody else")]
    NotConfirmed { reply_to: EmailAddress },
    #[error("the tenant cannot confirm {reply_to}: the letter to it came back")]
    AskedInVain { reply_to: EmailAddress },
    #[error("the owner of {reply_to} does not know the tenant, which may write to nobody")]
    Disowned { reply_to: EmailAddress },
    /// `simulator`: where it may, if there is one.
    #[error("the key is for tests, and may write to the simulator alone")]
    TestKey { simulator: Option<Domain> },
    /// Each recipient of bulk mail gets a copy.
    #[error("{recipients} copies of {size} bytes are too many, {most} are the most of that size")]
    BulkTooLarge {
        size: usize,
        recipients: usize,
        most: usize,
    },
    #[error("this idempotency key was used with another request")]
    KeyOfOtherRequest,
    #[error("a request with this idempotency key is still under way")]
    KeyInProgress,
    /// More than the tenant may have accepted in a day or a month.
    #[error(transparent)]
    OverQuota(#[from] QuotaExceeded),
    #[error("the free space is below its mark")]
    SpaceIsShort,
    #[error("no DKIM key is there to sign with")]
    NoSigningKey,
    #[error("the bounce domain is too long for a return path")]
    NoReturnPath,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the work was stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}
