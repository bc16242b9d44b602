//! The message as it stands between 354 and the final dot (RFC 5321 §4.5.2).

use memchr::memmem::{FindIter, find_iter};

/// The most that one piece holds, so that each write is one block in the sense of RFC 5321
/// §4.5.3.2.5. As much as TCP cuts into segments in one go: each write costs a walk through it.
pub(super) const PIECE_MOST: usize = 64 * 1_024;

/// Cuts a message into the pieces that are written one after the other: a dot more where a
/// line begins with one, CRLF at the end where it has none, all other bytes as they are. The
/// final dot is not among them.
pub(super) fn pieces(message: &[u8]) -> Pieces<'_> {
    Pieces {
        message,
        at: 0,
        later: find_iter(message, b"\r\n."),
        double: message.starts_with(b".").then_some(0),
        ends_line: message.is_empty() || message.ends_with(b"\r\n"),
    }
    .with_first_dot()
}

pub(super) struct Pieces<'a> {
    message: &'a [u8],
    /// How much is written.
    at: usize,
    /// Where CRLF and a dot stand.
    later: FindIter<'a, 'static>,
    /// The next dot at the start of a line, which must be doubled.
    double: Option<usize>,
    /// False where CRLF is still to be added at the end.
    ends_line: bool,
}

impl Pieces<'_> {
    fn with_first_dot(mut self) -> Self {
        self.double = self.double.or_else(|| self.next_double());
        self
    }

    fn next_double(&mut self) -> Option<usize> {
        self.later.next().map(|line_end| line_end + 2)
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.at >= self.message.len() {
            let ended = std::mem::replace(&mut self.ends_line, true);
            return (!ended).then_some(b"\r\n");
        }
        if self.double == Some(self.at) {
            self.double = self.next_double();
            return Some(b".");
        }
        let most = self.message.len().min(self.at + PIECE_MOST);
        let end = self.double.map_or(most, |dot| dot.min(most));
        let piece = self.message.get(self.at..end);
        self.at = end;
        piece
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stuffed(message: &[u8]) -> Vec<u8> {
        pieces(message).collect::<Vec<_>>().concat()
    }

    /// What a receiver makes of it, RFC 5321 §4.5.2; it sees lines, not our pieces.
    fn received(wire: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut rest = wire;
        while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
            let (line, more) = rest.split_at(at + 2);
            assert_ne!(line, b".\r\n", "ends too early");
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            rest = more;
        }
        assert!(rest.is_empty(), "does not end in CRLF");
        message
    }

    #[test]
    fn dots_at_the_start_of_lines_are_doubled_and_nothing_else() {
        for (given, want) in [
            ("", ""),
            ("a", "a\r\n"),
            ("a\r\n", "a\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n"),
            (".", "..\r\n"),
            ("..", "...\r\n"),
            (".a\r\n", "..a\r\n"),
            (".\r\n.\r\n", "..\r\n..\r\n"),
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n"),
            ("a\r\n.", "a\r\n..\r\n"),
            ("a.\r\nb\n.c\r.d", "a.\r\nb\n.c\r.d\r\n"),
            ("\r\n\r\n.", "\r\n\r\n..\r\n"),
            ("a\r", "a\r\r\n"),
            ("a\n", "a\n\r\n"),
        ] {
            let wire = stuffed(given.as_bytes());
            assert_eq!(String::from_utf8_lossy(&wire), want, "{given:?}");
        }
    }

    #[test]
    fn a_dot_is_doubled_wherever_pieces_are_cut() {
        for edge in [4_096, PIECE_MOST, 2 * PIECE_MOST] {
            for before in edge - 4..edge + 4 {
                let message = [vec![b'x'; before], b"\r\n.y\r\n".to_vec()].concat();
                let want = [vec![b'x'; before], b"\r\n..y\r\n".to_vec()].concat();
                assert!(stuffed(&message) == want, "{before} bytes before CRLF");
                assert!(pieces(&message).all(|piece| piece.len() <= PIECE_MOST));
            }
        }
    }

    proptest! {
        #[test]
        fn a_receiver_gets_the_same_bytes(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["\r\n", ".", "a", "\r", "\n", "\r\n."]), 0..40,
            ),
        ) {
            let message = parts.concat().into_bytes();
            let mut want = message.clone();
            if !want.is_empty() && !want.ends_with(b"\r\n") {
                want.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(received(&stuffed(&message)), want);
        }
    }
}
