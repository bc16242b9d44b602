//! Keys that clients show: API tokens and idempotency keys.

use std::fmt;

/// A tenant's API key in the clear: `pr_live_` + 43 base62 + 6 checksum characters. Lives in
/// memory only: it has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(Box<str>); // Invariant: 1..=256 visible ASCII characters.

/// The value of an `Idempotency-Key` field: opaque, 1 to 256 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(Box<str>);

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it has {0} characters, 1 to 256 are allowed")]
    Length(usize),
    #[error("it has a character outside visible ASCII")]
    NotVisibleAscii,
}

impl ApiToken {
    /// What every token of this service starts with, for secret scanners.
    pub const PREFIX: &'static str = "pr_live_";

    /// Takes the words after `Bearer`; whether they are a key of ours only the gate knows.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        visible_ascii(text).map(Self)
    }

    /// The secret itself. For hashing and for showing once, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

impl IdempotencyKey {
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        visible_ascii(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({})", self.0)
    }
}

fn visible_ascii(text: &str) -> Result<Box<str>, KeyError> {
    if !(1..=256).contains(&text.len()) {
        return Err(KeyError::Length(text.chars().count()));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(KeyError::NotVisibleAscii);
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii_of_bounded_length() {
        assert_eq!(
            IdempotencyKey::parse("order-17").unwrap().as_str(),
            "order-17"
        );
        assert_eq!(IdempotencyKey::parse(""), Err(KeyError::Length(0)));
        assert_eq!(
            IdempotencyKey::parse(&"a".repeat(257)),
            Err(KeyError::Length(257))
        );
        assert_eq!(IdempotencyKey::parse("a b"), Err(KeyError::NotVisibleAscii));
        assert_eq!(IdempotencyKey::parse("é"), Err(KeyError::NotVisibleAscii));
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = ApiToken::parse("pr_live_secret").unwrap();
        assert_eq!(format!("{token:?}"), "ApiToken(…)");
    }
}
