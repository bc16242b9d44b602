//! Bodies brought to 7-bit (RFC 6152 §3) as a list of edits: a leaf that needs it is encoded,
//! its Content-Transfer-Encoding follows, and every other byte stays where it is.

use std::borrow::Cow;
use std::ops::Range;

use super::clean::clean;
use crate::MessageError;
use crate::field::Field;
use crate::lines::{LINE_MOST, has_long_line};
use crate::mime::{Kind, Part, Structure};
use crate::transfer::{Encoding, encode_base64, encode_quoted_printable};

/// New bytes for a range of the old ones.
struct Edit {
    range: Range<usize>,
    bytes: Vec<u8>,
}

/// All edits of a message.
#[derive(Default)]
pub(crate) struct Edits(Vec<Edit>);

impl Edits {
    /// How much longer the message becomes at most.
    pub(crate) fn added(&self) -> usize {
        self.0.iter().map(|edit| edit.bytes.len()).sum()
    }

    /// What stands for the field that begins at `start`.
    pub(crate) fn field(&self, start: usize) -> Option<&[u8]> {
        let edit = self
            .0
            .iter()
            .find(|edit| edit.range.start == start && !edit.range.is_empty());
        edit.map(|edit| edit.bytes.as_slice())
    }

    /// What is put in at `at`.
    pub(crate) fn inserted(&self, at: usize) -> impl Iterator<Item = &[u8]> {
        let here = move |edit: &&Edit| edit.range.start == at && edit.range.is_empty();
        self.0.iter().filter(here).map(|edit| edit.bytes.as_slice())
    }

    /// Copies `raw` from `start` on, edited.
    pub(crate) fn apply(mut self, raw: &[u8], start: usize, out: &mut Vec<u8>) {
        self.0.retain(|edit| edit.range.start >= start);
        self.0
            .sort_by_key(|edit| (edit.range.start, edit.range.end));
        let mut at = start;
        for edit in self.0 {
            out.extend_from_slice(raw.get(at..edit.range.start).unwrap_or_default());
            out.extend_from_slice(&edit.bytes);
            at = edit.range.end;
        }
        out.extend_from_slice(raw.get(at..).unwrap_or_default());
    }

    fn put(&mut self, range: Range<usize>, bytes: Vec<u8>) {
        self.0.push(Edit { range, bytes });
    }

    fn transfer_encoding(&mut self, raw: &[u8], part: &Part, word: &str) {
        let bytes = format!("Content-Transfer-Encoding: {word}\r\n").into_bytes();
        let known = field_range(raw, part, "Content-Transfer-Encoding");
        self.put(known.unwrap_or(part.header_end..part.header_end), bytes);
    }
}

fn field_range(raw: &[u8], part: &Part, name: &str) -> Option<Range<usize>> {
    let is =
        |range: &&Range<usize>| Field::new(raw.get((*range).clone()).unwrap_or_default()).is(name);
    part.fields.iter().find(is).cloned()
}

/// What must change for the message to be 7-bit with lines of at most 998 bytes. The fields of
/// the message's own header are left to the caller, but for what its body asks of them.
pub(crate) fn edits(raw: &[u8], structure: &Structure) -> Result<Edits, MessageError> {
    let mut edits = Edits::default();
    let all_clean = !is_dirty(raw);
    for part in &structure.parts {
        let parent = part.parent.and_then(|parent| structure.parts.get(parent));
        let is_inside_sealed = parent.is_some_and(|parent| parent.is_sealed);
        if is_inside_sealed {
            if !all_clean && sealed_is_dirty(raw, part) {
                return Err(MessageError::Sealed);
            }
            continue;
        }
        if !all_clean && parent.is_some() {
            part_header(raw, part, &mut edits)?;
        }
        let body = raw.get(part.body.clone()).unwrap_or_default();
        if !all_clean && part.kind == Kind::Leaf && is_dirty(body) {
            leaf(raw, part, body, &mut edits)?;
        } else if matches!(
            part.encoding_word.trim().to_ascii_lowercase().as_str(),
            "8bit" | "binary"
        ) {
            // What is clean says so: else a host on the way may convert it and break our
            // signature. Containers are clean once their leaves are.
            edits.transfer_encoding(raw, part, "7bit");
        }
    }
    if !all_clean {
        between(raw, structure, &mut edits)?;
    }
    Ok(edits)
}

// RFC 2045 §2.7: 7-bit data has no NUL either.
fn is_dirty(text: &[u8]) -> bool {
    !text.is_ascii() || memchr::memchr(0, text).is_some() || has_long_line(text)
}

fn sealed_is_dirty(raw: &[u8], part: &Part) -> bool {
    let header = part
        .fields
        .first()
        .map_or(part.header_end, |field| field.start);
    let end = if part.kind == Kind::Leaf {
        part.body.end
    } else {
        part.header_end
    };
    is_dirty(raw.get(header..end).unwrap_or_default())
}

fn part_header(raw: &[u8], part: &Part, edits: &mut Edits) -> Result<(), MessageError> {
    for range in &part.fields {
        let field = Field::new(raw.get(range.clone()).unwrap_or_default());
        if let Cow::Owned(bytes) = clean(&field)? {
            edits.put(range.clone(), bytes);
        }
    }
    Ok(())
}

fn leaf(raw: &[u8], part: &Part, body: &[u8], edits: &mut Edits) -> Result<(), MessageError> {
    let refused = || MessageError::Encoding {
        encoding: part.encoding_word.clone(),
    };
    match (part.media.value.as_str(), part.encoding) {
        (media, _) if media.starts_with("multipart/") => return Err(MessageError::NoBoundary),
        // RFC 2046 §5.2.2 and §5.2.3: these are 7bit and nothing else.
        ("message/partial" | "message/external-body", _) => return Err(refused()),
        (_, Encoding::Unknown) => return Err(refused()),
        _ => {}
    }
    let content = part.encoding.decode(body);
    let encoding = match part.encoding {
        Encoding::Identity => choose(part, &content),
        encoding => encoding,
    };
    let mut encoded = match encoding {
        Encoding::QuotedPrintable => encode_quoted_printable(&content),
        _ => encode_base64(&content),
    };
    // Inside a multipart the next boundary line brings the line end.
    if encoding == Encoding::Base64 && part.body.end < raw.len() {
        encoded.truncate(encoded.len().saturating_sub(2));
    }
    edits.put(part.body.clone(), encoded);
    if encoding != part.encoding {
        charset(raw, part, body, edits);
        edits.transfer_encoding(raw, part, encoding.as_str());
    }
    Ok(())
}

fn choose(part: &Part, content: &[u8]) -> Encoding {
    let escaped = content
        .iter()
        .filter(|&&b| !b.is_ascii() || b == b'=' || b == 0)
        .count();
    let readable = part.is_text() || part.media.value.starts_with("message/");
    if readable && escaped * 6 <= content.len().max(60) {
        Encoding::QuotedPrintable
    } else {
        Encoding::Base64
    }
}

// 8-bit text that names no charset, and is UTF-8: readers guess less once it is encoded.
fn charset(raw: &[u8], part: &Part, body: &[u8], edits: &mut Edits) {
    let is_plain_utf8 = part.is_text()
        && part.media.get("charset").is_none()
        && !body.is_ascii()
        && std::str::from_utf8(body).is_ok();
    if !is_plain_utf8 {
        return;
    }
    if !part.has_media {
        let field = b"Content-Type: text/plain; charset=utf-8\r\n".to_vec();
        edits.put(part.header_end..part.header_end, field);
        return;
    }
    let Some(range) = field_range(raw, part, "Content-Type") else {
        return;
    };
    let mut media = part.media.clone();
    media.list.push(("charset".to_owned(), "utf-8".to_owned()));
    edits.0.retain(|edit| edit.range != range);
    edits.put(range, media.print("Content-Type").into_bytes());
}

// What stands between parts is shown to nobody (RFC 2046 §5.1.1) and cannot be encoded.
fn between(raw: &[u8], structure: &Structure, edits: &mut Edits) -> Result<(), MessageError> {
    for (owner, range) in &structure.between {
        let text = raw.get(range.clone()).unwrap_or_default();
        if !is_dirty(text) {
            continue;
        }
        let parent = structure.parts.get(*owner).and_then(|part| part.parent);
        if parent
            .and_then(|parent| structure.parts.get(parent))
            .is_some_and(|part| part.is_sealed)
        {
            return Err(MessageError::Sealed);
        }
        // A multipart in which no part was ever found is not understood: it is not touched.
        if !structure
            .parts
            .iter()
            .any(|part| part.parent == Some(*owner))
        {
            return Err(MessageError::NoBoundary);
        }
        let mut ascii = Vec::with_capacity(text.len() + 2);
        for line in text.split_inclusive(|&b| b == b'\n') {
            for (at, piece) in line.chunks(LINE_MOST).enumerate() {
                if at > 0 && piece.first().is_some_and(|b| !matches!(b, b'\r' | b'\n')) {
                    ascii.extend_from_slice(b"\r\n");
                }
                ascii.extend(
                    piece
                        .iter()
                        .map(|&b| if b.is_ascii() && b != 0 { b } else { b'?' }),
                );
            }
        }
        edits.put(range.clone(), ascii);
    }
    Ok(())
}
