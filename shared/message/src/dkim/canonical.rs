//! The relaxed forms of header fields and bodies (RFC 6376 §3.4.2, §3.4.4), fed to a hash piece
//! by piece without a copy of the body.

use std::ops::Range;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::memmem::Finder;

/// SHA-256 of the relaxed form of a body whose line ends are CRLF.
pub(crate) fn body_hash(body: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    relaxed_body(body, &mut |piece| context.update(piece));
    context.finish()
}

// What stands between two places that change is handed on in one piece.
fn relaxed_body(body: &[u8], out: &mut impl FnMut(&[u8])) {
    // Blank lines at the end are no part of it. Cut once, here: to ask at each blank line whether
    // a text follows takes for ever where there are millions.
    let body = trim_end(body, |b| is_wsp(b) || matches!(b, b'\r' | b'\n'));
    let mut changes = Changes::of(body);
    let mut at = 0;
    while let Some(white) = changes.next(at) {
        out(body.get(at..white.start).unwrap_or_default());
        at = white.end;
        let ends_line = body.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"));
        out(if ends_line { b"" } else { b" " });
    }
    out(body.get(at..).unwrap_or_default());
    out(if body.is_empty() { b"" } else { b"\r\n" });
}

/// White space that is not one space within a line. Three quick searches find it: most bodies
/// have a little or none.
struct Changes<'b> {
    body: &'b [u8],
    searches: [Search; 3],
}

/// The next place of something, from where it was last asked for; `None` where there is none.
struct Search {
    next: Option<usize>,
    find: Finder<'static>,
}

impl<'b> Changes<'b> {
    fn of(body: &'b [u8]) -> Self {
        let needles: [&[u8]; 3] = [b"\t", b"  ", b" \r\n"];
        let searches = needles.map(|needle| {
            let find = Finder::new(needle);
            let next = find.find(body);
            Search { next, find }
        });
        Self { body, searches }
    }

    /// The first whole run of it that begins at `from` or behind it, where none goes over `from`.
    fn next(&mut self, from: usize) -> Option<Range<usize>> {
        for search in &mut self.searches {
            if search.next.is_some_and(|next| next < from) {
                let rest = self.body.get(from..).unwrap_or_default();
                search.next = search.find.find(rest).map(|at| from + at);
            }
        }
        let found = self
            .searches
            .iter()
            .filter_map(|search| search.next)
            .min()?;
        let (before, behind) = self.body.split_at(found);
        let before = trim_end(before.get(from..).unwrap_or_default(), is_wsp);
        let white = behind.iter().take_while(|&&b| is_wsp(b)).count();
        Some(from + before.len()..found + white)
    }
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
