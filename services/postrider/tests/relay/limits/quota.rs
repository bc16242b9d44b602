//! Quotas: recipients taken per day and month, counted in the commit that takes them.

use std::time::Duration;

use postrider_model::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, Inside, Place};

async fn tenant_with(relay: &Inside, words: &[&str]) -> Place {
    let tenant = relay.another("Quota").await;
    relay
        .command(&[&["tenant", "limit", &tenant.tenant], words].concat())
        .await;
    tenant
}

async fn post(place: &Place, recipients: usize) -> Answer {
    let word = crate::harness::unique();
    let to: Vec<_> = (0..recipients)
        .map(|n| format!("r{n}-{word}@example.org"))
        .collect();
    let message = json!({"to": to, "subject": "x", "text": "y"});
    place.post(message.to_string()).await
}

async fn usage(place: &Place) -> Value {
    let answer = place.get("/usage").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["emails"].clone()
}

/// Refused by this quota, until then, with words that a person can use.
fn over(answer: &Answer, relay: &Inside, period: &str, limit: u64) -> Timestamp {
    let (status, name, message) = answer.refusal();
    assert_eq!((status, name), (429, format!("{period}_quota_exceeded")));
    assert!(message.contains(&limit.to_string()), "{message}");
    let seconds = answer.field("retry-after").unwrap().parse().unwrap();
    relay.now().after(Duration::from_secs(seconds))
}

/// The first moment of the UTC day behind this one.
fn midnight(now: Timestamp) -> Timestamp {
    let day = &now.to_string()[..10];
    let begin = Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
    begin.after(Duration::from_hours(24))
}

fn is_about(given: Timestamp, wanted: Timestamp) -> bool {
    given.since(wanted) + wanted.since(given) <= Duration::from_secs(1)
}

#[tokio::test]
async fn over_the_days_quota_nothing_is_taken_until_midnight() {
    let relay = Inside::start().await;
    let tenant = tenant_with(&relay, &["--per-day", "3"]).await;
    post(&tenant, 2).await.id();
    // All or nothing: one is left and two are asked for.
    let until = over(&post(&tenant, 2).await, &relay, "daily", 3);
    assert!(is_about(until, midnight(relay.now())), "{until}");
    post(&tenant, 1).await.id();
    over(&post(&tenant, 1).await, &relay, "daily", 3);
    let daily = usage(&tenant).await["daily"].clone();
    assert_eq!((&daily["used"], &daily["limit"]), (&json!(3), &json!(3)));
    let resets = Timestamp::parse(daily["resets_at"].as_str().unwrap()).unwrap();
    assert_eq!(resets, midnight(relay.now()));
    let shown = relay.command(&["tenant", "show", &tenant.tenant]).await;
    assert_eq!(shown["usage"]["daily"]["limit"], 3, "{shown}");
    // Nobody else's business.
    relay.others_go_on().await;
    post(&relay.place, 50).await.id();

    let relay = relay.restart().await;
    let tenant = relay.place.as_tenant(&tenant.key, &tenant.tenant);
    over(&post(&tenant, 1).await, &relay, "daily", 3);
    relay.advance(midnight(relay.now()).since(relay.now()));
    post(&tenant, 3).await.id();
    over(&post(&tenant, 1).await, &relay, "daily", 3);
    relay.stop().await;
}

#[tokio::test]
async fn over_the_months_quota_nothing_is_taken_until_the_first() {
    let relay = Inside::start().await;
    let tenant = tenant_with(&relay, &["--per-month", "4", "--per-day", "0"]).await;
    post(&tenant, 3).await.id();
    let until = over(&post(&tenant, 2).await, &relay, "monthly", 4);
    let first = until.to_string();
    assert!(
        first[..10].ends_with("-01") || is_about(until, midnight(until)),
        "{first}"
    );
    let monthly = usage(&tenant).await["monthly"].clone();
    assert_eq!(
        (&monthly["used"], &monthly["limit"]),
        (&json!(3), &json!(4))
    );
    assert!(monthly["resets_at"].as_str().unwrap()[..19].ends_with("-01T00:00:00"));
    assert_eq!(usage(&tenant).await["daily"]["limit"], Value::Null);
    relay.advance(until.since(relay.now()) + Duration::from_secs(1));
    post(&tenant, 4).await.id();
    relay.stop().await;
}

#[tokio::test]
async fn more_than_a_whole_quota_in_one_message_is_told_so() {
    let relay = Inside::start().await;
    let tenant = tenant_with(&relay, &["--per-day", "3"]).await;
    let answer = post(&tenant, 4).await;
    assert_eq!(answer.refusal().0, 422);
    let (_, _, message) = answer.refusal();
    assert!(message.contains('4') && message.contains('3'), "{message}");
    assert_eq!(usage(&tenant).await["daily"]["used"], 0);
    relay.stop().await;
}

#[tokio::test]
async fn a_recipient_named_twice_and_a_request_repeated_count_once() {
    let relay = Inside::start().await;
    let tenant = tenant_with(&relay, &["--per-day", "3"]).await;
    let body = r#"{"to":["a@b.test","A@B.test"],"cc":"a@b.test","subject":"x","text":"y"}"#;
    let fields = [("idempotency-key", "once")];
    for _ in 0..3 {
        let answer = tenant
            .ask("POST", "/emails", &fields, body.as_bytes())
            .await;
        answer.id();
    }
    let used = usage(&tenant).await["daily"]["used"].as_u64().unwrap();
    assert!(used < 3, "{used}");
    // What is refused for the quota leaves its key free.
    let many = json!({"to": ["b@b.test", "c@b.test", "d@b.test"], "subject": "x", "text": "y"});
    let fields = [("idempotency-key", "later")];
    let (many, path) = (many.to_string(), "/emails");
    let refused = tenant.ask("POST", path, &fields, many.as_bytes()).await;
    over(&refused, &relay, "daily", 3);
    relay
        .command(&["tenant", "limit", &tenant.tenant, "--per-day", "10"])
        .await;
    let taken = tenant.ask("POST", path, &fields, many.as_bytes()).await;
    assert_eq!(taken.field("idempotency-replayed"), None);
    taken.id();
    relay.stop().await;
}

#[tokio::test]
async fn fifty_at_once_do_not_get_one_more_than_the_quota() {
    let relay = Inside::start().await;
    let tenant = tenant_with(&relay, &["--per-day", "20"]).await;
    let mut all = JoinSet::new();
    for _ in 0..50 {
        let tenant = tenant.clone();
        all.spawn(async move { post(&tenant, 1).await });
    }
    let answers = all.join_all().await;
    let taken = answers.iter().filter(|one| one.status == 200).count();
    assert_eq!(taken, 20);
    for refused in answers.iter().filter(|one| one.status != 200) {
        over(refused, &relay, "daily", 20);
    }
    assert_eq!(usage(&tenant).await["daily"]["used"], 20);
    relay.stop().await;
}
