//! Header fields of old programs: raw 8-bit text in a charset that no field names (RFC 5322 §2.2
//! forbids it, and thirty years of software send it).

use std::ops::Range;

use crate::MessageError;
use crate::field::Limits;
use crate::lines::lines;
use crate::mime::{Part, Structure, scan_within};
use crate::words::decode_charset;

/// What is taken where the message names no charset: by far the most common one.
const FALLBACK: &str = "windows-1252";
/// Every charset that can stand in a raw header field has these characters where ASCII has them.
const ASCII: &str = "Az09 !\"#$%&'()*+,-./:;<=>?@[]_{}";

/// Brings the header fields of a normalised message, those of its parts too, to UTF-8: from the
/// charset that the part or the message names, else from Windows-1252. A message that is UTF-8 is
/// returned as it came. Bodies are not touched, nor what stands under a signature of its own.
pub fn legible(raw: Vec<u8>) -> Result<Vec<u8>, MessageError> {
    if std::str::from_utf8(&raw).is_ok() {
        return Ok(raw);
    }
    let structure = scan_within(&raw, Limits::INCOMING)?;
    let mut out = Vec::with_capacity(raw.len() + 1_024);
    let mut at = 0;
    for (field, charset) in old_fields(&raw, &structure) {
        out.extend_from_slice(raw.get(at..field.start).unwrap_or_default());
        decode(
            raw.get(field.clone()).unwrap_or_default(),
            charset,
            &mut out,
        );
        at = field.end;
    }
    if at == 0 {
        return Ok(raw);
    }
    out.extend_from_slice(raw.get(at..).unwrap_or_default());
    Ok(out)
}

// In the order in which they stand.
fn old_fields<'a>(raw: &[u8], structure: &'a Structure) -> Vec<(Range<usize>, &'a str)> {
    let all = structure.parts.iter().find_map(charset).unwrap_or(FALLBACK);
    let is_open = |part: &&Part| {
        let parent = part.parent.and_then(|parent| structure.parts.get(parent));
        parent.is_none_or(|parent| !parent.is_sealed)
    };
    let is_old = |range: &Range<usize>| {
        std::str::from_utf8(raw.get(range.clone()).unwrap_or_default()).is_err()
    };
    let mut found = vec![];
    for part in structure.parts.iter().filter(is_open) {
        let charset = charset(part).unwrap_or(all);
        let old = part.fields.iter().filter(|range| is_old(range));
        found.extend(old.map(|range| (range.clone(), charset)));
    }
    found
}

// UTF-8 it is not, whatever is said; and UTF-16 or UTF-7 would make other characters, line ends
// among them, of what every reader takes for ASCII.
fn charset(part: &Part) -> Option<&str> {
    let named = part.media.get("charset")?;
    let says_utf8 = ["utf-8", "utf8"]
        .iter()
        .any(|utf8| utf8.eq_ignore_ascii_case(named));
    let is_wider_ascii = decode_charset(named, ASCII.as_bytes()) == ASCII;
    // An unknown one is read as UTF-8.
    let reads_more = decode_charset(named, &[0xe9, 0x41]) != "\u{fffd}A";
    (!says_utf8 && is_wider_ascii && reads_more).then_some(named)
}

fn decode(field: &[u8], charset: &str, out: &mut Vec<u8>) {
    for line in lines(field) {
        if let Ok(text) = std::str::from_utf8(line) {
            out.extend_from_slice(text.as_bytes());
        } else {
            let text = decode_charset(charset, line);
            let text = text.replace(|c: char| c.is_control() && c != '\t', " ");
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{header_value, normalise, read};

    #[test]
    fn old_header_fields_are_read_in_the_charset_that_the_message_names() {
        for (charset, bytes, want) in [
            ("", &b"caf\xe9 \x80"[..], "café €"),
            ("; charset=iso-8859-2", b"\xb3", "ł"),
            ("; charset=\"Windows-1251\"", b"\xcf\xf0\xe8", "При"),
            ("; charset=utf-8", b"caf\xe9", "café"),
            ("; charset=utf-16", b"caf\xe9", "café"),
            ("; charset=utf-7", b"caf\xe9", "café"),
            ("; charset=nonsense", b"caf\xe9", "café"),
        ] {
            let start = format!("Content-Type: text/plain{charset}\r\nFrom: ");
            let raw = [
                start.as_bytes(),
                bytes,
                b" <jo@a.example>\r\nSubject: ",
                bytes,
                b"\r\n\r\n\xe9\r\n",
            ]
            .concat();
            let got = legible(normalise(raw)).unwrap();
            assert_eq!(
                header_value(&got, "Subject").as_deref(),
                Some(want),
                "{charset}"
            );
            assert_eq!(
                read(&got).unwrap().from[0].name.as_deref(),
                Some(want),
                "{charset}"
            );
            assert!(got.ends_with(b"\r\n\r\n\xe9\r\n"), "{charset}");
        }
    }

    #[test]
    fn parts_are_read_alike_and_what_is_signed_stays() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\r\nSubject: a\r\n\r\n--b\r\n\
            Content-Type: application/pdf;\r\n name=\"R\xe9sum\xe9.pdf\"\r\n\r\nx\xe9\r\n--b--\r\n";
        let got = read(&legible(raw.to_vec()).unwrap()).unwrap();
        assert_eq!(got.attachments[0].filename, "Résumé.pdf");
        let signed = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nX: \xe9\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(legible(signed.to_vec()).unwrap(), signed);
        let fine = b"Subject: a\r\n\r\n\xe9\r\n";
        assert_eq!(legible(fine.to_vec()).unwrap(), fine);
    }

    proptest::proptest! {
        #[test]
        fn every_header_becomes_utf_8_and_adds_no_line(raw in proptest::collection::vec(
            proptest::prop_oneof![proptest::sample::select(b"a: \r\n".to_vec()), proptest::arbitrary::any::<u8>()], 0..200)) {
            let raw = normalise(raw);
            if let Ok(got) = legible(raw.clone()) {
                let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
                proptest::prop_assert_eq!(count(&got), count(&raw));
                proptest::prop_assert!(crate::lines::is_normal(&got));
            }
        }
    }
}
