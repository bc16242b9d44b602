//! Our own reasons to end a recipient where no remote said one. An event's note holds them as words, with
//! the code of RFC 3463 in front; here they are read back, so that people are told in their language.

use crate::EnhancedCode;

/// Why we ended it ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnVerdict {
    /// The domain is not in DNS (NXDOMAIN).
    NoDomain,
    /// RFC 5321 §5.1: no MX record, and no address either.
    NoServer,
    /// RFC 7505: it says itself that it takes no mail.
    NullMx,
    /// Its exchangers are there, and not on the internet.
    PrivateOnly,
    /// It names exchangers, and none has an address.
    NoAddress,
    /// Its best exchanger is this relay.
    Loop,
    /// The time it had has passed.
    Expired,
    /// RFC 1870: no exchanger takes a message of this size.
    TooLarge,
    /// RFC 6531: no exchanger takes such an address.
    NeedsSmtpUtf8,
}

impl OwnVerdict {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoDomain,
        Self::NoServer,
        Self::NullMx,
        Self::PrivateOnly,
        Self::NoAddress,
        Self::Loop,
        Self::Expired,
        Self::TooLarge,
        Self::NeedsSmtpUtf8,
    ];

    /// RFC 3463 §3, RFC 7505 §4, RFC 6531 §3.5.
    pub fn code(self) -> EnhancedCode {
        match self {
            Self::NoDomain | Self::NoServer => EnhancedCode(5, 1, 2),
            Self::NullMx => EnhancedCode(5, 1, 10),
            Self::PrivateOnly | Self::NoAddress => EnhancedCode(5, 4, 4),
            Self::Loop => EnhancedCode(5, 4, 6),
            Self::Expired => EnhancedCode(4, 4, 7),
            Self::TooLarge => EnhancedCode(5, 3, 4),
            Self::NeedsSmtpUtf8 => EnhancedCode(5, 6, 7),
        }
    }

    /// The words, as they are stored and shown to operators. More may stand behind those of `TooLarge`.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoDomain => "the domain does not exist (NXDOMAIN)",
            Self::NoServer => "the domain has neither MX nor address records",
            Self::NullMx => "the domain takes no mail (null MX, RFC 7505)",
            Self::PrivateOnly => "every address of the domain's exchangers is private or reserved",
            Self::NoAddress => "none of the domain's exchangers has had an address for a day",
            Self::Loop => "the domain's best exchanger is this relay itself",
            Self::Expired => "the time in which it was to be delivered has passed",
            Self::TooLarge => "the exchanger takes at most",
            Self::NeedsSmtpUtf8 => "the exchanger takes no internationalised addresses (SMTPUTF8)",
        }
    }

    /// An event's note: the code in front of the words.
    pub fn note(self) -> String {
        format!("{} {}", self.code(), self.words())
    }

    /// The verdict that a note holds; `None` where it is none of these.
    pub fn of_note(note: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| {
            let own = verdict.note();
            match verdict {
                Self::TooLarge => note.starts_with(&own),
                _ => note == own,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_back_from_its_note_and_from_no_other() {
        for verdict in OwnVerdict::ALL {
            assert_eq!(OwnVerdict::of_note(&verdict.note()), Some(verdict));
        }
        let large = "5.3.4 the exchanger takes at most 1000 bytes";
        assert_eq!(OwnVerdict::of_note(large), Some(OwnVerdict::TooLarge));
        for other in [
            "",
            "5.1.2 no",
            "connect: no connection",
            "5.1.2 the domain does not exist (NXDOMAIN).",
        ] {
            assert_eq!(OwnVerdict::of_note(other), None, "{other}");
        }
    }
}
