//! The judge itself: what the contract does not allow is seen.

use postrider_http::oracle::Exchange;

use crate::harness::{ORACLE, mail};

const SENT: &str = r#"{"id":"019c12f8-6c00-7a4e-9d51-2f8c6a1b7e30"}"#;
const BAD: &str = "validation_error";

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nauthorization: Bearer k\r\n\r\n{body}")
}

fn answer(status: u16, more: &str, body: &str) -> String {
    let head = "content-type: application/json; charset=utf-8\r\nx-request-id: a\r\ncache-control: no-store\r\n";
    format!("HTTP/1.1 {status} x\r\n{head}{more}\r\n{body}")
}

fn refused(name: &str) -> String {
    format!(r#"{{"statusCode":422,"name":"{name}","message":"a","request_id":"b"}}"#)
}

fn with(json: &str, member: &str) -> String {
    json.replace('}', &format!(",{member}}}"))
}

fn judged(request: &str, answer: &str) -> Result<(), String> {
    let exchange = Exchange::of_text(request.as_bytes(), answer.as_bytes());
    ORACLE.check(&exchange.unwrap())
}

#[test]
fn what_is_allowed_passes() {
    for (request, answer) in [
        (post("//emails", &mail("")), answer(200, "", SENT)),
        (post("/emails", "{}"), answer(422, "", &refused(BAD))),
        (post("/nothing", ""), answer(404, "", &refused("not_found"))),
    ] {
        assert_eq!(judged(&request, &answer), Ok(()), "{request} {answer}");
    }
}

#[test]
fn what_is_not_allowed_is_named() {
    let good = post("/emails", &mail(""));
    let bad = post("/emails", "{}");
    let (code, kind) = (r#""statusCode":200"#, r#""type":"x""#);
    for (request, answer, want) in [
        (&bad, answer(200, "", SENT), "missing properties"),
        (
            &good.replace("authorization", "x"),
            answer(200, "", SENT),
            "without a key",
        ),
        (
            &post("/emails?x=1", &mail("")),
            answer(200, "", SENT),
            "granted with x",
        ),
        (&good, answer(200, "", r#"{"id":"7"}"#), "uuid"),
        (&good, answer(200, "", &with(SENT, code)), "statusCode"),
        (
            &good,
            answer(200, "ratelimit-limit: 10;w=1\r\n", SENT),
            "ratelimit-limit",
        ),
        (
            &bad,
            answer(422, "", &refused("service_unavailable")),
            "name",
        ),
        (&bad, answer(422, "", &with(&refused(BAD), kind)), "type"),
        (&bad, answer(418, "", &refused(BAD)), "status 418"),
        (
            &bad,
            answer(429, "", &refused("rate_limit_exceeded")),
            "retry-after",
        ),
        (&bad, answer(422, "", "<html>"), "not JSON"),
        (
            &post("/nothing", ""),
            answer(200, "", "{}"),
            "no such operation",
        ),
        (
            &post("/usage", ""),
            answer(405, "", &refused("method_not_allowed")),
            "Allow",
        ),
    ] {
        let fault = judged(request, &answer).unwrap_err();
        assert!(fault.contains(want), "{want}: {fault}");
    }
}
