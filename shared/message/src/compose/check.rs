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

pub(super) fn draft(draft: &Draft) -> Result<(), ComposeError> {
    if draft.text.is_none() && draft.html.is_none() {
        return fail("text".to_owned(), ComposeReason::NoBody);
    }
    if let Some(from) = &draft.from {
        name("from", from)?;
    }
    for (field, list) in [
        ("to", &draft.to),
        ("cc", &draft.cc),
        ("reply_to", &draft.reply_to),
    ] {
        for (index, mailbox) in list.iter().enumerate() {
            name(&format!("{field}[{index}]"), mailbox)?;
        }
    }
    one_line("subject", &draft.subject)?;
    let length = draft.subject.chars().count();
    if length > SUBJECT_MOST {
        let reason = ComposeReason::TooLong {
            length,
            most: SUBJECT_MOST,
        };
        return fail("subject".to_owned(), reason);
    }
    headers(draft)?;
    for (index, file) in draft.attachments.iter().enumerate() {
        attachment(&format!("attachments[{index}]"), file)?;
    }
    Ok(())
}

fn fail(field: String, reason: ComposeReason) -> Result<(), ComposeError> {
    Err(ComposeError { field, reason })
}

// CR, LF and NUL, and the Unicode line ends that some software turns into them; also after
// decoding, since the reader's program decodes.
fn one_line(field: &str, value: &str) -> Result<(), ComposeError> {
    let breaks = |text: &str| {
        text.contains([
            '\r', '\n', '\0', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ])
    };
    if breaks(value) || value.contains("=?") && breaks(&decode(value)) {
        return fail(field.to_owned(), ComposeReason::LineEnd);
    }
    Ok(())
}

fn name(field: &str, mailbox: &Mailbox) -> Result<(), ComposeError> {
    let Some(name) = &mailbox.name else {
        return Ok(());
    };
    one_line(field, name)?;
    // What decodes to an encoded word is decoded again by somebody.
    one_line(field, &decode(name))?;
    let length = name.chars().count();
    if length > SUBJECT_MOST {
        return fail(
            field.to_owned(),
            ComposeReason::TooLong {
                length,
                most: SUBJECT_MOST,
            },
        );
    }
    Ok(())
}

fn headers(draft: &Draft) -> Result<(), ComposeError> {
    let mut seen = HashSet::new();
    let mut length = 0;
    for (name, value) in &draft.headers {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let field = format!("headers.{shown}");
        if !is_name(name.as_bytes()) || name.len() > 76 {
            return fail(field, ComposeReason::BadName);
        }
        let lower = name.to_ascii_lowercase();
        if let Some(reason) = taken(&lower) {
            return fail(field, reason);
        }
        one_line(&field, value)?;
        if is_single(&lower) && !seen.insert(lower.clone()) {
            return fail(field, ComposeReason::Twice);
        }
        length += name.len() + value.len() + 4;
        if length > HEADERS_MOST {
            return fail(
                field,
                ComposeReason::HeadersTooLarge {
                    length,
                    most: HEADERS_MOST,
                },
            );
        }
        let has = |wanted: &str| {
            draft
                .headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(wanted))
        };
        if lower == "list-unsubscribe-post" && !has("List-Unsubscribe") {
            return fail(field, ComposeReason::NeedsListUnsubscribe);
        }
    }
    Ok(())
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

fn attachment(field: &str, file: &DraftAttachment) -> Result<(), ComposeError> {
    let filename = format!("{field}.filename");
    one_line(&filename, &file.filename)?;
    let length = file.filename.len();
    if length == 0 {
        return fail(filename, ComposeReason::NoFilename);
    }
    if length > FILENAME_MOST {
        return fail(
            filename,
            ComposeReason::TooLong {
                length,
                most: FILENAME_MOST,
            },
        );
    }
    if let Some(given) = &file.content_type {
        let content_type = format!("{field}.content_type");
        one_line(&content_type, given)?;
        if given.len() > FILENAME_MOST || !is_media_type(given) {
            return fail(content_type, ComposeReason::BadContentType);
        }
    }
    let Some(id) = &file.content_id else {
        return Ok(());
    };
    let legal = |b: u8| b.is_ascii_graphic() && !b"<>()\\,;\"".contains(&b);
    if id.is_empty() || id.len() > 200 || !id.bytes().all(legal) {
        return fail(format!("{field}.content_id"), ComposeReason::BadContentId);
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
