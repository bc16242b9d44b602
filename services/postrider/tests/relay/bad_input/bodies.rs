//! How the body comes: too large, endless, never whole, compressed; and what is no HTTP at all.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{INVALID, nothing_is_stored, place, with};
use crate::harness::{Answer, PATIENCE, Place};

#[tokio::test]
async fn a_body_that_is_not_what_the_door_takes_says_what_to_send() {
    let place = place().await;
    let good = with(r#""x":1"#);
    let form = "application/x-www-form-urlencoded";
    for (field, value, body, status, says) in [
        ("content-encoding", "gzip", "\x1f", 400, "send it as it is"),
        ("content-encoding", "br", &good, 415, "send it as it is"),
        (
            "content-type",
            "multipart/form-data; boundary=b",
            "--b--",
            422,
            "Send JSON",
        ),
        ("content-type", form, "to=a", 422, "Send JSON"),
    ] {
        let fields = [(field, value)];
        let answer = place.ask("POST", "/emails", &fields, body.as_bytes()).await;
        let (given, name, message) = answer.refusal();
        assert_eq!((given, name.as_str()), (status, INVALID), "{value}");
        assert!(message.contains(says), "{message}");
    }
    nothing_is_stored(place).await;
}

/// RFC 1952 and 1951 §3.2.6: spaces, 258 in each 13 bits.
fn bomb(runs: usize) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // The last block, with the fixed codes; a space; so often 258 bytes from one byte back.
    let (begin, run) = (b"11001010000", b"1100010100000");
    let bits: Vec<u8> = [&begin[..], &run.repeat(runs)].concat();
    let byte = |bits: &[u8]| {
        let each = bits.iter().enumerate();
        each.map(|(at, bit)| (bit - b'0') << at).sum()
    };
    head.into_iter().chain(bits.chunks(8).map(byte)).collect()
}

#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let place = place().await;
    let gzip = [("content-encoding", "gzip")];
    let hundred_mb = bomb(400_000);
    assert!(hundred_mb.len() < 1_000_000);
    // RFC 1952 §2.2: members, each of nothing.
    let nothing = [
        31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let million = nothing.repeat(1_000_000);
    for (body, status, says) in [(&hundred_mb, 413, "41943040"), (&million, 400, "members")] {
        for path in ["/emails", "/emails/batch", "/emails/raw?to=a@b.test"] {
            let answer = place.ask("POST", path, &gzip, body).await;
            let (given, name, message) = answer.refusal();
            assert_eq!((given, name.as_str()), (status, INVALID), "{path}");
            assert!(message.contains(says), "{message}");
        }
    }
    nothing_is_stored(place).await;
}

fn head(place: &Place, more: &str) -> Vec<u8> {
    let key = &place.key;
    format!("POST /emails HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{more}\r\n")
        .into_bytes()
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_read() {
    let place = place().await;
    let waits = head(
        place,
        "content-length: 52428800\r\nexpect: 100-continue\r\n",
    );
    // Nothing of it is written: who waited for it would say 408.
    let answer = place.http.say(&waits).await.unwrap();
    let (status, name, message) = answer.refusal();
    assert_eq!((status, name.as_str()), (413, INVALID));
    assert!(message.contains("41943040"), "{message}");
    // A client that writes before it reads gets the answer all the same.
    let mut writes = head(place, "content-length: 52428800\r\n");
    writes.resize(writes.len() + 52_428_800, b' ');
    let answer = place.http.say(&writes).await.unwrap();
    assert_eq!(answer.refusal().0, 413);
    assert_eq!(answer.field("connection"), Some("close"));
    nothing_is_stored(place).await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_refused_when_it_is_too_large() {
    let place = place().await;
    let (mut read, mut write) = tokio::io::split(place.http.connect().await);
    write
        .write_all(&head(place, "transfer-encoding: chunked\r\n"))
        .await
        .unwrap();
    let chunk = [&b"10000\r\n"[..], &vec![b' '; 65_536], b"\r\n"].concat();
    let endless = async { while write.write_all(&chunk).await.is_ok() {} };
    let mut came = Vec::new();
    let answer = async {
        tokio::select! {
            () = endless => {}
            _ = read.read_to_end(&mut came) => return,
        }
        let _ended = read.read_to_end(&mut came).await;
    };
    timeout(PATIENCE, answer).await.unwrap();
    assert_eq!(Answer::read(&came).unwrap().refusal().0, 413);
    nothing_is_stored(place).await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up_and_not_stored() {
    let place = place().await;
    let good = with(r#""x":1"#);
    // The client goes away in the middle: nobody is there to be answered.
    let mut gone = place.http.connect().await;
    let declared = format!("content-length: {}\r\n", good.len() + 1);
    gone.write_all(&[head(place, &declared), good.clone().into_bytes()].concat())
        .await
        .unwrap();
    drop(gone);
    // The client stays and says nothing more: the body's time ends.
    let mut silent = place.http.connect().await;
    silent
        .write_all(&[head(place, &declared), good.into_bytes()].concat())
        .await
        .unwrap();
    let mut came = Vec::new();
    timeout(PATIENCE, silent.read_to_end(&mut came))
        .await
        .unwrap()
        .unwrap();
    let (status, name, _) = Answer::read(&came).unwrap().refusal();
    assert_eq!((status, name.as_str()), (408, INVALID));
    nothing_is_stored(place).await;
}

#[tokio::test]
async fn a_request_that_is_no_http_is_answered_in_json_or_not_at_all() {
    let place = place().await;
    let many = (0..200)
        .map(|n| format!("x-{n}: y\r\n"))
        .collect::<Vec<_>>()
        .concat();
    let large = format!("x-a: {}\r\n", "y".repeat(1 << 20));
    let two = "content-length: 5\r\ncontent-length: 6\r\n";
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n";
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n".to_vec(),
        b"NOT HTTP\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        [head(place, &many), b"{}".to_vec()].concat(),
        head(place, &large),
        [head(place, two), b"{}{}{}".to_vec()].concat(),
        [
            head(place, both),
            b"0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n".to_vec(),
        ]
        .concat(),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let mut stream = place.http.connect().await;
        // It may be cut off while we still write.
        let _sent = stream.write_all(&bytes).await;
        let _sent = stream.shutdown().await;
        let mut came = Vec::new();
        let _ended = timeout(PATIENCE, stream.read_to_end(&mut came))
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&came);
        assert!(!text.starts_with("HTTP/1.1 2"), "{shown}: {text}");
        assert!(
            text.matches("HTTP/1.1").count() <= 1,
            "one answer at most: {shown}: {text}"
        );
    }
    assert_eq!(place.http.get("/healthz").await.status, 200);
    nothing_is_stored(place).await;
}
