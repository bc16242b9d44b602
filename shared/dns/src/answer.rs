//! What comes out: answers in our own words, and the three ways to have none.

/// One MX record (RFC 1035 §3.3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first (RFC 5321 §5.1).
    pub preference: u16,
    pub host: MxName,
}

/// Where an MX record points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MxName {
    /// `.`, and no other record: no mail is taken here (RFC 7505 §3).
    Root,
    /// A host name: lowercase, no trailing dot.
    Host(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// NXDOMAIN: the name does not exist, and nothing below it (RFC 8020 §2).
    #[error("the name does not exist (NXDOMAIN)")]
    NoSuchName,
    /// NOERROR and no such record (RFC 2308 §2.2).
    #[error("the name has no such record")]
    NoRecords,
    /// Nothing is known: SERVFAIL, REFUSED, silence, a lame or broken answer, a CNAME loop. The
    /// text is for people.
    #[error("no usable answer: {0}")]
    Temporary(String),
}

/// The host of an MX record as text, or `None` where it is no host name.
///
/// RFC 1123 §2.1 knows letters, digits and hyphens. The underscore is let through as well: DNS
/// itself allows it (RFC 2181 §11), such exchangers exist, and nothing is written from the name
/// but a question to DNS, the TLS server name and an event. What else a label may hold (spaces,
/// dots, control characters) is refused: it would reach logs and pages.
pub(crate) fn host_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_lowered_and_what_is_none_is_dropped() {
        for (given, want) in [
            ("MX1.Example.ORG.", Some("mx1.example.org")),
            ("mail_in.example.", Some("mail_in.example")),
            ("a", Some("a")),
            ("", None),
            (".", None),
            ("a..b.", None),
            ("-a.example.", None),
            ("a-.example.", None),
            ("a\\032b.example.", None),
            ("a\\.b.example.", None),
            ("*.example.", None),
            ("bücher.example.", None),
        ] {
            assert_eq!(host_name(given).as_deref(), want, "{given}");
        }
        assert_eq!(host_name(&"a.".repeat(200)), None);
    }
}
