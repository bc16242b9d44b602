//! Reads `FROM:<…>` and `TO:<…>` as programs write them (RFC 5321 §4.1.2 and what is about).

/// A path and what stands behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// Without brackets, route and surrounding spaces; empty for `<>`.
    pub(crate) address: &'a str,
    pub(crate) parameters: &'a str,
}

/// Reads what follows MAIL or RCPT. Taken as well: any case, spaces before and behind the colon
/// and inside the brackets, no colon, no brackets. `None` where it is not readable.
pub(crate) fn read<'a>(keyword: &str, arguments: &'a str) -> Option<Path<'a>> {
    let arguments = arguments.trim_start();
    let head = arguments.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let after = arguments.get(keyword.len()..)?;
    let rest = after.trim_start();
    let (rest, colon) = rest
        .strip_prefix(':')
        .map_or((rest, false), |rest| (rest, true));
    if !colon && rest.len() == after.len() && !rest.starts_with('<') {
        return None;
    }
    let rest = rest.trim_start();
    let (address, parameters) = match rest.strip_prefix('<') {
        Some(inner) => {
            let end = unquoted(inner, |c| c == '>')?;
            (inner.get(..end)?, inner.get(end + 1..)?)
        }
        None if rest.is_empty() => return None,
        None => {
            let end = unquoted(rest, |c| c == ' ' || c == '\t').unwrap_or(rest.len());
            rest.split_at(end)
        }
    };
    Some(Path {
        address: without_route(address.trim()),
        parameters,
    })
}

// RFC 5321 §4.1.1.3, appendix C: a source route is to be taken and ignored. Nobody is asked to pass
// the mail on by it: what counts is the mailbox at its end.
fn without_route(path: &str) -> &str {
    if path.starts_with('@') {
        path.split_once(':')
            .map_or(path, |(_, mailbox)| mailbox.trim_start())
    } else {
        path
    }
}

// Where the first such character outside a quoted string is.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => {
                characters.next();
            }
            c if !quoted && wanted(c) => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_programs_write_them() {
        for (given, address, parameters) in [
            ("FROM:<a@b.example>", "a@b.example", ""),
            ("from:<a@b.example> size=5", "a@b.example", " size=5"),
            ("FROM: <a@b.example>", "a@b.example", ""),
            ("FROM : <a@b.example>", "a@b.example", ""),
            (" FROM:\t<a@b.example>", "a@b.example", ""),
            ("FROM <a@b.example>", "a@b.example", ""),
            ("FROM<a@b.example>", "a@b.example", ""),
            ("FROM:a@b.example", "a@b.example", ""),
            ("FROM:a@b.example SIZE=5", "a@b.example", " SIZE=5"),
            ("FROM: a@b.example  SIZE=5", "a@b.example", "  SIZE=5"),
            ("FROM:< a@b.example >", "a@b.example", ""),
            ("FROM:<a@b.example>SIZE=5", "a@b.example", "SIZE=5"),
            ("FROM:<>", "", ""),
            ("FROM:<> BODY=7BIT", "", " BODY=7BIT"),
            ("FROM:< >", "", ""),
            ("FROM:<root>", "root", ""),
            ("FROM:<\"a b\"@c.example> X", "\"a b\"@c.example", " X"),
            ("FROM:<\"a>b\"@c.example>", "\"a>b\"@c.example", ""),
            ("FROM:<\"a\\\">b\"@c.example>", "\"a\\\">b\"@c.example", ""),
            ("FROM:\"a b\"@c.example X", "\"a b\"@c.example", " X"),
            ("FROM:<@x.example:a@b.example>", "a@b.example", ""),
            (
                "FROM:<@x.example,@y.example:a@b.example>",
                "a@b.example",
                "",
            ),
            ("FROM:<a%c.example@b.example>", "a%c.example@b.example", ""),
            ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", ""),
            ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", ""),
            ("FROM:<дед@почта.example>", "дед@почта.example", ""),
        ] {
            let want = Path {
                address,
                parameters,
            };
            assert_eq!(read("FROM", given), Some(want), "{given:?}");
        }
    }

    #[test]
    fn what_is_no_path_is_not_guessed() {
        for given in [
            "",
            "FROM",
            "FROM:",
            "FROM: ",
            "FRO:<a@b>",
            "TO:<a@b>",
            "FROMa@b",
            "FROM:<a@b",
            "FROM:<\"a@b>",
            "\u{e9}ROM:<a@b>",
        ] {
            assert_eq!(read("FROM", given), None, "{given:?}");
        }
    }
}
