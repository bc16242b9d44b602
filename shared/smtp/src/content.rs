//! Reads the content behind DATA: finds its end, takes the dots out, makes every line end CRLF.
//!
//! Safe against smuggling on both sides: the content ends at CRLF `.` CRLF and nowhere else, and no
//! bare CR or LF goes on to anybody who could see an end of data in it. A bare CR and a bare LF
//! count as one line end each, as old programs and Unix files mean them. A dot is taken off only
//! behind a real CRLF: a client that sends bare line feeds does not stuff behind them either.

/// Where in the content we stand; all that is remembered between two pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Behind a CRLF, or at the very beginning.
    #[default]
    LineStart,
    /// Behind a dot that opened a line; it is not written yet, and never will be.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
    /// Behind a CR in a line.
    Cr,
    /// Within a line.
    Text,
}

/// One content, read in any pieces.
#[derive(Clone, Debug, Default)]
pub struct ContentReader {
    at: At,
    /// So much is read line by line before a block is looked at as a whole again.
    by_line: usize,
}

/// What came of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The whole piece was content.
    More,
    /// The content ended; that many bytes of the piece belong to it, its end included.
    End(usize),
}

impl ContentReader {
    /// Reads `piece` and appends what it means to `out`, at most twice its length and four.
    /// After `Progress::End` the reader is as new.
    pub fn read(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Progress {
        let mut rest = piece;
        while let Some(&next) = rest.first() {
            let mut taken = 1;
            self.at = match (self.at, next) {
                (At::LineStart, b'.') => At::Dot,
                // RFC 5321 §4.5.2: the dot goes, whatever stands behind it.
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => {
                    *self = Self::default();
                    return Progress::End(piece.len() - rest.len() + 1);
                }
                (At::Cr, b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    At::LineStart
                }
                // The CR was a bare one. What follows it is no line start to us: a dot there is
                // a dot.
                (At::Cr | At::DotCr, _) => {
                    out.extend_from_slice(b"\r\n");
                    taken = 0;
                    At::Text
                }
                (At::LineStart | At::Dot | At::Text, _) => {
                    let (at, length) = self.text(rest, out);
                    taken = length;
                    at
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Progress::More
    }

    // Clean blocks are one copy.
    fn text(&mut self, rest: &[u8], out: &mut Vec<u8>) -> (At, usize) {
        if self.by_line == 0 {
            let clean = rest.get(..clean(rest)).unwrap_or_default();
            if !clean.is_empty() {
                out.extend_from_slice(clean);
                let is_start = clean.ends_with(b"\n");
                return (if is_start { At::LineStart } else { At::Text }, clean.len());
            }
            self.by_line = BLOCK;
        }
        let (at, length) = lines(rest.get(..self.by_line).unwrap_or(rest), out);
        self.by_line -= length;
        (at, length)
    }
}

/// What is looked at in one step. A search for line ends takes some nanoseconds for each, and there
/// are many; whether a block needs a look at all is told many bytes at a time.
const BLOCK: usize = 1_024;

// Reads within a line and on over line ends, up to what needs a look: a line that opens with a
// dot, a CR that may be half of a line end, the end of the piece.
fn lines(rest: &[u8], out: &mut Vec<u8>) -> (At, usize) {
    let mut from = 0;
    let mut ends = memchr::memchr2_iter(b'\r', b'\n', rest);
    while let Some(at) = ends.next() {
        match rest.get(at..).unwrap_or_default() {
            [b'\r', b'\n', b'.', ..] | [b'\r', b'\n'] => {
                copy(rest, from..at + 2, out);
                return (At::LineStart, at + 2);
            }
            [b'\r', b'\n', ..] => {
                // The LF of this pair.
                ends.next();
            }
            [b'\r'] => {
                copy(rest, from..at, out);
                return (At::Cr, at + 1);
            }
            _ => {
                copy(rest, from..at, out);
                out.extend_from_slice(b"\r\n");
                from = at + 1;
            }
        }
    }
    copy(rest, from..rest.len(), out);
    (At::Text, rest.len())
}

/// How much from the beginning is content as it stands, in whole blocks: each LF behind a CR, each
/// CR before an LF, no line opened by a dot. What the last byte is followed by is not lost.
fn clean(rest: &[u8]) -> usize {
    if rest.starts_with(b"\n") {
        return 0;
    }
    let followers = rest.get(1..).unwrap_or_default();
    let blocks = rest.chunks_exact(BLOCK).zip(followers.chunks_exact(BLOCK));
    let clean = blocks.take_while(|(bytes, followers)| is_clean(bytes, followers));
    let length = clean.count() * BLOCK;
    let ends_in_cr = rest
        .get(..length)
        .is_some_and(|clean| clean.ends_with(b"\r"));
    length - usize::from(ends_in_cr)
}

// Without an early end, so that it becomes a few instructions for many bytes.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte is what it is to be without"
)]
fn is_clean(bytes: &[u8], followers: &[u8]) -> bool {
    let wrong = |(byte, follower): (&u8, &u8)| {
        let unpaired = (*byte == b'\r') != (*follower == b'\n');
        unpaired | ((*byte == b'\n') & (*follower == b'.'))
    };
    let pairs = bytes.iter().zip(followers);
    !pairs.fold(false, |found, pair| found | wrong(pair))
}

fn copy(rest: &[u8], part: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(rest.get(part).unwrap_or_default());
}

#[cfg(test)]
mod tests;
