//! The relaxed forms of header fields and bodies (RFC 6376 §3.4.2, §3.4.4), fed to a hash piece
//! by piece without a copy of the body.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::{memchr, memchr2, memmem};

/// SHA-256 of the relaxed form of a body whose line ends are CRLF.
pub(crate) fn body_hash(body: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    if is_relaxed(body) {
        let text = without_blank_lines(body);
        context.update(text);
        context.update(if text.is_empty() { b"" } else { b"\r\n" });
    } else {
        relaxed_body(body, &mut |piece| context.update(piece));
    }
    context.finish()
}

// True where only blank lines at the end part a body from its relaxed form: most bodies, and
// three quick searches tell.
fn is_relaxed(body: &[u8]) -> bool {
    body.ends_with(b"\r\n")
        && memchr(b'\t', body).is_none()
        && memmem::find(body, b"  ").is_none()
        && memmem::find(body, b" \r\n").is_none()
}

fn without_blank_lines(body: &[u8]) -> &[u8] {
    let mut text = body;
    while let Some(shorter) = text.strip_suffix(b"\r\n") {
        text = shorter;
    }
    text
}

// Lines that are in their relaxed form already are handed on together, as one run.
fn relaxed_body(body: &[u8], out: &mut impl FnMut(&[u8])) {
    // Blank lines at the end are no part of it. Cut once, here: to ask at each blank line whether
    // a text follows takes for ever where there are millions.
    let body = trim_end(body, |b| is_wsp(b) || matches!(b, b'\r' | b'\n'));
    let (mut run, mut at) = (0..0, 0);
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let whole = rest.get(..length).unwrap_or_default();
        let line = whole.strip_suffix(b"\r\n").unwrap_or(whole);
        let trimmed = trim_end(line, is_wsp);
        let ends = line.len() + 2 == whole.len();
        if ends && trimmed.len() == line.len() && is_compressed(line) {
            if run.end != at {
                out(body.get(run).unwrap_or_default());
                run = at..at;
            }
            run.end = at + length;
        } else {
            out(body.get(run).unwrap_or_default());
            run = at + length..at + length;
            compressed(trimmed, out);
            out(b"\r\n");
        }
        at += length;
    }
    out(body.get(run).unwrap_or_default());
}

fn is_wsp(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

fn trim_end(text: &[u8], is_space: impl Fn(u8) -> bool) -> &[u8] {
    let end = text
        .iter()
        .rposition(|&b| !is_space(b))
        .map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

// True where each run of white space is one space.
fn is_compressed(line: &[u8]) -> bool {
    let mut rest = line;
    while let Some(at) = memchr2(b' ', b'\t', rest) {
        let two = (rest.get(at).copied(), rest.get(at + 1).copied());
        if two.0 == Some(b'\t') || two.1.is_some_and(is_wsp) {
            return false;
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    true
}

// Each run of white space as one space.
fn compressed(line: &[u8], out: &mut impl FnMut(&[u8])) {
    let mut rest = line;
    while let Some(at) = memchr2(b' ', b'\t', rest) {
        let (word, spaces) = rest.split_at(at);
        out(word);
        out(b" ");
        let end = spaces
            .iter()
            .position(|&b| !is_wsp(b))
            .unwrap_or(spaces.len());
        rest = spaces.get(end..).unwrap_or_default();
    }
    out(rest);
}

/// The relaxed form of one field without its line end: name in lowercase, value unfolded, white
/// space compressed, none around the colon or at the end.
pub(crate) fn relaxed_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.bytes().map(|b| b.to_ascii_lowercase()));
    out.push(b':');
    let start = out.len();
    let mut space = false;
    for &b in value {
        match b {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => space = true,
            b => {
                if std::mem::take(&mut space) && out.len() > start {
                    out.push(b' ');
                }
                out.push(b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relaxed(body: &[u8]) -> String {
        let mut all = Vec::new();
        relaxed_body(body, &mut |piece| all.extend_from_slice(piece));
        String::from_utf8(all).unwrap()
    }

    // Line by line, as RFC 6376 §3.4.4 is written.
    fn by_the_letter(body: &str) -> String {
        let mut lines: Vec<String> = body
            .strip_suffix("\r\n")
            .unwrap_or(body)
            .split("\r\n")
            .map(|line| {
                let mut out = String::new();
                for c in line.trim_end_matches([' ', '\t']).chars() {
                    match c {
                        ' ' | '\t' if out.ends_with(' ') => {}
                        ' ' | '\t' => out.push(' '),
                        c => out.push(c),
                    }
                }
                out
            })
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
            .iter()
            .flat_map(|line| [line.as_str(), "\r\n"])
            .collect()
    }

    #[test]
    fn bodies_take_their_relaxed_form() {
        for (given, want) in [
            ("", ""),
            ("\r\n", ""),
            (" \t\r\n\r\n", ""),
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("a\r\n \r\n\t\r\n", "a\r\n"),
            ("a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"),
            ("a\r\n \r\nb", "a\r\n\r\nb\r\n"),
        ] {
            assert_eq!(relaxed(given.as_bytes()), want, "{given:?}");
            assert_eq!(by_the_letter(given), want, "{given:?}");
        }
    }

    #[test]
    fn the_hash_of_an_empty_body_is_the_one_of_the_rfc() {
        // RFC 6376 §3.4.4.
        use base64::Engine as _;
        let hash = crate::words::BASE64.encode(body_hash(b"\r\n"));
        assert_eq!(hash, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn fields_take_their_relaxed_form() {
        let mut out = vec![];
        // RFC 6376 §3.4.5.
        relaxed_field("A", b" X\r\n", &mut out);
        out.push(b'|');
        relaxed_field("B ".trim(), b" Y\t\r\n\tZ  \r\n", &mut out);
        assert_eq!(out, b"a:X|b:Y Z");
    }

    #[test]
    fn blank_lines_in_their_millions_are_read_once() {
        // Four steps for each byte would still be quick; one for each pair of lines would not end.
        let body = ["\t\r\na\r\n", &"\r\n".repeat(4_000_000), "b\r\n"].concat();
        let mut length = 0;
        relaxed_body(body.as_bytes(), &mut |piece| length += piece.len());
        assert_eq!(length, body.len() - 1);
    }

    proptest::proptest! {
        #[test]
        fn runs_give_what_the_letter_gives(pieces in proptest::collection::vec(
            proptest::sample::select(vec!["a", " ", "\t", "\r\n", "\r\n\r\n", "bc", "."]), 0..40)) {
            let body = pieces.concat();
            let want = by_the_letter(&body);
            proptest::prop_assert_eq!(relaxed(body.as_bytes()), want.as_str());
            let ours = body_hash(body.as_bytes());
            let hash = aws_lc_rs::digest::digest(&SHA256, want.as_bytes());
            proptest::prop_assert_eq!(ours.as_ref(), hash.as_ref());
        }
    }
}
