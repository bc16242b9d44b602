//! What a remote's reply means for a recipient. Pure, total, and the only place that reads
//! reply codes. What is done about it (which host next, when again) is decided elsewhere.

use std::time::Duration;

use postrider_model::{EnhancedCode, Reply};

/// For this long a host's refusal at the greeting is taken for a passing one.
const GREETING_PATIENCE: Duration = Duration::from_hours(24);

/// Where in a session we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    Connect,
    Greeting,
    Hello,
    Starttls,
    /// The TLS handshake.
    Handshake,
    MailFrom,
    RcptTo,
    Data,
    /// The message is being written; nothing that ends it was sent.
    Body,
    /// The dot that ends the message was sent.
    FinalDot,
    Rset,
    Quit,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on with the session.
    Proceed,
    /// The host knows no EHLO: greet it again, with HELO (RFC 5321 §3.2).
    SayHelo,
    /// The remote has the message now and answers for it.
    Delivered,
    /// This host does not serve us; that says nothing about the recipient.
    NextHost(WithoutOther),
    /// Refused by policy, perhaps for the address family we came by: try the other one now.
    OtherFamily,
    /// Not now. Try again later.
    Retry(Hint),
    /// One recipient too many for this transaction: send to it at once in another one.
    Resend,
    /// Refused for good.
    Fail,
}

/// What to do where no other host is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutOther {
    Retry,
    Fail,
}

/// How soon to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Usual,
    /// The remote greylists: the same again a little later will do.
    Greylist,
}

/// The other address family of the host that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherFamily {
    /// The host has none, or this is not the recipient's first attempt, or it was tried.
    None,
    /// First attempt of a host with both, the other one not tried yet.
    Untried,
}

/// What else a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// How long the message has been ours.
    pub(crate) age: Duration,
    /// Recipients accepted earlier in the same transaction.
    pub(crate) accepted: usize,
    pub(crate) other_family: OtherFamily,
}

/// Whether a refusal for good says that there is no such mailbox, or that no mail is taken where it
/// would be: RFC 3463 §3.2, RFC 7505 §4. Not of reputation, size or policy.
pub(crate) fn says_no_mailbox(code: EnhancedCode) -> bool {
    matches!(code, EnhancedCode(5, 1, 1 | 2 | 10))
}

/// True where the remote lets us go on: the reply that RFC 5321 §4.3.2 calls success or
/// intermediate at this point.
pub(crate) fn proceeds(phase: Phase, code: u16) -> bool {
    match phase {
        Phase::Data => (300..=399).contains(&code),
        _ => (200..=299).contains(&code),
    }
}

/// True where the remote is about to close: 421 may come at any point (RFC 5321 §3.8).
pub(crate) fn closes(code: u16) -> bool {
    code == 421
}

/// True where the remote refuses, for now or for good.
pub(crate) fn refuses(code: u16) -> bool {
    (400..=599).contains(&code)
}

/// Judges one reply.
pub(crate) fn judge(phase: Phase, reply: &Reply, context: &Context) -> Verdict {
    match (phase, reply.code) {
        (Phase::FinalDot, 200..=299) => Verdict::Delivered,
        (_, code) if proceeds(phase, code) => Verdict::Proceed,
        (Phase::Hello, 500 | 502 | 504 | 550) => Verdict::SayHelo,
        // 554 is «no SMTP here» (RFC 5321 §3.1). Many say so while they are being repaired.
        (Phase::Greeting, 500..=599) if context.age >= GREETING_PATIENCE => {
            Verdict::NextHost(WithoutOther::Fail)
        }
        // A host that will not talk to us says nothing about the recipient, and RFC 5321 §5.1
        // has us try the next one.
        (Phase::Connect | Phase::Greeting | Phase::Hello | Phase::Starttls, _) => {
            Verdict::NextHost(WithoutOther::Retry)
        }
        (Phase::RcptTo, 452 | 552) => storage_at_rcpt(reply, context),
        (_, 450 | 451) if reply.enhanced == Some(EnhancedCode(4, 7, 1)) => {
            Verdict::Retry(Hint::Greylist)
        }
        (_, 500..=599) => refused(reply, context),
        // 4yz, 421 among them (RFC 5321 §3.8), and what nobody can read: keep it, try later.
        _ => Verdict::Retry(Hint::Usual),
    }
}

/// 452 and 552 at RCPT: RFC 5321 §4.5.3.1.10 uses both for «too many recipients», others for
/// a full mailbox or a full disk. Where an enhanced code tells which, it decides.
fn storage_at_rcpt(reply: &Reply, context: &Context) -> Verdict {
    let too_many = matches!(reply.enhanced, None | Some(EnhancedCode(_, 5, 3)));
    if too_many && context.accepted > 0 {
        Verdict::Resend
    } else if too_many {
        Verdict::Retry(Hint::Usual)
    } else if reply.code == 552 {
        refused(reply, context)
    } else {
        Verdict::Retry(Hint::Usual)
    }
}

/// A 5yz for one recipient, or for the message.
fn refused(reply: &Reply, context: &Context) -> Verdict {
    match reply.enhanced {
        // A full mailbox (RFC 3463 §3.3) may be emptied.
        Some(EnhancedCode(_, 2, 2)) => Verdict::Retry(Hint::Usual),
        // Security or policy (§3.8): often about the address we came from, not the recipient.
        Some(EnhancedCode(_, 7, _)) if context.other_family == OtherFamily::Untried => {
            Verdict::OtherFamily
        }
        _ => Verdict::Fail,
    }
}

impl Phase {
    /// The phase as a person reads it in an event's note: `no reply to MAIL FROM`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::Starttls => "STARTTLS",
            Self::Handshake => "TLS handshake",
            Self::MailFrom => "MAIL FROM",
            Self::RcptTo => "RCPT TO",
            Self::Data => "DATA",
            Self::Body => "message text",
            Self::FinalDot => "end of message",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
        }
    }
}

#[cfg(test)]
mod tests;
