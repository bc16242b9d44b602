//! The commands as they go on the wire (RFC 5321 §4.1). Addresses are parsed types, so that
//! none can bring a line end with it.

use postrider_model::EmailAddress;

use super::Mail;
use super::capabilities::{Capabilities, SizeLimit};

pub(super) const DATA: &[u8] = b"DATA\r\n";
pub(super) const DOT: &[u8] = b".\r\n";
pub(super) const QUIT: &[u8] = b"QUIT\r\n";
pub(super) const RSET: &[u8] = b"RSET\r\n";
pub(super) const STARTTLS: &[u8] = b"STARTTLS\r\n";

pub(super) fn ehlo(name: &str) -> Vec<u8> {
    format!("EHLO {name}\r\n").into_bytes()
}

pub(super) fn helo(name: &str) -> Vec<u8> {
    format!("HELO {name}\r\n").into_bytes()
}

/// MAIL with the parameters that the host offered and the message wants: SIZE (RFC 1870 §6),
/// BODY (RFC 6152 §2), SMTPUTF8 (RFC 6531 §3.4).
pub(super) fn mail(mail: &Mail<'_>, offered: &Capabilities) -> Vec<u8> {
    let mut line = format!("MAIL FROM:{}", path(mail.return_path));
    if offered.size != SizeLimit::NotOffered {
        line.push_str(&format!(" SIZE={}", mail.sent_size()));
    }
    if offered.eight_bit_mime && !mail.body.is_ascii() {
        line.push_str(" BODY=8BITMIME");
    }
    if mail.needs_smtputf8() {
        line.push_str(" SMTPUTF8");
    }
    line.push_str("\r\n");
    line.into_bytes()
}

pub(super) fn rcpt(recipient: &EmailAddress) -> Vec<u8> {
    format!("RCPT TO:{}\r\n", path(recipient)).into_bytes()
}

fn path(address: &EmailAddress) -> String {
    format!("<{}@{}>", address.local_part(), address.domain().as_str())
}
