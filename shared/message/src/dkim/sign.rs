//! Signing a stamped message with all keys at once: the body is hashed once.

use std::time::Duration;

use base64::Engine as _;
use postrider_model::Timestamp;

use super::canonical::{body_hash, relaxed_field};
use super::key::SigningKey;
use crate::MessageError;
use crate::field::{Split, split};
use crate::lines::is_normal;
use crate::words::BASE64;

/// What is signed wherever it stands, and once more, so that nothing can be added (RFC 6376
/// §5.4.2, §8.15).
const OVERSIGNED: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Feedback-ID",
];
/// What is signed wherever it stands. Never trace fields, nor what hosts on the way change.
const SIGNED: [&str; 12] = [
    "In-Reply-To",
    "References",
    "Content-Disposition",
    "Content-ID",
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Auto-Submitted",
    "CFBL-Address",
];

/// Why a message could not be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a message is signed only when its line ends are CRLF")]
    NotNormal,
    #[error("the message has no From field, which a signature must cover")]
    NoFrom,
    #[error("the message cannot be read")]
    Unreadable(#[source] MessageError),
    #[error("the cryptographic library refused to sign")]
    Refused,
}

/// The DKIM-Signature fields to be put before the message, one for each key in order, each
/// ended by CRLF. Reads the machine's clock for `t=`; `x=` is `lifetime` later.
pub fn sign(message: &[u8], keys: &[SigningKey], lifetime: Duration) -> Result<Vec<u8>, SignError> {
    sign_at(message, keys, super::now(), lifetime)
}

/// `sign` at a given time.
pub fn sign_at(
    message: &[u8],
    keys: &[SigningKey],
    at: Timestamp,
    lifetime: Duration,
) -> Result<Vec<u8>, SignError> {
    if !is_normal(message) {
        return Err(SignError::NotNormal);
    }
    let split = split(message).map_err(SignError::Unreadable)?;
    if split.first("From").is_none() {
        return Err(SignError::NoFrom);
    }
    let (names, header) = signed_header(&split);
    let body = BASE64.encode(body_hash(split.body));
    let mut out = Vec::with_capacity(keys.len() * 1_024);
    for key in keys {
        let unsigned = unsigned_field(key, &names, &body, (at, at.after(lifetime)));
        // RFC 6376 §3.7: the signature's own field comes last, b= empty, without its CRLF.
        let mut signed = Vec::with_capacity(header.len() + unsigned.len());
        signed.extend_from_slice(&header);
        relaxed_field("DKIM-Signature", unsigned.as_bytes(), &mut signed);
        out.extend_from_slice(b"DKIM-Signature:");
        out.extend_from_slice(unsigned.as_bytes());
        let signature = BASE64.encode(key.sign(&signed)?);
        for line in signature.as_bytes().chunks(72) {
            out.extend_from_slice(b"\r\n\t");
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

// The names for h= and the canonical form of what they name, in the same order.
fn signed_header(message: &Split<'_>) -> (Vec<&'static str>, Vec<u8>) {
    let (mut names, mut header) = (Vec::with_capacity(40), Vec::with_capacity(2_048));
    for (name, once_more) in OVERSIGNED
        .iter()
        .map(|name| (*name, true))
        .chain(SIGNED.iter().map(|name| (*name, false)))
    {
        // RFC 6376 §5.4.2: of fields with one name, the last is signed first.
        for field in message.fields.iter().rev().filter(|field| field.is(name)) {
            names.push(name);
            relaxed_field(name, field.value(), &mut header);
            header.extend_from_slice(b"\r\n");
        }
        if once_more {
            names.push(name);
        }
    }
    (names, header)
}

// The field's value up to and including `b=` (RFC 6376 §3.5). No l=, no i=.
fn unsigned_field(
    key: &SigningKey,
    names: &[&str],
    body: &str,
    (signed, expires): (Timestamp, Timestamp),
) -> String {
    let mut field = format!(
        " v=1; a={}; c=relaxed/relaxed;\r\n\td={}; s={};\r\n\tt={}; x={};\r\n\th=",
        key.algorithm(),
        key.domain().as_str(),
        key.selector(),
        signed.as_seconds(),
        expires.as_seconds(),
    );
    let mut column = 10;
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            field.push(':');
            column += 1;
        }
        if column + name.len() > 74 {
            field.push_str("\r\n\t");
            column = 8;
        }
        field.push_str(name);
        column += name.len();
    }
    field + ";\r\n\tbh=" + body + ";\r\n\tb="
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::key::generate_key;
    use crate::dkim::sealed::unsigned;
    use crate::dkim::verify::{DkimVerdict, verify};
    use postrider_model::{DkimAlgorithm, Domain};

    fn keys() -> (Vec<SigningKey>, impl Fn(&str) -> Option<String>) {
        let domain = Domain::parse("send.relay.example").unwrap();
        let (mut keys, mut records) = (vec![], std::collections::HashMap::new());
        for (algorithm, selector) in DkimAlgorithm::ALL.iter().zip(["r1", "e1"]) {
            let made = generate_key(*algorithm).unwrap();
            keys.push(SigningKey::from_pkcs8(*algorithm, &made.pkcs8, &domain, selector).unwrap());
            records.insert(
                format!("{selector}._domainkey.send.relay.example"),
                made.record,
            );
        }
        (keys, move |name: &str| records.get(name).cloned())
    }

    fn verdicts(message: &[u8], lookup: &dyn Fn(&str) -> Option<String>) -> Vec<bool> {
        verify(message, lookup)
            .iter()
            .map(|check| check.verdict == DkimVerdict::Pass)
            .collect()
    }

    #[test]
    fn both_signatures_verify_whatever_the_body_ends_in() {
        let (keys, lookup) = keys();
        for body in [
            "",
            "\r\n",
            "a\r\n",
            "a\r\n\r\n\r\n",
            "a \r\n \r\n\t\r\n",
            " \t\r\n",
            ".\r\n..\r\n",
            "a  b\t c\r\n\r\nd\r\n",
            "é\r\n",
            "no end",
        ] {
            let message = format!("From: a@send.relay.example\r\nSubject: a  b\r\n\r\n{body}");
            let message = crate::normalise(message.into_bytes());
            let mut signed = sign(&message, &keys, Duration::from_hours(1)).unwrap();
            signed.extend_from_slice(&message);
            assert_eq!(verdicts(&signed, &lookup), [true, true], "{body:?}");
            let broken = [&signed[..], b"x\r\n"].concat();
            assert_eq!(verdicts(&broken, &lookup), [false, false], "{body:?}");
            let text = String::from_utf8(signed).unwrap();
            for (from, to) in [
                ("Subject: a", "Subject: b"),
                ("From: a@", "Sender: x@y.example\r\nFrom: a@"),
            ] {
                assert_eq!(
                    verdicts(text.replace(from, to).as_bytes(), &lookup),
                    [false, false],
                    "{to}"
                );
            }
        }
    }

    #[test]
    fn the_field_says_what_it_must() {
        let (keys, _) = keys();
        let message = b"From: a@send.relay.example\r\nReferences: <a@b>\r\n\r\nx\r\n";
        let at = Timestamp::parse("2026-01-31T08:00:00Z").unwrap();
        let fields = sign_at(message, &keys, at, Duration::from_hours(48)).unwrap();
        let text = String::from_utf8(fields).unwrap();
        assert!(text.contains("t=1769846400; x=1770019200;"), "{text}");
        assert!(
            text.contains("h=From:From:Sender:Reply-To:To:Cc:Subject:Date:"),
            "{text}"
        );
        assert!(text.contains(":References;"), "{text}");
        for tag in ["l=", "i=", "q="] {
            assert!(
                !text.contains(&format!(" {tag}")) && !text.contains(&format!("\t{tag}")),
                "{text}"
            );
        }
        assert!(text.split("\r\n").all(|line| line.len() <= 78), "{text}");
        assert_eq!(text.matches("DKIM-Signature: v=1;").count(), 2);
    }

    #[test]
    fn a_sealed_message_without_its_signatures_is_what_was_signed() {
        let (keys, _) = keys();
        for message in [
            "Received: by a\r\nFrom: a@b.example\r\n\r\nx\r\n",
            "From: a@b.example\r\n\r\n",
            "From: a@b.example\r\nDKIM-Signature: v=1\r\n\r\nDKIM-Signature: x\r\n y\r\n",
        ] {
            let hour = Duration::from_hours(1);
            let mut sealed = sign(message.as_bytes(), &keys, hour).unwrap();
            assert_eq!(unsigned(&sealed), b"", "{message:?}");
            sealed.extend_from_slice(message.as_bytes());
            assert_eq!(unsigned(&sealed), message.as_bytes(), "{message:?}");
            assert_eq!(unsigned(message.as_bytes()), message.as_bytes());
        }
    }

    #[test]
    fn an_expired_signature_fails() {
        let (keys, lookup) = keys();
        let message = b"From: a@send.relay.example\r\n\r\nx\r\n";
        let long_ago = Timestamp::parse("2020-01-31T08:00:00Z").unwrap();
        let mut signed = sign_at(message, &keys, long_ago, Duration::from_mins(1)).unwrap();
        signed.extend_from_slice(message);
        assert_eq!(verdicts(&signed, &lookup), [false, false]);
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let (keys, _) = keys();
        let hour = Duration::from_hours(1);
        for (message, want) in [
            ("From: a@b.example\n\nx\n", SignError::NotNormal),
            ("To: a@b.example\r\n\r\nx\r\n", SignError::NoFrom),
            (
                "x\r\n",
                SignError::Unreadable(MessageError::NotAHeader { line: 1 }),
            ),
        ] {
            assert_eq!(sign(message.as_bytes(), &keys, hour), Err(want));
        }
    }
}
