//! A message out of the fields of an API call: RFC 5322 with MIME, 7-bit clean. Date, Message-ID
//! and the sender's identity are not written here: the stamp adds them. There is never a Bcc.

mod body;
mod check;
mod html;

use postrider_model::{Attachment, Mailbox};

use crate::fold::{refold, unstructured};
use crate::mailboxes;

/// What a client asks to send.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub reply_to: Vec<Mailbox>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    /// What stands before the parts where there are several (RFC 2046 §5.1.1): who sees the message
    /// undecoded reads it, and nobody else. Left out where it is not 7-bit.
    pub preamble: Option<String>,
    /// Names and values of further fields, in order.
    pub headers: Vec<(String, String)>,
    pub attachments: Vec<DraftAttachment>,
}

/// One file, its content decoded.
#[derive(Clone, Debug, Default)]
pub struct DraftAttachment {
    pub filename: String,
    pub content: Vec<u8>,
    /// With parameters if there are any; guessed from the name where this is `None`.
    pub content_type: Option<String>,
    /// Without angle brackets. With `html` the file is inline: `<img src="cid:…">`.
    pub content_id: Option<String>,
}

/// A composed message, CRLF throughout, and what is remembered of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    pub bytes: Vec<u8>,
    pub attachments: Vec<Attachment>,
}

/// A field of the draft that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ComposeError {
    /// As the client wrote it: `subject`, `headers.X-Foo`, `attachments[0].filename`.
    pub field: String,
    pub reason: ComposeReason,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeReason {
    #[error("a line end or NUL is not allowed, nor one inside an encoded word; remove it")]
    LineEnd,
    #[error("it is {length} characters long, {most} is the most; shorten it")]
    TooLong { length: usize, most: usize },
    #[error("it makes the headers {length} bytes long in all, {most} is the most; shorten them")]
    HeadersTooLarge { length: usize, most: usize },
    #[error("a header name is made of letters, digits and signs, without spaces and colons")]
    BadName,
    #[error("this header is written by the service; leave it out")]
    Reserved,
    #[error("this header has a field of its own in the request; use {0}")]
    UseField(&'static str),
    #[error("this header may be given once")]
    Twice,
    #[error("List-Unsubscribe-Post needs List-Unsubscribe beside it")]
    NeedsListUnsubscribe,
    #[error("only ASCII characters may stand in this header")]
    NotAscii,
    #[error("a word in it is over 990 characters long and cannot be folded; shorten it")]
    LongWord,
    #[error("it is not a content type such as application/pdf")]
    BadContentType,
    #[error("a content id is letters, digits and signs without spaces and angle brackets")]
    BadContentId,
    #[error("give a file name")]
    NoFilename,
    #[error("give text or html")]
    NoBody,
}

/// What is wrong with a draft, the first twenty of it, but for values that cannot be folded into their
/// header.
pub fn faults(draft: &Draft) -> Vec<ComposeError> {
    check::draft(draft)
}

/// Composes a message. `Err` is the first of its faults. The boundaries are made from `random`, which must be new each time.
pub fn compose(draft: &Draft, random: [u8; 16]) -> Result<Composed, ComposeError> {
    if let Some(first) = check::draft(draft).into_iter().next() {
        return Err(first);
    }
    let mut out = String::with_capacity(2_048);
    let mut addresses = |name: &str, list: &[Mailbox]| {
        if !list.is_empty() {
            let list: Vec<Mailbox> = list.iter().map(decoded).collect();
            out.push_str(&mailboxes::print(name, &list));
        }
    };
    addresses("From", draft.from.as_slice());
    addresses("Reply-To", &draft.reply_to);
    addresses("To", &draft.to);
    addresses("Cc", &draft.cc);
    if draft.to.is_empty() && draft.cc.is_empty() {
        // RFC 5322 §3.4: a group without members.
        out.push_str("To: undisclosed-recipients:;\r\n");
    }
    out.push_str(&unstructured("Subject", &draft.subject));
    for (name, value) in &draft.headers {
        out.push_str(&header(name, value)?);
    }
    out.push_str("MIME-Version: 1.0\r\n");
    let mut bytes = out.into_bytes();
    let attachments = body::write(draft, random, &mut bytes);
    Ok(Composed { bytes, attachments })
}

// A name may come encoded; it is shown decoded, so it is stored and printed from that.
fn decoded(mailbox: &Mailbox) -> Mailbox {
    let name = mailbox.name.as_deref().map(crate::words::decode);
    Mailbox {
        name,
        address: mailbox.address.clone(),
    }
}

fn header(name: &str, value: &str) -> Result<String, ComposeError> {
    let wrong = |reason| ComposeError {
        field: format!("headers.{name}"),
        reason,
    };
    if check::is_tokens(name) {
        if !value.is_ascii() {
            return Err(wrong(ComposeReason::NotAscii));
        }
        return refold(name, value).ok_or_else(|| wrong(ComposeReason::LongWord));
    }
    Ok(unstructured(name, value))
}

#[cfg(test)]
mod tests;
