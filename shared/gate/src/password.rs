//! Passwords that fit old forms: 24 characters of Crockford's base32, read out on the telephone
//! and typed by hand. The first five are searched by, the other nineteen are 95 random bits.
//! Nothing in them needs escaping anywhere.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use postrider_model::USER_MOST;
use postrider_runtime::Rng;

/// Crockford's base32: digits and capitals without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 24;
/// How many of them are kept in the clear, for lists and for finding it again.
const SHOWN_CHARACTERS: usize = 5;
const GROUP: usize = 4;

/// A password in the clear, in its canonical form. Has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpPassword(Box<str>); // Invariant: 24 characters of ALPHABET.

impl SmtpPassword {
    /// A new one.
    pub(crate) fn mint(rng: &Rng) -> Self {
        let digit = |_| symbol(rng.below(32));
        Self((0..CHARACTERS).map(digit).collect::<String>().into())
    }

    /// Reads a password as people type it: in any case, with spaces and hyphens anywhere, with O
    /// for 0 and I or L for 1. `None` where it can be none of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut canonical = String::with_capacity(CHARACTERS);
        for c in text.chars().filter(|c| !is_filler(*c)) {
            if canonical.len() == CHARACTERS {
                return None;
            }
            canonical.push(canonical_character(c)?);
        }
        (canonical.len() == CHARACTERS).then(|| Self(canonical.into()))
    }

    /// Whether a text has the form of one.
    pub fn is_one(text: &str) -> bool {
        Self::parse(text).is_some()
    }

    /// In groups of four, as it is shown the one time: `7F3K-Q2M9-…`.
    pub fn grouped(&self) -> String {
        let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
        for (at, c) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(c);
        }
        text
    }

    /// The canonical form itself. For showing once, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the directory keeps of it and finds it by: SHA-256 of the canonical form.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        let digest = digest(&SHA256, self.0.as_bytes());
        hash.iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        hash
    }

    /// The part that may be shown.
    pub(crate) fn shown(&self) -> String {
        self.0.chars().take(SHOWN_CHARACTERS).collect()
    }
}

impl fmt::Debug for SmtpPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpPassword(…)")
    }
}

/// Whether a user name fits old forms.
pub(crate) fn is_user_name(user: &str) -> bool {
    (1..=USER_MOST).contains(&user.len()) && user.bytes().all(|c| c.is_ascii_graphic())
}

// Word processors make long dashes of hyphens and put hard spaces between groups.
fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn canonical_character(c: char) -> Option<char> {
    let upper = match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let byte = u8::try_from(upper).ok()?;
    ALPHABET.contains(&byte).then_some(upper)
}

fn symbol(digit: u64) -> char {
    let at = usize::try_from(digit).unwrap_or(0);
    char::from(ALPHABET.get(at).copied().unwrap_or(b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_however_it_is_typed() {
        let password = SmtpPassword::parse("7F3K-Q2M9-0011-AbCd-EFGH-JKMN").unwrap();
        assert_eq!(password.expose(), "7F3KQ2M90011ABCDEFGHJKMN");
        assert_eq!(password.grouped(), "7F3K-Q2M9-0011-ABCD-EFGH-JKMN");
        assert_eq!(password.shown(), "7F3KQ");
        assert_eq!(format!("{password:?}"), "SmtpPassword(…)");
        for typed in [
            "7F3KQ2M90011ABCDEFGHJKMN",
            "7f3k q2m9 0011 abcd efgh jkmn",
            " 7F3K-Q2M9-OOIL-ABCD-EFGH-JKMN\t",
            "7f3k-q2m9-ooil-abcd-efgh-jkmn\r\n",
            "7F3K\u{2013}Q2M9\u{2011}0011\u{a0}ABCD EFGH JKMN",
            "7-F-3-K-Q-2-M-9-0-0-1-1-A-B-C-D-E-F-G-H-J-K-M-N",
        ] {
            let read = SmtpPassword::parse(typed);
            assert_eq!(read.as_ref(), Some(&password), "{typed:?}");
            assert_eq!(read.unwrap().hash(), password.hash());
        }
        for wrong in [
            "",
            "7F3KQ2M90011ABCDEFGHJKM",
            "7F3KQ2M90011ABCDEFGHJKMNP",
            "7F3KQ2M90011ABCDEFGHJKMU",
            "7F3K_Q2M9_0011_ABCD_EFGH_JKMN",
            "7F3KQ2M90011ABCDEFGHJKM\u{ff2e}",
            "pr_live_0123456789012345",
        ] {
            assert_eq!(SmtpPassword::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_minted_password_is_its_own_canonical_form() {
        let rng = Rng::seeded(1);
        for _ in 0..100 {
            let password = SmtpPassword::mint(&rng);
            for text in [password.grouped(), password.grouped().to_lowercase()] {
                assert_eq!(SmtpPassword::parse(&text), Some(password.clone()));
            }
        }
        assert_ne!(SmtpPassword::mint(&rng), SmtpPassword::mint(&rng));
    }
}
