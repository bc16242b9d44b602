//! Header fields as ranges of the raw message: our own splitter, so that no byte is lost.

use std::borrow::Cow;
use std::ops::Range;

use crate::MessageError;
use crate::lines::line_end;

/// How large one header block may be, of a message or of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In bytes.
    pub(crate) size: usize,
    pub(crate) fields: usize,
}

impl Limits {
    /// For what comes in.
    pub(crate) const INCOMING: Self = Self {
        size: 64 * 1024,
        fields: 500,
    };
    /// For what was let in: encoding makes it up to four times as long, and each stamp and
    /// signature adds fields. What was accepted once can always be sealed again.
    pub(crate) const OWN: Self = Self {
        size: 512 * 1024,
        fields: 1_000,
    };
}

/// One field: where it stands, its last CRLF included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// The name as written; empty where the line is none of ours to read (in parts only).
    pub(crate) name: &'a str,
    /// The whole field with all its lines and the last CRLF.
    pub(crate) raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Reads a field out of its lines; the name is empty where there is no legal one.
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        let name = memchr::memchr(b':', raw)
            .and_then(|colon| raw.get(..colon))
            .filter(|name| is_name(name))
            .and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default();
        Self { name, raw }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// What stands behind the colon, folds and all, without the last CRLF.
    pub(crate) fn value(&self) -> &'a [u8] {
        let value = self.raw.get(self.name.len() + 1..).unwrap_or_default();
        value.strip_suffix(b"\r\n").unwrap_or(value)
    }

    /// The value without folds (RFC 5322 §2.2.3) and without white space around it; bytes that
    /// are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        let value = unfold(self.value());
        String::from_utf8_lossy(value.trim_ascii()).into_owned()
    }
}

/// True for `field-name` of RFC 5322 §2.2: printable ASCII without the colon.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| matches!(b, b'!'..=b'9' | b';'..=b'~'))
}

/// Removes each CRLF that white space follows, RFC 5322 §2.2.3.
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(
        value
            .iter()
            .copied()
            .filter(|b| !matches!(b, b'\r' | b'\n'))
            .collect(),
    )
}

/// A message taken apart: the fields of its header and its body.
pub(crate) struct Split<'a> {
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) body: &'a [u8],
}

impl<'a> Split<'a> {
    pub(crate) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    pub(crate) fn first(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.is(name))
    }
}

/// Splits a normalised message that was let in.
pub(crate) fn split(raw: &[u8]) -> Result<Split<'_>, MessageError> {
    split_within(raw, Limits::OWN)
}

/// Splits a normalised message. Refuses what is not a header block and what is too large,
/// having looked at no more than the limits allow.
pub(crate) fn split_within(raw: &[u8], limits: Limits) -> Result<Split<'_>, MessageError> {
    let mut fields: Vec<Range<usize>> = Vec::with_capacity(24);
    let (mut at, mut line) = (0, 0);
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        line += 1;
        if rest.starts_with(b"\r\n") {
            at += 2;
            break;
        }
        let text = header_line(rest, limits.size)?;
        let end = at + text.len();
        if end > limits.size {
            return Err(MessageError::HeaderTooLarge { most: limits.size });
        }
        if memchr::memchr(0, text).is_some() {
            return Err(MessageError::Nul { line });
        }
        if text.starts_with(b" ") || text.starts_with(b"\t") {
            let folded = fields.last_mut();
            folded.ok_or(MessageError::NotAHeader { line })?.end = end;
        } else if Field::new(text).name.is_empty() {
            return Err(MessageError::NotAHeader { line });
        } else if fields.len() == limits.fields {
            let most = limits.fields;
            return Err(MessageError::TooManyFields { most });
        } else {
            fields.push(at..end);
        }
        at = end;
    }
    let fields = fields.into_iter().filter_map(|range| raw.get(range));
    Ok(Split {
        fields: fields.map(Field::new).collect(),
        body: raw.get(at..).unwrap_or_default(),
    })
}

/// The first line with its end, looked for no further than the header may reach.
fn header_line(rest: &[u8], most: usize) -> Result<&[u8], MessageError> {
    let window = rest.get(..most + 2).unwrap_or(rest);
    match line_end(window) {
        Some(end) => Ok(window.get(..end + 2).unwrap_or(window)),
        None if window.len() < rest.len() => Err(MessageError::HeaderTooLarge { most }),
        None => Ok(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &str) -> Vec<String> {
        split(raw.as_bytes())
            .unwrap()
            .fields
            .iter()
            .map(|f| f.name.to_owned())
            .collect()
    }

    #[test]
    fn a_message_is_split_at_its_first_empty_line() {
        let raw = "Subject: a\r\n b\r\nX-Y:z\r\n\r\nbody: no field\r\n";
        assert_eq!(names(raw), ["Subject", "X-Y"]);
        let split = split(raw.as_bytes()).unwrap();
        assert_eq!(split.body, b"body: no field\r\n");
        assert_eq!(split.fields[0].raw, b"Subject: a\r\n b\r\n");
        assert_eq!(split.fields[0].text(), "a b");
        assert_eq!(names("\r\nbody\r\n"), Vec::<String>::new());
        assert_eq!(names("Subject: only\r\n"), ["Subject"]);
    }

    #[test]
    fn what_is_no_header_is_refused_with_its_line() {
        for (raw, want) in [
            ("Hello\r\n", MessageError::NotAHeader { line: 1 }),
            (
                " folded: first\r\n\r\n",
                MessageError::NotAHeader { line: 1 },
            ),
            (
                "From ann Sat Jan 1\r\nTo: x\r\n\r\n",
                MessageError::NotAHeader { line: 1 },
            ),
            (
                "To: x\r\nno colon here\r\n\r\n",
                MessageError::NotAHeader { line: 2 },
            ),
            (
                "To: x\r\nSubject : y\r\n\r\n",
                MessageError::NotAHeader { line: 2 },
            ),
            ("To: x\r\n: y\r\n\r\n", MessageError::NotAHeader { line: 2 }),
            (
                "To: x\r\nSubject: a\0b\r\n\r\n",
                MessageError::Nul { line: 2 },
            ),
        ] {
            assert_eq!(split(raw.as_bytes()).err(), Some(want), "{raw:?}");
        }
    }

    #[test]
    fn floods_are_refused() {
        let many = "A: b\r\n".repeat(1_000_000);
        assert_eq!(
            split_within(many.as_bytes(), Limits::INCOMING).err(),
            Some(MessageError::TooManyFields { most: 500 })
        );
        let wide = format!("A: {}\r\n\r\n", "b".repeat(1_000_000));
        let large = Some(MessageError::HeaderTooLarge { most: 65_536 });
        assert_eq!(split_within(wide.as_bytes(), Limits::INCOMING).err(), large);
        let folded = format!("A: b\r\n{}\r\n", " c\r\n".repeat(300_000));
        assert_eq!(
            split_within(folded.as_bytes(), Limits::INCOMING).err(),
            large
        );
    }
}
