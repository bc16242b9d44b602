//! The rewrite of every message that leaves: our From, Reply-To and trace fields in place of
//! foreign ones, and 7-bit throughout, so that the bytes that are signed are the bytes that are
//! sent. Who may send as whom is not decided here: the caller gives the identity.

mod clean;
mod header;
mod seven_bit;

pub(crate) use header::takes_answers;

use postrider_model::{EmailAddress, Mailbox, Timestamp};

use crate::MessageError;
use crate::field::split;
use crate::lines::{is_normal, normalise};
use crate::mime::scan;
use crate::read::check;

/// What a message gets from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub from: Mailbox,
    /// Replaces Reply-To; none is written where this is empty.
    pub reply_to: Vec<Mailbox>,
    /// What else may stand in fields that ask for receipts, of `Received::receipts`.
    pub receipts: Vec<EmailAddress>,
    /// For the Date field of a message without one.
    pub date: Timestamp,
    /// Without angle brackets; used where the message has no valid one.
    pub message_id: String,
    /// The value of our Feedback-ID field; none is written where this is empty.
    pub feedback_id: String,
    /// The value of our Received field, without the client's address.
    pub received: String,
    /// Where its one recipient leaves the list, an HTTPS address; it takes the place of what the
    /// message says of that. `None` leaves that as it is.
    pub unsubscribe: Option<String>,
}

/// A message with its stamp: 7-bit (but see `needs_smtputf8`), lines of at most 998 bytes, CRLF
/// only, CRLF at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    pub bytes: Vec<u8>,
    /// Without angle brackets.
    pub message_id: String,
    /// True where an address in the header has a local part outside ASCII, which no encoding
    /// can carry: the header keeps UTF-8 and each hop must know SMTPUTF8 (RFC 6531 §3.6).
    pub needs_smtputf8: bool,
}

/// Stamps a normalised message that `read` took, or one that was stamped before. The body stays as
/// it is, byte for byte, but for leaves (and part headers) that are not 7-bit or have a line over
/// 998 bytes.
pub fn stamp(raw: &[u8], stamp: &Stamp) -> Result<Stamped, MessageError> {
    let normal;
    let raw = if is_normal(raw) {
        raw
    } else {
        normal = normalise(raw.to_vec());
        &normal
    };
    let message = split(raw)?;
    check(&message)?;
    let structure = scan(raw)?;
    let edits = seven_bit::edits(raw, &structure)?;
    let mut bytes = Vec::with_capacity(raw.len() + edits.added() + 2_048);
    let message_id = header::write(&message, stamp, &edits, &mut bytes)?;
    bytes.extend_from_slice(b"\r\n");
    edits.apply(raw, raw.len() - message.body.len(), &mut bytes);
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    let needs_smtputf8 = !bytes.is_ascii();
    Ok(Stamped {
        bytes,
        message_id,
        needs_smtputf8,
    })
}

#[cfg(test)]
mod tests;
