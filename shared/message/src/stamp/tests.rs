use super::*;
use crate::lines::lines;
use crate::{normalise, read};
use postrider_model::EmailAddress;
use proptest::prelude::*;

fn ours() -> Stamp {
    let mailbox = |name: Option<&str>, address| Mailbox {
        name: name.map(str::to_owned),
        address: EmailAddress::parse(address).unwrap(),
    };
    Stamp {
        from: mailbox(Some("Joe's Garage"), "joes-garage-7k2f@send.relay.example"),
        reply_to: vec![mailbox(None, "joe@joesgarage.example")],
        receipts: vec![EmailAddress::parse("boss@joesgarage.example").unwrap()],
        date: Timestamp::parse("2026-01-31T08:09:10Z").unwrap(),
        message_id: "0190@send.relay.example".to_owned(),
        feedback_id: "c:t:transactional:relay".to_owned(),
        received: "by mx-out.relay.example with ESMTPSA id 1; Sat, 31 Jan 2026 08:09:10 +0000"
            .to_owned(),
        unsubscribe: None,
    }
}

fn stamped(raw: &str) -> String {
    let done = stamp(raw.as_bytes(), &ours()).unwrap();
    assert_eq!(done.needs_smtputf8, !done.bytes.is_ascii());
    assert!(is_normal(&done.bytes));
    assert!(lines(&done.bytes).all(|line| line.len() <= 998));
    String::from_utf8(done.bytes).unwrap()
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_message_gets_our_identity_and_loses_what_impersonates() {
    let raw = "Return-Path: <x@y.example>\r\nDKIM-Signature: v=1; d=relay.example\r\nARC-Seal: i=1\r\n\
               Authentication-Results: relay.example; dkim=pass\r\nX-Google-DKIM-Signature: x\r\n\
               Received: from lan by mta.example\r\nFrom: Joe <joe@joesgarage.example>\r\nReply-To: evil@evil.example\r\n\
               Sender: evil@evil.example\r\nTo: ann@b.example\r\nBcc: hidden@b.example\r\nResent-Bcc: hidden@b.example\r\n\
               Feedback-ID: theirs\r\nX-Postrider-Debug: 1\r\nResend-Idempotency-Key: k\r\nX-Tag: a=b\r\nX-Relay-Tag: a=b\r\n\
               Disposition-Notification-To: evil@evil.example\r\nReturn-Receipt-To: Joe <JOE@joesgarage.example>\r\n\
               Errors-To: joe@joesgarage.example, evil@evil.example\r\nMail-Followup-To: evil@evil.example\r\n\
               Resent-From: evil@evil.example\r\nResent-Reply-To: evil@evil.example\r\nAuthor: Bank <evil@evil.example>\r\n\
               Apparently-To: hidden@b.example\r\nX-Bcc: hidden@b.example\r\nx-receiver: hidden@b.example\r\nX-Mine: stays\r\nSubject: hi\r\n\r\nbody\r\n";
    assert_eq!(
        stamped(raw),
        "Received: by mx-out.relay.example with ESMTPSA id 1; Sat, 31 Jan 2026\r\n 08:09:10 +0000\r\n\
         Received: from lan by mta.example\r\n\
         From: \"Joe's Garage\" <joes-garage-7k2f@send.relay.example>\r\nReply-To: joe@joesgarage.example\r\n\
         To: ann@b.example\r\nDisposition-Notification-To: joe@joesgarage.example\r\n\
         Return-Receipt-To: Joe <JOE@joesgarage.example>\r\nErrors-To: joe@joesgarage.example\r\nX-Mine: stays\r\nSubject: hi\r\n\
         Date: Sat, 31 Jan 2026 08:09:10 +0000\r\nMessage-ID: <0190@send.relay.example>\r\nMIME-Version: 1.0\r\n\
         Feedback-ID: c:t:transactional:relay\r\n\r\nbody\r\n"
    );
}

#[test]
fn what_is_missing_is_added_and_what_is_valid_stays() {
    let done = stamp(
        b"Message-ID: <mine@a.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n",
        &ours(),
    )
    .unwrap();
    assert_eq!(done.message_id, "mine@a.example");
    let text = String::from_utf8(done.bytes).unwrap();
    assert!(text.contains("To: undisclosed-recipients:;\r\n"));
    assert_eq!(
        (
            text.matches("Date:").count(),
            text.matches("Message-ID:").count()
        ),
        (1, 1)
    );
    for broken in ["Message-ID: none\r\nTo:\r\n\r\n", "\r\n", "Subject: x\r\n"] {
        let done = stamp(broken.as_bytes(), &ours()).unwrap();
        assert_eq!(done.message_id, "0190@send.relay.example", "{broken:?}");
        let text = String::from_utf8(done.bytes).unwrap();
        assert!(
            text.contains("Message-ID: <0190@send.relay.example>\r\n"),
            "{text}"
        );
        assert!(text.contains("To: undisclosed-recipients:;\r\n"), "{text}");
    }
}

#[test]
fn a_date_that_no_reader_understands_gives_way_to_ours() {
    for (date, stays) in [
        ("Thu, 1 Jan 2026 00:00:00 +0000", true),
        ("1 jan 26 0:00 GMT", true),
        ("Thu,\r\n\t01 Jan 2026 00:00:00 -0000 (a comment)", true),
        ("Thursday, 01-Jan-26 00:00:00 EST", true),
        ("Thu Jan  1 00:00:00 2026", true),
        ("lun., 5 août 2026 10:00:00 +0200", false),
        ("05.08.2026 10:00:00", false),
        ("2026-08-05T10:00:00Z", false),
        ("Jan", false),
        ("x", false),
    ] {
        let out = stamped(&format!("Date: {date}\r\nSubject: x\r\n\r\nx\r\n"));
        assert_eq!(out.contains(&format!("Date: {date}\r\n")), stays, "{out}");
        assert_eq!(out.matches("\r\nDate: ").count(), 1, "{out}");
    }
}

#[test]
fn eight_bit_text_is_encoded_in_its_leaf_only() {
    let raw = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
               Content-Transfer-Encoding: 8bit\r\n\r\npré\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
               Content-Transfer-Encoding: 8bit\r\n\r\nEin Gruß mit etwas mehr Text dahinter.\r\n--b\r\n\
               Content-Type: text/plain;\r\n  charset=us-ascii\r\n\r\nas  it \t\r\n\r\nwas\r\n--b--\r\nend\r\n";
    let out = stamped(raw);
    assert!(
        out.contains("boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n"),
        "{out}"
    );
    assert_eq!(
        body(&out),
        "pr??\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nEin Gru=C3=9F mit etwas mehr Text dahinter.\r\n--b\r\n\
         Content-Type: text/plain;\r\n  charset=us-ascii\r\n\r\nas  it \t\r\n\r\nwas\r\n--b--\r\nend\r\n"
    );
}

#[test]
fn a_bare_eight_bit_message_says_its_charset() {
    let out = stamped("Subject: Grüße\r\n\r\nviele Grüße aus der Werkstatt, wir sind heute da\r\n");
    assert!(
        out.contains("Content-Type: text/plain; charset=utf-8\r\n"),
        "{out}"
    );
    assert!(
        out.contains("Content-Transfer-Encoding: quoted-printable\r\n"),
        "{out}"
    );
    assert_eq!(
        body(&out),
        "viele Gr=C3=BC=C3=9Fe aus der Werkstatt, wir sind heute da\r\n"
    );
}

#[test]
fn long_lines_are_encoded_and_998_are_not() {
    for (length, encoded) in [(998, false), (999, true)] {
        let raw = format!("Subject: x\r\n\r\n{}\r\n", "a".repeat(length));
        assert_eq!(
            stamped(&raw).contains("quoted-printable"),
            encoded,
            "{length}"
        );
    }
}

#[test]
fn a_message_inside_is_encoded_too() {
    let raw = "Content-Type: message/rfc822\r\n\r\nSubject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
               Ein Gruß mit etwas mehr Text dahinter.\r\n";
    assert_eq!(
        body(&stamped(raw)),
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nEin Gru=C3=9F mit etwas mehr Text dahinter.\r\n"
    );
}

#[test]
fn what_is_signed_is_never_changed() {
    let signed = |text: &str| {
        format!(
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
             --b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
        )
    };
    assert_eq!(body(&stamped(&signed("plain"))), body(&signed("plain")));
    for text in ["Gruß".to_owned(), "a".repeat(999)] {
        let got = stamp(signed(&text).as_bytes(), &ours());
        assert_eq!(
            got.map_err(|error| error.enhanced()),
            Err("5.6.3"),
            "{text}"
        );
    }
}

#[test]
fn what_cannot_be_encoded_is_refused_with_its_reason() {
    for (raw, want) in [
        ("Content-Type: multipart/mixed\r\n\r\nGruß\r\n", "5.6.3"),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\nGruß\r\n",
            "5.6.3",
        ),
        (
            "Content-Transfer-Encoding: x-uuencode\r\n\r\nGruß\r\n",
            "5.6.3",
        ),
        ("Content-Type: message/partial\r\n\r\nGruß\r\n", "5.6.3"),
        ("In-Reply-To: <Gruß@a>\r\n\r\n", "5.6.0"),
        ("Subject: a\r\nSubject: b\r\n\r\n", "5.6.0"),
    ] {
        let got = stamp(raw.as_bytes(), &ours()).map_err(|error| error.enhanced());
        assert_eq!(got, Err(want), "{raw:?}");
    }
}

#[test]
fn an_address_outside_ascii_needs_smtputf8() {
    let done = stamp("To: Дед <дед@a.example>\r\n\r\nx\r\n".as_bytes(), &ours()).unwrap();
    assert!(done.needs_smtputf8);
    let text = String::from_utf8(done.bytes).unwrap();
    assert!(
        text.contains("To: =?utf-8?b?0JTQtdC0?= <дед@a.example>\r\n"),
        "{text}"
    );
}

#[test]
fn what_was_let_in_can_be_stamped_again_and_again() {
    for raw in [
        format!("Subject: {}\r\n\r\n", "é".repeat(32_700)),
        format!("{}\r\n", "X: y\r\n".repeat(500)),
    ] {
        assert!(read(raw.as_bytes()).is_ok());
        let mut bytes = raw.into_bytes();
        for _ in 0..20 {
            bytes = stamp(&bytes, &ours()).unwrap().bytes;
        }
    }
}

#[test]
fn receipts_go_where_replies_may_go() {
    for (given, want) in [
        (
            "Boss <boss@joesgarage.example>",
            "Boss <boss@joesgarage.example>",
        ),
        (
            "boss@joesgarage.example, evil@evil.example",
            "boss@joesgarage.example",
        ),
        ("evil@evil.example", "joe@joesgarage.example"),
        ("not an address", "joe@joesgarage.example"),
    ] {
        for name in [
            "Disposition-Notification-To",
            "return-receipt-to",
            "Errors-To",
        ] {
            let out = stamped(&format!("{name}: {given}\r\n\r\nx\r\n"));
            assert!(
                out.contains(&format!("\r\n{name}: {want}\r\n")),
                "{given}: {out}"
            );
            assert!(!out.contains("evil"), "{out}");
        }
    }
}

#[test]
fn bulk_mail_carries_its_one_click_and_no_other() {
    let raw = "List-Unsubscribe: <mailto:x@evil.example>\r\nList-Unsubscribe-Post: x\r\n\r\nx\r\n";
    assert!(stamped(raw).contains("List-Unsubscribe: <mailto:x@evil.example>\r\n"));
    let link = format!("https://relay.example/u/{}", "a".repeat(80));
    let bulk = Stamp {
        unsubscribe: Some(link.clone()),
        ..ours()
    };
    let out = stamp(raw.as_bytes(), &bulk).unwrap();
    let text = String::from_utf8(out.bytes).unwrap();
    assert_eq!(text.matches("List-Unsubscribe").count(), 2 + 1, "{text}");
    assert!(text.contains(&format!("<{link}>\r\n")), "{text}");
    assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
}

#[test]
fn what_programs_say_of_priority_arrives_as_it_was() {
    let raw = "X-Priority: 1 (Highest)\r\nX-MSMail-Priority:High\r\nImportance:  high\r\nPriority: urgent\r\n";
    let out = stamped(&format!("{raw}Subject: x\r\n\r\nx\r\n"));
    assert!(out.contains(raw), "{out}");
}

#[test]
fn a_sealed_part_is_the_same_to_the_byte_or_refused() {
    let inner = "Content-Type: text/plain;\r\n\t charset=us-ascii \r\nContent-Transfer-Encoding:  8bit\r\nX-Odd : a\r\n\r\n  it  \t\r\n\r\n.\r\nFrom here\r\n";
    for kind in [
        "signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"",
        "encrypted",
    ] {
        let sealed = |inner: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nfußnote\r\n--o\r\n\
                 Content-Type: multipart/{kind}; boundary=i\r\n\r\n--i\r\n{inner}\r\n--i\r\n\
                 Content-Type: application/octet-stream\r\n\r\nx\r\n--i--\r\n--o--\r\n"
            )
        };
        let out = stamped(&sealed(inner));
        assert!(
            out.contains("fu=C3=9Fnote"),
            "the part beside it is encoded"
        );
        assert!(out.contains(&format!("--i\r\n{inner}\r\n--i\r\n")), "{out}");
        for bad in [
            inner.replace("here", "hëre"),
            inner.replace("here", &"a".repeat(999)),
            inner.replace("X-Odd : a", "X-Odd: ä"),
            format!("Content-Type: message/rfc822\r\n\r\nSubject: ä\r\n\r\n{inner}"),
        ] {
            assert_eq!(
                stamp(sealed(&bad).as_bytes(), &ours()),
                Err(MessageError::Sealed),
                "{bad}"
            );
        }
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "From: a@b.example\r\n",
        "Subject: Grüße\r\n",
        "To: é <a@b.example>\r\n",
        "Content-Type: multipart/mixed; boundary=a\r\n",
        "Content-Type: multipart/signed; boundary=b\r\n",
        "Content-Type: message/rfc822\r\n",
        "Content-Transfer-Encoding: 8bit\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "\r\n",
        "\r\n\r\n",
        "--a\r\n",
        "--b\r\n",
        "--a--\r\n",
        "--b--\r\n",
        "é\r\n",
        "\0",
        "x",
        " ",
        "\t\r\n",
        ".\r\n",
        "YWJj\r\n",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn stamping_twice_leaves_the_body_alone(raw in pieces()) {
        let raw = normalise(raw.into_bytes());
        if let Ok(once) = stamp(&raw, &ours()) {
            prop_assert!(once.bytes.is_ascii() && is_normal(&once.bytes) && !once.bytes.contains(&0));
            prop_assert!(!crate::lines::has_long_line(&once.bytes));
            let twice = stamp(&once.bytes, &ours()).unwrap();
            let body = |bytes: &[u8]| split(bytes).unwrap().body.to_vec();
            prop_assert_eq!(body(&once.bytes), body(&twice.bytes));
            prop_assert_eq!(read(&once.bytes).unwrap().from, vec![ours().from]);
        }
    }

    #[test]
    fn clean_bodies_are_not_touched(body in "[ -~\r\n]{0,300}") {
        let body = String::from_utf8(normalise(body.into_bytes())).unwrap();
        let out = stamped(&format!("Subject: x\r\n\r\n{body}"));
        prop_assert_eq!(super::tests::body(&out), body);
    }

    #[test]
    fn no_bytes_break_the_stamp(raw in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(stamp(&raw, &ours()));
    }
}
