//! The pass over the bytes: headers one after another, and the boundary lines between them.

use std::ops::Range;

use memchr::memmem;

use super::{DEPTH_MOST, Kind, PARTS_MOST, Part, Structure, default_media, kind};
use crate::MessageError;
use crate::field::{Field, Limits};
use crate::lines::line_end;
use crate::parameters::Parameters;
use crate::transfer::Encoding;

pub(super) struct Scanner<'a> {
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

impl<'a> Scanner<'a> {
    pub(super) fn new(raw: &'a [u8], limits: Limits) -> Self {
        Self {
            raw,
            limits,
            parts: vec![],
            between: vec![],
            open: vec![],
        }
    }

    pub(super) fn run(mut self) -> Result<Structure, MessageError> {
        let mut at = 0;
        loop {
            at = self.part(at)?;
            let current = self.parts.last();
            if current.is_some_and(|part| part.kind == Kind::Message) {
                continue;
            }
            match self.next_part(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(Structure {
            parts: self.parts,
            between: self.between,
        })
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
            let length = line_end(window).map_or(window.len(), |end| end + 2);
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
