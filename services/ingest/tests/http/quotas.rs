//! What a tenant may have accepted in a day and a month, and how it is told.

use std::time::Duration;

use postrider_model::Limits;
use serde_json::{Value, json};

use crate::harness::{Relay, mail};
use crate::sending::futures_of;

fn daily(per_day: u32) -> Limits {
    Limits {
        per_day,
        ..Limits::default()
    }
}

fn monthly(per_month: u32) -> Limits {
    Limits {
        per_month,
        ..Limits::default()
    }
}

fn to_each(count: usize) -> String {
    let cc: Vec<_> = (1..count).map(|n| format!("bo{n}@example.org")).collect();
    mail(&format!(",\"cc\":{}", json!(cc)))
}

async fn used(relay: &Relay) -> Value {
    relay.get("/usage").await.json["emails"].clone()
}

#[tokio::test]
async fn a_daily_quota_counts_recipients_and_begins_anew_at_midnight() {
    let relay = Relay::start().await;
    relay.limit(daily(4)).await;
    relay.send(to_each(3)).await.id();
    // A double counts once.
    let over = relay
        .send(mail(r#","cc":["bo@example.org","BO@example.org"]"#))
        .await;
    assert_eq!(over.refusal(), (429, "daily_quota_exceeded"));
    assert_eq!(
        over.field("retry-after"),
        Some("57600"),
        "08:00 to midnight"
    );
    assert_eq!(
        over.json["message"],
        "Your daily quota is 4 recipients; 3 of them are used, and the request has 2. It begins anew at 2026-02-01T00:00:00.000000Z: send it again then, or ask the service's operator for a higher quota."
    );
    relay.send(mail("")).await.id();
    relay.clock.advance(Duration::from_millis(500));
    for _ in 0..2 {
        let over = relay.send(mail("")).await;
        assert_eq!(over.refusal(), (429, "daily_quota_exceeded"));
        assert_eq!(over.field("retry-after"), Some("57600"), "rounded up");
        assert!(
            over.json["message"]
                .as_str()
                .unwrap()
                .contains("; 4 of them are used")
        );
    }
    assert_eq!(
        used(&relay).await["daily"]["used"],
        4,
        "a refusal costs nothing"
    );
    relay.clock.advance(Duration::from_hours(16));
    relay.send(to_each(4)).await.id();
    assert_eq!(used(&relay).await["daily"]["used"], 4);
    assert_eq!(used(&relay).await["monthly"]["used"], 4, "it is February");
}

#[tokio::test]
async fn a_monthly_quota_outlasts_the_day() {
    let relay = Relay::start().await;
    relay.clock.advance(Duration::from_hours(24));
    relay.limit(monthly(2)).await;
    relay.send(to_each(2)).await.id();
    relay.clock.advance(Duration::from_hours(24));
    let over = relay.send(mail("")).await;
    assert_eq!(over.refusal(), (429, "monthly_quota_exceeded"));
    let until_march = 26 * 86_400 + 57_600;
    assert_eq!(
        over.field("retry-after"),
        Some(until_march.to_string().as_str())
    );
    let message = over.json["message"].as_str().unwrap();
    assert!(
        message.starts_with("Your monthly quota is 2 recipients; 2 of them are used"),
        "{message}"
    );
    assert!(message.contains("2026-03-01T00:00:00"), "{message}");
    relay.clock.advance(Duration::from_secs(until_march));
    relay.send(mail("")).await.id();
}

#[tokio::test]
async fn a_message_with_more_recipients_than_the_whole_quota_is_told_so() {
    let relay = Relay::start().await;
    relay.limit(daily(3)).await;
    relay.send(mail("")).await.id();
    let over = relay.send(to_each(4)).await;
    assert_eq!(over.refusal(), (422, "validation_error"));
    assert!(over.field("retry-after").is_none(), "waiting does not help");
    let message = over.json["message"].as_str().unwrap();
    let told = "4 recipients are more than the daily quota of 3 allows at any time. Split it";
    assert!(message.starts_with(told), "{message}");
}

#[tokio::test]
async fn a_higher_quota_counts_at_once() {
    let relay = Relay::start().await;
    relay.limit(daily(1)).await;
    relay.send(mail("")).await.id();
    assert_eq!(relay.send(mail("")).await.status, 429);
    relay.limit(daily(2)).await;
    relay.send(mail("")).await.id();
    assert_eq!(relay.send(mail("")).await.status, 429);
    relay.limit(daily(0)).await;
    relay.send(mail("")).await.id();
}

#[tokio::test]
async fn a_refused_key_is_free_and_a_used_one_is_answered_over_the_quota_too() {
    let relay = Relay::start().await;
    relay.limit(daily(1)).await;
    let (first, second) = ([("idempotency-key", "a")], [("idempotency-key", "b")]);
    let id = relay.post("/emails", &first, mail("")).await.id();
    assert_eq!(relay.post("/emails", &second, mail("")).await.status, 429);
    let again = relay.post("/emails", &first, mail("")).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(again.id(), id);
    relay.clock.advance(Duration::from_hours(16));
    let other = relay.post("/emails", &second, to_each(1)).await;
    assert_eq!(other.field("idempotency-replayed"), None);
    assert_ne!(other.id(), id);
}

#[tokio::test]
async fn fifty_at_once_get_exactly_the_quota() {
    let relay = Relay::start().await;
    relay.limit(daily(20)).await;
    let answers = futures_of((0..50).map(|_| relay.send(mail("")))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((accepted, refused), (20, 30));
    assert_eq!(used(&relay).await["daily"]["used"], 20);
}

#[tokio::test]
async fn usage_is_shown_with_its_limits_and_only_the_tenants_own() {
    let mut relay = Relay::start().await;
    relay.send(to_each(3)).await.id();
    let usage = relay.get("/usage").await;
    let none = |resets_at: &str, used| json!({"used": used, "limit": null, "sent": used, "received": 0, "resets_at": resets_at});
    let (day, month) = ("2026-02-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z");
    assert_eq!(
        usage.json,
        json!({
            "object": "usage",
            "emails": {"daily": none(day, 3), "monthly": none(month, 3)},
            "standing": {
                "confirmed": true,
                "unconfirmed": null,
                "ramping": false,
                "new_recipients": {"used": 0, "limit": null},
            },
        })
    );
    let both = Limits {
        per_day: 10,
        per_month: 100,
        ..Limits::default()
    };
    relay.limit(both).await;
    let usage = used(&relay).await;
    assert_eq!(
        (&usage["daily"]["limit"], &usage["monthly"]["limit"]),
        (&json!(10), &json!(100))
    );
    (_, relay.key) = relay.tenant("Other", 100).await;
    assert_eq!(used(&relay).await["daily"]["used"], 0);
    let post = relay.post("/usage", &[], "").await;
    assert_eq!(post.refusal(), (405, "method_not_allowed"));
    assert_eq!(post.field("allow"), Some("GET, HEAD"));
    let nobody = relay.ask("GET", "/usage", &[], "").await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
}
