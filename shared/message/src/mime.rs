//! The MIME structure of a message (RFC 2046) as a flat list of parts: ranges of the raw bytes.
//! One pass without recursion, bounded in depth, parts and header size. Nothing is decoded here.

mod scanner;

use std::ops::Range;

use crate::MessageError;
use crate::field::Limits;
use crate::parameters::Parameters;
use crate::transfer::Encoding;

use scanner::Scanner;

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
    Scanner::new(raw, limits).run()
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
