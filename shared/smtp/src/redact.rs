//! What of a client's line may be kept for the black box: no credential, by construction.
//!
//! Only what is known to be harmless is shown. A line that is no known command may be the password
//! of a program that did not understand our last reply, so that its length is all that is said.

use crate::command::Verb;
use crate::sign_in;

/// Longest kept line, in bytes.
const LINE_MOST: usize = 512;

/// A command line as it may be kept.
pub(crate) fn command(line: &[u8]) -> String {
    let (verb, rest) = Verb::of(line);
    match verb {
        Verb::Ehlo => whole("EHLO", rest),
        Verb::Helo => whole("HELO", rest),
        Verb::Mail => whole("MAIL", rest),
        Verb::Rcpt => whole("RCPT", rest),
        Verb::Auth => auth(rest),
        Verb::StartTls => bare("STARTTLS", rest),
        Verb::Data => bare("DATA", rest),
        Verb::Rset => bare("RSET", rest),
        Verb::Noop => bare("NOOP", rest),
        Verb::Vrfy => bare("VRFY", rest),
        Verb::Help => bare("HELP", rest),
        Verb::Quit => bare("QUIT", rest),
        Verb::NotOffered(name) => bare(name, rest),
        Verb::Http => "(an HTTP request)".to_owned(),
        Verb::Unknown if line == b"." => ".".to_owned(),
        Verb::Unknown => format!("(no known command, {} bytes)", line.len()),
    }
}

/// An answer to a challenge.
pub(crate) fn answer(line: &[u8]) -> String {
    if line.trim_ascii() == b"*" {
        "*".to_owned()
    } else {
        format!("(answer, {} bytes)", line.len())
    }
}

/// A line that was too long to be read.
pub(crate) fn too_long(most: usize) -> String {
    format!("(a line of more than {most} bytes)")
}

fn auth(rest: &[u8]) -> String {
    let (mechanism, initial) = sign_in::cut(rest);
    let name = if mechanism.is_empty() {
        return "AUTH".to_owned();
    } else {
        sign_in::known(mechanism).unwrap_or("(unknown mechanism)")
    };
    if initial.is_empty() {
        format!("AUTH {name}")
    } else {
        format!("AUTH {name} ({} bytes)", initial.len())
    }
}

fn bare(verb: &str, rest: &[u8]) -> String {
    if rest.trim_ascii().is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} ({} bytes)", rest.trim_ascii().len())
    }
}

fn whole(verb: &str, rest: &[u8]) -> String {
    let mut shown = verb.to_owned();
    for c in String::from_utf8_lossy(rest).chars() {
        if shown.len() + c.len_utf8() > LINE_MOST {
            break;
        }
        shown.push(if c.is_control() { '?' } else { c });
    }
    shown.truncate(shown.trim_end().len());
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_without_anything_that_may_be_a_secret() {
        for (line, want) in [
            ("ehlo vm", "EHLO vm"),
            ("EHLO", "EHLO"),
            ("mail from:<a@b> size=5", "MAIL from:<a@b> size=5"),
            ("RCPT TO:<c@d>", "RCPT TO:<c@d>"),
            ("EHLO a\tb\x07", "EHLO a?b?"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("auth plain AGEAYg==", "AUTH PLAIN (8 bytes)"),
            ("AUTH PLAIN AGEA Yg==", "AUTH PLAIN (9 bytes)"),
            ("AUTH cram-md5", "AUTH CRAM-MD5"),
            ("AUTH", "AUTH"),
            ("AUTH AGEAYg==", "AUTH (unknown mechanism)"),
            ("AUTH HUNTER2", "AUTH (unknown mechanism)"),
            ("AUTH=PLAIN AGEAYg==", "(no known command, 19 bytes)"),
            ("AUTHPLAIN AGEAYg==", "(no known command, 18 bytes)"),
            ("aHVudGVyMg==", "(no known command, 12 bytes)"),
            ("HUNTER", "(no known command, 6 bytes)"),
            ("PASS hunter2", "(no known command, 12 bytes)"),
            ("NOOP hunter2", "NOOP (7 bytes)"),
            ("HELP hunter2", "HELP (7 bytes)"),
            ("QUIT hunter2", "QUIT (7 bytes)"),
            ("VRFY hunter2", "VRFY (7 bytes)"),
            ("EXPN hunter2", "EXPN (7 bytes)"),
            ("GET /?key=hunter2 HTTP/1.1", "(an HTTP request)"),
            (".", "."),
        ] {
            assert_eq!(command(line.as_bytes()), want, "{line:?}");
        }
        assert_eq!(answer(b"aHVudGVyMg=="), "(answer, 12 bytes)");
        assert_eq!(answer(b"*"), "*");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let kept = command(format!("EHLO {}", "\u{e9}".repeat(900)).as_bytes());
        assert!(kept.len() <= LINE_MOST && kept.len() > LINE_MOST - 2);
    }
}
