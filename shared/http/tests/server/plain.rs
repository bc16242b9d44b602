//! Requests and answers in clear text.

use postrider_http::Config;
use tokio::io::AsyncWriteExt;

use crate::harness::{json_of, plain, read_to_end, read_until};

const CLOSE: &str = "host: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn an_answer_carries_its_id_and_is_not_stored() {
    let server = plain(Config::default()).await;
    let answer = server
        .say(format!(
            "GET //hello/a%2Bb?to=x&to=y+z HTTP/1.1\r\nx-request-id: mine-1\r\n{CLOSE}"
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for field in [
        "content-type: application/json; charset=utf-8\r\n",
        "cache-control: no-store\r\n",
        "x-request-id: mine-1\r\n",
    ] {
        assert!(answer.contains(field), "{answer}");
    }
    assert_eq!(
        json_of(&answer),
        serde_json::json!({ "to": ["x", "y z"], "rest": ["a+b"] })
    );
}

#[tokio::test]
async fn each_refusal_is_json_with_the_id_that_the_header_has() {
    let server = plain(Config::default()).await;
    for (request, status, name) in [
        ("GET /nothing HTTP/1.1", 404, "not_found"),
        ("GET /hello/%ff HTTP/1.1", 404, "not_found"),
        ("GET /hello/%00 HTTP/1.1", 404, "not_found"),
        ("OPTIONS * HTTP/1.1", 404, "not_found"),
        ("GET /hello?to=%zz HTTP/1.1", 400, "validation_error"),
        ("POST /hello HTTP/1.1", 405, "method_not_allowed"),
        ("GET /panic HTTP/1.1", 500, "application_error"),
    ] {
        let answer = server
            .say(format!("{request}\r\nx-request-id: no good\r\n{CLOSE}"))
            .await;
        let json = json_of(&answer);
        assert_eq!(
            (json["statusCode"].as_u64(), json["name"].as_str()),
            (Some(status), Some(name)),
            "{request}"
        );
        let id = json["request_id"].as_str().unwrap();
        assert!(id.starts_with("req_"), "{answer}");
        assert!(
            answer.contains(&format!("x-request-id: {id}\r\n")),
            "{answer}"
        );
    }
    let answer = server.say(format!("POST /hello HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    let answer = server
        .say(format!("GET /nothing HTTP/1.1\r\n{CLOSE}"))
        .await;
    assert!(answer.contains("x-more: 1\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_is_answered_in_json_too() {
    let server = plain(Config::default()).await;
    let long = format!(
        "GET /hello HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n",
        "a".repeat(1024 * 1024)
    );
    let many = format!("GET /hello HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let address = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(100_000));
    for (bytes, statuses) in [
        ("hello there\r\n\r\n", &[400][..]),
        ("GET /hello HTTP/1.1\r\nno colon\r\n\r\n", &[400]),
        (
            "POST /length HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            &[400],
        ),
        (long.as_str(), &[431]),
        (many.as_str(), &[431]),
        (address.as_str(), &[414, 431]),
    ] {
        let answer = server.say(bytes).await;
        let json = json_of(&answer);
        let status = json["statusCode"].as_u64().unwrap();
        assert!(statuses.contains(&status), "{answer}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.contains("x-request-id: req_"), "{answer}");
    }
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_their_order() {
    let server = plain(Config::default()).await;
    let answers = server
        .say(format!("GET /hello/1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /length HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET /hello/3 HTTP/1.1\r\n{CLOSE}"))
        .await;
    let at = |text: &str| {
        answers
            .find(text)
            .unwrap_or_else(|| panic!("{text} in {answers}"))
    };
    assert!(
        at("[\"1\"]") < at("\"length\":3") && at("\"length\":3") < at("[\"3\"]"),
        "{answers}"
    );
}

#[tokio::test]
async fn a_panic_ends_its_request_only() {
    let server = plain(Config::default()).await;
    let mut stream = server.dial().await;
    stream
        .write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let first = read_until(&mut stream, "}").await;
    assert!(first.starts_with("HTTP/1.1 500"), "{first}");
    stream
        .write_all(format!("GET /hello HTTP/1.1\r\n{CLOSE}").as_bytes())
        .await
        .unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = plain(Config::default()).await;
    let answer = server.say("GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = plain(Config::default()).await;
    let answer = server.say(format!("HEAD /hello HTTP/1.1\r\n{CLOSE}")).await;
    assert!(
        answer.contains("content-length: 19\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answer() {
    let server = plain(Config::default()).await;
    let mut stream = server.dial().await;
    stream
        .write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
}
