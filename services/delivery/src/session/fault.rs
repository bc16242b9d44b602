//! Why a conversation ended before its time.

use std::io;

use postrider_model::Reply;

use super::{Peer, Spent};
use crate::outcome::Phase;
use crate::reply::ReplyFault;

/// What went wrong on the line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the remote refused")]
    Refused,
    #[error("the remote closed the connection")]
    Closed,
    #[error("the remote took too long")]
    TimedOut,
    #[error("the remote sent what is not an SMTP reply")]
    Garbage,
    #[error("the remote sent a reply that is too long")]
    TooLong,
    #[error("the remote spoke unasked")]
    Unasked,
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error(transparent)]
    Dial(Box<dyn std::error::Error + Send + Sync>),
    #[error("TLS could not be agreed on")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ReplyFault> for Fault {
    fn from(fault: ReplyFault) -> Self {
        match fault {
            ReplyFault::Closed => Self::Closed,
            ReplyFault::TimedOut => Self::TimedOut,
            ReplyFault::Garbage => Self::Garbage,
            ReplyFault::TooLong => Self::TooLong,
            ReplyFault::Io(error) => Self::Io(error),
        }
    }
}

/// No session was opened. Nothing was sent that could be a message.
#[derive(Debug, thiserror::Error)]
#[error("no session with {}: {}", peer.host, phase.as_str())]
pub(crate) struct OpenFailure {
    pub(crate) peer: Peer,
    /// `Handshake` stands apart from `Starttls`, so that plain text can be allowed later.
    pub(crate) phase: Phase,
    /// What the host said, where it refused.
    pub(crate) reply: Option<Reply>,
    #[source]
    pub(crate) cause: Fault,
    pub(crate) spent: Spent,
}
