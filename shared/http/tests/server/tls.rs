//! The same over TLS, and HTTP/2.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use postrider_http::Config;
use postrider_tls::{ClientStream, connect, offering, trusting};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::harness::{MOST, Server, json_of, read_to_end, secure};

async fn dial(server: &Server, protocols: &[&str]) -> ClientStream {
    let connector = offering(&trusting(server.ca.as_bytes()).unwrap(), protocols);
    connect(&connector, "relay.example", server.dial().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn http_1_1_is_spoken_with_who_asks_for_it_or_for_nothing() {
    let server = secure(Config::default()).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let mut stream = dial(&server, protocols).await;
        stream
            .write_all(b"GET /hello HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(
            read_to_end(&mut stream)
                .await
                .starts_with("HTTP/1.1 200 OK")
        );
    }
}

#[tokio::test]
async fn http_2_is_spoken_with_who_offers_it() {
    let server = secure(Config::default()).await;
    let stream = TokioIo::new(dial(&server, &["h2", "http/1.1"]).await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let most = usize::try_from(MOST).unwrap();
    for (path, length, status) in [
        ("length", 300_000, 200),
        ("length", most + 1, 413),
        ("nothing", 3, 404),
        ("panic", 0, 500),
        ("hello", 0, 405),
    ] {
        let body = Full::new(Bytes::from(vec![b'a'; length]));
        let request = http::Request::post(format!("https://relay.example/{path}"))
            .body(body)
            .unwrap();
        client.ready().await.unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.headers().contains_key("x-request-id"));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap();
    }
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_plain_request_on_the_tls_port_is_told_so() {
    let server = secure(Config::default()).await;
    let answer = server.say("GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(
        json_of(&answer)["message"],
        "This port speaks TLS; use https."
    );
}
