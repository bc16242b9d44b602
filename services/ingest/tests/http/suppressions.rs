//! The suppression list.

use crate::harness::{Relay, mail};

#[tokio::test]
async fn an_address_is_suppressed_shown_and_lifted() {
    let relay = Relay::start().await;
    let added = relay
        .post("/suppressions", &[], r#"{"email":"Ann+b@example.org"}"#)
        .await;
    assert_eq!(added.status, 200, "{}", added.json);
    assert_eq!(added.json["object"], "suppression");
    assert_eq!(added.json["origin"], "manual");
    assert_eq!(added.json["email"], "Ann+b@example.org");
    let id = added.json["id"].as_str().unwrap().to_owned();

    let again = relay
        .post("/suppressions", &[], r#"{"email":"ann+b@example.org"}"#)
        .await;
    assert_eq!(
        again.json["id"],
        id.as_str(),
        "once more is as good as once"
    );
    for which in [id.as_str(), "ann%2Bb%40example.org", "ann+b@example.org"] {
        let shown = relay.get(&format!("/suppressions/{which}")).await;
        assert_eq!(shown.json["id"], id.as_str(), "{which}");
    }

    let sent = relay.send(mail("").replace("ann@", "ann+b@")).await;
    let email = relay.email(&sent.id()).await;
    assert_eq!(email["recipients"][0]["state"], "suppressed", "{email}");
    assert_eq!(email["last_event"], "failed");

    let delete = |which: String| {
        let relay = &relay;
        async move {
            let bearer = format!("Bearer {}", relay.key);
            let fields = [("authorization", bearer.as_str())];
            relay
                .ask("DELETE", &format!("/suppressions/{which}"), &fields, "")
                .await
        }
    };
    let gone = delete("ann%2Bb%40example.org".to_owned()).await;
    assert_eq!(gone.json["deleted"], true);
    assert_eq!(delete(id.clone()).await.refusal(), (404, "not_found"));
    let sent = relay.send(mail("").replace("ann@", "ann+b@")).await;
    let email = relay.email(&sent.id()).await;
    assert_eq!(email["recipients"][0]["state"], "queued", "{email}");
}

#[tokio::test]
async fn a_stream_is_suppressed_alone_and_the_list_has_pages() {
    let relay = Relay::start().await;
    let added = relay
        .post(
            "/suppressions/batch/add",
            &[],
            r#"{"emails":["a@example.org","b@example.org","c@example.org","A@example.org"],"stream":"bulk"}"#,
        )
        .await;
    assert_eq!(added.json["data"].as_array().unwrap().len(), 3);
    let sent = relay.send(mail("").replace("ann@", "a@")).await;
    let email = relay.email(&sent.id()).await;
    assert_eq!(email["recipients"][0]["state"], "queued");
    let sent = relay
        .send(mail(r#","stream":"bulk""#).replace("ann@", "a@"))
        .await;
    let email = relay.email(&sent.id()).await;
    assert_eq!(email["recipients"][0]["state"], "suppressed");

    let first = relay.get("/suppressions?limit=2&stream=bulk").await;
    assert_eq!(first.json["has_more"], true);
    let last = first.json["data"][1]["id"].as_str().unwrap().to_owned();
    let second = relay
        .get(&format!("/suppressions?limit=2&after={last}"))
        .await;
    assert_eq!(second.json["has_more"], false);
    assert_eq!(second.json["data"].as_array().unwrap().len(), 1);
    let none = relay.get("/suppressions?stream=transactional").await;
    assert!(none.json["data"].as_array().unwrap().is_empty());

    let body = format!(r#"{{"ids":["{last}"]}}"#);
    let lifted = relay.post("/suppressions/batch/remove", &[], body).await;
    assert_eq!(lifted.json["data"][0]["id"], last.as_str());
    assert_eq!(lifted.json["data"][0]["deleted"], true);
}

#[tokio::test]
async fn what_names_nothing_is_refused_by_its_name() {
    let relay = Relay::start().await;
    for (path, body, field) in [
        ("/suppressions", r"{}", "email"),
        ("/suppressions", r#"{"email":"ann"}"#, "email"),
        (
            "/suppressions",
            r#"{"email":"a@b.example","stream":"x"}"#,
            "stream",
        ),
        ("/suppressions/batch/add", r#"{"emails":[]}"#, "emails"),
        (
            "/suppressions/batch/add",
            r#"{"emails":["a@b.example","b"]}"#,
            "emails[1]",
        ),
        (
            "/suppressions/batch/remove",
            r#"{"emails":["a@b.example"],"ids":["x"]}"#,
            "ids",
        ),
        ("/suppressions/batch/remove", r#"{"ids":["x"]}"#, "ids[0]"),
    ] {
        let refused = relay.post(path, &[], body).await;
        assert_eq!(refused.status, 422, "{body}");
        assert_eq!(refused.json["errors"][0]["field"], field, "{body}");
    }
    let unknown = relay
        .get("/suppressions?after=00000000-0000-7000-8000-000000000000")
        .await;
    assert_eq!(unknown.refusal(), (422, "invalid_parameter"));
}

#[tokio::test]
async fn another_tenants_list_is_not_there() {
    let relay = Relay::start().await;
    let added = relay
        .post("/suppressions", &[], r#"{"email":"ann@example.org"}"#)
        .await;
    let id = added.json["id"].as_str().unwrap().to_owned();
    let (_, key) = relay.tenant("Other", 100).await;
    let bearer = format!("Bearer {key}");
    let fields = [("authorization", bearer.as_str())];
    for method in ["GET", "DELETE"] {
        for which in [id.as_str(), "ann@example.org"] {
            let path = format!("/suppressions/{which}");
            let answer = relay.ask(method, &path, &fields, "").await;
            assert_eq!(answer.refusal(), (404, "not_found"), "{method} {which}");
        }
    }
}
