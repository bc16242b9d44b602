//! What a remote mail exchanger answered (RFC 5321 §4.2, RFC 3463).

use std::fmt;

/// A remote's reply, ready to be stored and shown: control characters escaped, bounded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reply {
    /// 200..=599; what a broken remote sent may lie outside.
    pub code: u16,
    pub enhanced: Option<EnhancedCode>,
    /// The remote's words without codes, lines joined by `\n`, at most `Reply::TEXT_MOST` bytes.
    pub text: String,
}

/// An enhanced status code, RFC 3463 §2: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedCode(pub u8, pub u16, pub u16);

impl Reply {
    /// How much of a remote's text is kept, in bytes.
    pub const TEXT_MOST: usize = 2_048;

    /// A reply with its text made safe: invalid UTF-8 replaced, control characters (but the
    /// line feed that joins lines) written as `\x1b`, cut at `TEXT_MOST` on a character.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: &[u8]) -> Self {
        let mut safe = String::with_capacity(text.len().min(Self::TEXT_MOST));
        for c in String::from_utf8_lossy(text).chars() {
            if safe.len() + c.len_utf8() > Self::TEXT_MOST {
                break;
            }
            if c == '\n' || !c.is_control() {
                safe.push(c);
            } else {
                let code = u32::from(c);
                safe.push_str("\\x");
                safe.extend(
                    [code / 16, code % 16].map(|digit| char::from_digit(digit, 16).unwrap_or('?')),
                );
            }
        }
        Self {
            code,
            enhanced,
            text: safe,
        }
    }
}

impl fmt::Display for Reply {
    /// On one line, as an operator reads it: `550 5.1.1 no such user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", self.text.replace('\n', " "))
        }
    }
}

impl EnhancedCode {
    /// Reads `5.1.1`; `None` for what is none (classes are 2, 4 and 5).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |part: &str, most: usize| {
            let digits =
                (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        let class = matches!(class, "2" | "4" | "5").then_some(class)?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self(
            class.parse().ok()?,
            number(subject, 3)?,
            number(detail, 3)?,
        ))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl serde::Serialize for EnhancedCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for EnhancedCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an enhanced status code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_three_numbers() {
        for (given, want) in [
            ("5.1.1", Some(EnhancedCode(5, 1, 1))),
            ("4.7.650", Some(EnhancedCode(4, 7, 650))),
            ("3.1.1", None),
            ("5.1", None),
            ("5.1.1.1", None),
            ("5.1.", None),
            ("5.1.1111", None),
            ("5.+1.1", None),
        ] {
            assert_eq!(EnhancedCode::parse(given), want, "{given}");
        }
    }

    #[test]
    fn a_remotes_text_is_made_safe_and_bounded() {
        let reply = Reply::new(550, None, b"no\x1b[31m\xff\nsuch \0user");
        assert_eq!(reply.text, "no\\x1b[31m\u{fffd}\nsuch \\x00user");
        assert_eq!(reply.to_string(), "550 no\\x1b[31m\u{fffd} such \\x00user");
        assert!(
            Reply::new(550, None, "é".repeat(5_000).as_bytes())
                .text
                .len()
                <= Reply::TEXT_MOST
        );
    }
}
