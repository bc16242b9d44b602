//! Content transfer encodings (RFC 2045 §6): quoted-printable and base64, both ways.

use std::borrow::Cow;

use base64::Engine as _;

use crate::lines::lines;
use crate::words::{BASE64, digit, hex};

/// How a part's body is encoded, by its Content-Transfer-Encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `7bit`, `8bit`, `binary`, or no field: the bytes are themselves.
    Identity,
    QuotedPrintable,
    Base64,
    /// One that we do not know; its bytes are never changed.
    Unknown,
}

impl Encoding {
    pub(crate) fn parse(value: &str) -> Self {
        let word = value.split([';', '(']).next().unwrap_or_default().trim();
        match word.to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" => Self::Identity,
            "quoted-printable" => Self::QuotedPrintable,
            "base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }

    /// The word for a Content-Transfer-Encoding field.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Identity | Self::Unknown => "7bit",
        }
    }

    /// The bytes that the body stands for. Never fails: what is not legal is passed over.
    pub(crate) fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Identity | Self::Unknown => Cow::Borrowed(body),
            Self::QuotedPrintable => Cow::Owned(decode_quoted_printable(body)),
            Self::Base64 => Cow::Owned(decode_base64(body)),
        }
    }

    /// How many bytes the body stands for, without decoding where it can be counted.
    pub(crate) fn decoded_len(self, body: &[u8]) -> u64 {
        let length = match self {
            Self::Identity | Self::Unknown => body.len(),
            Self::QuotedPrintable => decode_quoted_printable(body).len(),
            Self::Base64 => {
                // Lines and padding are all that well-formed base64 holds beside its characters.
                let padding = body
                    .trim_ascii_end()
                    .iter()
                    .rev()
                    .take_while(|&&b| b == b'=')
                    .count();
                let ends = 2 * memchr::memchr_iter(b'\n', body).count();
                body.len().saturating_sub(ends + padding) * 3 / 4
            }
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

fn decode_base64(body: &[u8]) -> Vec<u8> {
    // RFC 2045 §6.8: characters outside the alphabet are ignored, and data ends at the padding.
    let characters: Vec<u8> = body
        .iter()
        .copied()
        .take_while(|&b| b != b'=')
        .filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        .collect();
    // One character more than whole quanta says nothing.
    let whole = characters.len() - usize::from(characters.len() % 4 == 1);
    BASE64
        .decode(characters.get(..whole).unwrap_or_default())
        .unwrap_or_default()
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let ends_line = body.ends_with(b"\r\n");
    let mut lines = lines(body).peekable();
    while let Some(line) = lines.next() {
        // RFC 2045 §6.7 (3): white space at the end was put there on the way.
        let line = line.trim_ascii_end();
        let (line, soft) = match line.strip_suffix(b"=") {
            Some(line) => (line, true),
            None => (line, false),
        };
        decode_line(line, &mut out);
        if !soft && (lines.peek().is_some() || ends_line) {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn decode_line(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        if let Some(byte) = hex(escape.get(1).copied(), escape.get(2).copied()) {
            out.push(byte);
            rest = escape.get(3..).unwrap_or_default();
        } else {
            out.push(b'=');
            rest = escape.get(1..).unwrap_or_default();
        }
    }
    out.extend_from_slice(rest);
}

/// Base64 in lines of 76 (RFC 2045 §6.8), each ended by CRLF.
pub(crate) fn encode_base64(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len().div_ceil(57) * 78);
    let mut line = [0; 76];
    for chunk in content.chunks(57) {
        let length = BASE64.encode_slice(chunk, &mut line).unwrap_or_default();
        out.extend_from_slice(line.get(..length).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Quoted-printable (RFC 2045 §6.7): CRLF stays a line end, lines are at most 76 long. The end
/// of the text is kept as it is: no line end is added.
pub(crate) fn encode_quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 8 + 16);
    let mut rest = content;
    loop {
        let end = memchr::memmem::find(rest, b"\r\n");
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        encode_line(line, &mut out);
        match after.strip_prefix(b"\r\n") {
            Some(after) => {
                out.extend_from_slice(b"\r\n");
                rest = after;
            }
            None => return out,
        }
    }
}

fn encode_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &b) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let plain = match b {
            // White space may not end a line.
            b' ' | b'\t' => !last,
            // A line that is one dot, or starts as mbox's «From », meets broken software.
            b'.' => column != 0,
            b'F' => column != 0 || !line.starts_with(b"From "),
            b'=' => false,
            b => b.is_ascii_graphic(),
        };
        let width = if plain { 1 } else { 3 };
        // 75 and the soft break's «=».
        if column + width > if last { 76 } else { 75 } {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(b);
        } else {
            out.push(b'=');
            out.extend([b >> 4, b & 15].map(|n| u8::try_from(digit(n)).unwrap_or(b'0')));
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_printable_is_read_leniently() {
        for (given, want) in [
            ("a=3Db", "a=b"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft=  \r\nbreak", "softbreak"),
            ("trailing  \r\nx\r\n", "trailing\r\nx\r\n"),
            ("bad =zz =", "bad =zz "),
            ("caf=C3=A9", "café"),
            ("caf=c3=a9", "café"),
        ] {
            let got = Encoding::QuotedPrintable.decode(given.as_bytes());
            assert_eq!(String::from_utf8_lossy(&got), want, "{given:?}");
        }
    }

    #[test]
    fn base64_is_read_leniently() {
        for (given, want) in [
            ("YWJj", "abc"),
            ("YW Jj\r\nZA==\r\n", "abcd"),
            ("YWJjZ", "abc"),
            ("YQ==YQ==", "a"),
            ("", ""),
        ] {
            let got = Encoding::Base64.decode(given.as_bytes());
            assert_eq!(String::from_utf8_lossy(&got), want, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn quoted_printable_comes_back(parts in proptest::collection::vec("[ -~\t\u{80}-\u{ff}]{0,90}", 0..6), end in any::<bool>()) {
            let mut text = parts.join("\r\n");
            if end { text.push_str("\r\n"); }
            let encoded = encode_quoted_printable(text.as_bytes());
            prop_assert!(encoded.is_ascii());
            prop_assert!(lines(&encoded).all(|line| line.len() <= 76 && !line.ends_with(b" ")));
            prop_assert_eq!(&*Encoding::QuotedPrintable.decode(&encoded), text.as_bytes());
        }

        #[test]
        fn base64_comes_back_and_is_counted(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            let encoded = encode_base64(&content);
            prop_assert!(lines(&encoded).all(|line| line.len() <= 76));
            prop_assert_eq!(&*Encoding::Base64.decode(&encoded), &content[..]);
            prop_assert_eq!(Encoding::Base64.decoded_len(&encoded), content.len() as u64);
        }

        #[test]
        fn no_bytes_break_the_decoders(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            Encoding::QuotedPrintable.decode(&body);
            Encoding::Base64.decode(&body);
            Encoding::Base64.decoded_len(&body);
        }
    }
}
