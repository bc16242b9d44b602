//! The header of a stamped message: which fields stay, go, or are ours.

use std::collections::HashSet;

use postrider_model::Mailbox;

use super::Stamp;
use super::clean::clean;
use super::seven_bit::Edits;
use crate::MessageError;
use crate::field::{Field, Split};
use crate::fold::{refold, unstructured};
use crate::mailboxes;
use crate::options::is_ours;
use crate::read::message_id;

/// Where receipts and errors go, beside Reply-To; in lowercase.
const RECEIPTS: [&str; 3] = [
    "disposition-notification-to",
    "return-receipt-to",
    "errors-to",
];

/// Where answers, receipts and errors go in one program or another; Author (RFC 9057) is shown in
/// place of From.
const OTHER_ANSWERS: [&str; 7] = [
    "read-receipt-to",
    "x-errors-to",
    "x-confirm-reading-to",
    "mail-reply-to",
    "mail-followup-to",
    "x-reply-to",
    "author",
];

/// Whether a field says whom a reader, or the reader's program, writes to.
pub(crate) fn takes_answers(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "reply-to"
        || RECEIPTS
            .iter()
            .chain(&OTHER_ANSWERS)
            .any(|one| *one == name)
}

/// What becomes of a field that came with the message.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    /// Our From stands where theirs stood.
    From,
    /// Stays if it says something that is valid; else ours is added.
    KeepIfValid,
    /// Stays only if it names confirmed reply addresses: answers go nowhere else.
    KeepIfReply,
    /// As Reply-To: what of it is confirmed stays, else our reply addresses stand there.
    Reply,
    /// Stays where we do not write it ourselves.
    KeepUnlessOurs,
}

/// Writes the header without the empty line; returns the Message-ID that stands in it.
pub(crate) fn write(
    message: &Split<'_>,
    stamp: &Stamp,
    edits: &Edits,
    out: &mut Vec<u8>,
) -> Result<String, MessageError> {
    ours("Received", &stamp.received, out);
    let mut kept = HashSet::new();
    let mut at = 0;
    for field in &message.fields {
        let start = at;
        at += field.raw.len();
        let name = field.name.to_ascii_lowercase();
        let keep = match fate(&name) {
            Fate::Keep => true,
            Fate::Drop => false,
            Fate::From => {
                identity(stamp, out);
                kept.insert(name);
                continue;
            }
            Fate::KeepIfValid => is_valid(&name, field),
            Fate::KeepIfReply => names_only_reply_addresses(field, stamp),
            Fate::Reply if names_only_reply_addresses(field, stamp) => true,
            Fate::Reply => {
                let confirmed = confirmed(field, stamp);
                if !confirmed.is_empty() {
                    out.extend_from_slice(mailboxes::print(field.name, &confirmed).as_bytes());
                }
                continue;
            }
            Fate::KeepUnlessOurs => stamp.unsubscribe.is_none(),
        };
        if keep {
            // What the body needs is said in these two.
            let is_content = matches!(name.as_str(), "content-type" | "content-transfer-encoding");
            match is_content.then(|| edits.field(start)).flatten() {
                Some(edited) => out.extend_from_slice(edited),
                None => out.extend_from_slice(&clean(field)?),
            }
            kept.insert(name);
        }
    }
    for field in edits.inserted(at) {
        out.extend_from_slice(field);
    }
    missing(&kept, stamp, out);
    let theirs = message.first("Message-ID").map(Field::text);
    let theirs = theirs.as_deref().and_then(message_id);
    Ok(theirs.unwrap_or(&stamp.message_id).to_owned())
}

fn identity(stamp: &Stamp, out: &mut Vec<u8>) {
    let from = std::slice::from_ref(&stamp.from);
    out.extend_from_slice(mailboxes::print("From", from).as_bytes());
    if !stamp.reply_to.is_empty() {
        out.extend_from_slice(mailboxes::print("Reply-To", &stamp.reply_to).as_bytes());
    }
}

// RFC 6409 §8: what a submission server adds.
fn missing(kept: &HashSet<String>, stamp: &Stamp, out: &mut Vec<u8>) {
    let has = |name: &str| kept.contains(name);
    if !has("from") {
        identity(stamp, out);
    }
    if !has("to") && !has("cc") {
        out.extend_from_slice(b"To: undisclosed-recipients:;\r\n");
    }
    if !has("date") {
        ours("Date", &stamp.date.to_rfc5322(), out);
    }
    if !has("message-id") {
        ours("Message-ID", &format!("<{}>", stamp.message_id), out);
    }
    if !has("mime-version") {
        ours("MIME-Version", "1.0", out);
    }
    if !stamp.feedback_id.is_empty() {
        ours("Feedback-ID", &stamp.feedback_id, out);
    }
    // RFC 8058 §3.1: one HTTPS address, and this very value.
    if let Some(link) = &stamp.unsubscribe {
        ours("List-Unsubscribe", &format!("<{link}>"), out);
        ours("List-Unsubscribe-Post", "List-Unsubscribe=One-Click", out);
    }
}

fn ours(name: &str, value: &str, out: &mut Vec<u8>) {
    let field = refold(name, value).unwrap_or_else(|| unstructured(name, value));
    out.extend_from_slice(field.as_bytes());
}

fn fate(name: &str) -> Fate {
    match name {
        "from" => Fate::From,
        "to" | "cc" | "date" | "message-id" => Fate::KeepIfValid,
        name if RECEIPTS.contains(&name) => Fate::Reply,
        name if OTHER_ANSWERS.contains(&name) => Fate::KeepIfReply,
        // Ours, or nobody's to send (RFC 5322 §3.6.3; RFC 5321 §4.4 for Return-Path).
        "reply-to" | "sender" | "bcc" | "return-path" | "feedback-id" => Fate::Drop,
        // Hidden recipients under other names: of sendmail, of pickup folders, of old programs.
        "apparently-to" | "x-bcc" | "x-receiver" | "x-rcpt-to" | "x-envelope-to"
        | "envelope-to" => Fate::Drop,
        // Signatures and verdicts: the rewrite breaks the first, and only a receiver gives the
        // second (RFC 8601 §5).
        "dkim-signature"
        | "dkim2-signature"
        | "domainkey-signature"
        | "authentication-results"
        | "x-authentication-results"
        | "x-original-authentication-results"
        | "received-spf" => Fate::Drop,
        // Where complaints go (RFC 9477) is said by the one who signs.
        "cfbl-address" | "cfbl-feedback-id" => Fate::Drop,
        // Ours in bulk mail; else the tenant's own to offer.
        "list-unsubscribe" | "list-unsubscribe-post" => Fate::KeepUnlessOurs,
        // Words between a client and us.
        name if is_ours(name) => Fate::Drop,
        // Who resent it to whom (RFC 5322 §3.6.6) is an identity that nobody confirmed, a Bcc
        // among it; what is submitted here is sent, not resent.
        name if ["resent-", "arc-", "x-google-", "x-dkim-"]
            .iter()
            .any(|prefix| name.starts_with(prefix)) =>
        {
            Fate::Drop
        }
        _ => Fate::Keep,
    }
}

fn is_valid(name: &str, field: &Field<'_>) -> bool {
    let text = field.text();
    match name {
        "message-id" => message_id(&text).is_some(),
        "date" => is_date(&text),
        _ => !text.is_empty(),
    }
}

// What a reader can make a time of: an English month and a time of day (RFC 5322 §3.3, and all of
// its obsolete forms). Programs that write days in the user's language do not send one.
fn is_date(text: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut words = text.split(|c| !is_word(c));
    let has_month = words.clone().any(|word| {
        let start = word.get(..3).unwrap_or_default();
        MONTHS.iter().any(|month| month.eq_ignore_ascii_case(start))
    });
    let is_time =
        |word: &str| word.contains(':') && word.bytes().all(|b| b.is_ascii_digit() || b == b':');
    text.is_ascii() && has_month && words.any(is_time)
}

fn names_only_reply_addresses(field: &Field<'_>, stamp: &Stamp) -> bool {
    let list = mailboxes::parse(&field.text());
    list.wrong.is_none()
        && !list.mailboxes.is_empty()
        && list
            .mailboxes
            .iter()
            .all(|given| is_ours_to_name(given, stamp))
}

// What a field may name of what it names; the reply addresses where that is nothing.
fn confirmed(field: &Field<'_>, stamp: &Stamp) -> Vec<Mailbox> {
    let mut named = mailboxes::parse(&field.text()).mailboxes;
    named.retain(|given| is_ours_to_name(given, stamp));
    if named.is_empty() {
        stamp.reply_to.clone()
    } else {
        named
    }
}

fn is_ours_to_name(given: &Mailbox, stamp: &Stamp) -> bool {
    let given = given.address.folded();
    let replies = stamp.reply_to.iter().map(|mailbox| &mailbox.address);
    let mut confirmed = replies.chain(&stamp.receipts);
    confirmed.any(|confirmed| confirmed.folded() == given)
}
