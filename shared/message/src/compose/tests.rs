use super::*;
use crate::field::split;
use crate::lines::{is_normal, lines};
use crate::{read, texts};
use postrider_model::EmailAddress;
use proptest::prelude::*;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn draft() -> Draft {
    Draft {
        from: Some(mailbox("Joe <joe@a.example>")),
        to: vec![mailbox("ann@b.example")],
        subject: "Your invoice".to_owned(),
        text: Some("Hello\n".to_owned()),
        ..Draft::default()
    }
}

fn written(draft: &Draft) -> String {
    let bytes = compose(draft, [0xab; 16]).unwrap().bytes;
    assert!(is_normal(&bytes));
    assert!(bytes.is_ascii() || draft.to.iter().any(|to| to.address.needs_smtputf8()));
    assert!(lines(&bytes).all(|line| line.len() <= 998));
    String::from_utf8(bytes).unwrap()
}

fn refused(draft: &Draft) -> (String, ComposeReason) {
    let error = compose(draft, [0; 16]).unwrap_err();
    (error.field, error.reason)
}

#[test]
fn a_plain_mail_is_plain() {
    assert_eq!(
        written(&draft()),
        "From: \"Joe\" <joe@a.example>\r\nTo: ann@b.example\r\nSubject: Your invoice\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n"
    );
}

#[test]
fn of_many_faults_the_first_twenty_are_named() {
    let bad = |count: usize| {
        let mut bad = mailbox("ann@b.example");
        bad.name = Some("Ann\nBcc: eve@c.example".to_owned());
        vec![bad; count]
    };
    let fields = |draft: &Draft| -> Vec<String> {
        let faults = faults(draft).into_iter();
        faults.map(|fault| fault.field).collect()
    };
    let file = DraftAttachment {
        filename: String::new(),
        content: Vec::new(),
        content_type: None,
        content_id: Some(String::new()),
    };
    for (to, files, last) in [(30, 0, "to[19]"), (19, 1, "attachments[0].filename")] {
        let draft = Draft {
            to: bad(to),
            attachments: vec![file.clone(); files],
            ..draft()
        };
        let fields = fields(&draft);
        assert_eq!(fields.len(), 20, "{fields:?}");
        assert_eq!(fields.last().map(String::as_str), Some(last));
    }
}

#[test]
fn ascii_is_not_encoded_whatever_its_lines_are_long_so_that_links_stay_whole() {
    let link = format!("https://pay.example/?a=1&b={}", "x".repeat(300));
    for (text, want) in [
        (format!("Pay here:\n{link}\n"), "7bit"),
        (format!("{}\n", "x".repeat(990)), "7bit"),
        (format!("{}\n", "x".repeat(991)), "quoted-printable"),
        (format!("{link} \n"), "quoted-printable"),
        (format!("É\n{link}\n{link}\n"), "quoted-printable"),
    ] {
        let written = written(&Draft {
            text: Some(text.clone()),
            ..draft()
        });
        let word = format!("Content-Transfer-Encoding: {want}\r\n");
        assert!(written.contains(&word), "{written}");
        if want == "7bit" {
            assert!(written.ends_with(&text.replace('\n', "\r\n")), "{written}");
        }
    }
}

#[test]
fn a_preamble_stands_before_the_parts_for_who_decodes_nothing() {
    let both = |preamble: &str| Draft {
        text: Some("Grüße".to_owned()),
        html: Some("<p>Grüße</p>".to_owned()),
        preamble: Some(preamble.to_owned()),
        ..draft()
    };
    let text = written(&both(
        "https://relay.example/c/a=b\nhttps://relay.example/c/c",
    ));
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let start = "https://relay.example/c/a=b\r\nhttps://relay.example/c/c\r\n--=_";
    assert!(body.starts_with(start), "{body}");
    let read = texts(text.as_bytes());
    assert_eq!(read.text.as_deref(), Some("Grüße"));
    for preamble in ["", "é"] {
        let text = written(&both(preamble));
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(body.starts_with("--=_"), "{body}");
    }
    let one = Draft {
        html: None,
        ..both("x")
    };
    assert!(!written(&one).contains("x\r\n--"));
}

#[test]
fn everything_together_is_mixed_alternative_related() {
    let file = |filename: &str, id: Option<&str>| DraftAttachment {
        filename: filename.to_owned(),
        content: b"abc".to_vec(),
        content_type: None,
        content_id: id.map(str::to_owned),
    };
    let draft = Draft {
        html: Some("<p>Grüße <img src=\"cid:logo\"></p>".to_owned()),
        text: None,
        attachments: vec![file("Größe.pdf", None), file("logo.png", Some("logo"))],
        headers: vec![("X-Ref".to_owned(), "é 1".to_owned())],
        ..draft()
    };
    let text = written(&draft);
    let order: Vec<usize> = [
        "X-Ref: =?utf-8?q?=C3=A9?= 1\r\n",
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "Content-Disposition: inline",
        "Content-ID: <logo>",
        "application/pdf",
        "filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf",
    ]
    .iter()
    .map(|piece| {
        text.find(piece)
            .unwrap_or_else(|| panic!("{piece} in {text}"))
    })
    .collect();
    assert!(order.is_sorted(), "{text}");
    let got = read(text.as_bytes()).unwrap();
    let names: Vec<_> = got
        .attachments
        .iter()
        .map(|file| (file.filename.as_str(), file.size))
        .collect();
    assert_eq!(names, [("logo.png", 3), ("Größe.pdf", 3)]);
    assert_eq!(texts(text.as_bytes()).text.as_deref(), Some("Grüße"));
    assert_eq!(
        texts(text.as_bytes()).html.as_deref(),
        Some("<p>Grüße <img src=\"cid:logo\"></p>")
    );
}

#[test]
fn without_recipients_there_is_an_empty_group() {
    let text = written(&Draft {
        to: vec![],
        ..draft()
    });
    assert!(text.contains("To: undisclosed-recipients:;\r\n"), "{text}");
    let text = written(&Draft {
        to: vec![],
        cc: vec![mailbox("c@d.example")],
        ..draft()
    });
    assert!(!text.contains("undisclosed"), "{text}");
}

#[test]
fn an_attached_message_travels_as_it_is_where_it_can() {
    let file = |content: &str| DraftAttachment {
        filename: "mail.eml".to_owned(),
        content: content.as_bytes().to_vec(),
        ..DraftAttachment::default()
    };
    for (content, want) in [
        ("Subject: x\n\nhi\n", "message/rfc822"),
        ("Subject: x\n\né\n", "application/octet-stream"),
    ] {
        let text = written(&Draft {
            attachments: vec![file(content)],
            ..draft()
        });
        assert!(
            text.contains(&format!("Content-Type: {want}\r\n")),
            "{text}"
        );
    }
}

#[test]
fn line_ends_are_refused_wherever_they_hide() {
    fn named(name: &str) -> Mailbox {
        Mailbox {
            name: Some(name.to_owned()),
            address: mailbox("a@b.example").address,
        }
    }
    fn file(filename: &str, content_type: Option<String>) -> DraftAttachment {
        DraftAttachment {
            filename: filename.to_owned(),
            content_type,
            ..DraftAttachment::default()
        }
    }
    type Put = fn(&mut Draft, &str);
    let places: [(&str, Put); 7] = [
        ("subject", |draft, bad| draft.subject = bad.to_owned()),
        ("from", |draft, bad| draft.from = Some(named(bad))),
        ("to[1]", |draft, bad| draft.to.push(named(bad))),
        ("reply_to[0]", |draft, bad| draft.reply_to.push(named(bad))),
        ("headers.X-Foo", |draft, bad| {
            draft.headers.push(("X-Foo".to_owned(), bad.to_owned()));
        }),
        ("attachments[0].filename", |draft, bad| {
            draft.attachments.push(file(bad, None));
        }),
        ("attachments[0].content_type", |draft, bad| {
            draft
                .attachments
                .push(file("x", Some(format!("text/plain; name=\"{bad}\""))));
        }),
    ];
    for bad in [
        "a\r\nBcc: x@y.example",
        "a\nb",
        "a\0b",
        "=?utf-8?q?a=0D=0ABcc:_x?=",
        "=?utf-8?b?YQpi?=",
        "a\u{2028}b",
    ] {
        for (field, put) in places {
            let mut draft = draft();
            put(&mut draft, bad);
            assert_eq!(
                refused(&draft),
                (field.to_owned(), ComposeReason::LineEnd),
                "{bad:?}"
            );
        }
    }
}

#[test]
fn headers_that_are_ours_or_no_headers_are_refused() {
    use ComposeReason::{
        BadName, HeadersTooLarge, LongWord, NeedsListUnsubscribe, NotAscii, Reserved, Twice,
        UseField,
    };
    let with = |headers: &[(&str, &str)]| Draft {
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..draft()
    };
    for name in [
        "Sender",
        "return-path",
        "RECEIVED",
        "DKIM-Signature",
        "ARC-Seal",
        "Authentication-Results",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
        "Resent-Bcc",
    ] {
        assert_eq!(refused(&with(&[(name, "x")])).1, Reserved, "{name}");
    }
    assert_eq!(refused(&with(&[("bCC", "x")])).1, UseField("bcc"));
    for name in ["", "X Foo", "X:Foo", "X\r\nFoo", "Größe"] {
        assert_eq!(refused(&with(&[(name, "x")])).1, BadName, "{name:?}");
    }
    let long = "x".repeat(1_000);
    for (headers, want) in [
        (
            vec![("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")],
            NeedsListUnsubscribe,
        ),
        (
            vec![("References", "<a@b>"), ("references", "<a@b>")],
            Twice,
        ),
        (vec![("References", "<é@b>")], NotAscii),
        (vec![("References", long.as_str())], LongWord),
    ] {
        assert_eq!(refused(&with(&headers)).1, want);
    }
    let huge = "x ".repeat(9_000);
    assert!(matches!(
        refused(&with(&[("X-A", &huge)])).1,
        HeadersTooLarge { .. }
    ));
    let text = written(&with(&[("X-Long", &long), ("X-A", "1"), ("X-A", "2")]));
    assert_eq!(text.matches("X-A: ").count(), 2);
}

#[test]
fn what_no_file_can_be_is_refused() {
    use ComposeReason::{BadContentId, BadContentType, NoFilename};
    let file = |filename: &str, media: Option<&str>, id: Option<&str>| {
        let file = DraftAttachment {
            filename: filename.to_owned(),
            content: vec![],
            content_type: media.map(str::to_owned),
            content_id: id.map(str::to_owned),
        };
        refused(&Draft {
            attachments: vec![file],
            ..draft()
        })
        .1
    };
    assert_eq!(file("", None, None), NoFilename);
    for media in [
        "pdf",
        "a/",
        "/b",
        "a b/c",
        "multipart/mixed; boundary=x",
        "",
    ] {
        assert_eq!(file("x", Some(media), None), BadContentType, "{media}");
    }
    for id in ["", "a b", "<a>", "a\"b"] {
        assert_eq!(file("x", None, Some(id)), BadContentId, "{id}");
    }
    assert_eq!(
        refused(&Draft {
            text: None,
            ..draft()
        })
        .1,
        ComposeReason::NoBody
    );
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "[ -~\r\n\0=?\u{2028}]{0,40}",
        "(=\\?utf-8\\?q\\?[=0-9A-F_a-z]{0,9}\\?= ?){0,3}"
    ]
}

proptest! {
    #[test]
    fn what_is_composed_reads_the_same(subject in "\\PC{0,120}", name in "\\PC{1,60}", text in "(\\PC|\n){0,300}", local in "[a-z\" @,]{1,20}") {
        prop_assume!(!subject.contains("=?") && !name.contains("=?"));
        prop_assume!(!subject.contains(['\u{85}', '\u{2028}', '\u{2029}']) && !name.contains(['\u{85}', '\u{2028}', '\u{2029}']));
        let domain = postrider_model::Domain::parse("example.org").unwrap();
        let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        let to = Mailbox { name, address: EmailAddress::new(local, domain).unwrap() };
        let draft = Draft { subject: subject.clone(), to: vec![to.clone(), to.clone()], text: Some(text.clone()), ..draft() };
        let bytes = written(&draft).into_bytes();
        let got = read(&bytes).unwrap();
        prop_assert_eq!(got.subject, subject.trim_matches(' '));
        prop_assert_eq!(got.to, vec![to.clone(), to]);
        let shown = texts(&bytes).text.unwrap();
        prop_assert_eq!(shown.strip_suffix('\n').unwrap_or(&shown), text.strip_suffix('\n').unwrap_or(&text));
    }

    #[test]
    fn no_value_makes_another_field(subject in any_text(), name in any_text(), header in ("[!-~ \r\n]{1,12}", any_text()), filename in any_text()) {
        let to = Mailbox { name: Some(name), address: EmailAddress::parse("ann@b.example").unwrap() };
        let file = DraftAttachment { filename, content: b"x".to_vec(), ..DraftAttachment::default() };
        let mut draft = Draft { subject, to: vec![to], headers: vec![(format!("X-{}", header.0), header.1)], ..draft() };
        draft.attachments = vec![file];
        if let Ok(composed) = compose(&draft, [7; 16]) {
            let names: Vec<String> = split(&composed.bytes).unwrap().fields.iter().map(|f| f.name.to_owned()).collect();
            let custom = draft.headers[0].0.as_str();
            prop_assert_eq!(names, ["From", "To", "Subject", custom, "MIME-Version", "Content-Type"]);
            for decoded in ["From", "To", "Subject", custom].map(|name| crate::header_value(&composed.bytes, name).unwrap()) {
                prop_assert!(!decoded.contains(['\r', '\n', '\0']), "{:?}", decoded);
            }
            prop_assert_eq!(read(&composed.bytes).unwrap().attachments.len(), 1);
        }
    }
}
