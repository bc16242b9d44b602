//! One header field brought to 7-bit and to lines of at most 998 bytes.

use std::borrow::Cow;

use crate::MessageError;
use crate::field::{Field, unfold};
use crate::fold::{refold, unstructured};
use crate::lines::{has_long_line, lines};
use crate::mailboxes;
use crate::parameters::Parameters;

/// How a field's value may be rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Addresses,
    Parameters,
    /// Tokens: nothing outside ASCII, and no encoded words.
    Tokens,
    Text,
}

/// The field as it was where it is clean; else one that says the same and is.
pub(crate) fn clean<'a>(field: &Field<'a>) -> Result<Cow<'a, [u8]>, MessageError> {
    let long = has_long_line(field.raw);
    // A fold of nothing but white space is the header's end to some readers.
    let blank = lines(field.raw).any(|line| line.trim_ascii().is_empty());
    if field.raw.is_ascii() {
        return if long || blank {
            fold(field).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(field.raw))
        };
    }
    let name = || field.name.to_owned();
    let value = unfold(field.value());
    let Ok(text) = std::str::from_utf8(&value) else {
        return Err(MessageError::NotUtf8 { field: name() });
    };
    let text = text.trim();
    match class(field.name) {
        Class::Addresses => addresses(field.name, text),
        Class::Parameters => Ok(Parameters::parse(text).print(field.name)),
        Class::Tokens => Err(MessageError::NotAscii { field: name() }),
        Class::Text => Ok(unstructured(field.name, text)),
    }
    .map(|field| Cow::Owned(field.into_bytes()))
}

fn fold(field: &Field<'_>) -> Result<Vec<u8>, MessageError> {
    let text = field.text();
    let folded = refold(field.name, &text).or_else(|| {
        // A long word may be encoded where only people read it.
        (class(field.name) == Class::Text).then(|| unstructured(field.name, &text))
    });
    let folded = folded
        .map(String::into_bytes)
        .filter(|field| !has_long_line(field));
    folded.ok_or_else(|| MessageError::LongHeaderLine {
        field: field.name.to_owned(),
    })
}

fn addresses(name: &str, text: &str) -> Result<String, MessageError> {
    let list = mailboxes::parse(text);
    if list.wrong.is_some() {
        return Err(MessageError::NotAscii {
            field: name.to_owned(),
        });
    }
    if list.mailboxes.is_empty() {
        // A group without members; its name is lost, and nothing else is in it.
        return Ok(format!("{name}: undisclosed-recipients:;\r\n"));
    }
    Ok(mailboxes::print(name, &list.mailboxes))
}

fn class(name: &str) -> Class {
    const ADDRESSES: [&str; 12] = [
        "from",
        "sender",
        "reply-to",
        "to",
        "cc",
        "bcc",
        "resent-from",
        "resent-sender",
        "resent-to",
        "resent-cc",
        "disposition-notification-to",
        "return-receipt-to",
    ];
    const TOKENS: [&str; 16] = [
        "",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "received",
        "mime-version",
        "content-transfer-encoding",
        "content-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "list-id",
        "errors-to",
        "resent-date",
        "resent-message-id",
        "auto-submitted",
    ];
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "content-type" | "content-disposition" => Class::Parameters,
        name if ADDRESSES.contains(&name) => Class::Addresses,
        name if TOKENS.contains(&name) => Class::Tokens,
        _ => Class::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_seven_bit() {
        for (given, want) in [
            (
                "Subject: plain\r\n\tfolded\r\n",
                Ok("Subject: plain\r\n\tfolded\r\n"),
            ),
            (
                "Subject: Grüße an alle hier\r\n",
                Ok("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle hier\r\n"),
            ),
            (
                "To: Jörg Müller <j@a.example>\r\n",
                Ok("To: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <j@a.example>\r\n"),
            ),
            ("To: дед@a.example\r\n", Ok("To: дед@a.example\r\n")),
            (
                "Content-Type: application/pdf; name=\"é.pdf\"\r\n",
                Ok("Content-Type: application/pdf; name*=utf-8''%C3%A9.pdf\r\n"),
            ),
            ("Message-ID: <é@a>\r\n", Err("5.6.0")),
            ("Subject: a\r\n  \r\n b\r\n", Ok("Subject: a b\r\n")),
        ] {
            let got = clean(&Field::new(given.as_bytes())).map_err(|error| error.enhanced());
            let got = got.map(|bytes| String::from_utf8(bytes.into_owned()).unwrap());
            assert_eq!(got.as_deref().map_err(|code| *code), want, "{given}");
        }
        let latin = Field::new(b"Subject: caf\xe9\r\n");
        assert_eq!(
            clean(&latin),
            Err(MessageError::NotUtf8 {
                field: "Subject".into()
            })
        );
    }

    #[test]
    fn long_lines_are_folded_or_refused() {
        let references = format!("References: {}\r\n", "<a@b> ".repeat(300));
        let folded = clean(&Field::new(references.as_bytes()))
            .unwrap()
            .into_owned();
        assert!(lines(&folded).all(|line| line.len() <= 78));
        let solid = "x".repeat(1_500);
        let subject = format!("Subject: {solid}\r\n");
        assert!(!has_long_line(
            &clean(&Field::new(subject.as_bytes())).unwrap()
        ));
        let id = format!("References: {solid}\r\n");
        let want = MessageError::LongHeaderLine {
            field: "References".into(),
        };
        assert_eq!(clean(&Field::new(id.as_bytes())), Err(want));
    }
}
