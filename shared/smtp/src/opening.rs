//! What the first bytes of a connection are, so that any port takes any mode.

mod hello;

pub use hello::{ClientHello, HelloError, TlsVersion};

use crate::command::Verb;

/// How a client opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A TLS record: implicit TLS.
    Tls,
    /// A hello in the form of SSL 2, by which very old programs also ask for SSL 3 and TLS 1.0
    /// (RFC 5246 appendix E.2). No TLS library of today takes it.
    Ssl2,
    /// An SMTP command before our greeting, or a person who pressed Enter.
    Smtp,
    Http,
    /// Neither.
    Noise,
    /// Nothing: it waits for our greeting.
    Silence,
}

// No command has a longer verb.
const VERB_MOST: usize = 10;

/// What the first bytes are, as soon as they can be nothing else. `None`: read on.
pub fn sniff(first: &[u8]) -> Option<Opening> {
    match first {
        [] | [0x16] => None,
        // A record of type handshake, version 3.x (RFC 8446 §5.1).
        [0x16, 3, ..] => Some(Opening::Tls),
        [length, rest @ ..] if length & 0x80 != 0 => match rest {
            [] | [_] => None,
            // CLIENT-HELLO.
            [_, 1, ..] => Some(Opening::Ssl2),
            _ => Some(Opening::Noise),
        },
        [b'\r' | b'\n' | b' ', ..] => Some(Opening::Smtp),
        _ => word(first),
    }
}

/// What the first bytes most likely are, once the wait for more is over.
pub fn settle(first: &[u8]) -> Opening {
    sniff(first).unwrap_or(match first {
        [] => Opening::Silence,
        [0x16] => Opening::Tls,
        [letter, ..] if letter.is_ascii_alphabetic() => Opening::Smtp,
        _ => Opening::Noise,
    })
}

fn word(first: &[u8]) -> Option<Opening> {
    let end = first.iter().position(|byte| !byte.is_ascii_alphabetic());
    match end {
        None if first.len() > VERB_MOST => Some(Opening::Noise),
        None => None,
        Some(_) => match Verb::of(first).0 {
            Verb::Http => Some(Opening::Http),
            Verb::Unknown => Some(Opening::Noise),
            _ => Some(Opening::Smtp),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        for (first, want) in [
            (b"\x16\x03\x01\x02".as_slice(), Some(Opening::Tls)),
            (b"\x16\x03", Some(Opening::Tls)),
            (b"\x16\x02", Some(Opening::Noise)),
            (b"\x80\x2e\x01\x03\x01", Some(Opening::Ssl2)),
            (b"\x80\x2e\x02", Some(Opening::Noise)),
            (b"EHLO vm\r\n", Some(Opening::Smtp)),
            (b"ehlo ", Some(Opening::Smtp)),
            (b"QUIT\r", Some(Opening::Smtp)),
            (b"LHLO x\r\n", Some(Opening::Smtp)),
            (b"\r\n", Some(Opening::Smtp)),
            (b"GET / HTTP/1.1\r\n", Some(Opening::Http)),
            (b"POST /", Some(Opening::Http)),
            (b"PRI * HTTP/2.0\r\n", Some(Opening::Http)),
            (b"SSH-2.0-x\r\n", Some(Opening::Noise)),
            (b"\0\0\0", Some(Opening::Noise)),
            (b"AAAAAAAAAAAAAAAA", Some(Opening::Noise)),
            (b"a1 LOGIN x y\r\n", Some(Opening::Noise)),
            (b"", None),
            (b"\x16", None),
            (b"\x80\x2e", None),
            (b"EH", None),
            (b"GET", None),
        ] {
            assert_eq!(sniff(first), want, "{first:?}");
        }
    }

    #[test]
    fn once_the_wait_is_over_something_is_decided() {
        for (first, want) in [
            (b"".as_slice(), Opening::Silence),
            (b"\x16", Opening::Tls),
            (b"E", Opening::Smtp),
            (b"\x80", Opening::Noise),
            (b"GET / HTTP/1.0", Opening::Http),
        ] {
            assert_eq!(settle(first), want, "{first:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_decided_stays_decided(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..40)) {
            let mut decided = None;
            for end in 0..=bytes.len() {
                let now = sniff(&bytes[..end]);
                proptest::prop_assert!(decided.is_none() || decided == now);
                decided = now;
            }
            drop(ClientHello::read(&bytes));
        }
    }
}
