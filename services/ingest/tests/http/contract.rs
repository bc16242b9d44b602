//! The traps of the SDKs in the field: what they send, and what they need of an answer.

use postrider_http::oracle::Oracle;
use serde_json::{Value, json};

use crate::harness::{Answer, Relay, mail};

#[tokio::test]
async fn the_contract_is_served_without_a_key_and_is_the_one_that_is_judged_by() {
    let relay = Relay::start().await;
    let served = relay.ask("GET", "/openapi.json", &[], "").await;
    assert_eq!(served.status, 200);
    let file: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    assert_eq!(served.json, file);
    assert!(Oracle::new(served.json).is_ok());
}

#[tokio::test]
async fn a_request_of_each_sdk_is_taken() {
    let relay = Relay::start().await;
    for (which, body) in [
        // Strings and arrays, raw UTF-8.
        (
            "node",
            r#"{"from":"Joe <joe@joesgarage.example>","to":["ann@example.org"],"reply_to":"joe@joesgarage.example","subject":"Grüße 😀","html":"<b>ready</b>","attachments":[{"filename":"a.txt","content":"aGk=","content_type":"text/plain","content_id":null}]}"#,
        ),
        // Escaped surrogate pairs, bytes as numbers, the other name of content_id.
        (
            "python",
            r#"{"from": "Joe <joe@joesgarage.example>", "to": "ann@example.org", "subject": "Gr\u00fc\u00dfe \ud83d\ude00", "html": "<img src=\"cid:logo\">", "attachments": [{"filename": "logo.png", "content": [137, 80, 78, 71], "inline_content_id": "logo"}]}"#,
        ),
        // Nulls everywhere, a name with a comma without quotes.
        (
            "dotnet",
            r#"{"id":null,"from":"Doe, Joe <joe@joesgarage.example>","to":["Doe, Ann <ann@example.org>"],"cc":null,"bcc":null,"reply_to":null,"subject":"a","text":"b","html":null,"headers":null,"attachments":null,"tags":null,"scheduled_at":null,"topic_id":null,"created_at":"2026-01-31T08:00:00Z"}"#,
        ),
        (
            "go",
            r#"{"from":"joe@joesgarage.example","to":["ann@example.org"],"subject":"a","bcc":[],"reply_to":"joe@joesgarage.example","text":"b","tags":[],"attachments":[{"content":[104,105],"filename":"a.txt","path":null,"content_type":""}],"headers":{}}"#,
        ),
    ] {
        let answer = relay.send(body.replace(r#","content_type":"""#, "")).await;
        assert_eq!(answer.status, 200, "{which}: {}", answer.json);
        let id = answer.id();
        assert_eq!((id.len(), &id[14..15]), (36, "7"), "{which}");
        let email = relay.email(&id).await;
        assert!(email["from"].is_string() && email["cc"].is_array() && email["bcc"].is_array());
    }
}

#[tokio::test]
async fn bodies_where_none_belong_are_passed_over_and_slashes_too() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(r#","scheduled_at":"in 1 hour""#))
        .await
        .id();
    let bearer = format!("Bearer {}", relay.key);
    let json = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    for path in [
        format!("/emails/{id}"),
        format!("//emails/{id}"),
        format!("//emails/{id}/events"),
        format!("/emails/{id}/attachments"),
        "//emails".to_owned(),
        "/domains".to_owned(),
        "/usage".to_owned(),
    ] {
        for body in ["{}", "", "{"] {
            let answer = relay.ask("GET", &path, &json, body).await;
            assert_eq!(answer.status, 200, "{path} {body}: {}", answer.json);
            assert!(answer.json.get("statusCode").is_none());
        }
    }
    let new_time = format!(r#"{{"id":"{id}","scheduled_at":"in 2 hours"}}"#);
    let path = format!("//emails/{id}");
    assert_eq!(relay.ask("PATCH", &path, &json, new_time).await.status, 200);
    let path = format!("//emails/{id}/cancel");
    assert_eq!(relay.ask("POST", &path, &json, "").await.status, 200);
}

#[tokio::test]
async fn chunks_without_a_length_are_taken_everywhere() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(r#","scheduled_at":"in 1 hour""#))
        .await
        .id();
    let key = &relay.key;
    for (line, body) in [
        ("POST /emails", mail("")),
        ("POST /emails/batch", format!("[{}]", mail(""))),
        (
            &format!("PATCH /emails/{id}"),
            r#"{"scheduled_at":"in 2 hours"}"#.to_owned(),
        ),
        (&format!("POST /emails/{id}/cancel"), "{}".to_owned()),
        ("GET /emails", "{}".to_owned()),
    ] {
        let (first, rest) = body.split_at(1);
        let request = format!(
            "{line} HTTP/1.1\r\nauthorization: Bearer {key}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            rest.len()
        );
        let answer = relay.say(request).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.json);
    }
}

// What each layer below the endpoints says by itself.
async fn below(relay: &Relay) -> Vec<(u16, Answer)> {
    let bearer = format!("authorization: Bearer {}\r\n", relay.key);
    let close = "connection: close\r\n";
    let mut answers = Vec::new();
    for (status, request) in [
        (404, format!("GET /email HTTP/1.1\r\n{close}\r\n")),
        (404, format!("GET /emails/%zz HTTP/1.1\r\n{close}\r\n")),
        (405, format!("DELETE /emails HTTP/1.1\r\n{close}\r\n")),
        (
            400,
            format!("GET /emails?a=%zz HTTP/1.1\r\n{bearer}{close}\r\n"),
        ),
        (400, "not http\r\n\r\n".to_owned()),
        (
            413,
            format!(
                "POST /emails HTTP/1.1\r\n{bearer}expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
            ),
        ),
        (
            431,
            format!("GET /emails HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000)),
        ),
    ] {
        answers.push((status, relay.say(request).await));
    }
    answers
}

#[tokio::test]
async fn each_layer_refuses_in_json_that_every_sdk_can_read() {
    let relay = Relay::start().await;
    for (status, answer) in below(&relay).await {
        assert_eq!(answer.status, status, "{}", answer.json);
        let kind = answer.field("content-type").unwrap();
        assert!(kind.contains("application/json"), "{kind}");
        assert_eq!(answer.json["statusCode"], status);
        for part in ["name", "message", "request_id"] {
            assert!(answer.json[part].is_string(), "{status} {part}");
        }
        for part in ["error", "code", "type"] {
            assert!(answer.json.get(part).is_none(), "{status} {part}");
        }
    }
}

#[tokio::test]
async fn rates_are_plain_integers_on_answers_of_all_kinds() {
    let relay = Relay::start().await;
    for answer in [
        relay.send(mail("")).await,
        relay.send("{}").await,
        relay.get("/emails").await,
        relay.get("/emails?limit=0").await,
        relay.cancel("00000000-0000-7000-8000-000000000000").await,
        relay.batch(None, "[]").await,
    ] {
        for name in ["limit", "remaining", "reset"] {
            let name = format!("ratelimit-{name}");
            let value = answer.field(&name).unwrap();
            assert!(value.bytes().all(|digit| digit.is_ascii_digit()), "{value}");
        }
    }
}

#[tokio::test]
async fn a_wizard_sees_one_verified_domain() {
    let relay = Relay::start().await;
    let domains = relay.get("/domains").await;
    let domain = &domains.json["data"][0];
    assert_eq!(domain["name"], "send.relay.example");
    assert_eq!(domain["status"], "verified");
    assert_eq!(relay.get("/domains").await.json, domains.json, "it stays");
    let nobody = relay.ask("GET", "/domains", &[], "").await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
}

#[tokio::test]
async fn what_was_attached_is_listed_with_ids_that_stay() {
    let mut relay = Relay::start().await;
    let members = r#","html":"<img src=\"cid:logo\">","attachments":[{"filename":"é.pdf","content":"aGVsbG8=","content_type":"application/pdf"},{"filename":"logo.png","content":[1,2],"content_id":"logo"}]"#;
    let id = relay.send(mail(members)).await.id();
    let path = format!("/emails/{id}/attachments");
    let list = relay.get(&path).await.json;
    let files = list["data"].as_array().unwrap();
    let told: Vec<_> = files
        .iter()
        .map(|file| {
            json!([
                file["filename"],
                file["size"],
                file["content_type"],
                file["content_disposition"],
                file["content_id"]
            ])
        })
        .collect();
    assert_eq!(told.len(), 2, "{list}");
    assert!(
        told.contains(&json!(["é.pdf", 5, "application/pdf", "attachment", null])),
        "{told:?}"
    );
    assert!(
        told.contains(&json!(["logo.png", 2, "image/png", "inline", "logo"])),
        "{told:?}"
    );
    assert_ne!(files[0]["id"], files[1]["id"]);
    assert_eq!(relay.get(&path).await.json, list);
    let none = relay.send(mail("")).await.id();
    let none = relay.get(&format!("/emails/{none}/attachments")).await.json;
    assert_eq!(none["data"], json!([]));
    (_, relay.key) = relay.tenant("Other", 100).await;
    assert_eq!(relay.get(&path).await.refusal(), (404, "not_found"));
}
