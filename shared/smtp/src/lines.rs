//! Cuts command lines out of what has been read, with a bound on each.

use bytes::{Bytes, BytesMut};

/// Longest command line with its end. RFC 5321 §4.5.3.1.4 asks for 512 and each extension for a
/// little more; what real programs send stays far below.
pub(crate) const COMMAND_MOST: usize = 2_048;

/// Longest AUTH line and answer to a challenge, with its end (RFC 4954 §4.5).
pub(crate) const AUTH_MOST: usize = 12_288;

/// How much of one line is thrown away before the session is given up.
const FLOOD: usize = 64 * 1024;

/// What the buffer holds at its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No whole line.
    More,
    /// One line, without its end.
    Line(Bytes),
    /// A line that ends in a bare LF with more behind it. Where a client waits for each reply, a
    /// bare LF is its way to end a line; where it does not, two readers could see other lines.
    BareLineFeed,
    /// A line over its limit, now at its end.
    TooLong { most: usize },
    /// A line over its limit whose end is not worth waiting for.
    Flood { most: usize },
}

/// Where in the buffer the search goes on.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    scanned: usize,
    dropping: Option<Dropping>,
}

/// A line that is being thrown away: how much of it, and the limit it had when its beginning could
/// still be seen.
#[derive(Clone, Copy, Debug)]
struct Dropping {
    length: usize,
    most: usize,
}

impl LineReader {
    /// Takes one line of at most `most` bytes, its end counted, from the front of `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut, most: usize) -> Found {
        let fresh = input.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', fresh) else {
            return self.without_end(input, most);
        };
        let mut line = input.split_to(self.scanned + at + 1);
        self.scanned = 0;
        let Dropping { length, most } =
            self.dropping.take().unwrap_or(Dropping { length: 0, most });
        let length = length + line.len();
        if length > FLOOD {
            return Found::Flood { most };
        }
        if length > most {
            return Found::TooLong { most };
        }
        line.truncate(line.len() - 1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        } else if !input.is_empty() {
            return Found::BareLineFeed;
        }
        Found::Line(line.freeze())
    }

    fn without_end(&mut self, input: &mut BytesMut, most: usize) -> Found {
        if self.dropping.is_none() && input.len() < most {
            self.scanned = input.len();
            return Found::More;
        }
        let dropping = self.dropping.get_or_insert(Dropping { length: 0, most });
        dropping.length += input.len();
        self.scanned = 0;
        input.clear();
        if dropping.length >= FLOOD {
            Found::Flood {
                most: dropping.most,
            }
        } else {
            Found::More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], step: usize) -> Vec<Found> {
        let mut reader = LineReader::default();
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match reader.next(&mut buffer, COMMAND_MOST) {
                    Found::More => break,
                    other => found.push(other),
                }
            }
        }
        found
    }

    fn line(text: &str) -> Found {
        Found::Line(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines_end_at_crlf_however_they_arrive() {
        let input = b"EHLO a\r\n\r\nQUIT\r\nno end";
        for step in 1..input.len() {
            assert_eq!(
                all(input, step),
                [line("EHLO a"), line(""), line("QUIT")],
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn a_bare_cr_ends_no_line() {
        assert_eq!(all(b"NOOP\rQUIT\r\n", 99), [line("NOOP\rQUIT")]);
    }

    #[test]
    fn a_bare_lf_ends_a_line_only_where_nothing_is_behind_it() {
        assert_eq!(all(b"HELO a\n", 99), [line("HELO a")]);
        assert_eq!(all(b"HELO a\nQUIT\r\n", 7)[0], line("HELO a"));
        assert_eq!(all(b"HELO a\nQUIT\r\n", 99)[0], Found::BareLineFeed);
    }

    #[test]
    fn a_line_over_the_limit_is_thrown_away_and_the_next_one_read() {
        for (length, fits) in [(2_046, true), (2_047, false), (60_000, false)] {
            let text = "N".repeat(length);
            let input = format!("{text}\r\nQUIT\r\n");
            let first = if fits {
                line(&text)
            } else {
                Found::TooLong { most: COMMAND_MOST }
            };
            for step in [1, 7, 4_096, 100_000] {
                let found = all(input.as_bytes(), step);
                assert_eq!(found.len(), 2, "{length} in pieces of {step}");
                assert_eq!(found[0], first, "{length} in pieces of {step}");
                assert_eq!(found[1], line("QUIT"));
            }
        }
    }

    #[test]
    fn the_limit_of_a_line_is_the_one_of_its_beginning() {
        let mut reader = LineReader::default();
        let mut buffer = BytesMut::from(vec![b'N'; 3_000].as_slice());
        assert_eq!(reader.next(&mut buffer, COMMAND_MOST), Found::More);
        buffer.extend_from_slice(b"\r\nAUTH PLAIN\r\n");
        let found = reader.next(&mut buffer, AUTH_MOST);
        assert_eq!(found, Found::TooLong { most: COMMAND_MOST });
        assert_eq!(reader.next(&mut buffer, AUTH_MOST), line("AUTH PLAIN"));
    }

    #[test]
    fn ten_megabytes_without_an_end_are_given_up_at_64_kib_and_never_kept() {
        let mut reader = LineReader::default();
        let mut buffer = BytesMut::new();
        let mut fed = 0;
        loop {
            buffer.extend_from_slice(&[b'A'; 4_096]);
            fed += 4_096;
            let found = reader.next(&mut buffer, AUTH_MOST);
            assert!(buffer.len() < AUTH_MOST);
            if matches!(found, Found::Flood { .. }) {
                break;
            }
            assert_eq!(found, Found::More);
        }
        assert_eq!(fed, FLOOD);
    }
}
