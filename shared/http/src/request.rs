//! A request as a door sees it.

use std::fmt;
use std::net::SocketAddr;

use http::{HeaderMap, Method};
use postrider_runtime::Rng;

use crate::{Body, Path, Query};

/// One request. Its header is complete; of its body nothing has been read.
pub struct Request {
    pub method: Method,
    pub path: Path,
    pub query: Query,
    pub headers: HeaderMap,
    pub request_id: RequestId,
    /// Who holds the other end of the connection.
    pub peer: SocketAddr,
    pub body: Body,
}

/// What a request is called in answers, logs and events. A client may choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String); // Invariant: `[A-Za-z0-9_-]{1,64}`.

impl RequestId {
    /// The client's, where it sent an acceptable one.
    pub(crate) fn given(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("x-request-id")?.to_str().ok()?;
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_id_byte);
        fits.then(|| Self(text.to_owned()))
    }

    /// A new one: `req_` and 96 random bits.
    pub(crate) fn new(rng: &Rng) -> Self {
        let [a, b, c] = [rng.bytes(), rng.bytes(), rng.bytes()].map(u32::from_be_bytes);
        Self(format!("req_{a:08x}{b:08x}{c:08x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_harmless_id_is_taken_from_the_client() {
        let long = "a".repeat(65);
        for (given, taken) in [
            ("abc-DEF_1", true),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("é", false),
            (long.as_str(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-request-id",
                http::HeaderValue::from_bytes(given.as_bytes()).unwrap(),
            );
            assert_eq!(RequestId::given(&headers).is_some(), taken, "{given:?}");
        }
        assert_eq!(RequestId::new(&Rng::seeded(1)).as_str().len(), 28);
    }
}
