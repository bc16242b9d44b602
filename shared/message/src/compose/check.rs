//! What a draft may not hold. Everything is refused here, before a byte is written; nothing is
//! silently stripped.

use std::collections::HashSet;

use postrider_model::Mailbox;

use super::{ComposeError, ComposeReason, Draft, DraftAttachment};
use crate::field::is_name;
use crate::parameters::{Parameters, is_token};
use crate::words::decode;

/// Longest subject, in characters.
const SUBJECT_MOST: usize = 998;
/// All further headers together, in bytes of name and value.
const HEADERS_MOST: usize = 16 * 1024;
/// Longest file name, in bytes.
const FILENAME_MOST: usize = 1_000;
/// Faults that are named of one draft: nobody mends more at a time, and it may have 100,000.
const FAULTS_MOST: usize = 20;

/// The first of it, in the order of the message's fields.
pub(super) fn draft(draft: &Draft) -> Vec<ComposeError> {
    let mut faults = Faults::default();
    if draft.text.is_none() && draft.html.is_none() {
        faults.add("text", ComposeReason::NoBody);
    }
    if let Some(from) = &draft.from {
        faults.find("from", name(from));
    }
    for (field, list) in [
        ("to", &draft.to),
        ("cc", &draft.cc),
        ("reply_to", &draft.reply_to),
    ] {
        for (index, mailbox) in list.iter().enumerate() {
            if faults.is_full() {
                return faults.0;
            }
            if let Err(reason) = name(mailbox) {
                faults.add(format!("{field}[{index}]"), reason);
            }
        }
    }
    faults.find("subject", subject(&draft.subject));
    headers(draft, &mut faults);
    for (index, file) in draft.attachments.iter().enumerate() {
        if faults.is_full() {
            break;
        }
        attachment(&format!("attachments[{index}]"), file, &mut faults);
    }
    faults.0
}

#[derive(Default)]
struct Faults(Vec<ComposeError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, reason: ComposeReason) {
        if !self.is_full() {
            let field = field.into();
            self.0.push(ComposeError { field, reason });
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() >= FAULTS_MOST
    }

    fn find(&mut self, field: &str, checked: Checked) {
        if let Err(reason) = checked {
            self.add(field, reason);
        }
    }
}

type Checked = Result<(), ComposeReason>;

// CR, LF and NUL, and the Unicode line ends that some software turns into them; also after
// decoding, since the reader's program decodes.
fn one_line(value: &str) -> Checked {
    let breaks = |text: &str| {
        text.contains([
            '\r', '\n', '\0', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ])
    };
    if breaks(value) || value.contains("=?") && breaks(&decode(value)) {
        return Err(ComposeReason::LineEnd);
    }
    Ok(())
}

fn subject(text: &str) -> Checked {
    one_line(text)?;
    at_most(text.chars().count(), SUBJECT_MOST)
}

fn at_most(length: usize, most: usize) -> Checked {
    if length > most {
        return Err(ComposeReason::TooLong { length, most });
    }
    Ok(())
}

fn name(mailbox: &Mailbox) -> Checked {
    let Some(name) = &mailbox.name else {
        return Ok(());
    };
    one_line(name)?;
    // What decodes to an encoded word is decoded again by somebody.
    one_line(&decode(name))?;
    at_most(name.chars().count(), SUBJECT_MOST)
}

fn headers(draft: &Draft, faults: &mut Faults) {
    let (mut seen, mut length) = (HashSet::new(), 0);
    for (name, value) in &draft.headers {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let field = format!("headers.{shown}");
        let lower = name.to_ascii_lowercase();
        let checked = header(&lower, value).and_then(|()| {
            if is_single(&lower) && !seen.insert(lower.clone()) {
                return Err(ComposeReason::Twice);
            }
            Ok(())
        });
        faults.find(&field, checked);
        length += name.len() + value.len() + 4;
        if length > HEADERS_MOST {
            let most = HEADERS_MOST;
            faults.add(field, ComposeReason::HeadersTooLarge { length, most });
            return;
        }
        let has = |wanted: &str| {
            let mut names = draft.headers.iter().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        };
        if lower == "list-unsubscribe-post" && !has("List-Unsubscribe") {
            faults.add(field, ComposeReason::NeedsListUnsubscribe);
        }
    }
}

fn header(lower: &str, value: &str) -> Checked {
    if !is_name(lower.as_bytes()) || lower.len() > 76 {
        return Err(ComposeReason::BadName);
    }
    match taken(lower) {
        Some(reason) => Err(reason),
        None => one_line(value),
    }
}

fn taken(lower: &str) -> Option<ComposeReason> {
    match lower {
        "from" => Some(ComposeReason::UseField("from")),
        "to" => Some(ComposeReason::UseField("to")),
        "cc" => Some(ComposeReason::UseField("cc")),
        "bcc" => Some(ComposeReason::UseField("bcc")),
        "subject" => Some(ComposeReason::UseField("subject")),
        "reply-to" => Some(ComposeReason::UseField("reply_to")),
        "sender"
        | "return-path"
        | "received"
        | "dkim-signature"
        | "authentication-results"
        | "mime-version" => Some(ComposeReason::Reserved),
        lower
            if ["arc-", "content-", "resent-"]
                .iter()
                .any(|prefix| lower.starts_with(prefix)) =>
        {
            Some(ComposeReason::Reserved)
        }
        _ => None,
    }
}

// RFC 5322 §3.6 and RFC 8058: of those that a client may give.
fn is_single(lower: &str) -> bool {
    matches!(
        lower,
        "date"
            | "message-id"
            | "in-reply-to"
            | "references"
            | "list-unsubscribe"
            | "list-unsubscribe-post"
            | "list-id"
            | "auto-submitted"
    )
}

/// True for fields whose values are tokens: no encoded words, nothing outside ASCII.
pub(super) fn is_tokens(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    is_single(&lower)
        || lower.starts_with("list-")
        || matches!(
            lower.as_str(),
            "errors-to" | "return-receipt-to" | "disposition-notification-to" | "precedence"
        )
}

fn attachment(field: &str, file: &DraftAttachment, faults: &mut Faults) {
    faults.find(&format!("{field}.filename"), filename(&file.filename));
    if let Some(given) = &file.content_type {
        faults.find(&format!("{field}.content_type"), content_type(given));
    }
    let Some(id) = &file.content_id else {
        return;
    };
    let legal = |b: u8| b.is_ascii_graphic() && !b"<>()\\,;\"".contains(&b);
    if id.is_empty() || id.len() > 200 || !id.bytes().all(legal) {
        faults.add(format!("{field}.content_id"), ComposeReason::BadContentId);
    }
}

fn filename(name: &str) -> Checked {
    one_line(name)?;
    if name.is_empty() {
        return Err(ComposeReason::NoFilename);
    }
    at_most(name.len(), FILENAME_MOST)
}

fn content_type(given: &str) -> Checked {
    one_line(given)?;
    if given.len() > FILENAME_MOST || !is_media_type(given) {
        return Err(ComposeReason::BadContentType);
    }
    Ok(())
}

// RFC 2045 §5.1 `type "/" subtype`. A multipart has parts, and a file has none.
fn is_media_type(given: &str) -> bool {
    let parsed = Parameters::parse(given);
    let good = |part: &str| !part.is_empty() && part.bytes().all(is_token);
    let slash = parsed.value.split_once('/');
    slash.is_some_and(|(kind, subtype)| kind != "multipart" && good(kind) && good(subtype))
}
