//! RFC 4648 §6 in lowercase without padding, for tokens in addresses and links.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(digit(bits >> count));
        }
    }
    if count > 0 {
        text.push(digit(bits << (5 - count)));
    }
    text
}

/// The bytes of a text that `encode` gives, and of no other: a token has one text.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for c in text.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == c)?;
        bits = bits << 5 | u32::try_from(digit).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    (encode(&bytes) == text).then_some(bytes)
}

fn digit(bits: u32) -> char {
    char::from(ALPHABET.get((bits & 31) as usize).copied().unwrap_or(b'a'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (given, want) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(encode(given.as_bytes()), want, "{given}");
            assert_eq!(decode(want).as_deref(), Some(given.as_bytes()), "{want}");
        }
    }

    #[test]
    fn bytes_have_one_text() {
        for wrong in ["MY", "my======", "mz", "m", "my ", "m1", "mé"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
