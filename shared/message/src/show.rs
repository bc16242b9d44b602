//! Reading a stored message for people: its texts and single header values.

use postrider_model::EmailAddress;

use crate::field::split;
use crate::mailboxes;
use crate::mime::{Kind, Part, scan};
use crate::stamp::takes_answers;
use crate::words::{decode_charset, one_line};

/// What a message says, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The text/plain parts that are no attachments, line ends as LF.
    pub text: Option<String>,
    /// The text/html parts that are no attachments. Not made safe: it is what the sender wrote.
    pub html: Option<String>,
}

/// The texts of a message; none where it cannot be read.
pub fn texts(message: &[u8]) -> Texts {
    let Ok(structure) = scan(message) else {
        return Texts::default();
    };
    let mut texts = Texts::default();
    for part in structure
        .parts
        .iter()
        .take_while(|part| part.kind != Kind::Message)
    {
        if part.kind != Kind::Leaf || part.disposition.value == "attachment" {
            continue;
        }
        match part.media.value.as_str() {
            "text/plain" | "text" => append(&mut texts.text, &text(message, part)),
            "text/html" => append(&mut texts.html, &text(message, part)),
            _ => {}
        }
    }
    texts
}

fn append(all: &mut Option<String>, more: &str) {
    match all {
        Some(all) => {
            all.push('\n');
            all.push_str(more);
        }
        None => *all = Some(more.to_owned()),
    }
}

fn text(message: &[u8], part: &Part) -> String {
    let body = message.get(part.body.clone()).unwrap_or_default();
    let content = part.encoding.decode(body);
    let charset = part.media.get("charset").unwrap_or_default();
    decode_charset(charset, &content).replace("\r\n", "\n")
}

/// The first field of that name, unfolded and decoded, on one line.
pub fn header_value(message: &[u8], name: &str) -> Option<String> {
    let split = split(message).ok()?;
    split.first(name).map(|field| one_line(&field.text()))
}

/// Whom readers of a message answer, and their programs tell that it was read or did not come: all whom
/// its Reply-To names, and the fields that ask for receipts and errors. In the order of the fields.
pub fn answers_to(message: &[u8]) -> Vec<EmailAddress> {
    let Ok(split) = split(message) else {
        return Vec::new();
    };
    let fields = split.fields.iter();
    let fields = fields.filter(|field| takes_answers(field.name));
    let named = fields.flat_map(|field| mailboxes::parse(&field.text()).mailboxes);
    named.map(|mailbox| mailbox.address).collect()
}

/// All fields of that name in order, unfolded and decoded, on one line.
pub fn header_values(message: &[u8], name: &str) -> Vec<String> {
    let split = split(message);
    let all = split.iter().flat_map(|split| split.all(name));
    all.map(|field| one_line(&field.text())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_all_whom_reply_to_or_a_request_for_receipts_names() {
        let names = |raw: &str| {
            let all = answers_to(raw.as_bytes()).into_iter();
            all.map(|one| one.to_string()).collect::<Vec<_>>()
        };
        let two =
            "From: a@x.example\r\nReply-To: Ann <ann@x.example>,\r\n bob@x.example\r\n\r\ny\r\n";
        assert_eq!(names(two), ["ann@x.example", "bob@x.example"]);
        let receipts = "Disposition-Notification-To: ann@x.example\r\nreturn-receipt-to: <bob@x.example>\r\n\
                        From: joe@x.example\r\nErrors-To: cy@x.example\r\nX-Confirm-Reading-To: di@x.example\r\n\r\ny\r\n";
        assert_eq!(
            names(receipts),
            [
                "ann@x.example",
                "bob@x.example",
                "cy@x.example",
                "di@x.example"
            ]
        );
        assert_eq!(
            names("From: a@x.example\r\nTo: b@x.example\r\n\r\nReply-To: b@x.example\r\n"),
            [""; 0]
        );
    }

    #[test]
    fn texts_are_decoded_and_files_are_not_shown() {
        let raw = "Subject: =?utf-8?q?=C3=A9?=\r\nX-Tag: a\r\nx-tag: b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                   Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                   caf=E9=\r\n!\r\nx\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+w6k8L2I+\r\n\
                   --b\r\nContent-Disposition: attachment\r\n\r\nhidden\r\n--b--\r\n";
        let got = texts(raw.as_bytes());
        assert_eq!(got.text.as_deref(), Some("café!\nx"));
        assert_eq!(got.html.as_deref(), Some("<b>é</b>"));
        assert_eq!(
            header_value(raw.as_bytes(), "subject").as_deref(),
            Some("é")
        );
        assert_eq!(header_values(raw.as_bytes(), "X-Tag"), ["a", "b"]);
        assert_eq!(header_value(raw.as_bytes(), "To"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(raw in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..300)) {
            texts(&raw);
            header_value(&raw, "Subject");
        }
    }
}
