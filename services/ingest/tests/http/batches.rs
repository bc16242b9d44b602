//! Many messages in one request: all of them, none, or those that can be.

use serde_json::{Value, json};

use crate::harness::{Answer, Relay, mail};
use crate::sending::futures_of;

fn all(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn to(address: &str) -> String {
    mail("").replace("ann@example.org", address)
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.json);
    let data = answer.json["data"].as_array().unwrap();
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    data.iter().map(id).collect()
}

fn places(answer: &Answer) -> Vec<&str> {
    let errors = answer.json["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

async fn used(relay: &Relay) -> Value {
    relay.get("/usage").await.json["emails"]["daily"]["used"].clone()
}

#[tokio::test]
async fn each_message_of_a_batch_is_one_of_its_own() {
    let relay = Relay::start().await;
    let items = [
        mail(r#","cc":"bo@example.org""#),
        mail(r#","scheduled_at":"in 1 hour","stream":"bulk""#),
        mail(r#","attachments":[{"filename":"a.txt","content":[104,105]}],"foo":1"#),
    ];
    let answer = relay.batch(Some("strict"), all(&items)).await;
    assert_eq!(
        answer.field("relay-warning"),
        Some("ignored unknown fields: [2].foo")
    );
    assert!(answer.json.get("errors").is_none());
    let ids = ids(&answer);
    let [first, second, third] = ids.as_slice() else {
        panic!("{ids:?}")
    };
    assert_eq!(relay.email(first).await["cc"][0], "bo@example.org");
    assert_eq!(relay.email(second).await["last_event"], "scheduled");
    assert_eq!(relay.email(third).await["attachments"][0]["size"], 2);
    assert_eq!(used(&relay).await, 4);
}

#[tokio::test]
async fn one_bad_message_refuses_a_strict_batch_and_nothing_of_it_is_kept() {
    let relay = Relay::start().await;
    let good = mail("");
    for (bad, field) in [
        (to("bob@"), "[1].to"),
        (mail(r#","cc":["bo@example.org","x"]"#), "[1].cc[1]"),
        (mail("").replace("subject", "sujbect"), "[1].subject"),
        (mail(r#","scheduled_at":"in 31 days""#), "[1].scheduled_at"),
        (
            mail(r#","scheduled_at":"next tuesday""#),
            "[1].scheduled_at",
        ),
        (
            mail(r#","headers":{"DKIM-Signature":"x"}"#),
            "[1].headers.DKIM-Signature",
        ),
        (
            mail(r#","expires_at":"2026-01-31T08:00:00Z""#),
            "[1].expires_at",
        ),
        ("7".to_owned(), "[1]"),
        ("null".to_owned(), "[1]"),
        ("[]".to_owned(), "[1]"),
    ] {
        for mode in [None, Some("strict"), Some("Strict")] {
            let items = [good.clone(), bad.clone(), good.clone()];
            let answer = relay.batch(mode, all(&items)).await;
            assert_eq!(answer.refusal(), (422, "validation_error"), "{bad}");
            assert_eq!(places(&answer), [field], "{bad}");
            let message = answer.json["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{field}: ")), "{message}");
        }
    }
    assert_eq!(used(&relay).await, 0);
    assert_eq!(relay.get("/emails").await.json["data"], json!([]));
    let many = vec![to("bob@"); 100];
    let answer = relay.batch(None, all(&many)).await;
    assert_eq!(places(&answer).len(), 20);
    let message = answer.json["message"].as_str().unwrap();
    assert!(message.contains("(and 99 more, see errors)"), "{message}");
}

#[tokio::test]
async fn a_permissive_batch_names_the_bad_and_accepts_the_others_in_order() {
    let relay = Relay::start().await;
    let items = [
        to("a@example.org"),
        to("bob@"),
        to("c@example.org"),
        // Found wrong at the gate, after the others were read.
        mail(r#","scheduled_at":"in 31 days""#),
        "7".to_owned(),
        to("f@example.org"),
    ];
    let answer = relay.batch(Some("permissive"), all(&items)).await;
    let mut sent = Vec::new();
    for id in ids(&answer) {
        sent.push(relay.email(&id).await["to"][0].clone());
    }
    assert_eq!(sent, ["a@example.org", "c@example.org", "f@example.org"]);
    let errors = answer.json["errors"].as_array().unwrap();
    let indices: Vec<_> = errors.iter().map(|error| error["index"].clone()).collect();
    assert_eq!(indices, [1, 3, 4]);
    let message = errors[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("to: 'bob@' is not an address"),
        "{message}"
    );
    assert_eq!(used(&relay).await, 3);
    let none = relay
        .batch(Some("permissive"), all(&[to("bob@"), "7".to_owned()]))
        .await;
    assert_eq!((none.status, &none.json["data"]), (200, &json!([])));
    assert_eq!(none.json["errors"].as_array().unwrap().len(), 2);
    let late = mail(r#","scheduled_at":"in 31 days""#);
    let none = relay.batch(Some("permissive"), all(&[late])).await;
    assert_eq!((none.status, &none.json["data"]), (200, &json!([])));
    let whole = relay.batch(Some("permissive"), all(&[mail("")])).await;
    assert_eq!(whole.json["errors"], json!([]));
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    let relay = Relay::start().await;
    let (none, many) = (all(&[]), all(&vec![mail(""); 101]));
    for (body, status) in [
        (none.as_str(), 422),
        (many.as_str(), 422),
        (&mail(""), 422),
        ("[1,2]", 422),
        ("null", 422),
        ("", 400),
        ("[{]", 400),
    ] {
        for mode in ["strict", "permissive"] {
            let answer = relay.batch(Some(mode), body).await;
            assert_eq!(answer.refusal(), (status, "validation_error"), "{mode}");
        }
    }
    for mode in ["", "lenient", "strict, permissive"] {
        let answer = relay.batch(Some(mode), all(&[mail("")])).await;
        assert_eq!(answer.refusal(), (422, "invalid_parameter"), "{mode}");
    }
    relay.batch(None, all(&vec![mail(""); 100])).await;
    assert_eq!(used(&relay).await, 100);
}

#[tokio::test]
async fn one_key_is_for_the_whole_array() {
    let relay = Relay::start().await;
    let items = all(&[to("a@example.org"), to("b@example.org")]);
    let key = ("idempotency-key", "monday");
    let send = async |mode, items: &str| {
        let fields = [key, ("x-batch-validation", mode)];
        relay.post("/emails/batch", &fields, items).await
    };
    let first = send("strict", &items).await;
    assert_eq!(first.field("idempotency-replayed"), None);
    let again = send("strict", &items).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(ids(&again), ids(&first));
    let other = all(&[to("a@example.org")]);
    for (mode, items) in [("strict", &other), ("permissive", &items)] {
        let refused = send(mode, items).await;
        assert_eq!(refused.refusal(), (409, "invalid_idempotent_request"));
    }
    // Another endpoint is another scope.
    relay.post("/emails", &[key], mail("")).await.id();
    assert_eq!(used(&relay).await, 3);
}

#[tokio::test]
async fn a_refused_batch_leaves_its_key_free() {
    let relay = Relay::start().await;
    let key = [("idempotency-key", "monday")];
    let bad = all(&[mail(""), mail(r#","scheduled_at":"in 31 days""#)]);
    let refused = relay.post("/emails/batch", &key, bad).await;
    assert_eq!(refused.refusal(), (422, "validation_error"));
    let good = relay
        .post("/emails/batch", &key, all(&[mail(""), mail("")]))
        .await;
    assert_eq!(ids(&good).len(), 2);
}

#[tokio::test]
async fn equal_batches_at_the_same_time_are_stored_once() {
    let relay = Relay::start().await;
    let key = [("idempotency-key", "once")];
    let items = all(&[to("a@example.org"), to("b@example.org")]);
    let sent = (0..10).map(|_| relay.post("/emails/batch", &key, &items));
    let answers = futures_of(sent).await;
    let replayed = answers
        .iter()
        .filter(|answer| answer.field("idempotency-replayed").is_some());
    assert_eq!(replayed.count(), 9);
    for answer in &answers {
        assert_eq!(ids(answer), ids(&answers[0]));
    }
    assert_eq!(used(&relay).await, 2);
}

#[tokio::test]
async fn the_quota_is_for_the_whole_batch_in_both_modes() {
    let relay = Relay::start().await;
    relay
        .limit(postrider_model::Limits {
            per_day: 3,
            ..postrider_model::Limits::default()
        })
        .await;
    relay.send(mail("")).await.id();
    for mode in ["strict", "permissive", "permissive"] {
        let items = all(&[mail(""), mail(r#","cc":"bo@example.org""#)]);
        let over = relay.batch(Some(mode), items).await;
        assert_eq!(over.refusal(), (429, "daily_quota_exceeded"), "{mode}");
        assert_eq!(over.field("retry-after"), Some("57600"));
        let message = over.json["message"].as_str().unwrap();
        assert!(message.contains("the request has 3."), "{message}");
    }
    assert_eq!(used(&relay).await, 1);
    assert_eq!(
        ids(&relay.batch(None, all(&[mail(""), mail("")])).await).len(),
        2
    );
}

#[tokio::test]
async fn a_hundred_messages_of_400_kb_pass_and_one_byte_more_than_the_limit_does_not() {
    let relay = Relay::start().await;
    let fill = |size: usize| {
        let content = "AAAA".repeat(size / 4);
        mail(&format!(
            r#","attachments":[{{"filename":"a.bin","content":"{content}"}}]"#
        ))
    };
    let one = fill(400 * 1024);
    let whole = all(&vec![one.clone(); 100]);
    assert!(whole.len() > 40_000_000 && whole.len() < 41_943_040);
    let answer = relay.batch(None, &whole).await;
    assert_eq!(ids(&answer).len(), 100);
    assert_eq!(used(&relay).await, 100);
    let (head, tail) = whole.split_at(whole.len() - 1);
    let larger = format!("{head}{}{tail}", " ".repeat(41_943_041 - whole.len()));
    let refused = relay.batch(None, &larger).await;
    assert_eq!(refused.refusal(), (413, "validation_error"));
}

#[tokio::test]
async fn messages_of_one_moment_are_listed_in_the_order_in_which_they_were_given() {
    // The clock stands still.
    let relay = Relay::start().await;
    let mut given = vec![relay.send(mail("")).await.id()];
    given.extend(ids(&relay.batch(None, all(&vec![mail(""); 60])).await));
    given.push(relay.send(mail("")).await.id());
    given.extend(ids(&relay.batch(None, all(&vec![mail(""); 30])).await));
    let listed = relay.get("/emails?limit=100").await;
    let listed = ids(&listed);
    assert!(listed.iter().eq(given.iter().rev()), "{listed:#?}");
}
