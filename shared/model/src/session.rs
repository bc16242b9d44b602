//! Submission sessions as they are kept: what a client and the door said to each other.

use std::fmt;
use std::net::SocketAddr;

use crate::state::words;
use crate::{CredentialId, MessageId, TenantId, Timestamp};

/// The short code of a session, read out on the telephone: six characters of Crockford's base32,
/// printed as `7F3K-Q2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionCode([u8; 6]); // Invariant: each is one of ALPHABET.

/// What was given as a session's code is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session's code: it has six letters and digits, as in 7F3K-Q2")]
pub struct SessionCodeError;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl SessionCode {
    /// From random bytes: 30 bits of them are used.
    pub fn new(random: [u8; 4]) -> Self {
        let number = u32::from_be_bytes(random);
        let letter = |at: usize| {
            let five = usize::try_from((number >> (5 * at)) & 31).unwrap_or(0);
            ALPHABET.get(five).copied().unwrap_or(b'0')
        };
        Self(std::array::from_fn(letter))
    }

    /// Takes what people write: either case, spaces and hyphens anywhere, O for 0, I and L for 1.
    pub fn parse(text: &str) -> Result<Self, SessionCodeError> {
        let mut letters = [0; 6];
        let mut count = 0;
        for c in text.bytes().filter(|c| !matches!(c, b' ' | b'-')) {
            let letter = match c.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let place = letters.get_mut(count).ok_or(SessionCodeError)?;
            if !ALPHABET.contains(&letter) {
                return Err(SessionCodeError);
            }
            *place = letter;
            count += 1;
        }
        if count == letters.len() {
            Ok(Self(letters))
        } else {
            Err(SessionCodeError)
        }
    }
}

impl fmt::Display for SessionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, letter) in self.0.iter().enumerate() {
            let hyphen = if at == 4 { "-" } else { "" };
            write!(f, "{hyphen}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for SessionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionCode({self})")
    }
}

impl std::str::FromStr for SessionCode {
    type Err = SessionCodeError;

    fn from_str(text: &str) -> Result<Self, SessionCodeError> {
        Self::parse(text)
    }
}

impl serde::Serialize for SessionCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SessionCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

words!(
    /// Who said a line.
    Side {
        Client = "client",
        Server = "server",
    }
);

/// One line of a session, with nothing secret in it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SessionLine {
    pub at: Timestamp,
    pub from: Side,
    pub line: String,
}

/// What is known of a session's encryption; of one that died in the handshake, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SessionTls {
    /// `implicit`, `STARTTLS`; `None` where there was none.
    #[serde(default)]
    pub mode: Option<String>,
    /// What was agreed on: `TLSv1.3`.
    #[serde(default)]
    pub version: Option<String>,
    /// The suite's IANA name.
    #[serde(default)]
    pub cipher: Option<String>,
    /// The versions that the client offered.
    #[serde(default)]
    pub offered: Vec<String>,
    /// The name that it asked for (SNI).
    #[serde(default)]
    pub server_name: Option<String>,
    /// Why the handshake failed: the alert, or what went wrong.
    #[serde(default)]
    pub failure: Option<String>,
}

/// A submission session, with nothing secret in it: no key, no AUTH line, no content.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Session {
    pub code: SessionCode,
    /// With `code` it tells this session from another one that drew the same.
    pub started_at: Timestamp,
    /// `None` while it lasts.
    pub ended_at: Option<Timestamp>,
    /// Whose key it signed in with.
    pub tenant: Option<TenantId>,
    pub credential: Option<CredentialId>,
    /// Where nobody signed in: whose key it was that opened nothing, or whose user name stood beside a
    /// password that is not known. Anybody may have typed that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<TenantId>,
    pub peer: SocketAddr,
    /// The port it came to.
    pub port: u16,
    /// What came of it, in a sentence for people.
    pub verdict: String,
    pub tls: SessionTls,
    pub dialogue: Vec<SessionLine>,
    /// The messages that were accepted in it.
    pub emails: Vec<MessageId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        for (given, want) in [
            ("7F3K-Q2", "7F3K-Q2"),
            ("7f3kq2", "7F3K-Q2"),
            (" 7f 3k-q2 ", "7F3K-Q2"),
            ("OIl0-11", "0110-11"),
        ] {
            let code = SessionCode::parse(given).unwrap();
            assert_eq!(code.to_string(), want, "{given}");
        }
        for wrong in ["", "7F3K-Q", "7F3K-Q22", "7F3K-QU", "7F3K_Q2", "7F3Ké2"] {
            assert_eq!(SessionCode::parse(wrong), Err(SessionCodeError), "{wrong}");
        }
    }

    #[test]
    fn a_code_is_made_of_thirty_random_bits() {
        assert_eq!(SessionCode::new([0; 4]).to_string(), "0000-00");
        assert_eq!(SessionCode::new([0xff; 4]).to_string(), "ZZZZ-ZZ");
        let code = SessionCode::new([0x12, 0x34, 0x56, 0x78]);
        assert_eq!(SessionCode::parse(&code.to_string()), Ok(code));
    }
}
