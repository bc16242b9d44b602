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
    let path = path(mail.return_path);
    let size = match offered.size {
        SizeLimit::NotOffered => String::new(),
        SizeLimit::Unlimited | SizeLimit::AtMost(_) => format!(" SIZE={}", mail.sent_size()),
    };
    let eight_bit = offered.eight_bit_mime && !mail.body.is_ascii();
    let body = if eight_bit { " BODY=8BITMIME" } else { "" };
    let utf8 = if mail.needs_smtputf8() {
        " SMTPUTF8"
    } else {
        ""
    };
    format!("MAIL FROM:{path}{size}{body}{utf8}\r\n").into_bytes()
}

pub(super) fn rcpt(recipient: &EmailAddress) -> Vec<u8> {
    format!("RCPT TO:{}\r\n", path(recipient)).into_bytes()
}

fn path(address: &EmailAddress) -> String {
    format!("<{}@{}>", address.local_part(), address.domain().as_str())
}
