//! What kind of «no» it was: for metrics and logs, so that an operator sees a bad list, a bad
//! reputation and a broken network apart. Nothing is decided by it. Pure; codes only, no words.

use postrider_model::{EnhancedCode, Reply};
use postrider_telemetry::{Label, label};

use crate::outcome::Phase;

label!(
    /// Why a recipient was not delivered to in an attempt. The first eight pass.
    pub(crate) Class is "class" {
        /// The same again a little later will do (RFC 6647).
        Greylisted = "greylisted",
        /// For now not from us, or not so much: policy and reputation (4.7.z).
        RateLimited = "rate_limited",
        MailboxFull = "mailbox_full",
        /// The remote has trouble of its own, or too much to do.
        Busy = "busy",
        /// Nobody answered, or the line broke.
        Connection = "connection",
        Tls = "tls",
        /// DNS gave no usable answer.
        Dns = "dns",
        OtherTemporary = "other_temporary",
        UnknownRecipient = "unknown_recipient",
        MailboxDisabled = "mailbox_disabled",
        /// Refused for good by policy: reputation, block lists, authentication (5.7.z).
        Policy = "policy",
        /// The message itself: its size, its parts.
        Content = "content",
        /// The domain takes no mail: it does not exist, null MX, no usable address.
        NoMail = "no_mail",
        OtherPermanent = "other_permanent",
        /// Its time had passed.
        TooLate = "too_late",
    }
);

impl Class {
    /// What a reply that refuses says, by RFC 3463 where it has an enhanced code.
    pub(crate) fn of_reply(phase: Phase, reply: &Reply) -> Self {
        match reply.code {
            500..=599 => permanent(phase, reply),
            _ => temporary(phase, reply),
        }
    }

    /// What silence, or a broken line, says.
    pub(crate) fn of_silence(phase: Phase) -> Self {
        match phase {
            Phase::Starttls | Phase::Handshake => Self::Tls,
            _ => Self::Connection,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.word()
    }
}

fn temporary(phase: Phase, reply: &Reply) -> Class {
    match (reply.code, reply.enhanced) {
        (450 | 451, Some(EnhancedCode(4, 7, 1))) => Class::Greylisted,
        (_, Some(EnhancedCode(_, 7, _))) => Class::RateLimited,
        (_, Some(EnhancedCode(_, 2, 2))) => Class::MailboxFull,
        // System not accepting, congestion, too many recipients.
        (_, Some(EnhancedCode(_, 3, _) | EnhancedCode(_, 4, 5) | EnhancedCode(_, 5, 3))) => {
            Class::Busy
        }
        // RFC 5321 §3.8: the service is not available now.
        (421, _) => Class::Busy,
        // RFC 5321 §4.5.3.1.10: too many recipients.
        (452, None) if phase == Phase::RcptTo => Class::Busy,
        _ => Class::OtherTemporary,
    }
}

fn permanent(phase: Phase, reply: &Reply) -> Class {
    match reply.enhanced {
        // RFC 3463 §3.2: 7 and 8 are about the sender's address.
        Some(EnhancedCode(_, 1, 7 | 8)) => Class::Policy,
        Some(EnhancedCode(_, 1, _)) => Class::UnknownRecipient,
        Some(EnhancedCode(_, 2, 2)) => Class::MailboxFull,
        // Too long for this mailbox, for this system; media.
        Some(EnhancedCode(_, 2, 3) | EnhancedCode(_, 3, 4) | EnhancedCode(_, 6, _)) => {
            Class::Content
        }
        Some(EnhancedCode(_, 2, _)) => Class::MailboxDisabled,
        Some(EnhancedCode(_, 7, _)) => Class::Policy,
        Some(_) => Class::OtherPermanent,
        None => permanent_by_phase(phase, reply.code),
    }
}

// RFC 5321 §4.2.2, §4.3.2: what a bare code means where it stands.
fn permanent_by_phase(phase: Phase, code: u16) -> Class {
    match (phase, code) {
        (Phase::RcptTo, 550 | 551 | 553) => Class::UnknownRecipient,
        (_, 552) => Class::Content,
        (Phase::Connect | Phase::Greeting | Phase::Hello | Phase::MailFrom, _) => Class::Policy,
        _ => Class::OtherPermanent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, enhanced: Option<EnhancedCode>) -> Reply {
        Reply::new(code, enhanced, b"")
    }

    #[test]
    fn replies_of_large_providers_are_told_apart() {
        let code = |class, subject, detail| Some(EnhancedCode(class, subject, detail));
        for (phase, number, enhanced, want) in [
            // Postgrey; and Google's, Microsoft's and Yahoo's throttles.
            (Phase::RcptTo, 450, code(4, 7, 1), Class::Greylisted),
            (Phase::FinalDot, 421, code(4, 7, 28), Class::RateLimited),
            (Phase::MailFrom, 451, code(4, 7, 650), Class::RateLimited),
            (Phase::MailFrom, 421, code(4, 7, 0), Class::RateLimited),
            (Phase::RcptTo, 452, code(4, 2, 2), Class::MailboxFull),
            (Phase::RcptTo, 552, code(5, 2, 2), Class::MailboxFull),
            (Phase::FinalDot, 451, code(4, 3, 0), Class::Busy),
            (Phase::RcptTo, 452, code(4, 5, 3), Class::Busy),
            (Phase::RcptTo, 452, None, Class::Busy),
            (Phase::Greeting, 421, None, Class::Busy),
            (Phase::RcptTo, 450, None, Class::OtherTemporary),
            (Phase::RcptTo, 550, code(5, 1, 1), Class::UnknownRecipient),
            (Phase::RcptTo, 550, code(5, 1, 10), Class::UnknownRecipient),
            (Phase::RcptTo, 550, None, Class::UnknownRecipient),
            (Phase::MailFrom, 550, code(5, 1, 8), Class::Policy),
            (Phase::RcptTo, 550, code(5, 2, 1), Class::MailboxDisabled),
            (Phase::FinalDot, 550, code(5, 7, 26), Class::Policy),
            (Phase::FinalDot, 552, code(5, 3, 4), Class::Content),
            (Phase::FinalDot, 554, code(5, 6, 0), Class::Content),
            (Phase::Data, 552, None, Class::Content),
            // T-Online's and GMX's «no SMTP service» for unknown senders.
            (Phase::Greeting, 554, None, Class::Policy),
            (Phase::FinalDot, 554, None, Class::OtherPermanent),
            (Phase::FinalDot, 554, code(5, 0, 0), Class::OtherPermanent),
        ] {
            let got = Class::of_reply(phase, &reply(number, enhanced));
            assert_eq!(got, want, "{phase:?} {number} {enhanced:?}");
        }
    }

    #[test]
    fn silence_in_tls_is_told_from_silence() {
        assert_eq!(Class::of_silence(Phase::Handshake), Class::Tls);
        assert_eq!(Class::of_silence(Phase::Connect), Class::Connection);
        assert_eq!(Class::of_silence(Phase::Body), Class::Connection);
    }
}
