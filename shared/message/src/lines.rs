//! Line ends: every message is brought to CRLF once, before anything else looks at it.

/// Longest line without its CRLF, in bytes (RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6).
pub(crate) const LINE_MOST: usize = 998;

/// Brings all line ends to CRLF: a bare CR and a bare LF count as one line end each, and the
/// result ends in CRLF. What is clean already is returned as it came, without a copy.
pub fn normalise(raw: Vec<u8>) -> Vec<u8> {
    if is_normal(&raw) {
        return raw;
    }
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32 + 2);
    let mut rest = raw.as_slice();
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, end) = rest.split_at(at);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = end
            .strip_prefix(b"\r\n")
            .or_else(|| end.get(1..))
            .unwrap_or_default();
    }
    out.extend_from_slice(rest);
    if !rest.is_empty() || out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// True where each CR stands before an LF, each LF behind a CR, and the end is CRLF.
pub(crate) fn is_normal(raw: &[u8]) -> bool {
    let ends_well = raw.ends_with(b"\r\n") && !raw.starts_with(b"\n");
    // Each byte is a CR exactly where its follower is an LF. Pairs are looked at many at a time:
    // to search for line ends costs some nanoseconds for each line, and there are many.
    let followers = raw.get(1..).unwrap_or_default();
    let mut blocks = raw.chunks(BLOCK).zip(followers.chunks(BLOCK));
    ends_well && blocks.all(|(bytes, followers)| are_paired(bytes, followers))
}

const BLOCK: usize = 4_096;

// Without an early end, so that it becomes a few instructions for each 32 bytes.
fn are_paired(bytes: &[u8], followers: &[u8]) -> bool {
    let pairs = bytes.iter().zip(followers);
    let wrong = |(byte, follower): (&u8, &u8)| (*byte == b'\r') != (*follower == b'\n');
    !pairs.fold(false, |found, pair| found | wrong(pair))
}

/// The lines of a text whose line ends are CRLF, without them. A text that ends in CRLF has no
/// empty last line.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = text.split_at(line_end(text).unwrap_or(text.len()));
        rest = after
            .strip_prefix(b"\r\n")
            .filter(|after| !after.is_empty());
        Some(line)
    })
}

/// Where the first CRLF stands. A search for one byte: lines are short, and one for two bytes costs
/// more to set up than it takes.
pub(crate) fn line_end(text: &[u8]) -> Option<usize> {
    let ends = memchr::memchr_iter(b'\n', text);
    let mut ends = ends.filter_map(|at| at.checked_sub(1));
    ends.find(|&at| text.get(at) == Some(&b'\r'))
}

/// True where a line is longer than `LINE_MOST`.
pub(crate) fn has_long_line(text: &[u8]) -> bool {
    let mut rest = text;
    while rest.len() > LINE_MOST {
        // A longest line and its CRLF. All lines that end in there are short enough.
        let window = rest.get(..LINE_MOST + 2).unwrap_or(rest);
        match memchr::memrchr(b'\n', window) {
            Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_becomes_crlf() {
        for (given, want) in [
            ("", "\r\n"),
            ("a", "a\r\n"),
            ("a\nb", "a\r\nb\r\n"),
            ("a\rb\r", "a\r\nb\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\r\r\nb\n\r", "a\r\n\r\nb\r\n\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("a\r\n.\nb", "a\r\n.\r\nb\r\n"),
        ] {
            let got = normalise(given.as_bytes().to_vec());
            assert_eq!(String::from_utf8(got).unwrap(), want, "{given:?}");
        }
    }

    #[test]
    fn what_is_clean_is_not_copied() {
        let raw = b"Subject: x\r\n\r\nbody\r\n".to_vec();
        let before = raw.as_ptr();
        let after = normalise(raw);
        assert_eq!(after.as_ptr(), before);
    }

    #[test]
    fn long_lines_are_counted_without_their_end() {
        for (length, want) in [(998, false), (999, true)] {
            let mut text = vec![b'a'; length];
            assert_eq!(has_long_line(&text), want, "{length} without an end");
            text.extend_from_slice(b"\r\nb\r\n");
            assert_eq!(has_long_line(&text), want, "{length}");
        }
    }

    fn by_the_letter(raw: &[u8]) -> bool {
        let text: Vec<_> = raw.iter().map(|&b| char::from(b)).collect();
        let bare = text.iter().collect::<String>().replace("\r\n", "");
        raw.ends_with(b"\r\n") && !bare.contains(['\r', '\n'])
    }

    fn longest(text: &[u8]) -> usize {
        let lines = text.split(|&b| b == b'\n');
        let lengths = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len());
        lengths.max().unwrap_or_default()
    }

    #[test]
    fn a_line_end_is_seen_whole_wherever_blocks_are_cut() {
        for before in BLOCK - 3..BLOCK + 3 {
            for (end, want) in [
                ("\r\n", true),
                ("\r", false),
                ("\n", false),
                ("\n\r", false),
            ] {
                let text = [&"x".repeat(before), end, "y\r\n"].concat();
                assert_eq!(is_normal(text.as_bytes()), want, "{end:?} after {before}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_normal_is_so_by_the_letter(raw in proptest::collection::vec(
            proptest::sample::select(b"\r\na".as_slice()), 0..12)) {
            proptest::prop_assert_eq!(is_normal(&raw), by_the_letter(&raw));
        }

        #[test]
        fn the_longest_line_decides(lengths in proptest::collection::vec(
            proptest::prop_oneof![0..4_usize, 990..1_004_usize], 0..5), ends in proptest::arbitrary::any::<bool>()) {
            let lines = lengths.iter().map(|length| "x".repeat(*length));
            let mut text = lines.collect::<Vec<_>>().join("\r\n");
            if ends { text.push_str("\r\n"); }
            proptest::prop_assert_eq!(has_long_line(text.as_bytes()), longest(text.as_bytes()) > LINE_MOST);
        }

        #[test]
        fn normalising_twice_changes_nothing(raw in proptest::collection::vec(
            proptest::prop_oneof![proptest::strategy::Just(b'\r'), proptest::strategy::Just(b'\n'), proptest::arbitrary::any::<u8>()], 0..60)) {
            let once = normalise(raw);
            proptest::prop_assert!(is_normal(&once));
            proptest::prop_assert_eq!(normalise(once.clone()), once);
        }
    }
}
