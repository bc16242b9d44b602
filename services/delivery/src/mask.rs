//! Texts of remotes as a log line may show them: on one line, and whoever is named in them only by
//! domain. Events have them in full: those are their tenant's.

/// The text with the part before each `@` replaced by `*`, and line ends by spaces.
pub(crate) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (place, part) in text.split('@').enumerate() {
        if place > 0 {
            shown.truncate(local_part(&shown));
            shown.push_str("*@");
        }
        shown.extend(part.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    shown
}

/// Where the local part begins that ends the text (RFC 5321 §4.1.2; remotes quote as they like, so
/// that all counts which is no space and encloses nothing).
fn local_part(text: &str) -> usize {
    if let Some(quoted) = text.strip_suffix('"') {
        return quoted.rfind('"').unwrap_or(0);
    }
    let ends = |c: char| c.is_whitespace() || "<>()[]{},;:'\"".contains(c);
    text.char_indices()
        .rfind(|(_, c)| ends(*c))
        .map_or(0, |(at, c)| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_by_their_domain() {
        for (given, want) in [
            (
                "550 5.1.1 <bob@example.org>: Recipient address rejected",
                "550 5.1.1 <*@example.org>: Recipient address rejected",
            ),
            (
                "no such user bob.smith+x@example.org",
                "no such user *@example.org",
            ),
            (
                "RCPT TO:<\"bob smith\"@example.org> no",
                "RCPT TO:<*@example.org> no",
            ),
            ("bob@a.test, ann@b.test", "*@a.test, *@b.test"),
            ("jürgen@büro.example", "*@büro.example"),
            ("a@b@c", "*@c"),
            ("@", "*@"),
            ("first\nsecond", "first second"),
            ("nobody here", "nobody here"),
            ("", ""),
        ] {
            assert_eq!(masked(given), want, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_local_part_is_left(text in "[ -~äß\n@<>\"]{0,60}") {
            let shown = masked(&text);
            proptest::prop_assert!(!shown.contains('\n'));
            let bare = |(at, _): (usize, &str)| !shown[..at].ends_with('*');
            proptest::prop_assert!(!shown.match_indices('@').any(bare), "{}", shown);
        }
    }
}
