//! `POST /emails/raw`: a message as SMTP's DATA would have delivered it.

use serde_json::json;

use crate::harness::mail::{body, header, header_count};
use crate::harness::{Place, unique};

in_both_arrangements!(
    a_raw_body_arrives_byte_for_byte,
    eight_bit_text_becomes_seven_bit_and_says_the_same,
    the_header_is_the_relays_where_it_must_be,
    a_raw_message_that_cannot_be_mail_is_refused,
);

struct Arrived {
    raw: Vec<u8>,
    recipient: String,
}

async fn arrived(place: &Place, message: &[u8]) -> Arrived {
    let recipient = format!("ann-{}@example.org", unique());
    let id = place.post_raw(&[&recipient], message).await.id();
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
    let (entry, raw) = place.received_once(&recipient).await;
    assert_eq!(entry["dkim"], json!(["pass", "pass"]));
    Arrived { raw, recipient }
}

const HEAD: &str = "From: Joe <joe@elsewhere.test>\r\nTo: many@example.net\r\nSubject: raw\r\n";

async fn a_raw_body_arrives_byte_for_byte(place: &Place) {
    let long = format!("{}\r\n", "x".repeat(998));
    for given in [
        "one line\r\n",
        ".\r\n..\r\n.leading dots\r\n.\r\n",
        "ends in blank lines\r\n\r\n\r\n",
        "ends in white space  \t\r\n \r\n",
        &long,
        "tabs\tand = signs =3D and trailing space \r\n",
    ] {
        let message = format!("{HEAD}\r\n{given}");
        let arrived = arrived(place, message.as_bytes()).await;
        let came = body(&arrived.raw);
        assert_eq!(String::from_utf8_lossy(came), given);
    }
    // Line ends that are none (RFC 5321 §2.3.8) are made whole: nobody can read them two ways.
    let bare = format!("{}\n.\nMAIL FROM:<x@y.test>\n", HEAD.replace("\r\n", "\n"));
    let arrived = arrived(place, bare.as_bytes()).await;
    assert_eq!(body(&arrived.raw), b".\r\nMAIL FROM:<x@y.test>\r\n");
    let no_end = arrived_text(place, "no line end").await;
    assert_eq!(no_end, "no line end\r\n");
}

async fn arrived_text(place: &Place, given: &str) -> String {
    let message = format!("{HEAD}\r\n{given}");
    let arrived = arrived(place, message.as_bytes()).await;
    String::from_utf8(body(&arrived.raw).to_vec()).unwrap()
}

async fn eight_bit_text_becomes_seven_bit_and_says_the_same(place: &Place) {
    let text = "Grüße aus Köln\r\n.gepunktet\r\n";
    let kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let message = format!("{HEAD}{kind}\r\n{text}");
    let arrived = arrived(place, message.as_bytes()).await;
    assert!(arrived.raw.is_ascii());
    let encoding = header(&arrived.raw, "Content-Transfer-Encoding");
    assert!(
        ["quoted-printable", "base64"].contains(&encoding.as_str()),
        "{encoding}"
    );
    let read = postrider_message::texts(&arrived.raw).text.unwrap();
    assert_eq!(read, text.replace("\r\n", "\n"));
    let parts = format!(
        "{HEAD}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--b\r\n\r\nplain\r\n--b--\r\n"
    );
    let arrived = self::arrived(place, parts.as_bytes()).await;
    assert!(arrived.raw.is_ascii());
    assert!(
        postrider_message::texts(&arrived.raw)
            .text
            .unwrap()
            .contains("Grüße aus Köln")
    );
}

async fn the_header_is_the_relays_where_it_must_be(place: &Place) {
    let message = "Return-Path: <x@elsewhere.test>\r\nReceived: from a by b; Sat, 31 Jan 2026 08:00:00 +0000\r\n\
        DKIM-Signature: v=1; d=elsewhere.test; s=x; b=AAAA\r\nSender: joe@elsewhere.test\r\n\
        From: Joe <joe@elsewhere.test>\r\nTo: many@example.net\r\nBcc: hidden@example.net\r\n\
        Message-ID: <kept@elsewhere.test>\r\nX-Own: stays\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n";
    let arrived = arrived(place, message.as_bytes()).await;
    let raw = &arrived.raw;
    for name in ["Return-Path", "Sender", "Bcc"] {
        assert_eq!(header_count(raw, name), 0, "{name}");
    }
    assert_eq!(header_count(raw, "DKIM-Signature"), 2);
    assert!(header(raw, "From").ends_with("@send.relay.test>"));
    assert_eq!(header(raw, "Message-ID"), "<kept@elsewhere.test>");
    assert_eq!(header(raw, "X-Own"), "stays");
    assert_eq!(header(raw, "To"), "many@example.net");
    let text = String::from_utf8_lossy(raw);
    assert!(!text.contains("hidden@example.net"), "{text}");
    assert!(!text.contains(&arrived.recipient), "{text}");
}

async fn a_raw_message_that_cannot_be_mail_is_refused(place: &Place) {
    let nested = {
        let open: Vec<_> = (0..10_000)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();
        let open = open.concat();
        format!("{HEAD}MIME-Version: 1.0\r\n{open}\r\nx\r\n")
    };
    let large = format!("{HEAD}X-Large: {}\r\n\r\nx\r\n", "a ".repeat(512 * 1024));
    let folded = format!(
        "{HEAD}X-Large: a\r\n{}\r\nx\r\n",
        " bbbbbbbbbbbbbbb\r\n".repeat(64 * 1024)
    );
    let (general, from) = ("validation_error", "invalid_from_address");
    for (message, name, says) in [
        (
            format!("From: a@b.test\r\n{HEAD}\r\nx\r\n"),
            general,
            "From",
        ),
        (
            format!("{HEAD}Subject: two\r\n\r\nx\r\n"),
            general,
            "Subject",
        ),
        (format!("{HEAD}X-Nul: a\0b\r\n\r\nx\r\n"), general, "NUL"),
        (format!("{HEAD}no field\r\n\r\nx\r\n"), general, "Line 4"),
        ("no header at all\r\n".to_owned(), general, "Line 1"),
        (nested, general, "levels"),
        (large, general, "header"),
        (folded, general, "header"),
        ("From: undisclosed:;\r\n\r\nx\r\n".to_owned(), from, "From"),
        ("From: Joe <joe@>\r\n\r\nx\r\n".to_owned(), from, "From"),
    ] {
        let recipient = format!("ann-{}@example.org", unique());
        let answer = place.post_raw(&[&recipient], message.as_bytes()).await;
        let (status, called, text) = answer.refusal();
        assert_eq!((status, called.as_str()), (422, name), "{text}");
        assert!(text.contains(says), "{says}: {text}");
    }
}
