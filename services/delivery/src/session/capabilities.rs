//! What a host offers in its reply to EHLO (RFC 5321 §4.1.1.1).

/// The extensions that we use, as the last EHLO named them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an extension that is offered or not"
)]
pub(crate) struct Capabilities {
    /// RFC 1870.
    pub(crate) size: SizeLimit,
    /// RFC 2920.
    pub(crate) pipelining: bool,
    /// RFC 3207.
    pub(crate) starttls: bool,
    /// RFC 6531.
    pub(crate) smtputf8: bool,
    /// RFC 6152.
    pub(crate) eight_bit_mime: bool,
    /// `LIMITS RCPTMAX=`, RFC 9422: the most recipients of one transaction.
    pub(crate) recipients_most: Option<usize>,
}

/// SIZE, RFC 1870 §4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SizeLimit {
    #[default]
    NotOffered,
    /// Offered without a number, or with 0.
    Unlimited,
    /// In bytes, as the message is sent, without dot-stuffing.
    AtMost(u64),
}

impl Capabilities {
    /// From the text of an EHLO reply, lines joined by `\n`; the first is the host's greeting.
    /// What we do not know or cannot read is skipped.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut found = Self::default();
        for line in text.split(|byte| *byte == b'\n').skip(1) {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "SIZE" => found.size = size_limit(words.next()),
                "PIPELINING" => found.pipelining = true,
                "STARTTLS" => found.starttls = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "LIMITS" => found.recipients_most = words.find_map(recipients_most),
                _ => {}
            }
        }
        found
    }
}

fn size_limit(number: Option<&str>) -> SizeLimit {
    match number.and_then(|number| number.parse().ok()) {
        None | Some(0) => SizeLimit::Unlimited,
        Some(most) => SizeLimit::AtMost(most),
    }
}

fn recipients_most(limit: &str) -> Option<usize> {
    let (name, value) = limit.split_once('=')?;
    let most = value.parse().ok().filter(|most| *most > 0);
    most.filter(|_| name.eq_ignore_ascii_case("RCPTMAX"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The extensions by name, as a test's table writes them.
    fn words(found: &Capabilities) -> String {
        let size = match found.size {
            SizeLimit::NotOffered => String::new(),
            SizeLimit::Unlimited => "any size".to_owned(),
            SizeLimit::AtMost(most) => format!("size {most}"),
        };
        let most = found.recipients_most;
        let most = most.map(|most| format!("{most} recipients"));
        let if_offered = |offered: bool, name: &str| offered.then(|| name.to_owned());
        let names = [
            if_offered(found.pipelining, "pipelining"),
            if_offered(found.starttls, "starttls"),
            if_offered(found.smtputf8, "smtputf8"),
            if_offered(found.eight_bit_mime, "8bitmime"),
            Some(size).filter(|size| !size.is_empty()),
            most,
        ];
        names.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_extension_is_found_however_it_is_written() {
        for (given, want) in [
            ("mx.example", ""),
            ("PIPELINING", ""),
            ("mx\nPIPELINING", "pipelining"),
            ("mx\npipelining ", "pipelining"),
            ("mx\nSTARTTLS", "starttls"),
            ("mx\nSMTPUTF8\n8BITMIME", "smtputf8, 8bitmime"),
            ("mx\nSIZE 1000", "size 1000"),
            ("mx\nSIZE", "any size"),
            ("mx\nSIZE 0", "any size"),
            ("mx\nSIZE lots", "any size"),
            ("mx\nLIMITS MAILMAX=5 RCPTMAX=20", "20 recipients"),
            ("mx\nLIMITS RCPTMAX=0", ""),
            ("mx\n\u{fffd}\n\nX-PIPELINING", ""),
        ] {
            let found = Capabilities::parse(given.as_bytes());
            assert_eq!(words(&found), want, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _read = Capabilities::parse(&text);
        }
    }
}
