//! The MIME structure of a message (RFC 2046) as a flat list of parts: ranges of the raw bytes.
//! One pass without recursion, bounded in depth, parts and header size. Nothing is decoded here.

use std::ops::Range;

use memchr::memmem;

use crate::MessageError;
use crate::field::{Field, Limits};
use crate::parameters::Parameters;
use crate::transfer::Encoding;

/// Deepest nesting of multiparts and messages.
pub(crate) const DEPTH_MOST: usize = 50;
/// Most parts, containers counted.
pub(crate) const PARTS_MOST: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Content of its own.
    Leaf,
    /// Other parts between boundary lines.
    Multipart { boundary: String },
    /// A message/rfc822: one part follows, its header where the body begins.
    Message,
}

/// One part, the whole message being the first.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) parent: Option<usize>,
    pub(crate) kind: Kind,
    /// Each field with its last CRLF, in order.
    pub(crate) fields: Vec<Range<usize>>,
    /// Where the header's fields end: before the empty line, if there is one.
    pub(crate) header_end: usize,
    /// Without the CRLF that belongs to the next boundary line (RFC 2046 §5.1.1).
    pub(crate) body: Range<usize>,
    /// Content-Type; `text/plain` where none is given (RFC 2045 §5.2).
    pub(crate) media: Parameters,
    pub(crate) has_media: bool,
    pub(crate) disposition: Parameters,
    pub(crate) encoding: Encoding,
    /// The Content-Transfer-Encoding as written.
    pub(crate) encoding_word: String,
    pub(crate) content_id: Option<String>,
    /// True for a signed or encrypted multipart and all inside it: nothing may be changed there.
    pub(crate) is_sealed: bool,
}

impl Part {
    pub(crate) fn is_text(&self) -> bool {
        self.media.value.starts_with("text/") || self.media.value == "text"
    }

    pub(crate) fn filename(&self) -> Option<&str> {
        self.disposition
            .get("filename")
            .or_else(|| self.media.get("name"))
    }
}

/// The parts of a message and what lies between them.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(crate) parts: Vec<Part>,
    /// Preambles and epilogues: bytes of multiparts that belong to no part, and which part's.
    pub(crate) between: Vec<(usize, Range<usize>)>,
}

/// Finds the structure of a normalised message that was let in.
pub(crate) fn scan(raw: &[u8]) -> Result<Structure, MessageError> {
    scan_within(raw, Limits::OWN)
}

/// Finds the structure of a normalised message; the limits are for each header in it.
pub(crate) fn scan_within(raw: &[u8], limits: Limits) -> Result<Structure, MessageError> {
    let mut scanner = Scanner {
        raw,
        limits,
        parts: vec![],
        between: vec![],
        open: vec![],
    };
    let mut at = 0;
    loop {
        at = scanner.part(at)?;
        if scanner
            .current()
            .is_some_and(|part| part.kind == Kind::Message)
        {
            continue;
        }
        match scanner.next_part(at) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(Structure {
        parts: scanner.parts,
        between: scanner.between,
    })
}

struct Scanner<'a> {
    raw: &'a [u8],
    limits: Limits,
    parts: Vec<Part>,
    between: Vec<(usize, Range<usize>)>,
    /// The containers that are not closed yet, outermost first.
    open: Vec<usize>,
}

/// A boundary line.
struct Delimiter {
    line: Range<usize>,
    /// Its multipart's place in `open`.
    level: usize,
    closes: bool,
}

impl Scanner<'_> {
    fn current(&self) -> Option<&Part> {
        self.parts.last()
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        self.raw.get(range).unwrap_or_default()
    }

    // Reads the header at `at` and adds its part; returns where its body begins.
    fn part(&mut self, at: usize) -> Result<usize, MessageError> {
        if self.parts.len() == PARTS_MOST {
            return Err(MessageError::TooManyParts { most: PARTS_MOST });
        }
        let (fields, header_end, body) = self.header(at)?;
        let parent = self.open.last().copied();
        let part = self.describe(parent, fields, header_end, body);
        let opens = part.kind != Kind::Leaf;
        self.parts.push(part);
        if opens {
            if self.open.len() == DEPTH_MOST {
                return Err(MessageError::TooDeep { most: DEPTH_MOST });
            }
            self.open.push(self.parts.len() - 1);
        }
        Ok(body)
    }

    // The fields from `at` on, where they end, and where the body begins. A header also ends at
    // a boundary line. Lines that are no fields stay as they are.
    fn header(&self, start: usize) -> Result<(Vec<Range<usize>>, usize, usize), MessageError> {
        let (mut fields, mut at): (Vec<Range<usize>>, usize) = (vec![], start);
        loop {
            let rest = self.slice(at..self.raw.len());
            if rest.is_empty() || rest.starts_with(b"--") && self.delimiter(at).is_some() {
                return Ok((fields, at, at));
            }
            if rest.starts_with(b"\r\n") {
                return Ok((fields, at, at + 2));
            }
            let window = rest.get(..self.limits.size).unwrap_or(rest);
            let length = memmem::find(window, b"\r\n").map_or(window.len(), |end| end + 2);
            let end = at + length;
            if end - start > self.limits.size {
                return Err(MessageError::HeaderTooLarge {
                    most: self.limits.size,
                });
            }
            if memchr::memchr(0, self.slice(at..end)).is_some() {
                let before = self.slice(0..at);
                let line = memchr::memchr_iter(b'\n', before).count() + 1;
                return Err(MessageError::Nul { line });
            }
            let count = fields.len();
            match fields.last_mut() {
                Some(last) if rest.starts_with(b" ") || rest.starts_with(b"\t") => last.end = end,
                _ if count == self.limits.fields => {
                    return Err(MessageError::TooManyFields {
                        most: self.limits.fields,
                    });
                }
                _ => fields.push(at..end),
            }
            at = end;
        }
    }

    fn describe(
        &self,
        parent: Option<usize>,
        fields: Vec<Range<usize>>,
        header_end: usize,
        body: usize,
    ) -> Part {
        let text = |name: &str| {
            let all = fields
                .iter()
                .map(|range| Field::new(self.slice(range.clone())));
            all.into_iter()
                .find(|field| field.is(name))
                .map(|field| field.text())
        };
        let parent_part = parent.and_then(|parent| self.parts.get(parent));
        let given = text("Content-Type").filter(|value| !value.is_empty());
        let has_media = given.is_some();
        let media = given.map_or_else(
            || default_media(parent_part),
            |text| Parameters::parse(&text),
        );
        let encoding_word = text("Content-Transfer-Encoding").unwrap_or_default();
        let encoding = Encoding::parse(&encoding_word);
        let is_sealed = parent_part.is_some_and(|parent| parent.is_sealed)
            || matches!(
                media.value.as_str(),
                "multipart/signed" | "multipart/encrypted"
            );
        Part {
            parent,
            kind: kind(&media, encoding),
            header_end,
            body: body..self.raw.len(),
            has_media,
            disposition: Parameters::parse(&text("Content-Disposition").unwrap_or_default()),
            encoding,
            encoding_word,
            content_id: text("Content-ID").map(|id| id.trim_matches(['<', '>']).to_owned()),
            is_sealed,
            media,
            fields,
        }
    }

    // From a body on: closes what ends, and returns where the next part's header begins.
    fn next_part(&mut self, from: usize) -> Option<usize> {
        let mut at = from;
        // What a multipart holds before its first boundary line or behind its last.
        let last = self.parts.len().checked_sub(1)?;
        let mut loose =
            matches!(self.parts.get(last)?.kind, Kind::Multipart { .. }).then_some(last);
        loop {
            let delimiter = self.find_delimiter(at);
            let end = match &delimiter {
                // The CRLF before a boundary line is part of it.
                Some(found) => found.line.start.saturating_sub(2).max(at),
                None => self.raw.len(),
            };
            if let Some(owner) = loose
                && at < end
            {
                self.between.push((owner, at..end));
            }
            let found = delimiter?;
            let owner = self.open.get(found.level).copied()?;
            for (index, part) in self.parts.iter_mut().enumerate().skip(owner + 1) {
                // Only what is still open reaches to the end of the message.
                if part.body.end == self.raw.len() || index == last {
                    part.body.end = part.body.end.min(end.max(part.body.start));
                }
            }
            self.open.truncate(found.level + 1);
            if !found.closes {
                return Some(found.line.end);
            }
            self.open.pop();
            if let Some(part) = self.parts.get_mut(owner) {
                part.body.end = found.line.end;
            }
            loose = Some(owner);
            at = found.line.end;
        }
    }

    fn find_delimiter(&self, from: usize) -> Option<Delimiter> {
        if !self.open.iter().any(|&open| self.boundary(open).is_some()) {
            return None;
        }
        let start = from.saturating_sub(2);
        let rest = self.slice(start..self.raw.len());
        if start == from && rest.starts_with(b"--") {
            return self
                .delimiter(from)
                .or_else(|| self.find_delimiter_in(start, rest));
        }
        self.find_delimiter_in(start, rest)
    }

    fn find_delimiter_in(&self, start: usize, rest: &[u8]) -> Option<Delimiter> {
        memmem::find_iter(rest, b"\r\n--").find_map(|at| self.delimiter(start + at + 2))
    }

    // The line at `at` as a boundary line of an open multipart, the innermost first.
    fn delimiter(&self, at: usize) -> Option<Delimiter> {
        let rest = self.slice(at + 2..self.raw.len());
        for (level, &open) in self.open.iter().enumerate().rev() {
            let Some(after) = self.boundary(open).and_then(|b| rest.strip_prefix(b)) else {
                continue;
            };
            let closing = after.strip_prefix(b"--");
            let padding = closing.unwrap_or(after);
            // Transport padding, RFC 2046 §5.1.1.
            let blank = padding
                .iter()
                .take_while(|b| matches!(b, b' ' | b'\t'))
                .count();
            let behind = padding.get(blank..).unwrap_or_default();
            if behind.is_empty() || behind.starts_with(b"\r\n") {
                let end = self.raw.len() - behind.len() + behind.len().min(2);
                return Some(Delimiter {
                    line: at..end,
                    level,
                    closes: closing.is_some(),
                });
            }
        }
        None
    }

    fn boundary(&self, part: usize) -> Option<&[u8]> {
        match &self.parts.get(part)?.kind {
            Kind::Multipart { boundary } => Some(boundary.as_bytes()),
            Kind::Leaf | Kind::Message => None,
        }
    }
}

// RFC 2046 §5.1.5: in a digest a part without a type is a message.
fn default_media(parent: Option<&Part>) -> Parameters {
    let digest = parent.is_some_and(|parent| parent.media.value == "multipart/digest");
    let value = if digest {
        "message/rfc822"
    } else {
        "text/plain"
    };
    Parameters {
        value: value.to_owned(),
        list: vec![],
    }
}

fn kind(media: &Parameters, encoding: Encoding) -> Kind {
    let boundary = media
        .get("boundary")
        .map(str::trim_end)
        .filter(|text| !text.is_empty());
    match boundary {
        Some(boundary) if media.value.starts_with("multipart/") => Kind::Multipart {
            boundary: boundary.to_owned(),
        },
        // RFC 2046 §5.2.1 forbids an encoding here; one that is encoded all the same is opaque.
        _ if media.value == "message/rfc822" && encoding == Encoding::Identity => Kind::Message,
        _ => Kind::Leaf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(raw: &str) -> Vec<(String, String)> {
        let found = scan(raw.as_bytes()).unwrap();
        let body = |part: &Part| raw.get(part.body.clone()).unwrap().to_owned();
        found
            .parts
            .iter()
            .map(|part| (part.media.value.clone(), body(part)))
            .collect()
    }

    #[test]
    fn parts_are_found_with_their_exact_bodies() {
        let raw = "Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\npreamble\r\n--x\r\n\r\none\r\n\r\n--x\r\n\
                   Content-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/html\r\n\r\ntwo\r\n--xx--  \r\n\
                   --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nthree\r\n--x--\r\nepilogue\r\n";
        let found = shape(raw);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "multipart/mixed",
                "text/plain",
                "multipart/alternative",
                "text/html",
                "message/rfc822",
                "text/plain"
            ]
        );
        assert_eq!(found[1].1, "one\r\n");
        assert_eq!(found[3].1, "two");
        assert_eq!(found[4].1, "Subject: in\r\n\r\nthree");
        assert_eq!(found[5].1, "three");
        let scanned = scan(raw.as_bytes()).unwrap();
        let between: Vec<_> = scanned
            .between
            .iter()
            .map(|(part, range)| (*part, &raw[range.clone()]))
            .collect();
        assert_eq!(between, [(0, "preamble"), (0, "epilogue\r\n")]);
        assert_eq!(scanned.parts[5].parent, Some(4));
    }

    #[test]
    fn an_outer_boundary_ends_what_is_inside() {
        let raw = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
                   --b\r\n\r\nin\r\n--a\r\n\r\nout\r\n--abc\r\n";
        let found = shape(raw);
        assert_eq!(found[2].1, "in");
        assert_eq!(found[3].1, "out\r\n--abc\r\n");
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let level =
            |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
        let nested = (0..10_000).map(level).collect::<Vec<_>>().concat();
        assert_eq!(
            scan(nested.as_bytes()).err(),
            Some(MessageError::TooDeep { most: 50 })
        );
        let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
        assert_eq!(
            scan(messages.as_bytes()).err(),
            Some(MessageError::TooDeep { most: 50 })
        );
        let flat = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(2_000)
        );
        assert_eq!(
            scan(flat.as_bytes()).err(),
            Some(MessageError::TooManyParts { most: 1_000 })
        );
        let wide = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{}",
            "A: b\r\n".repeat(9_000)
        );
        assert_eq!(
            scan_within(wide.as_bytes(), Limits::INCOMING).err(),
            Some(MessageError::TooManyFields { most: 500 })
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_scanner(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: multipart/signed; boundary=b\r\n",
            "Content-Type: message/rfc822\r\n", "\r\n", "--a", "--b", "--", "x", " ", ":"]), 0..40)) {
            let raw = pieces.concat();
            let found = scan(raw.as_bytes()).unwrap();
            for part in &found.parts {
                proptest::prop_assert!(part.header_end <= part.body.start);
                proptest::prop_assert!(part.body.start <= part.body.end && part.body.end <= raw.len());
            }
        }
    }
}
