//! Content transfer encodings (RFC 2045 §6): quoted-printable and base64, both ways.

use std::borrow::Cow;

use base64::Engine as _;
use base64_simd::Out;

use crate::lines::{line_end, lines};
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
    let mut out = Vec::with_capacity(base64_length(content.len()));
    put_base64(content, &mut out);
    out
}

/// How long content becomes in base64, in bytes, rounded up.
pub(crate) fn base64_length(content: usize) -> usize {
    content.div_ceil(57) * 78
}

const LINES: usize = 64;

/// As `encode_base64`, behind what is there already.
pub(crate) fn put_base64(content: &[u8], out: &mut Vec<u8>) {
    // Many lines at a time, with the processor's wide instructions.
    let mut block = [0; 76 * LINES];
    for chunk in content.chunks(57 * LINES) {
        let text = base64_simd::STANDARD.encode(chunk, Out::from_slice(&mut block));
        for line in text.chunks(76) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Quoted-printable (RFC 2045 §6.7): CRLF stays a line end, lines are at most 76 long. The end
/// of the text is kept as it is: no line end is added.
pub(crate) fn encode_quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 8 + 16);
    let mut rest = content;
    loop {
        let end = line_end(rest);
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
    let (mut rest, mut column) = (line, 0);
    while let Some(&first) = rest.first() {
        // 75 and the soft break's «=»; the line's end needs none.
        let most = if rest.len() == 1 { 76 } else { 75 };
        let run = plain_run(rest, column, most);
        if run > 0 {
            let (plain, after) = rest.split_at(run);
            out.extend_from_slice(plain);
            column += run;
            rest = after;
        } else if column + 3 <= most && (!is_plain(first) || column == 0 || rest.len() == 1) {
            out.push(b'=');
            out.extend([first >> 4, first & 15].map(|n| u8::try_from(digit(n)).unwrap_or(b'0')));
            column += 3;
            rest = rest.get(1..).unwrap_or_default();
        } else {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
    }
}

// How many bytes may stand as they are, from `column` on.
fn plain_run(rest: &[u8], column: usize, most: usize) -> usize {
    // A line that is one dot, or starts as mbox's «From », meets broken software.
    if column == 0 && (rest.starts_with(b".") || rest.starts_with(b"From ")) {
        return 0;
    }
    let room = rest.get(..most.saturating_sub(column)).unwrap_or(rest);
    let run = plain_prefix(room);
    // White space may not end a line.
    let ends_line = run == rest.len() && rest.last().is_some_and(|b| matches!(b, b' ' | b'\t'));
    if ends_line { run - 1 } else { run }
}

// Most lines are plain from end to end. To ask that without an early end takes a few instructions for
// each 16 bytes; to look for the first that is not, one for each.
fn plain_prefix(text: &[u8]) -> usize {
    if text.iter().fold(true, |all, &b| all & is_plain(b)) {
        return text.len();
    }
    let end = text.iter().position(|&b| !is_plain(b));
    end.unwrap_or(text.len())
}

fn is_plain(b: u8) -> bool {
    matches!(b, b' '..=b'~' | b'\t') && b != b'='
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
    fn quoted_printable_is_written_as_rfc_2045_section_6_7_asks() {
        let (x75, x76, x77) = ("x".repeat(75), "x".repeat(76), "x".repeat(77));
        for (given, want) in [
            ("a=b", "a=3Db".to_owned()),
            ("end \r\n\tx\t", "end=20\r\n\tx=09".to_owned()),
            (".\r\n..a\r\nFrom x", "=2E\r\n=2E.a\r\n=46rom x".to_owned()),
            ("é\0", "=C3=A9=00".to_owned()),
            (x76.as_str(), x76.clone()),
            (x77.as_str(), format!("{x75}=\r\nxx")),
        ] {
            let got = encode_quoted_printable(given.as_bytes());
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

    #[test]
    fn base64_is_the_same_wherever_blocks_are_cut() {
        let content: Vec<u8> = (0..=250).cycle().take(57 * LINES * 2 + 9).collect();
        for length in (57 * LINES - 4..57 * LINES + 4).chain(57 * LINES * 2 - 2..content.len()) {
            let encoded = encode_base64(&content[..length]);
            let lines: Vec<_> = lines(&encoded).collect();
            assert!(lines.iter().rev().skip(1).all(|line| line.len() == 76));
            assert_eq!(
                lines.concat(),
                BASE64.encode(&content[..length]).as_bytes(),
                "{length}"
            );
            assert!(encoded.ends_with(b"\r\n"));
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
