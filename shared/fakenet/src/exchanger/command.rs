//! The commands of a client, parsed strictly (RFC 5321 §4.1.1). No state, no I/O.

use postrider_model::EmailAddress;

/// One command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Ehlo(String),
    Helo(String),
    StartTls,
    Mail(Mail),
    Rcpt(String),
    Data,
    Rset,
    Noop,
    Vrfy,
    Quit,
    /// The verb is known, what follows is wrong; the words say how.
    Wrong(&'static str),
    /// The domain or local part is no address (RFC 3463 §3.2: x.1.3, x.1.7).
    BadRecipient,
    Unknown,
}

/// What MAIL says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mail {
    /// Empty for `<>`.
    pub(super) from: String,
    /// RFC 1870.
    pub(super) size: Option<usize>,
    /// RFC 6152: BODY was given.
    pub(super) body: bool,
    /// RFC 6531.
    pub(super) smtputf8: bool,
    /// A parameter that no extension here defines.
    pub(super) unknown: bool,
}

/// Reads one line without its CRLF.
pub(super) fn parse(line: &[u8]) -> Command {
    let Ok(line) = std::str::from_utf8(line) else {
        return Command::Wrong("that is not UTF-8");
    };
    if line.chars().any(char::is_control) {
        return Command::Wrong("control characters are not allowed");
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" if !rest.is_empty() => Command::Ehlo(rest.to_owned()),
        "HELO" if !rest.is_empty() => Command::Helo(rest.to_owned()),
        "EHLO" | "HELO" => Command::Wrong("say who you are"),
        "MAIL" => mail(rest),
        "RCPT" => rcpt(rest),
        "NOOP" => Command::Noop,
        "VRFY" => Command::Vrfy,
        "STARTTLS" if rest.is_empty() => Command::StartTls,
        "DATA" if rest.is_empty() => Command::Data,
        "RSET" if rest.is_empty() => Command::Rset,
        "QUIT" if rest.is_empty() => Command::Quit,
        "STARTTLS" | "DATA" | "RSET" | "QUIT" => Command::Wrong("no parameters here"),
        _ => Command::Unknown,
    }
}

fn mail(rest: &str) -> Command {
    let Some((path, parameters)) = path(rest, "FROM:") else {
        return Command::Wrong("MAIL FROM:<address> expected");
    };
    if !path.is_empty() && EmailAddress::parse(path).is_err() {
        return Command::Wrong("that is no address");
    }
    let mut mail = Mail {
        from: path.to_owned(),
        ..Mail::default()
    };
    for parameter in parameters.split_ascii_whitespace() {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (key.to_ascii_uppercase().as_str(), value.parse()) {
            ("SIZE", Ok(size)) => mail.size = Some(size),
            ("BODY", _) if matches!(value, "7BIT" | "8BITMIME") => mail.body = true,
            ("SMTPUTF8", _) if value.is_empty() => mail.smtputf8 = true,
            _ => mail.unknown = true,
        }
    }
    Command::Mail(mail)
}

fn rcpt(rest: &str) -> Command {
    match path(rest, "TO:") {
        Some((_, parameters)) if !parameters.trim().is_empty() => {
            Command::Wrong("no parameters of RCPT are known here")
        }
        // RFC 5321 §4.1.1.3: the one address without a domain.
        Some((path, _)) if path.eq_ignore_ascii_case("postmaster") => {
            Command::Rcpt(path.to_owned())
        }
        Some((path, _)) if EmailAddress::parse(path).is_ok() => Command::Rcpt(path.to_owned()),
        Some(_) => Command::BadRecipient,
        None => Command::Wrong("RCPT TO:<address> expected"),
    }
}

// RFC 5321 §4.1.1.2: no space between the colon and the path. A `>` inside quotes is part of it.
fn path<'a>(rest: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let (found, path) = rest.split_at_checked(word.len())?;
    if !found.eq_ignore_ascii_case(word) {
        return None;
    }
    let path = path.strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in path.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some((path.get(..at)?, path.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_strictly() {
        let ann = || Mail {
            from: "ann@example.org".to_owned(),
            ..Mail::default()
        };
        for (line, want) in [
            ("ehlo a.example", Command::Ehlo("a.example".to_owned())),
            ("EHLO", Command::Wrong("say who you are")),
            ("MAIL FROM:<>", Command::Mail(Mail::default())),
            ("mail from:<ann@example.org>", Command::Mail(ann())),
            (
                "MAIL FROM:<ann@example.org> SIZE=77 BODY=8BITMIME SMTPUTF8",
                Command::Mail(Mail {
                    size: Some(77),
                    body: true,
                    smtputf8: true,
                    ..ann()
                }),
            ),
            (
                "MAIL FROM:<ann@example.org> RET=HDRS",
                Command::Mail(Mail {
                    unknown: true,
                    ..ann()
                }),
            ),
            (
                "MAIL FROM: <ann@example.org>",
                Command::Wrong("MAIL FROM:<address> expected"),
            ),
            (
                "RCPT TO:<\"a>b\"@example.org>",
                Command::Rcpt("\"a>b\"@example.org".to_owned()),
            ),
            (
                "RCPT TO:<Postmaster>",
                Command::Rcpt("Postmaster".to_owned()),
            ),
            ("RCPT TO:<>", Command::BadRecipient),
            ("RCPT TO:<a b@example.org>", Command::BadRecipient),
            (
                "RCPT TO:a@example.org",
                Command::Wrong("RCPT TO:<address> expected"),
            ),
            ("DATA x", Command::Wrong("no parameters here")),
            ("BDAT 12", Command::Unknown),
            ("", Command::Unknown),
        ] {
            assert_eq!(parse(line.as_bytes()), want, "{line}");
        }
        assert_eq!(parse(b"NOOP \xff"), Command::Wrong("that is not UTF-8"));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            parse(&line);
        }

        #[test]
        fn paths_never_panic(line in "(MAIL FROM|RCPT TO):\\PC{0,40}") {
            parse(line.as_bytes());
        }
    }
}
