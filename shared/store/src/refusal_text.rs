//! Refusals, folded, so that equal ones count together: what differs from one mail to the next
//! (addresses, ids, numbers) becomes a word. Pure.

use std::net::IpAddr;

use postrider_model::{EnhancedCode, EventKind, OwnVerdict, Reply};

use crate::Settlement;

/// How much of a folded text is kept, in characters.
const MOST: usize = 160;
/// A word with a digit in it that is this long is an id.
const ID_LEAST: usize = 8;

/// The words of a settlement that did not deliver: the remote's, or where none was heard ours; `None`
/// where nobody said anything.
pub fn refusal_text(settlement: &Settlement) -> Option<String> {
    let said = |reply: &Reply| (reply.code >= 400).then(|| of_reply(reply));
    let note = || {
        let told = |kind| !matches!(kind, EventKind::Ambiguous | EventKind::Attempted);
        let mut events = settlement.events.iter().rev();
        let event = events.find(|event| event.note.is_some() && told(event.kind))?;
        event.note.as_deref().map(of_note)
    };
    let heard = settlement.reply.as_ref().and_then(said);
    heard.or_else(note).filter(|text| !text.is_empty())
}

// The codes stand as they are: they are what counts.
fn of_reply(reply: &Reply) -> String {
    let mut text = reply.code.to_string();
    if let Some(enhanced) = reply.enhanced {
        text.push(' ');
        text.push_str(&enhanced.to_string());
    }
    let words = fold(&reply.text);
    if !words.is_empty() {
        text.push(' ');
        text.push_str(&words);
    }
    text
}

// Our own reasons stand as they are, for they are the same for all mail. What else we noted has its code
// in front, where it has one.
fn of_note(note: &str) -> String {
    if OwnVerdict::of_note(note).is_some_and(|verdict| verdict.note() == note) {
        return note.to_owned();
    }
    match note.split_once(' ') {
        Some((code, words)) if EnhancedCode::parse(code).is_some() => {
            format!("{code} {}", fold(words))
        }
        _ => fold(note),
    }
}

fn fold(text: &str) -> String {
    let text = without_addresses(text);
    let mut folded = String::with_capacity(text.len().min(4 * MOST));
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        push_word(&mut folded, word);
        if folded.len() > 4 * MOST {
            break;
        }
    }
    folded.chars().take(MOST).collect()
}

fn push_word(folded: &mut String, word: &str) {
    let bare = word.trim_matches(|c: char| "[]()<>,;\"'".contains(c));
    if bare.trim_end_matches(['.', ':']).parse::<IpAddr>().is_ok() {
        folded.push_str("<ip>");
        return;
    }
    let mut part = String::new();
    for c in word.chars() {
        if is_between(c) {
            push_part(folded, &part);
            part.clear();
            folded.push(c);
        } else {
            part.push(c);
        }
    }
    push_part(folded, &part);
}

fn is_between(c: char) -> bool {
    "<>()[]{},;:\"'/?&=|".contains(c)
}

fn push_part(folded: &mut String, part: &str) {
    if !part.bytes().any(|byte| byte.is_ascii_digit()) {
        folded.push_str(part);
        return;
    }
    // A sentence may end behind it.
    let core = part.trim_end_matches('.');
    if core.trim_matches('.').parse::<IpAddr>().is_ok() {
        folded.push_str("<ip>");
    } else if core.len() >= ID_LEAST && core.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        folded.push_str("<id>");
    } else {
        push_numbers(folded, core);
    }
    folded.extend(part.chars().skip(core.chars().count()));
}

fn push_numbers(folded: &mut String, part: &str) {
    let mut before = None;
    for c in part.chars() {
        let shown = if c.is_ascii_digit() { '#' } else { c };
        if shown != '#' || before != Some('#') {
            folded.push(shown);
        }
        before = Some(shown);
    }
}

/// The text with each address in it replaced, its local part first of all.
fn without_addresses(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (place, part) in text.split('@').enumerate() {
        if place == 0 {
            shown.push_str(part);
            continue;
        }
        shown.truncate(local_part(&shown));
        if !shown.ends_with("<address>") {
            shown.push_str("<address>");
        }
        shown.push_str(after_domain(part));
    }
    shown.replace("<<address>>", "<address>")
}

/// Where the local part begins that ends the text (RFC 5321 §4.1.2; remotes quote as they like).
fn local_part(text: &str) -> usize {
    if let Some(quoted) = text.strip_suffix('"') {
        return quoted.rfind('"').unwrap_or(0);
    }
    let ends = |c: char| c.is_whitespace() || "<>()[]{},;:'\"".contains(c);
    text.char_indices()
        .rfind(|(_, c)| ends(*c))
        .map_or(0, |(at, c)| at + c.len_utf8())
}

fn after_domain(text: &str) -> &str {
    let is_of_it = |c: char| c.is_alphanumeric() || ".-_*".contains(c);
    let rest = text.trim_start_matches(is_of_it);
    let domain = text.len() - rest.len();
    // A sentence may end behind it.
    let dots = text.get(..domain).map_or(0, |domain| {
        domain.len() - domain.trim_end_matches('.').len()
    });
    text.get(domain - dots..).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use postrider_model::EnhancedCode;

    use super::*;

    #[test]
    fn what_differs_from_mail_to_mail_is_folded() {
        for (given, want) in [
            (
                "The email account that you tried to reach does not exist. Please try double-checking the recipient's email address. For more information, go to https://support.google.com/mail/?p=NoSuchUser 5b1f17b1804b1-47d1a-20020a05.12 - gsmtp",
                "The email account that you tried to reach does not exist. Please try double-checking the recipient's email address. For more information, go to https://support.",
            ),
            (
                "<bob@example.org>: Recipient address rejected",
                "<address>: Recipient address rejected",
            ),
            (
                "no such user bob.smith+x@example.org.",
                "no such user <address>.",
            ),
            (
                "RCPT TO:<\"bob smith\"@example.org> no",
                "RCPT TO:<address> no",
            ),
            (
                "Client host [192.0.2.7] blocked",
                "Client host <ip> blocked",
            ),
            (
                "2001:db8::7 is listed, see RFC 5782",
                "<ip> is listed, see RFC #",
            ),
            (
                "greylisted, try again in 300 seconds",
                "greylisted, try again in # seconds",
            ),
            ("gsmtp 5b1f17b1804b1-47d1a.12", "gsmtp <id>"),
            (
                "[AB12.eur.prod.example 2026-11-21T20:11:05.123Z 08DE28]",
                "[<id> <id>:#:#.#Z #DE#]",
            ),
            ("several\nlines  here", "several lines here"),
            ("", ""),
        ] {
            assert_eq!(fold(given), want, "{given}");
        }
    }

    #[test]
    fn codes_stand_as_they_are() {
        let reply = Reply::new(550, Some(EnhancedCode(5, 1, 1)), b"user 17 unknown");
        assert_eq!(of_reply(&reply), "550 5.1.1 user # unknown");
        assert_eq!(of_reply(&Reply::new(421, None, b"")), "421");
    }

    #[test]
    fn our_own_words_stand_as_they_are() {
        for verdict in OwnVerdict::ALL {
            assert_eq!(of_note(&verdict.note()), verdict.note());
        }
        for (given, want) in [
            (
                "5.3.4 the exchanger takes at most 1000 bytes",
                "5.3.4 the exchanger takes at most # bytes",
            ),
            (
                "4.4.3 DNS gives no answer for mx1.example",
                "4.4.3 DNS gives no answer for <id>",
            ),
            (
                "connect: refused (os error 111)",
                "connect: refused (os error #)",
            ),
        ] {
            assert_eq!(of_note(given), want, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_and_no_number_is_left(text in "[ -~äß\n@<>\"0-9]{0,80}") {
            let folded = fold(&text);
            proptest::prop_assert!(!folded.contains('@'), "{}", folded);
            proptest::prop_assert!(!folded.bytes().any(|byte| byte.is_ascii_digit()), "{}", folded);
            proptest::prop_assert!(folded.chars().count() <= MOST);
        }
    }
}
