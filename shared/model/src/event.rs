//! Events: what became of a recipient, append-only, with the remote's own words.

use std::net::IpAddr;
use std::time::Duration;

use crate::state::words;
use crate::{RecipientId, Reply, Timestamp, WaitCause};

words!(
    /// What happened. The contract's words (`GET /emails/{id}/events`).
    EventKind {
        Accepted = "accepted",
        Scheduled = "scheduled",
        Rescheduled = "rescheduled",
        Attempted = "attempted",
        /// A temporary refusal or no connection: it will be tried again.
        Deferred = "deferred",
        /// The connection or the process ended between the final dot and its reply: the remote
        /// may have the message already, and it will be sent again (RFC 1047).
        Ambiguous = "ambiguous",
        Delivered = "delivered",
        /// Given up for another reason than a remote's word or the time that ran out.
        Failed = "failed",
        /// Refused for good by a remote, or no mail is taken there (null MX, NXDOMAIN, no
        /// usable address).
        Bounced = "bounced",
        Expired = "expired",
        Held = "held",
        Released = "released",
        Suppressed = "suppressed",
        Cancelled = "cancelled",
        /// A From or Reply-To that is not confirmed was replaced by the default.
        ReplyToReplaced = "reply_to_replaced",
        Duplicate = "duplicate",
        Complained = "complained",
        AutoReply = "auto_reply",
    }
);

/// The exchanger that was spoken to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MxHost {
    pub host: String,
    pub address: IpAddr,
}

/// How the session was encrypted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The suite's IANA name.
    pub cipher: String,
    /// `unverified`: opportunistic TLS checks no certificate (RFC 7435). Policies add words.
    pub verdict: String,
}

/// One fact about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub recipient: RecipientId,
    pub at: Timestamp,
    pub kind: EventKind,
    /// 0 before the first attempt, then 1, 2, ….
    pub attempt: u32,
    pub reply: Option<Reply>,
    pub mx: Option<MxHost>,
    pub tls: Option<TlsFacts>,
    pub duration: Option<Duration>,
    /// Why it waits from here on, where it does.
    pub cause: Option<WaitCause>,
    /// One sentence for people, where reply and kind do not say it all.
    pub note: Option<String>,
}

impl Event {
    /// An event with nothing but its kind; fill in what else is known.
    pub fn new(recipient: RecipientId, at: Timestamp, kind: EventKind) -> Self {
        Self {
            recipient,
            at,
            kind,
            attempt: 0,
            reply: None,
            mx: None,
            tls: None,
            duration: None,
            cause: None,
            note: None,
        }
    }
}
