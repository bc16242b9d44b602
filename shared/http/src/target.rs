//! The request target, decoded once: a path in segments and a query in pairs.

use std::fmt::Write;

/// Why a target cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadTarget;

/// A path, percent-decoded once (RFC 3986 §2.4). Several slashes at its start count as one:
/// clients join a base URL that ends in a slash with a path that begins with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    segments: Vec<String>,
}

impl Path {
    /// Splits first and decodes then, so that `%2F` is no separator.
    pub(crate) fn parse(raw: &str) -> Result<Self, BadTarget> {
        let inner = raw.trim_start_matches('/');
        let segments = if inner.is_empty() {
            Vec::new()
        } else {
            inner
                .split('/')
                .map(percent_decoded)
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            text: format!("/{inner}"),
            segments,
        })
    }

    /// What stands between the slashes, decoded: `/emails/a%2Bb` has `emails` and `a+b`, `/` has
    /// none, `/emails/` has `emails` and an empty one.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The path as it was sent, with one slash at its start.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A query's pairs in their order, decoded as forms are: `+` is a space (WHATWG URL §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self, BadTarget> {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((form_decoded(name)?, form_decoded(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// All values of this name, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of this name.
    pub fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All of it as it may stand in an address, behind the `?`; empty where there is none.
    pub fn encoded(&self) -> String {
        let pairs = self.0.iter();
        let pairs = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The names in their order, as often as they stand there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

fn form_decoded(text: &str) -> Result<String, BadTarget> {
    percent_decoded(&text.replace('+', " "))
}

// What does not decode to UTF-8, and NUL, is in no address and no id: refused rather than mended.
fn percent_decoded(text: &str) -> Result<String, BadTarget> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            hex(rest.next())? * 16 + hex(rest.next())?
        } else {
            byte
        });
    }
    if bytes.contains(&0) {
        Err(BadTarget)
    } else {
        String::from_utf8(bytes).map_err(|_| BadTarget)
    }
}

// RFC 3986 §2.3: what is always itself; all else is safe as octets.
fn encoded(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            let _written = write!(all, "%{byte:02X}");
        }
    }
    all
}

fn hex(digit: Option<u8>) -> Result<u8, BadTarget> {
    let value = char::from(digit.ok_or(BadTarget)?)
        .to_digit(16)
        .ok_or(BadTarget)?;
    u8::try_from(value).map_err(|_| BadTarget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_after_it_is_split() {
        for (given, want) in [
            ("", &[][..]),
            ("/", &[]),
            ("/emails", &["emails"]),
            ("//emails", &["emails"]),
            ("///emails//x", &["emails", "", "x"]),
            ("/emails/", &["emails", ""]),
            ("/s/a%2Bb%40example.org", &["s", "a+b@example.org"]),
            ("/s/a+b", &["s", "a+b"]),
            ("/a%2Fb", &["a/b"]),
            ("/%252F", &["%2F"]),
            ("/%C3%A9", &["é"]),
        ] {
            assert_eq!(Path::parse(given).unwrap().segments(), want, "{given}");
        }
        assert_eq!(Path::parse("//emails").unwrap().as_str(), "/emails");
    }

    #[test]
    fn what_does_not_decode_is_refused() {
        for wrong in ["/%", "/%4", "/%zz", "/%+1", "/%00", "/%FF", "/%C3"] {
            assert_eq!(Path::parse(wrong), Err(BadTarget), "{wrong}");
        }
        assert_eq!(Query::parse("to=%00"), Err(BadTarget));
    }

    #[test]
    fn a_query_keeps_order_and_repetitions() {
        let query = Query::parse("to=a%2Bb@x.example&x&to=c+d%20e&&to=").unwrap();
        assert_eq!(
            query.all("to").collect::<Vec<_>>(),
            ["a+b@x.example", "c d e", ""]
        );
        assert_eq!(query.one("x"), Some(""));
        assert_eq!(query.one("y"), None);
        assert_eq!(query.names().collect::<Vec<_>>(), ["to", "x", "to", "to"]);
    }

    proptest::proptest! {
        #[test]
        fn no_target_panics_and_encoded_text_comes_back(text in "\\PC{0,40}") {
            let _path = Path::parse(&text);
            let encoded: Vec<_> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let query = Query::parse(&format!("a={}", encoded.concat())).unwrap();
            proptest::prop_assert_eq!(query.one("a"), Some(text.as_str()));
            proptest::prop_assert_eq!(Query::parse(&query.encoded()).unwrap(), query);
        }
    }
}
