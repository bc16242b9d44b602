//! Bad input: a clear answer each, and nothing stored.

use crate::harness::{Relay, mail};

async fn refused(cases: &[(String, u16, &str)]) {
    let relay = Relay::start().await;
    for (body, status, name) in cases {
        let answer = relay.send(body).await;
        let shown = body.get(..200).unwrap_or(body);
        assert_eq!(
            answer.refusal(),
            (*status, *name),
            "{shown}: {}",
            answer.json
        );
        assert_eq!(
            answer.json["request_id"].as_str(),
            answer.field("x-request-id")
        );
    }
}

#[tokio::test]
async fn what_is_not_strict_json_is_refused() {
    let deep = mail(&format!(
        r#","x":{}{}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    ));
    let name = "validation_error";
    refused(&[
        (String::new(), 400, name),
        ("{".to_owned(), 400, name),
        (mail(r#","x":"\ud83d""#), 400, name),
        ("[]".to_owned(), 422, name),
        (deep, 422, name),
        (mail(r#","to":"bo@example.org""#), 422, name),
        (mail(r#","headers":{"X":"1","X":"2"}"#), 422, name),
        (mail(r#","x":{"a":1,"a":1}"#), 422, name),
    ])
    .await;
}

#[tokio::test]
async fn line_ends_are_refused_in_each_field_in_the_clear_and_encoded() {
    let subject = |text: &str| mail("").replace("Your car", text);
    let name = "validation_error";
    refused(&[
        (
            mail(r#","headers":{"X-A":"a\r\nBcc: b@example.org"}"#),
            422,
            name,
        ),
        (
            mail(r#","headers":{"X-A":"=?utf-8?q?a=0D=0ABcc:_b?="}"#),
            422,
            name,
        ),
        (subject(r"a\r\nBcc: b@example.org"), 422, name),
        (subject("=?utf-8?q?a=0D=0Ab?="), 422, name),
        (subject(r"a\u0000"), 422, name),
        (
            mail(r#","from":"=?utf-8?q?a=0D=0Ab?= <joe@example.org>""#),
            422,
            "invalid_from_address",
        ),
        (mail(r#","cc":"a\r\nb <joe@example.org>""#), 422, name),
        (mail(r#","tags":[{"name":"a\nb","value":"c"}]"#), 422, name),
        (
            mail(r#","attachments":[{"filename":"a\r\nb","content":""}]"#),
            422,
            "invalid_attachment",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_mail_forbids_is_refused() {
    let name = "validation_error";
    refused(&[
        (mail(r#","headers":{"Subject":"x"}"#), 422, name),
        (mail(r#","headers":{"DKIM-Signature":"x"}"#), 422, name),
        (mail(r#","headers":{"X A":"x"}"#), 422, name),
        (
            mail(r#","headers":{"List-Unsubscribe-Post":"x"}"#),
            422,
            name,
        ),
        (
            mail(r#","attachments":[{"filename":"a","content":"","content_type":"pdf"}]"#),
            422,
            "invalid_attachment",
        ),
        (
            mail(r#","scheduled_at":"2027-01-31T08:00:00Z""#),
            422,
            "invalid_parameter",
        ),
        (
            mail(r#","expires_at":"2026-01-31T08:00:00Z""#),
            422,
            "invalid_parameter",
        ),
        (
            mail(r#","expires_at":"in 1 hour","scheduled_at":"in 2 hours""#),
            422,
            "invalid_parameter",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_form_or_a_compressed_body_is_told_what_to_send() {
    let relay = Relay::start().await;
    for (field, value, body, status) in [
        (
            "content-type",
            "application/json; charset=utf-8",
            "to=a",
            400,
        ),
        (
            "content-type",
            "multipart/form-data; boundary=b",
            "--b--",
            422,
        ),
        ("content-encoding", "br", "\x1f", 415),
        ("content-encoding", "gzip, gzip", "\x1f", 415),
        ("content-encoding", "gzip", "\x1f", 400),
    ] {
        let answer = relay.post("/emails", &[(field, value)], body).await;
        assert_eq!(answer.refusal(), (status, "validation_error"), "{value}");
    }
    relay
        .post("/emails", &[("content-type", "text/plain")], mail(""))
        .await
        .id();
}

#[tokio::test]
async fn a_misspelt_field_is_named_beside_the_one_that_is_missing() {
    let relay = Relay::start().await;
    let answer = relay.send(mail("").replace("subject", "sujbect")).await;
    assert_eq!(answer.refusal(), (422, "missing_required_field"));
    assert_eq!(
        answer.field("relay-warning"),
        Some("ignored unknown fields: sujbect")
    );
}

#[tokio::test]
async fn raw_messages_are_refused_by_name() {
    let relay = Relay::start().await;
    let good = "From: joe@example.org\r\nSubject: a\r\n\r\nb\r\n";
    let two = "From: a@example.org\r\nFrom: b@example.org\r\n\r\nb\r\n";
    let many: Vec<_> = (0..51).map(|n| format!("&to=r{n}@example.org")).collect();
    for (query, body, status, name) in [
        ("", good, 422, "missing_required_field"),
        ("?to=", good, 422, "validation_error"),
        ("?to=bob", good, 422, "validation_error"),
        ("?to=a+b@example.org", good, 422, "validation_error"),
        (
            "?to=a@example.org,b@example.org",
            good,
            422,
            "validation_error",
        ),
        (
            "?to=a@example.org&cc=b@example.org",
            good,
            422,
            "invalid_parameter",
        ),
        ("?to=a%0d%0a@example.org", good, 422, "validation_error"),
        ("?to=%ff", good, 400, "validation_error"),
        (
            &format!("?{}", many.concat()),
            good,
            422,
            "validation_error",
        ),
        ("?to=a@example.org", two, 422, "validation_error"),
        ("?to=a@example.org", "", 422, "missing_required_field"),
        ("?to=a@example.org", "", 422, "missing_required_field"),
        ("?to=a@example.org", "\r\n", 422, "missing_required_field"),
        (
            "?to=a@example.org",
            "no header here\r\n",
            422,
            "validation_error",
        ),
    ] {
        let answer = relay.post(&format!("/emails/raw{query}"), &[], body).await;
        assert_eq!(answer.refusal(), (status, name), "{query}: {}", answer.json);
    }
    let json = relay
        .post(
            "/emails/raw?to=a@example.org",
            &[("content-type", "application/json")],
            mail(""),
        )
        .await;
    assert_eq!(json.refusal(), (422, "validation_error"));
}

#[tokio::test]
async fn a_chunked_body_is_as_good_as_one_with_a_length() {
    let relay = Relay::start().await;
    let (body, key) = (
        mail(&format!(r#","html":"{}""#, "a".repeat(600_000))),
        &relay.key,
    );
    let head = format!(
        "POST /emails HTTP/1.1\r\nauthorization: Bearer {key}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    relay
        .say(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
        .await
        .id();
}

fn places(answer: &crate::harness::Answer) -> Vec<&str> {
    let errors = answer.json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn all_that_is_missing_and_all_that_mail_forbids_is_told_at_once() {
    let relay = Relay::start().await;
    let answer = relay.send("{}").await;
    assert_eq!(answer.refusal(), (422, "missing_required_field"));
    assert_eq!(places(&answer), ["subject", "to", "html"]);
    assert_eq!(
        answer.json["message"],
        "subject: is missing; give the message's subject. (and 2 more, see errors)"
    );

    let forbidden = mail(
        r#","headers":{"Subject":"x","DKIM-Signature":"y"},"cc":"=?utf-8?q?a=0Ab?= <joe@example.org>""#,
    );
    let answer = relay.send(&forbidden).await;
    assert_eq!(answer.refusal(), (422, "validation_error"));
    assert_eq!(
        places(&answer),
        ["cc[0]", "headers.Subject", "headers.DKIM-Signature"]
    );

    let answer = relay
        .batch(None, format!("[{},{{}},{forbidden}]", mail("")))
        .await;
    assert_eq!(answer.refusal(), (422, "validation_error"));
    let want = [
        "[1].subject",
        "[1].to",
        "[1].html",
        "[2].cc[0]",
        "[2].headers.Subject",
        "[2].headers.DKIM-Signature",
    ];
    assert_eq!(places(&answer), want);
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_wherever_a_body_is_read() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(r#","scheduled_at":"in 1 hour""#))
        .await
        .id();
    let bearer = format!("Bearer {}", relay.key);
    let fields = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
    ];
    for (method, path, body, name) in [
        ("POST", "/emails", mail(r#","to":"bo@example.org""#), "to"),
        (
            "POST",
            "/emails/batch",
            format!(
                "[{}]",
                mail(r#","tags":[{"name":"a","name":"b","value":"c"}]"#)
            ),
            "name",
        ),
        (
            "PATCH",
            &format!("/emails/{id}"),
            r#"{"scheduled_at":"in 2 hours","scheduled_at":"in 3 hours"}"#.to_owned(),
            "scheduled_at",
        ),
        (
            "POST",
            "/enroll",
            r#"{"token":"a","token":"b","name":"Joe","reply_to":"joe@example.org"}"#.to_owned(),
            "token",
        ),
        (
            "POST",
            "/enroll/rotate",
            r#"{"token":"a","token":"b"}"#.to_owned(),
            "token",
        ),
        (
            "POST",
            "/suppressions",
            r#"{"email":"a@example.org","email":"b@example.org"}"#.to_owned(),
            "email",
        ),
    ] {
        let answer = relay.ask(method, path, &fields, body).await;
        assert_eq!(answer.refusal(), (422, "validation_error"), "{path}");
        let told = answer.json["message"].as_str().unwrap();
        let twice = format!("{name:?} stands twice");
        assert!(told.contains(&twice), "{path}: {told}");
    }
}
