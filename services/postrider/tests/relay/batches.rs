//! Many messages in one request: all of them or none, once, whatever happens to the process.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::request;
use crate::harness::{Answer, Inside, Place, Sandbox, unique};

in_both_arrangements!(
    a_repeated_batch_is_answered_again_and_sent_once,
    a_permissive_batch_sends_the_good_ones_and_repeats_the_same_answer,
    equal_batches_at_once_are_one,
);

type Fields<'a> = &'a [(&'a str, &'a str)];

async fn post(place: &Place, fields: Fields<'_>, batch: &Value) -> Answer {
    let body = batch.to_string();
    let json = [("content-type", "application/json")];
    let fields = [fields, &json].concat();
    place
        .ask("POST", "/emails/batch", &fields, body.as_bytes())
        .await
}

#[track_caller]
fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = answer.json()["data"].as_array().unwrap().clone();
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    sent.iter().map(id).collect()
}

fn addresses(count: usize) -> Vec<String> {
    let word = unique();
    (0..count)
        .map(|n| format!("r{n}-{word}@example.org"))
        .collect()
}

fn batch(to: &[String]) -> Value {
    let one = |to| json!({"to": to, "subject": "x", "text": "y"});
    to.iter().map(one).collect()
}

async fn each_came_once(place: &Place, ids: &[String], to: &[String]) {
    assert_eq!(ids.len(), to.len());
    for (id, to) in ids.iter().zip(to) {
        let timeline = place.settled(id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
        assert_eq!(timeline.recipients(), [to]);
        place.received_once(to).await;
    }
}

async fn a_repeated_batch_is_answered_again_and_sent_once(place: &Place) {
    let (key, to) = (unique(), addresses(5));
    let fields = [("idempotency-key", key.as_str())];
    let given = batch(&to);
    let first = post(place, &fields, &given).await;
    assert_eq!(first.field("idempotency-replayed"), None);
    each_came_once(place, &ids(&first), &to).await;
    let again = post(place, &fields, &given).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, &again.body), (200, &first.body));
    // One item less, another order, and another mode are other requests.
    let turned: Vec<_> = to.iter().rev().cloned().collect();
    let permissive = [fields[0], ("x-batch-validation", "permissive")];
    for (fields, other) in [
        (&fields[..], batch(&to[..4])),
        (&fields, batch(&turned)),
        (&permissive, given.clone()),
    ] {
        let (status, name, _) = post(place, fields, &other).await.refusal();
        assert_eq!((status, name.as_str()), (409, "invalid_idempotent_request"));
    }
    // The same key is another one at the other endpoint, and for another tenant.
    let json = [fields[0], ("content-type", "application/json")];
    let one = given[0].to_string();
    let single = place.ask("POST", "/emails", &json, one.as_bytes()).await;
    assert!(!ids(&first).contains(&single.id()));
    let other = post(&place.another("Same Key").await, &fields, &given).await;
    assert_ne!(ids(&other), ids(&first));
}

async fn a_permissive_batch_sends_the_good_ones_and_repeats_the_same_answer(place: &Place) {
    let (key, to) = (unique(), addresses(3));
    let mut given = batch(&to);
    given[1] = json!({"to": "bob@", "subject": "x", "text": "y"});
    let strict = [("idempotency-key", key.as_str())];
    let (status, name, message) = post(place, &strict, &given).await.refusal();
    assert_eq!((status, name.as_str()), (422, "validation_error"));
    assert!(message.contains("[1].to"), "{message}");
    // What was refused has left its key free.
    let permissive = [strict[0], ("x-batch-validation", "permissive")];
    let first = post(place, &permissive, &given).await;
    assert_eq!(first.field("idempotency-replayed"), None);
    assert_eq!(first.json()["errors"][0]["index"], 1, "{}", first.text());
    let again = post(place, &permissive, &given).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    let good = [to[0].clone(), to[2].clone()];
    each_came_once(place, &ids(&first), &good).await;
}

async fn equal_batches_at_once_are_one(place: &Place) {
    let (key, to) = (unique(), addresses(4));
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let (place, key, given) = (place.clone(), key.clone(), batch(&to));
        all.spawn(async move { post(&place, &[("idempotency-key", &key)], &given).await });
    }
    let answers = all.join_all().await;
    let replayed = |answer: &&Answer| answer.field("idempotency-replayed").is_some();
    assert_eq!(answers.iter().filter(replayed).count(), 19);
    assert!(answers.iter().all(|one| one.body == answers[0].body));
    each_came_once(place, &ids(&answers[0]), &to).await;
}

/// A batch that nobody answers, because the process dies at this point; and the relay after that.
async fn killed_at(failpoint: &str, fields: Fields<'_>, given: &Value) -> Sandbox {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.serve_armed(failpoint).await;
    let bearer = format!("Bearer {}", sandbox.place.key);
    let fields = [fields, &[("authorization", bearer.as_str())]].concat();
    let body = given.to_string();
    let request = request("POST", "/emails/batch", &fields, body.as_bytes());
    let answer = sandbox.place.http.say(&request).await;
    assert!(answer.is_none(), "{answer:?}");
    sandbox.relay_dies().await;
    sandbox.serve().await;
    sandbox
}

async fn listed(place: &Place) -> usize {
    let answer = place.get("/emails?limit=100").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn killed_before_the_commit_nothing_of_the_batch_is_there() {
    let (to, fields) = (addresses(40), [("idempotency-key", "order-8")]);
    let given = batch(&to);
    let sandbox = killed_at("store.before_commit", &fields, &given).await;
    let place = &sandbox.place;
    assert_eq!(listed(place).await, 0);
    let again = post(place, &fields, &given).await;
    assert_eq!(again.field("idempotency-replayed"), None);
    each_came_once(place, &ids(&again), &to).await;
    assert_eq!(listed(place).await, 40);
}

#[tokio::test]
async fn killed_after_the_commit_all_of_the_batch_leaves_and_the_retry_names_it() {
    let (to, fields) = (addresses(40), [("idempotency-key", "order-9")]);
    let given = batch(&to);
    let sandbox = killed_at("store.after_commit", &fields, &given).await;
    let place = &sandbox.place;
    assert_eq!(listed(place).await, 40);
    let again = post(place, &fields, &given).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    each_came_once(place, &ids(&again), &to).await;
    let once_more = post(place, &fields, &given).await;
    assert_eq!(once_more.body, again.body);
    assert_eq!(listed(place).await, 40);
}

#[tokio::test]
async fn a_batch_over_quota_is_refused_whole_in_both_modes() {
    let relay = Inside::start().await;
    let tenant = relay.another("Quota").await;
    let words = ["tenant", "limit", &tenant.tenant, "--per-day", "5"];
    relay.command(&words).await;
    let first = addresses(3);
    assert_eq!(ids(&post(&tenant, &[], &batch(&first)).await).len(), 3);
    let given = batch(&addresses(3));
    for mode in ["strict", "permissive"] {
        let fields = [("idempotency-key", "later"), ("x-batch-validation", mode)];
        let answer = post(&tenant, &fields, &given).await;
        let (status, name, message) = answer.refusal();
        assert_eq!((status, name.as_str()), (429, "daily_quota_exceeded"));
        assert!(message.contains('5'), "{message}");
        assert!(answer.field("retry-after").is_some());
    }
    let usage = tenant.get("/usage").await.json();
    assert_eq!(usage["emails"]["daily"]["used"], 3, "{usage}");
    // What fits is taken, and the refused ones' key is free.
    let fields = [("idempotency-key", "later")];
    let rest = post(&tenant, &fields, &batch(&addresses(2))).await;
    assert_eq!(rest.field("idempotency-replayed"), None);
    assert_eq!(ids(&rest).len(), 2);
    assert_eq!(post(&tenant, &[], &batch(&first)).await.status, 429);
    // Nobody else's business.
    relay.others_go_on().await;
    relay.stop().await;
}
