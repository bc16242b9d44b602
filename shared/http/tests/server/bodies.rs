//! Bodies: too large, too slow, unread, announced.

use std::time::Duration;

use postrider_http::Config;
use tokio::io::AsyncWriteExt;

use crate::harness::{MOST, json_of, plain, read_to_end, read_until};

fn brief() -> Config {
    Config {
        body_timeout: Duration::from_millis(100),
        discard_timeout: Duration::from_millis(100),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_body_is_read_whole_in_both_framings() {
    let server = plain(Config::default()).await;
    let body = "a".repeat(300_000);
    let plainly = format!(
        "POST /length HTTP/1.1\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n{body}"
    );
    let chunked = format!(
        "POST /length HTTP/1.1\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n493e0\r\n{body}\r\n0\r\n\r\n"
    );
    for request in [plainly, chunked] {
        assert_eq!(json_of(&server.say(request).await)["length"], 300_000);
    }
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_to_a_client_that_writes_all_first() {
    let server = plain(Config::default()).await;
    let most = usize::try_from(MOST).unwrap();
    let head = format!(
        "POST /length HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
        most * 20
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + most * 20, b'a');
    let answer = server.say(bytes).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close\r\n"),
        "{answer}"
    );
    assert_eq!(json_of(&answer)["name"], "validation_error");
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_when_it_grows_too_large() {
    let server = plain(Config::default()).await;
    let chunk = format!("40000\r\n{}\r\n", "a".repeat(0x40000));
    let request = format!(
        "POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(6)
    );
    let answer = server.say(request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_100_hears_the_refusal_at_once() {
    let server = plain(Config {
        discard_timeout: Duration::from_hours(1),
        ..Config::default()
    })
    .await;
    let head = format!(
        "POST /length HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        MOST + 1
    );
    let answer = server.say(head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_told_to_go_on() {
    let server = plain(Config::default()).await;
    let mut stream = server.dial().await;
    stream.write_all(b"POST /length HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 3\r\n\r\n").await.unwrap();
    assert_eq!(
        read_until(&mut stream, "\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"abc").await.unwrap();
    assert_eq!(json_of(&read_to_end(&mut stream).await)["length"], 3);
}

#[tokio::test]
async fn a_body_that_never_ends_meets_its_deadline() {
    let server = plain(brief()).await;
    let answer = server
        .say("POST /length HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(json_of(&answer)["statusCode"], 408);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_garbage_is_a_400() {
    let server = plain(Config::default()).await;
    let mut stream = server.dial().await;
    stream
        .write_all(b"POST /length HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 400 "));
    let answer = server
        .say("POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn a_small_body_that_nobody_reads_costs_the_connection_nothing() {
    let server = plain(Config::default()).await;
    let request = "GET /hello HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
    let answers = server
        .say(format!(
            "{request}{}",
            request.replacen("\r\n", "\r\nconnection: close\r\n", 1)
        ))
        .await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

#[tokio::test]
async fn an_unread_body_is_waited_for_no_longer_than_allowed() {
    let server = plain(brief()).await;
    let answer = server
        .say("POST /nothing HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 404 ") && answer.contains("connection: close"),
        "{answer}"
    );
}
