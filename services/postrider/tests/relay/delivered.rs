//! One message, all the way.

use serde_json::json;

use crate::harness::mail::{body, codes, header, header_count};
use crate::harness::{Place, unique};

in_both_arrangements!(
    a_message_is_delivered_over_tls_and_both_signatures_verify,
    to_cc_and_bcc_each_get_it_and_bcc_is_nowhere_in_it,
    what_is_shown_of_a_message_follows_its_events,
    text_beyond_ascii_html_and_a_file_arrive_whole,
);

async fn a_message_is_delivered_over_tls_and_both_signatures_verify(place: &Place) {
    let ann = format!("ann-{}@example.org", unique());
    let id = place.send_to(&ann).await;
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    let delivered = timeline.first("delivered");
    assert_eq!(delivered["recipient"], ann);
    assert_eq!(delivered["attempt"], 1);
    assert!(codes(delivered).starts_with("250"), "{delivered}");
    assert_eq!(delivered["mx"]["host"], "mx.example.org");
    assert!(
        delivered["mx"]["address"]
            .as_str()
            .unwrap()
            .starts_with("127."),
        "{delivered}"
    );
    assert_eq!(delivered["tls"]["version"], "TLSv1.3");
    assert_eq!(delivered["tls"]["verdict"], "unverified");
    assert!(delivered["duration_ms"].is_u64(), "{delivered}");

    let (entry, raw) = place.received_once(&ann).await;
    assert_eq!(entry["dkim"], json!(["pass", "pass"]));
    assert!(
        entry["tls"].as_str().unwrap().starts_with("TLSv1.3 "),
        "{entry}"
    );
    assert_eq!(entry["subject"], "Your car");
    assert_eq!(entry["size"], raw.len());
    let mail_from = entry["mail_from"].as_str().unwrap();
    assert!(
        mail_from.starts_with("b+") && mail_from.ends_with("@bounce.relay.test"),
        "{mail_from}"
    );
    assert_eq!(header(&raw, "To"), ann);
    for name in ["From", "Reply-To", "To", "Date", "Message-ID", "Subject"] {
        assert_eq!(header_count(&raw, name), 1, "{name}");
    }
    assert_eq!(body(&raw), b"It is ready.\r\n");
}

async fn to_cc_and_bcc_each_get_it_and_bcc_is_nowhere_in_it(place: &Place) {
    let word = unique();
    let address = |who: &str| format!("{who}-{word}@example.org");
    let (to, cc, bcc) = (address("to"), address("cc"), address("bcc"));
    let elsewhere = format!("else-{word}@example.net");
    let message = json!({
        "to": [to, format!("Else Where <{elsewhere}>")], "cc": cc, "bcc": [bcc, to],
        "subject": "To all", "text": "Hello.",
    });
    let id = place.send(message).await;
    let timeline = place.settled(&id).await;
    let mut recipients = timeline.recipients();
    recipients.sort_unstable();
    assert_eq!(recipients, [&bcc, &cc, &elsewhere, &to]);
    let mut message_ids = Vec::new();
    for recipient in [&to, &cc, &bcc, &elsewhere] {
        assert_eq!(timeline.of(recipient).count("delivered"), 1, "{recipient}");
        let (_, raw) = place.received_once(recipient).await;
        assert_eq!(header_count(&raw, "Bcc"), 0);
        let text = String::from_utf8(raw.clone()).unwrap();
        assert!(!text.contains(&bcc), "{text}");
        assert_eq!(header(&raw, "Cc"), cc);
        message_ids.push(header(&raw, "Message-ID"));
    }
    message_ids.dedup();
    assert_eq!(message_ids.len(), 1, "{message_ids:?}");
}

async fn what_is_shown_of_a_message_follows_its_events(place: &Place) {
    let ann = format!("ann-{}@example.org", unique());
    let id = place.send_to(&ann).await;
    place.settled(&id).await;
    let email = place.email(&id).await;
    assert_eq!(email["object"], "email");
    assert_eq!(email["last_event"], "delivered");
    assert_eq!(email["cc"], json!([]));
    assert_eq!(email["bcc"], json!([]));
    assert_eq!(email["text"].as_str().map(str::trim), Some("It is ready."));
    let recipient = &email["recipients"][0];
    assert_eq!(recipient["address"], ann);
    assert_eq!(recipient["state"], "delivered");
    assert_eq!(recipient["attempts"], 1);
    assert_eq!(recipient["last_reply"]["code"], 250);
    let (_, raw) = place.received_once(&ann).await;
    assert_eq!(
        email["message_id"].as_str(),
        Some(header(&raw, "Message-ID").as_str())
    );
}

async fn text_beyond_ascii_html_and_a_file_arrive_whole(place: &Place) {
    let ann = format!("ann-{}@bücher.example", unique());
    let text = "Grüße — 你好\r\n.dot first\r\n\r\n";
    let message = json!({
        "to": format!("Änn 李 <{ann}>"), "subject": "Straße 🚗", "text": text,
        "html": format!("<p>Grüße</p>{}", "x".repeat(3_000)),
        "attachments": [{"filename": "größe.bin", "content": "AP8KDQ0K"}],
    });
    let id = place.send(message).await;
    let timeline = place.settled(&id).await;
    let folded = ann.replace("bücher", "xn--bcher-kva");
    assert_eq!(timeline.recipients(), [&folded]);
    let (entry, raw) = place.received_once(&folded).await;
    assert_eq!(entry["dkim"], json!(["pass", "pass"]));
    assert_eq!(entry["subject"], "Straße 🚗");
    assert!(raw.is_ascii(), "7-bit clean");
    assert!(
        raw.split(|byte| *byte == b'\n')
            .all(|line| line.len() <= 999)
    );
    let texts = postrider_message::texts(&raw);
    let read = texts.text.unwrap();
    assert_eq!(read.trim_end(), text.replace("\r\n", "\n").trim_end());
    assert!(texts.html.unwrap().starts_with("<p>Grüße</p>xxx"));
}
