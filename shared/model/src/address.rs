//! E-mail addresses and mailboxes, ASCII and internationalised (RFC 5321 §4.1.2, RFC 6531 §3.3).

use std::fmt;

use crate::{Domain, DomainError};

/// One address: a local part and a domain.
///
/// The local part is kept without quotes (`"a b"@x` keeps `a b`), in the case it was given
/// in (RFC 5321 §2.4), and is quoted again wherever it is printed and needs it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    // Invariant: 1..=64 bytes as printed, no control characters.
    local: Box<str>,
    domain: Domain,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it is empty")]
    Empty,
    #[error("there is no @ in it")]
    NoAt,
    #[error("nothing before @")]
    NoLocalPart,
    #[error("nothing after @")]
    NoDomain,
    #[error("the part before @ is {0} bytes long, 64 is the most")]
    LocalPartTooLong(usize),
    #[error("it is {0} bytes long, 254 is the most")]
    TooLong(usize),
    #[error("{0:?} is not allowed before @ unless the part is quoted")]
    BadCharacter(char),
    #[error("a dot may not stand first, last or twice in a row before @")]
    BadDot,
    #[error("the quoted part before @ is not closed or holds what may not be quoted")]
    BadQuote,
    #[error("control characters are not allowed")]
    Control,
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl EmailAddress {
    /// The only way in from text: a bare address, `ann@example.org` or `"ann b"@example.org`.
    pub fn parse(input: &str) -> Result<Self, AddressError> {
        if input.is_empty() {
            return Err(AddressError::Empty);
        }
        if input.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        let (local, domain) = if input.starts_with('"') {
            split_quoted(input)?
        } else {
            split_dot_atom(input)?
        };
        if domain.is_empty() {
            return Err(AddressError::NoDomain);
        }
        Self::new(local, Domain::parse(domain)?)
    }

    /// From a local part without quotes and a domain that is one already.
    pub fn new(local: String, domain: Domain) -> Result<Self, AddressError> {
        if local.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        let address = Self {
            local: local.into(),
            domain,
        };
        let printed = address.local_part().len();
        // RFC 5321 §4.5.3.1.1 and §4.5.3.1.3 (a path of 256 octets has two angle brackets).
        if printed > 64 {
            return Err(AddressError::LocalPartTooLong(printed));
        }
        let whole = printed + 1 + address.domain.as_str().len();
        if whole > 254 {
            Err(AddressError::TooLong(whole))
        } else {
            Ok(address)
        }
    }

    /// The local part as it stands on the wire, quoted where it must be.
    pub fn local_part(&self) -> String {
        if is_dot_atom(&self.local) {
            return self.local.to_string();
        }
        let mut quoted = String::with_capacity(self.local.len() + 2);
        quoted.push('"');
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        quoted.push('"');
        quoted
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// True where the local part is not ASCII, so that the message needs SMTPUTF8 on every
    /// hop (RFC 6531 §3.3). A domain alone never does: it travels as A-labels.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// What equal mailboxes share for our own look-ups: the local part with its ASCII letters in
    /// lowercase. Only for comparing, never for sending. Other letters stay: `K` (U+212A, the
    /// Kelvin sign) would become a `k`, and another mailbox pass for a confirmed one.
    pub fn folded(&self) -> String {
        format!("{}@{}", self.local.to_ascii_lowercase(), self.domain)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for EmailAddress {
    /// The address as it stands on the wire, without angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part(), self.domain)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({self})")
    }
}

impl serde::Serialize for EmailAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EmailAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn split_dot_atom(input: &str) -> Result<(String, &str), AddressError> {
    let (local, domain) = input.rsplit_once('@').ok_or(AddressError::NoAt)?;
    if local.is_empty() {
        return Err(AddressError::NoLocalPart);
    }
    if let Some(wrong) = local.chars().find(|&c| c != '.' && !is_atext(c)) {
        return Err(AddressError::BadCharacter(wrong));
    }
    if !is_dot_atom(local) {
        return Err(AddressError::BadDot);
    }
    Ok((local.to_owned(), domain))
}

// RFC 5321 §4.1.2 Quoted-string; RFC 6531 adds what is not ASCII to qtextSMTP.
fn split_quoted(input: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut rest = input.char_indices().skip(1);
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => {
                let after = input.get(at + 1..).unwrap_or_default();
                let domain = after.strip_prefix('@').ok_or(AddressError::BadQuote)?;
                return if local.is_empty() {
                    Err(AddressError::NoLocalPart)
                } else {
                    Ok((local, domain))
                };
            }
            '\\' => match rest.next() {
                Some((_, c)) if c.is_ascii() => local.push(c),
                _ => return Err(AddressError::BadQuote),
            },
            c => local.push(c),
        }
    }
    Err(AddressError::BadQuote)
}

// RFC 5322 §3.2.3 atext; RFC 6532 §3.2 adds what is not ASCII. Characters that are invisible or
// turn the reading direction are in no real mailbox and in many forged ones.
fn is_atext(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        !c.is_whitespace()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    }
}

fn is_dot_atom(local: &str) -> bool {
    !local.is_empty()
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// An address with the name that is shown for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The display name, decoded, without quotes; `None` where there is none.
    pub name: Option<String>,
    pub address: EmailAddress,
}

impl Mailbox {
    /// Reads one mailbox as client programs write it: a bare address, or any text and then the
    /// address in the last `<…>`. What stands before it is the display name, whatever it holds:
    /// programs build `Doe, John <a@b>` without quotes.
    pub fn parse(input: &str) -> Result<Self, AddressError> {
        // Not left to trimming: a name with a line end in it is a header.
        if input
            .trim_matches([' ', '\t'])
            .chars()
            .any(char::is_control)
        {
            return Err(AddressError::Control);
        }
        let input = input.trim();
        let angle = input
            .strip_suffix('>')
            .and_then(|text| text.rsplit_once('<'));
        let Some((name, address)) = angle else {
            return Ok(Self {
                name: None,
                address: EmailAddress::parse(input)?,
            });
        };
        let name = unquote(name.trim());
        let name = if name.is_empty() { None } else { Some(name) };
        Ok(Self {
            name,
            address: EmailAddress::parse(address.trim())?,
        })
    }
}

impl From<EmailAddress> for Mailbox {
    fn from(address: EmailAddress) -> Self {
        Self {
            name: None,
            address,
        }
    }
}

impl fmt::Display for Mailbox {
    /// For people and for JSON: `Name <address>`. Not for a header field: the name is neither
    /// quoted nor encoded here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

// A name that is wholly a quoted-string (RFC 5322 §3.2.4) loses quotes and backslashes.
fn unquote(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_the_wire_needs_them() {
        for (given, want) in [
            ("Ann.B+tag@Example.ORG", "Ann.B+tag@example.org"),
            ("\"ann b\"@example.org", "\"ann b\"@example.org"),
            ("\"ann\"@example.org", "ann@example.org"),
            (r#""a\"b\\c"@example.org"#, r#""a\"b\\c"@example.org"#),
            ("\"a@b\"@example.org", "\"a@b\"@example.org"),
            ("дед@bücher.example", "дед@xn--bcher-kva.example"),
        ] {
            assert_eq!(
                EmailAddress::parse(given).unwrap().to_string(),
                want,
                "{given}"
            );
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let long = format!("{}@example.org", "a".repeat(65));
        for (given, want) in [
            ("", AddressError::Empty),
            ("bob", AddressError::NoAt),
            ("bob@", AddressError::NoDomain),
            ("@example.org", AddressError::NoLocalPart),
            ("bob smith@example.org", AddressError::BadCharacter(' ')),
            ("a@b@example.org", AddressError::BadCharacter('@')),
            (".bob@example.org", AddressError::BadDot),
            ("bob..b@example.org", AddressError::BadDot),
            ("\"bob@example.org", AddressError::BadQuote),
            ("\"bob\" @example.org", AddressError::BadQuote),
            ("bob\r\n@example.org", AddressError::Control),
            ("b\0b@example.org", AddressError::Control),
            (long.as_str(), AddressError::LocalPartTooLong(65)),
            (
                "bob@[127.0.0.1]",
                AddressError::Domain(DomainError::Literal),
            ),
        ] {
            assert_eq!(EmailAddress::parse(given), Err(want), "{given:?}");
        }
    }

    #[test]
    fn only_ascii_letters_are_alike_in_both_cases() {
        let folded = |text: &str| EmailAddress::parse(text).unwrap().folded();
        assert_eq!(folded("Kim.A@Example.org"), folded("kim.a@example.org"));
        assert_ne!(folded("\u{212a}im@example.org"), folded("kim@example.org"));
        assert_ne!(folded("\"kim \"@example.org"), folded("kim@example.org"));
    }

    #[test]
    fn mailboxes_are_read_as_client_programs_write_them() {
        for (given, name, address) in [
            ("ann@example.org", None, "ann@example.org"),
            ("<ann@example.org>", None, "ann@example.org"),
            ("Ann <ann@example.org>", Some("Ann"), "ann@example.org"),
            ("Doe, John <a@b.example>", Some("Doe, John"), "a@b.example"),
            (
                "\"Doe, \\\"J\\\"\" <a@b.example>",
                Some("Doe, \"J\""),
                "a@b.example",
            ),
            ("A <B> <a@b.example>", Some("A <B>"), "a@b.example"),
        ] {
            let mailbox = Mailbox::parse(given).unwrap();
            assert_eq!(mailbox.name.as_deref(), name, "{given}");
            assert_eq!(mailbox.address.to_string(), address, "{given}");
        }
        for wrong in [
            "",
            "Ann",
            "Ann <>",
            "Ann <ann@example.org",
            "A\r\nBcc: x@y.example <a@b.example>",
        ] {
            assert!(Mailbox::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_parses_to_itself(text in "\\PC{0,90}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                proptest::prop_assert_eq!(EmailAddress::parse(&address.to_string()), Ok(address.clone()));
            }
        }

        #[test]
        fn quoted_local_parts_come_back(local in "[ -~]{1,30}") {
            let address = EmailAddress::new(local, Domain::parse("example.org").unwrap()).unwrap();
            proptest::prop_assert_eq!(EmailAddress::parse(&address.to_string()), Ok(address.clone()));
        }
    }
}
