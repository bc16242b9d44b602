//! Mail domains as we route by them.

use std::fmt;

/// A mail domain: lowercase A-labels (RFC 5890), no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>); // Invariant: what `parse` lets through, 1..=253 bytes of ASCII.

/// Why a text is not a mail domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    #[error("the domain is empty")]
    Empty,
    #[error("the domain is {0} characters long, 253 is the most")]
    TooLong(usize),
    #[error("the domain has a part that is not a host name label: {0:?}")]
    BadLabel(String),
    #[error("the domain is not valid under IDNA (RFC 5890): {0:?}")]
    Idna(String),
    #[error("an address literal such as [192.0.2.1] is not accepted, give a domain name")]
    Literal,
}

impl Domain {
    /// The only way in. Takes `Bücher.Example.`, keeps `xn--bcher-kva.example`
    /// (UTS 46 mapping, then RFC 5321 §4.1.2 `sub-domain` syntax for every label).
    pub fn parse(input: &str) -> Result<Self, DomainError> {
        let name = input.strip_suffix('.').unwrap_or(input);
        if name.is_empty() {
            return Err(DomainError::Empty);
        }
        if name.starts_with('[') {
            return Err(DomainError::Literal);
        }
        // No mapping makes a name of this length short enough, and the mapping is not free.
        if name.len() > 1_000 {
            return Err(DomainError::TooLong(name.len()));
        }
        let name = to_a_labels(name)?;
        if name.len() > 253 {
            return Err(DomainError::TooLong(name.len()));
        }
        match name.split('.').find(|label| !is_label(label)) {
            Some(label) => Err(DomainError::BadLabel(label.to_owned())),
            None => Ok(Self(name.into())),
        }
    }

    /// The A-label form, for the wire and for the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The U-label form, for people.
    pub fn to_unicode(&self) -> String {
        let (name, valid) = idna::domain_to_unicode(&self.0);
        if valid.is_ok() {
            name
        } else {
            self.0.to_string()
        }
    }
}

fn to_a_labels(name: &str) -> Result<String, DomainError> {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let lower = name.to_ascii_lowercase();
    // A plain name needs no mapping; one that claims to be A-labels must also decode.
    if plain && !lower.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(lower);
    }
    idna::domain_to_ascii_strict(name).map_err(|_| DomainError::Idna(name.to_owned()))
}

// RFC 5321 §4.1.2: letters, digits and hyphens, the hyphen never first or last.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl std::str::FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Domain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Domain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_kept_as_lowercase_a_labels() {
        for (given, want) in [
            ("Example.ORG.", "example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("a", "a"),
        ] {
            assert_eq!(Domain::parse(given).unwrap().as_str(), want, "{given}");
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        for wrong in [
            "",
            ".",
            "a..b",
            "-a.example",
            "a-.example",
            "a b.example",
            "a_b.example",
            "a\r\nb",
            "a\0b",
            "[127.0.0.1]",
            "xn--a.example",
            "a@b.example",
            "é\u{202e}.example",
            long.as_str(),
        ] {
            assert!(Domain::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            Domain::parse(&"a.".repeat(200)),
            Err(DomainError::TooLong(399))
        );
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_printed_parses_to_itself(text in "\\PC{0,80}") {
            if let Ok(domain) = Domain::parse(&text) {
                proptest::prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
            }
        }
    }
}
