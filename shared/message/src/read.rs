//! The facts of a raw message that came in, and all the reasons to refuse one.

use std::collections::HashSet;

use postrider_model::{AddressError, Attachment, EmailAddress, Mailbox};

use crate::MessageError;
use crate::field::{Field, Limits, Split, split_within};
use crate::mailboxes;
use crate::mime::{Kind, Part, Structure, scan_within};
use crate::words::one_line;

/// Most hosts that a message may have passed (RFC 5321 §6.3).
pub(crate) const HOPS_MOST: usize = 30;

/// Fields that may stand once (RFC 5322 §3.6), and two that MIME readers would pick from.
const SINGLE: [&str; 13] = [
    "From",
    "Date",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// What a message says of itself, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Empty where there is no From field or no address in it; more than one where the field lists several.
    pub from: Vec<Mailbox>,
    /// What is an address in Reply-To, To and Cc; the rest of them is passed over.
    pub reply_to: Vec<Mailbox>,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    /// To whom it asks that receipts and errors be sent; they may name who is confirmed, no others.
    pub receipts: Vec<EmailAddress>,
    /// Without encoded words, on one line; empty where there is none.
    pub subject: String,
    /// Without angle brackets; `None` where there is none or none that is valid.
    pub message_id: Option<String>,
    pub has_date: bool,
    pub attachments: Vec<Attachment>,
}

/// Reads a normalised message. Work is bounded whatever it holds: the header by its limits, the
/// parts by theirs, and nothing here recurses.
pub fn read(raw: &[u8]) -> Result<Received, MessageError> {
    let message = split_within(raw, Limits::INCOMING)?;
    check(&message)?;
    let structure = scan_within(raw, Limits::INCOMING)?;
    let text = |name: &str| message.first(name).map(Field::text);
    let list = |name: &str| text(name).map(|text| mailboxes::parse(&text).mailboxes);
    Ok(Received {
        from: from(&message)?,
        reply_to: list("Reply-To").unwrap_or_default(),
        to: list("To").unwrap_or_default(),
        cc: list("Cc").unwrap_or_default(),
        receipts: receipts(&message),
        subject: text("Subject")
            .map(|text| one_line(&text))
            .unwrap_or_default(),
        message_id: text("Message-ID").and_then(|text| message_id(&text).map(str::to_owned)),
        has_date: text("Date").is_some_and(|date| !date.is_empty()),
        attachments: attachments(raw, &structure),
    })
}

/// The refusals that need no more than the header.
pub(crate) fn check(message: &Split<'_>) -> Result<(), MessageError> {
    let mut seen = HashSet::new();
    for field in &message.fields {
        let single = SINGLE.iter().find(|name| field.is(name));
        // Never pick one: a reader shows the first where a verifier takes the last.
        if let Some(name) = single
            && !seen.insert(*name)
        {
            return Err(MessageError::Duplicate {
                field: (*name).to_owned(),
            });
        }
    }
    let hops = message.all("Received").count();
    if hops > HOPS_MOST {
        Err(MessageError::Loop {
            hops,
            most: HOPS_MOST,
        })
    } else {
        Ok(())
    }
}

// The fields beside Reply-To that ask for mail.
fn receipts(message: &Split<'_>) -> Vec<EmailAddress> {
    const FIELDS: [&str; 3] = [
        "Disposition-Notification-To",
        "Return-Receipt-To",
        "Errors-To",
    ];
    let fields = message
        .fields
        .iter()
        .filter(|field| FIELDS.iter().any(|name| field.is(name)));
    let named = fields.flat_map(|field| mailboxes::parse(&field.text()).mailboxes);
    named.map(|mailbox| mailbox.address).collect()
}

fn from(message: &Split<'_>) -> Result<Vec<Mailbox>, MessageError> {
    let Some(field) = message.first("From") else {
        return Ok(vec![]);
    };
    let list = mailboxes::parse(&field.text());
    if list.has_group {
        return Err(MessageError::FromGroup);
    }
    match list.wrong {
        // `From: "Shop" <>` or nothing at all, of programs that were never told who they are:
        // as good as no field.
        None | Some(AddressError::Empty) if list.mailboxes.is_empty() => Ok(vec![]),
        Some(reason) => Err(MessageError::BadFrom {
            reason: reason.to_string(),
        }),
        None => Ok(list.mailboxes),
    }
}

/// What is inside the angle brackets of a valid Message-ID (RFC 5322 §3.6.4).
pub(crate) fn message_id(text: &str) -> Option<&str> {
    let id = text.trim().strip_prefix('<')?.strip_suffix('>')?;
    let (left, right) = id.split_once('@')?;
    let right_is_literal = right.starts_with('[') && right.ends_with(']');
    let legal = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\,;:@\"".contains(&b);
    // Wider than dot-atom (`a..b@host` is common), narrower than what could be a second id.
    let good = !left.is_empty()
        && !right.is_empty()
        && id.len() <= 250
        && left
            .bytes()
            .all(|b| legal(b) || matches!(b, b':' | b'[' | b']'))
        && (right_is_literal || right.bytes().all(|b| legal(b) || b == b':'));
    (good && id.bytes().all(|b| b.is_ascii_graphic())).then_some(id)
}

fn attachments(raw: &[u8], structure: &Structure) -> Vec<Attachment> {
    let parts = &structure.parts;
    let mut inside_message = vec![false; parts.len()];
    let mut found = vec![];
    for (index, part) in parts.iter().enumerate() {
        let parent = part
            .parent
            .and_then(|parent| parts.get(parent).map(|part| (parent, part)));
        let hidden = parent.is_some_and(|(at, parent)| {
            parent.kind == Kind::Message || inside_message.get(at).copied().unwrap_or_default()
        });
        if let Some(mark) = inside_message.get_mut(index) {
            *mark = hidden;
        }
        if !hidden && is_attachment(part) {
            found.push(attachment(raw, part));
        }
    }
    found
}

fn is_attachment(part: &Part) -> bool {
    match part.kind {
        Kind::Multipart { .. } => false,
        Kind::Message => true,
        Kind::Leaf => {
            part.disposition.value == "attachment" || part.filename().is_some() || !part.is_text()
        }
    }
}

fn attachment(raw: &[u8], part: &Part) -> Attachment {
    let body = raw.get(part.body.clone()).unwrap_or_default();
    Attachment {
        filename: part
            .filename()
            .unwrap_or_default()
            .replace(char::is_control, " "),
        size: part.encoding.decoded_len(body),
        content_type: part.media.value.clone(),
        content_id: part.content_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_it_is() {
        let raw = "From: =?utf-8?q?J=C3=B6?= <jo@a.example>\r\nTo: ann@b.example, Bo <bo@b.example>\r\n\
                   Subject: =?utf-8?b?w6k=?=\r\n x\r\nMessage-ID: <1@a.example>\r\nDate: x\r\n\
                   Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
                   Content-Type: application/pdf; name=\"=?utf-8?q?=C3=A9.pdf?=\"\r\nContent-ID: <c1>\r\n\
                   Content-Transfer-Encoding: base64\r\n\r\nYWJjZA==\r\n--b--\r\n";
        let got = read(raw.as_bytes()).unwrap();
        assert_eq!(got.from[0].to_string(), "Jö <jo@a.example>");
        assert_eq!(got.to.len(), 2);
        assert_eq!(got.subject, "é x");
        assert_eq!(got.message_id.as_deref(), Some("1@a.example"));
        assert!(got.has_date);
        let [file] = got.attachments.as_slice() else {
            panic!("{:?}", got.attachments)
        };
        assert_eq!((file.filename.as_str(), file.size), ("é.pdf", 4));
        assert_eq!(file.content_id.as_deref(), Some("c1"));
    }

    #[test]
    fn what_readers_would_disagree_about_is_refused() {
        for name in SINGLE {
            let other = name.to_ascii_uppercase();
            let raw = format!("{name}: a@b.example\r\nX: y\r\n{other}: c@d.example\r\n\r\n");
            let want = MessageError::Duplicate {
                field: name.to_owned(),
            };
            assert_eq!(read(raw.as_bytes()), Err(want));
        }
        for (raw, want) in [
            ("From: A: a@b.example;\r\n\r\n", "5.6.0"),
            ("From: root\r\n\r\n", "5.6.0"),
            ("From: \"a\" <>, b@c.example\r\n\r\n", "5.6.0"),
            (
                "From: a@b.example <c@d.example> <e@f.example>\r\n\r\n",
                "5.6.0",
            ),
            ("no header\r\n", "5.6.0"),
        ] {
            assert_eq!(
                read(raw.as_bytes()).map_err(|e| e.enhanced()),
                Err(want),
                "{raw:?}"
            );
        }
        for nobody in [
            "From:\r\n\r\n",
            "From: \"Shop\" <>\r\n\r\n",
            "From: <>\r\n\r\n",
        ] {
            assert_eq!(read(nobody.as_bytes()).unwrap().from, [], "{nobody:?}");
        }
        let hops = format!("{}\r\n", "Received: x\r\n".repeat(31));
        assert_eq!(
            read(hops.as_bytes()).map_err(|e| e.enhanced()),
            Err("5.4.6")
        );
        assert!(read(&hops.as_bytes()["Received: x\r\n".len()..]).is_ok());
    }

    #[test]
    fn message_ids_are_kept_only_where_they_are_valid() {
        for (given, want) in [
            ("<a@b>", Some("a@b")),
            (" <a.b+c@host.example> ", Some("a.b+c@host.example")),
            ("<a@[127.0.0.1]>", Some("a@[127.0.0.1]")),
            ("a@b", None),
            ("<a>", None),
            ("<a@b> <c@d>", None),
            ("<a b@c>", None),
            ("<é@c>", None),
            ("<@c>", None),
        ] {
            assert_eq!(message_id(given), want, "{given}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(raw in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..400)) {
            drop(read(&crate::normalise(raw)));
        }
    }
}
