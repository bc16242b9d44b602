//! Who may see what, and how often.

use crate::harness::{Relay, mail};

#[tokio::test]
async fn events_are_listed_oldest_first_with_the_replaced_address() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(r#","from":"joe@elsewhere.example""#))
        .await
        .id();
    let list = relay.get(&format!("/emails/{id}/events")).await.json;
    assert_eq!(
        (&list["object"], &list["has_more"]),
        (&"list".into(), &false.into())
    );
    let kinds: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["accepted", "reply_to_replaced"]);
    let first = &list["data"][0];
    assert_eq!(first["recipient"], "ann@example.org");
    for absent in ["reply", "mx", "tls", "duration_ms", "note"] {
        assert_eq!(
            first.get(absent),
            Some(&serde_json::Value::Null),
            "{absent}"
        );
    }
}

#[tokio::test]
async fn what_belongs_to_another_tenant_is_not_there() {
    let mut relay = Relay::start().await;
    let id = relay.send(mail("")).await.id();
    (_, relay.key) = relay.tenant("Other", 100).await;
    for path in [
        format!("/emails/{id}"),
        format!("/emails/{id}/events"),
        "/emails/7".to_owned(),
        "/emails/00000000-0000-7000-8000-000000000000".to_owned(),
    ] {
        assert_eq!(
            relay.get(&path).await.refusal(),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn keys_are_asked_for_and_checked() {
    let relay = Relay::start().await;
    let wrong = format!("Bearer {}x", &relay.key[..relay.key.len() - 1]);
    for (fields, status, name) in [
        (vec![], 401, "missing_api_key"),
        (vec![("authorization", "Basic abc")], 401, "missing_api_key"),
        (vec![("authorization", "Bearer ")], 401, "missing_api_key"),
        (
            vec![("authorization", "Bearer nonsense")],
            403,
            "invalid_api_key",
        ),
        (
            vec![("authorization", wrong.as_str())],
            403,
            "invalid_api_key",
        ),
    ] {
        let answer = relay.ask("POST", "/emails", &fields, mail("")).await;
        assert_eq!(answer.refusal(), (status, name), "{fields:?}");
        assert_eq!(answer.field("www-authenticate").is_some(), status == 401);
    }
    relay.suspend(&relay.tenant).await;
    assert_eq!(
        relay.send(mail("")).await.refusal(),
        (403, "validation_error")
    );
}

#[tokio::test]
async fn the_rate_is_told_in_plain_integers_and_kept() {
    let mut relay = Relay::start().await;
    (_, relay.key) = relay.tenant("Small", 2).await;
    let first = relay.send(mail("")).await;
    for (name, want) in [
        ("ratelimit-limit", "2"),
        ("ratelimit-remaining", "1"),
        ("ratelimit-reset", "1"),
        ("ratelimit-policy", "\"default\";q=2;w=1"),
        ("ratelimit", "\"default\";r=1;t=1"),
    ] {
        assert_eq!(first.field(name), Some(want), "{name}");
    }
    relay.send(mail("")).await.id();
    let over = relay.send(mail("")).await;
    assert_eq!(over.refusal(), (429, "rate_limit_exceeded"));
    assert_eq!(
        (over.field("retry-after"), over.field("ratelimit-remaining")),
        (Some("1"), Some("0"))
    );
    relay.clock.advance(std::time::Duration::from_secs(1));
    relay.send(mail("")).await.id();
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there_are_told_apart() {
    let relay = Relay::start().await;
    for (method, path, status, allow) in [
        ("GET", "/", 404, None),
        ("GET", "/email", 404, None),
        ("GET", "/emails/", 404, None),
        ("GET", "/v1/emails", 404, None),
        ("DELETE", "/emails", 405, Some("GET, HEAD, POST")),
        ("GET", "/emails/batch", 405, Some("POST")),
        ("POST", "/domains", 405, Some("GET, HEAD")),
        ("POST", "/openapi.json", 405, Some("GET, HEAD")),
        (
            "DELETE",
            "/emails/00000000-0000-7000-8000-000000000000",
            405,
            Some("GET, HEAD, PATCH"),
        ),
        ("DELETE", "/emails/raw", 405, Some("POST")),
        ("POST", "/healthz", 405, Some("GET, HEAD")),
    ] {
        let answer = relay.ask(method, path, &[], "").await;
        assert_eq!(answer.refusal().0, status, "{method} {path}");
        assert_eq!(answer.field("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn health_needs_no_key_and_want_of_space_closes_the_door() {
    let relay = Relay::start().await;
    assert_eq!(relay.ask("GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(relay.ask("GET", "/readyz", &[], "").await.status, 200);
    relay.gate.set_space_is_short(true);
    let refused = relay.send(mail("")).await;
    assert_eq!(refused.refusal(), (503, "application_error"));
    assert!(refused.field("retry-after").is_some());
    assert_eq!(relay.ask("GET", "/readyz", &[], "").await.status, 503);
    assert_eq!(relay.ask("GET", "/healthz", &[], "").await.status, 200);
}
