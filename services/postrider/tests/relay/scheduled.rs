//! Mail that the client wants to leave later: at its time, or not at all.

use std::time::Duration;

use postrider_fakenet::{Phase, Script};
use postrider_model::Timestamp;
use serde_json::{Value, json};

use crate::harness::mail::header;
use crate::harness::{Inside, Place, Timeline};

mod moved;
mod moving;
mod races;

const HOUR: Duration = Duration::from_hours(1);

async fn scheduled(place: &Place, to: &[&str], at: &str) -> String {
    let message = json!({"to": to, "subject": "Later", "text": "y", "scheduled_at": at});
    place.send(message).await
}

/// `POST /emails/{id}/cancel`.
async fn cancel(place: &Place, id: &str) -> crate::harness::Answer {
    place
        .ask("POST", &format!("/emails/{id}/cancel"), &[], b"")
        .await
}

async fn states(place: &Place, id: &str) -> Vec<String> {
    let email = place.email(id).await;
    let each = email["recipients"].as_array().unwrap().iter();
    each.map(|one| one["state"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn scheduled_mail_leaves_at_its_time_and_not_before() {
    let relay = Inside::start().await;
    let (place, began) = (&relay.place, relay.now());
    let id = scheduled(place, &["ann@later.test"], "in 1 hour").await;
    assert_eq!(place.events(&id).await.kinds(), ["scheduled"]);
    let email = place.email(&id).await;
    assert_eq!(email["last_event"], "scheduled");
    let waiting = &email["recipients"][0];
    assert_eq!(
        (&waiting["state"], &waiting["cause"]),
        (&json!("scheduled"), &json!("scheduled"))
    );
    let due = Timestamp::parse(waiting["due_at"].as_str().unwrap()).unwrap();
    assert_eq!(due.since(began), HOUR);

    relay.advance(Duration::from_secs(3_599));
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@later.test"), 0);
    assert_eq!(states(place, &id).await, ["scheduled"]);
    relay.advance(Duration::from_secs(1));
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.outcomes(), ["scheduled", "delivered"]);
    let came = relay.net.mailbox().of_host("mx.later.test");
    assert_eq!(came.len(), 1);
    // What was written later is dated later.
    assert_eq!(header(&came[0].raw, "Date"), due.to_rfc5322());
    let entry = relay.net.mailbox().entry(came[0].id).await.unwrap();
    assert_eq!(entry.dkim, ["pass", "pass"]);
    relay.stop().await;
}

#[tokio::test]
async fn scheduled_mail_survives_restarts_and_leaves_late_rather_than_never() {
    let relay = Inside::start().await;
    let soon = scheduled(&relay.place, &["ann@soon.test"], "in 5 minutes").await;
    // Beyond what is kept in memory at first.
    let later = scheduled(&relay.place, &["ann@later.test"], "in 2 days").await;
    let taken_back = scheduled(&relay.place, &["ann@never.test"], "in 1 hour").await;
    assert_eq!(cancel(&relay.place, &taken_back).await.status, 200);
    let relay = relay.restart().await;
    relay.others_go_on().await;
    assert_eq!(states(&relay.place, &soon).await, ["scheduled"]);
    relay.advance(Duration::from_mins(5));
    let timeline = relay.place.settled(&soon).await;
    assert_eq!(timeline.outcomes(), ["scheduled", "delivered"]);

    // Its time comes while nobody is there.
    let clock = relay.clock.clone();
    let relay = relay.restart_after(|| clock.advance(3 * 24 * HOUR)).await;
    let timeline = relay.place.settled(&later).await;
    assert_eq!(timeline.outcomes(), ["scheduled", "delivered"]);
    assert_eq!(relay.came("ann@later.test"), 1);
    assert_eq!(relay.came("ann@never.test"), 0);
    relay.stop().await;
}

#[tokio::test]
async fn what_comes_due_in_days_leaves_at_its_time_without_a_restart() {
    let relay = Inside::start().await;
    let id = scheduled(&relay.place, &["ann@days.test"], "in 3 days").await;
    for _ in 0..3 {
        relay.others_go_on().await;
        assert_eq!(relay.came("ann@days.test"), 0);
        relay.advance(24 * HOUR);
    }
    let timeline = relay.place.settled(&id).await;
    assert_eq!(timeline.outcomes(), ["scheduled", "delivered"]);
    relay.stop().await;
}

#[tokio::test]
async fn what_expires_while_it_is_scheduled_or_put_off_is_not_delivered_after_that() {
    let relay = Inside::start().await;
    let put_off = Script::new().always(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain("putoff.test").mx(put_off);
    let at = |span: Duration| relay.now().after(span).to_string();
    let message = |to: &str| {
        json!({
            "to": to, "subject": "x", "text": "y",
            "scheduled_at": at(HOUR), "expires_at": at(2 * HOUR),
        })
    };
    let place = &relay.place;
    let tried = place.send(message("ann@putoff.test")).await;
    let never_tried = place.send(message("ann@down.example")).await;
    relay.advance(HOUR);
    let seen = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(&tried, seen).await;
    place.settled(&never_tried).await;

    let late = message("ann@late.example");
    let late = place.send(late).await;
    let clock = relay.clock.clone();
    let relay = relay.restart_after(|| clock.advance(4 * HOUR)).await;
    for id in [&tried, &late] {
        let timeline = relay.place.settled(id).await;
        assert_eq!(timeline.end().unwrap()["type"], "expired", "{timeline:#?}");
        assert_eq!(relay.place.email(id).await["last_event"], "failed");
    }
    assert_eq!(relay.came("ann@late.example"), 0);
    relay.stop().await;
}

#[tokio::test]
async fn scheduled_mail_that_is_cancelled_never_leaves() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let to = ["ann@never.test", "bob@never.test", "eve@else.test"];
    let id = scheduled(place, &to, "in 1 hour").await;
    let answer = cancel(place, &id).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"object": "email", "id": id}));
    let timeline = place.settled(&id).await;
    for recipient in to {
        assert_eq!(timeline.of(recipient).kinds(), ["scheduled", "cancelled"]);
    }
    assert_eq!(place.email(&id).await["last_event"], "canceled");
    assert_eq!(states(place, &id).await, ["cancelled"; 3]);
    relay.advance(2 * HOUR);
    relay.others_go_on().await;
    assert!(to.iter().all(|to| relay.came(to) == 0));
    refused(place, &id, "cancelled").await;
    relay.stop().await;
}

/// It cannot be taken back any more, and the answer says what it is now.
async fn refused(place: &Place, id: &str, says: &str) {
    let (status, name, message) = cancel(place, id).await.refusal();
    assert_eq!((status, name.as_str()), (422, "validation_error"));
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn what_is_not_scheduled_any_more_cannot_be_cancelled() {
    let relay = Inside::start().await;
    let put_off = Script::new().always(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain("putoff.test").mx(put_off);
    let place = &relay.place;
    let delivered = place.send_to("ann@done.test").await;
    place.settled(&delivered).await;
    refused(place, &delivered, "delivered").await;
    let waiting = scheduled(place, &["ann@putoff.test"], "in 1 minute").await;
    relay.advance(Duration::from_mins(1));
    let seen = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(&waiting, seen).await;
    refused(place, &waiting, "queued").await;

    let other = relay.another("Curious").await;
    let mine = scheduled(place, &["ann@mine.test"], "in 1 hour").await;
    for (place, id) in [
        (&other, mine.as_str()),
        (place, "0190a5b0-0000-7000-8000-000000000000"),
        (place, "nothing"),
    ] {
        let (status, name, _) = cancel(place, id).await.refusal();
        assert_eq!((status, name.as_str()), (404, "not_found"), "{id}");
    }
    let wrong = place.get(&format!("/emails/{mine}/cancel")).await;
    assert_eq!(wrong.refusal().0, 405);
    assert_eq!(wrong.field("allow"), Some("POST"));
    assert_eq!(states(place, &mine).await, ["scheduled"]);
    relay.stop().await;
}

#[tokio::test]
async fn a_time_that_cannot_be_is_refused_and_one_that_is_past_is_now() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let past = relay.now().before(HOUR).to_string();
    let id = scheduled(place, &["ann@past.test"], &past).await;
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");
    for bad in [
        json!("2026-12-01T10:00:00"),
        json!("tomorrow at 9"),
        json!("in 1 month"),
        json!("in -1 hour"),
        json!("in 31 days"),
        json!(relay.now().after(31 * 24 * HOUR).to_string()),
        json!(1_764_583_200),
    ] {
        let message = json!({"to": "a@b.test", "subject": "x", "text": "y", "scheduled_at": bad});
        let (status, name, message) = place.post(message.to_string()).await.refusal();
        assert_eq!((status, name.as_str()), (422, "invalid_parameter"), "{bad}");
        assert!(message.contains("scheduled_at"), "{message}");
    }
    let words = [
        "in 1 min",
        "in 2 minutes",
        "in 1 hour",
        "in 2 hours",
        "in 1 day",
        "in 30 days",
    ];
    for good in words {
        let id = scheduled(place, &["ann@words.test"], good).await;
        let email: Value = place.email(&id).await;
        assert!(email["scheduled_at"].is_string(), "{email}");
    }
    relay.stop().await;
}
