//! What a session asks of its driver, and what it is told at the start.

use postrider_model::EmailAddress;

use crate::{Mail, Refusal, Reply, SignIn};

/// One thing for the driver to do. Those marked «asks» are followed by `Session::answer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// For the black box: a line of the client, without anything that may be a secret, at most
    /// 512 bytes, printable. Content is not among them.
    Heard(String),
    /// Write this.
    Reply(Reply),
    /// Write the catalogue's sentence for this. What follows from it is settled.
    Refuse(Refusal),
    /// Flush, do the handshake, then `Session::secured`; nothing is read before.
    StartTls,
    /// Asks whether user and password are good: 235, 535, 454 or 421.
    Authenticate(SignIn),
    /// Asks whether this sender is taken.
    Mail(Mail),
    /// Asks whether this recipient of the open transaction is taken.
    Recipient(EmailAddress),
    /// Asks whether content may come: `Reply::start_content`, or a refusal.
    BeginData,
    /// The next piece of content: dots taken out, every line end CRLF.
    Data(Vec<u8>),
    /// The content is larger than `Limits::size`: forget it. The rest is drained; at its end comes
    /// `Refuse(TooLarge)`.
    Overflow,
    /// The content is whole, so many bytes of it; asks what became of it. The transaction is over
    /// with the answer.
    EndOfData { size: u64 },
    /// The open transaction is given up (RSET, EHLO): forget sender, recipients and content.
    Reset,
    /// Flush and close. Nothing comes after it.
    Close,
}

/// What all sessions of a port have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name, in the greeting and in the answer to EHLO.
    pub host: String,
    /// One line, said to HELP.
    pub help: String,
    pub starttls: StartTls,
    pub limits: Limits,
}

/// Whether there is a certificate to start TLS with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    Offered,
    Unavailable,
}

/// The bounds of a session that are no question of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest content, in bytes, dots taken out (RFC 1870).
    pub size: u64,
    /// How many bytes of content that is not kept are read before the session is given up.
    pub drain: u64,
    /// Recipients of one message.
    pub recipients: usize,
    /// Mistakes in the protocol since the last message that was taken.
    pub errors: u32,
    /// Refused sign-ins. Some programs try each mechanism in turn, and so twice per login.
    pub sign_ins: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 41_943_040,
            drain: 4 * 41_943_040,
            recipients: 1_000,
            errors: 20,
            sign_ins: 3,
        }
    }
}

/// What the bytes travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Plain,
    Tls,
}
