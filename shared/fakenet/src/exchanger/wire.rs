//! Bytes in, lines and messages out: the receiving half of SMTP, without I/O. A line ends with
//! CRLF and with nothing else (RFC 5321 §2.3.8), a message with CRLF `.` CRLF (§4.1.1.4).

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// The longest command line that is taken, with its CRLF: RFC 5321 §4.5.3.1.4 says 512, and the
/// parameters of extensions come on top.
const LONGEST_LINE: usize = 2_048;

/// What stands before it on the wire ends the message.
const END: &[u8] = b"\r\n.\r\n";

/// One line of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its CRLF.
    Whole(Bytes),
    /// It was too long and was skipped to its end.
    TooLong,
}

/// A message as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Dots taken off (RFC 5321 §4.5.2).
    Whole(Bytes),
    /// It was larger than allowed, and was read to its end and dropped.
    TooLarge,
}

/// What was read and not yet used up.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    pub(super) buffer: BytesMut,
    skipping: bool,
}

impl Inbound {
    /// The next line, if all of it is there. Holds no more than one line's worth of bytes and
    /// what one read brought.
    pub(super) fn line(&mut self) -> Option<Line> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n") else {
            if self.buffer.len() > LONGEST_LINE {
                self.skipping = true;
                // The last byte may be half of a CRLF.
                self.buffer.advance(self.buffer.len() - 1);
            }
            return None;
        };
        let line = self.buffer.split_to(end + 2);
        if std::mem::take(&mut self.skipping) || line.len() > LONGEST_LINE {
            return Some(Line::TooLong);
        }
        Some(Line::Whole(line.freeze().slice(..end)))
    }

    /// Forgets everything: what came in plain counts for nothing after STARTTLS (RFC 3207 §4.2).
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Reads one message out of what comes in.
#[derive(Debug)]
pub(super) struct BodyReader {
    // As on the wire, behind a CRLF, so that the first line is a line like all others.
    stuffed: BytesMut,
    searched: usize,
    largest: usize,
    dropped: usize,
    taken: usize,
}

impl BodyReader {
    /// `largest`: the bytes that are kept.
    pub(super) fn new(largest: usize) -> Self {
        Self {
            stuffed: BytesMut::from(&b"\r\n"[..]),
            searched: 0,
            largest,
            dropped: 0,
            taken: 0,
        }
    }

    /// Bytes of the message so far, as on the wire.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes what came; the message, if this was its end. What follows stays in `inbound`.
    pub(super) fn take(&mut self, inbound: &mut Inbound) -> Option<Body> {
        self.stuffed.extend_from_slice(&inbound.buffer);
        let rest = self.stuffed.get(self.searched..).unwrap_or_default();
        let Some(at) = memmem::find(rest, END) else {
            inbound.buffer.clear();
            self.taken = self.dropped + self.stuffed.len() - 2;
            self.searched = self.stuffed.len().saturating_sub(END.len() - 1);
            self.bound();
            return None;
        };
        let end = self.searched + at;
        let behind = self.stuffed.len() - (end + END.len());
        inbound.buffer.advance(inbound.buffer.len() - behind);
        self.stuffed.truncate(end + 2);
        self.taken = self.dropped + end;
        if self.dropped > 0 || self.stuffed.len() - 2 > self.largest {
            return Some(Body::TooLarge);
        }
        Some(Body::Whole(unstuff(&self.stuffed.split().freeze())))
    }

    // Past the bound only what may be the beginning of the end is kept.
    fn bound(&mut self) {
        if self.stuffed.len() - 2 > self.largest {
            self.dropped += self.searched;
            self.stuffed.advance(self.searched);
            self.searched = 0;
        }
    }
}

// RFC 5321 §4.5.2: a dot that begins a line goes. `stuffed` begins with a CRLF that is no part
// of the message.
fn unstuff(stuffed: &Bytes) -> Bytes {
    let mut plain = BytesMut::new();
    let mut from = 0;
    for dot in memmem::find_iter(stuffed, b"\r\n.") {
        plain.extend_from_slice(stuffed.get(from..dot + 2).unwrap_or_default());
        from = dot + 3;
    }
    if from == 0 {
        return stuffed.slice(2..);
    }
    plain.extend_from_slice(stuffed.get(from..).unwrap_or_default());
    plain.freeze().slice(2..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(inbound: &mut Inbound, bytes: &[u8]) -> Vec<String> {
        inbound.buffer.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(line) = inbound.line() {
            lines.push(match line {
                Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        lines
    }

    #[test]
    fn a_line_ends_with_crlf_and_with_nothing_else() {
        let mut inbound = Inbound::default();
        assert_eq!(lines(&mut inbound, b"EHLO a\nNOOP\rx\r"), [""; 0]);
        assert_eq!(
            lines(&mut inbound, b"\nQUIT\r\nRS"),
            ["EHLO a\nNOOP\rx", "QUIT"]
        );
        assert_eq!(lines(&mut inbound, b"ET\r\n"), ["RSET"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let mut inbound = Inbound::default();
        for _ in 0..100 {
            assert!(lines(&mut inbound, &[b'x'; 1_000]).is_empty());
            assert!(inbound.buffer.len() <= LONGEST_LINE + 1_000);
        }
        assert_eq!(lines(&mut inbound, b"\r\nNOOP\r\n"), ["too long", "NOOP"]);
    }

    fn read(wire: &[u8], chunk: usize) -> Option<(Body, Bytes)> {
        let (mut reader, mut inbound) = (BodyReader::new(1_000), Inbound::default());
        let mut body = None;
        for piece in wire.chunks(chunk) {
            inbound.buffer.extend_from_slice(piece);
            if body.is_none() {
                body = reader.take(&mut inbound);
            }
        }
        body.map(|body| (body, inbound.buffer.freeze()))
    }

    #[test]
    fn a_message_ends_with_crlf_dot_crlf_and_with_nothing_else() {
        for (wire, want) in [
            ("a\r\n.\r\n", "a\r\n"),
            (".\r\n", ""),
            ("..\r\n.\r\n", ".\r\n"),
            ("..x\r\n...\r\n\r\n.\r\n", ".x\r\n..\r\n\r\n"),
            (".x\r\n.\r\n", "x\r\n"),
            (
                "a\n.\nb\n.\r\nc\r.\r\nd\r\n.\r\n",
                "a\n.\nb\n.\r\nc\r.\r\nd\r\n",
            ),
        ] {
            for chunk in [1, 2, 3, 5, 1_000] {
                let (body, rest) = read(format!("{wire}QUIT\r\n").as_bytes(), chunk).unwrap();
                assert_eq!(body, Body::Whole(Bytes::from(want)), "{wire:?} by {chunk}");
                assert_eq!(rest, "QUIT\r\n", "{wire:?} by {chunk}");
            }
        }
        for open in ["a\r\n", "\n.\n", "a\r\n.\n", "a\n.\r\n", "a\r\n.\r"] {
            assert_eq!(read(open.as_bytes(), 1_000), None, "{open:?}");
        }
    }

    #[test]
    fn a_message_that_is_too_large_is_read_to_its_end_and_dropped() {
        let wire = format!("{}\r\n.\r\nQUIT\r\n", "x".repeat(5_000));
        for chunk in [1, 7, 1_000, 10_000] {
            let (body, rest) = read(wire.as_bytes(), chunk).unwrap();
            assert_eq!(body, Body::TooLarge);
            assert_eq!(rest, "QUIT\r\n", "by {chunk}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_stuffed_comes_back(text in "[.a\r\n]{0,60}", chunk in 1_usize..20) {
            let text = format!("{text}\r\n");
            let stuffed = format!("\r\n{text}").replace("\r\n.", "\r\n..");
            let wire = format!("{}.\r\nNOOP\r\n", &stuffed[2..]);
            let (body, rest) = read(wire.as_bytes(), chunk).unwrap();
            proptest::prop_assert_eq!(body, Body::Whole(Bytes::from(text)));
            proptest::prop_assert_eq!(rest, "NOOP\r\n");
        }
    }
}
