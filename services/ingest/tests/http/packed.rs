//! Bodies that come packed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{Answer, Relay, mail};

const MOST: usize = 41_943_040;

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

async fn send(relay: &Relay, coding: &str, body: &[u8]) -> Answer {
    let fields = [("content-encoding", coding)];
    relay.post("/emails", &fields, body).await
}

#[tokio::test]
async fn a_packed_body_is_as_good_as_a_plain_one() {
    let relay = Relay::start().await;
    let large = mail(&format!(r#","html":"{}""#, "<p>ready</p>".repeat(50_000)));
    for body in [mail(""), large] {
        for coding in ["gzip", "GZip", "x-gzip"] {
            send(&relay, coding, &packed(body.as_bytes())).await.id();
        }
        send(&relay, "identity", body.as_bytes()).await.id();
    }
    // RFC 1952 §2.2: one after another they are one.
    let body = mail("");
    let (head, tail) = body.split_at(20);
    let members = [packed(head.as_bytes()), packed(tail.as_bytes())].concat();
    send(&relay, "gzip", &members).await.id();
    let fields = [("content-encoding", "gzip")];
    let raw = packed(b"Subject: a\r\n\r\nb\r\n");
    let path = "/emails/raw?to=ann@example.org";
    relay.post(path, &fields, raw).await.id();
    let batch = packed(format!("[{},{}]", mail(""), mail("")).as_bytes());
    let sent = relay.post("/emails/batch", &fields, batch).await;
    assert_eq!(sent.json["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_request_packed_and_plain_is_one_under_its_key() {
    let relay = Relay::start().await;
    let key = ("idempotency-key", "one");
    let plain = relay.post("/emails", &[key], mail("")).await;
    let fields = [key, ("content-encoding", "gzip")];
    let again = relay
        .post("/emails", &fields, packed(mail("").as_bytes()))
        .await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(again.id(), plain.id());
}

#[tokio::test]
async fn a_bomb_is_refused_when_it_has_unfolded_to_the_limit() {
    let relay = Relay::start().await;
    let bomb = packed(&vec![b' '; MOST + 1]);
    assert!(bomb.len() < MOST / 500, "{}", bomb.len());
    let refused = send(&relay, "gzip", &bomb).await;
    assert_eq!(refused.refusal(), (413, "validation_error"));
    // Of a gigabyte no more than the limit is ever unfolded.
    let many = packed(&vec![b' '; 1024 * 1024]).repeat(1_024);
    let refused = send(&relay, "gzip", &many).await;
    assert_eq!(refused.refusal(), (413, "validation_error"));
    // A bomb of bombs is a bomb of which the first shell is not JSON.
    let nested = send(&relay, "gzip", &packed(&bomb)).await;
    assert_eq!(nested.refusal(), (400, "validation_error"));
    relay.send(mail("")).await.id();
}

#[tokio::test]
async fn members_without_content_are_not_unfolded_by_the_million() {
    let relay = Relay::start().await;
    let nothing = packed(b"");
    assert_eq!(nothing.len(), 20);
    let refused = send(&relay, "gzip", &nothing.repeat(MOST / 20)).await;
    assert_eq!(refused.refusal(), (400, "validation_error"));
    let message = refused.json["message"].as_str().unwrap();
    assert!(message.contains("4096 members"), "{message}");
    // Some of them are allowed, as by all who unpack.
    let text = mail("");
    let some = [nothing.repeat(100), packed(text.as_bytes()), nothing].concat();
    send(&relay, "gzip", &some).await.id();
}

#[tokio::test]
async fn what_does_not_unfold_is_refused() {
    let relay = Relay::start().await;
    let whole = packed(mail("").as_bytes());
    let mut broken = whole.clone();
    broken[20] ^= 0xff;
    let trailing = [whole.as_slice(), b"x"].concat();
    for (what, body) in [
        ("nothing", &b""[..]),
        ("plain", mail("").as_bytes()),
        ("cut off", &whole[..whole.len() - 1]),
        ("broken", &broken),
        ("followed by something", &trailing),
    ] {
        let refused = send(&relay, "gzip", body).await;
        assert_eq!(refused.refusal(), (400, "validation_error"), "{what}");
    }
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, identity"] {
        let refused = send(&relay, coding, &whole).await;
        assert_eq!(refused.refusal(), (415, "validation_error"), "{coding}");
        assert_eq!(refused.field("accept-encoding"), Some("gzip"), "{coding}");
    }
}
