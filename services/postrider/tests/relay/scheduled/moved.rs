//! Scheduled mail that is given another time: it leaves then, once, and never before.

use std::time::Duration;

use postrider_message::header_values;
use postrider_model::Timestamp;
use serde_json::json;

use super::{HOUR, cancel, scheduled, states};
use crate::harness::mail::header;
use crate::harness::{Answer, Inside, Place};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Signatures stand so long behind the time that a message is scheduled for.
const SEALED: Duration = Duration::from_hours(48);

/// `PATCH /emails/{id}`, as SDKs write it.
async fn put_off(place: &Place, id: &str, at: Timestamp) -> Answer {
    let body = json!({"id": id, "scheduled_at": at.to_string()}).to_string();
    let json = [("content-type", "application/json")];
    let path = format!("/emails/{id}");
    place.ask("PATCH", &path, &json, body.as_bytes()).await
}

async fn moved(place: &Place, id: &str, at: Timestamp) {
    let answer = put_off(place, id, at).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"object": "email", "id": id}));
}

/// One message with its first time and its second, both counted from now.
struct Case {
    to: String,
    then: Duration,
    id: String,
}

#[tokio::test]
async fn mail_that_is_given_another_time_leaves_then_and_once() {
    let relay = Inside::start().await;
    let (place, began) = (&relay.place, relay.now());
    // What is due in ten minutes is in memory, what is due later is not.
    let mut cases = Vec::new();
    for (first, then) in [
        (5 * MINUTE, 2 * MINUTE),
        (5 * MINUTE, 8 * MINUTE),
        (6 * MINUTE, 2 * HOUR),
        (2 * HOUR, 3 * MINUTE),
        (2 * HOUR, HOUR),
        (2 * HOUR, 3 * HOUR),
        (72 * HOUR, 9 * MINUTE),
    ] {
        let to = format!("ann@from{}to{}.test", first.as_secs(), then.as_secs());
        let at = began.after(first).to_string();
        let id = scheduled(place, &[&to], &at).await;
        cases.push(Case { to, then, id });
    }
    relay.others_go_on().await;
    for case in &cases {
        let at = began.after(case.then);
        moved(place, &case.id, at).await;
        let email = place.email(&case.id).await;
        assert_eq!(email["scheduled_at"], at.to_string());
        assert_eq!(email["last_event"], "scheduled");
        let waiting = &email["recipients"][0];
        assert_eq!(waiting["due_at"], at.to_string());
        assert_eq!(waiting["state"], "scheduled");
    }
    cases.sort_by_key(|case| case.then);
    for case in &cases {
        let due = began.after(case.then);
        relay.advance(due.before(SECOND).since(relay.now()));
        relay.others_go_on().await;
        assert_eq!(relay.came(&case.to), 0, "{} before its time", case.to);
        relay.advance(SECOND);
        let timeline = place.settled(&case.id).await;
        let story = ["scheduled", "rescheduled", "delivered"];
        assert_eq!(timeline.outcomes(), story, "{}", case.to);
        came_sealed_for(&relay, &case.to, began, due).await;
    }
    relay.advance(100 * HOUR);
    relay.others_go_on().await;
    for case in &cases {
        assert_eq!(relay.came(&case.to), 1, "{}", case.to);
    }
    relay.stop().await;
}

/// Its Date and its signatures are those of this time, and they hold.
async fn came_sealed_for(relay: &Inside, to: &str, moved_at: Timestamp, due: Timestamp) {
    let messages = relay.net.mailbox().messages();
    let came = messages.iter().find(|one| one.rcpt_to == [to]).unwrap();
    assert_eq!(header(&came.raw, "Date"), due.to_rfc5322());
    let entry = relay.net.mailbox().entry(came.id).await.unwrap();
    assert_eq!(entry.dkim, ["pass", "pass"], "{to}");
    let signatures = header_values(&came.raw, "DKIM-Signature");
    assert_eq!(signatures.len(), 2);
    for signature in signatures {
        let (made, ends) = (seconds(&signature, "t"), seconds(&signature, "x"));
        assert_eq!(made, moved_at.as_micros() / 1_000_000, "{signature}");
        let sealed = due.after(SEALED).as_micros() / 1_000_000;
        assert_eq!(ends, sealed, "{signature}");
    }
}

fn seconds(signature: &str, tag: &str) -> i64 {
    let mut tags = signature.split(';').filter_map(|tag| tag.split_once('='));
    let found = tags.find(|(name, _)| name.trim() == tag);
    found.unwrap().1.trim().parse().unwrap()
}

#[tokio::test]
async fn a_new_time_that_is_past_is_now() {
    let relay = Inside::start().await;
    let place = &relay.place;
    for (to, first) in [("ann@near.test", MINUTE), ("ann@far.test", 48 * HOUR)] {
        let at = relay.now().after(first).to_string();
        let id = scheduled(place, &[to], &at).await;
        moved(place, &id, relay.now().before(HOUR)).await;
        let timeline = place.settled(&id).await;
        let story = ["scheduled", "rescheduled", "delivered"];
        assert_eq!(timeline.outcomes(), story);
        came_sealed_for(&relay, to, relay.now(), relay.now()).await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn of_many_new_times_the_last_one_holds_over_a_restart() {
    let relay = Inside::start().await;
    let (place, began) = (&relay.place, relay.now());
    let to = ["ann@often.test", "bob@often.test", "eve@else.test"];
    let id = scheduled(place, &to, "in 1 hour").await;
    for minutes in [3, 600, 2, 30, 5, 4_000, 8, 1, 90, 20] {
        moved(place, &id, began.after(minutes * MINUTE)).await;
        relay.others_go_on().await;
    }
    let relay = relay.restart().await;
    let before = began.after(20 * MINUTE).before(SECOND);
    relay.advance(before.since(relay.now()));
    relay.others_go_on().await;
    assert!(to.iter().all(|to| relay.came(to) == 0));
    relay.advance(SECOND);
    let timeline = relay.place.settled(&id).await;
    relay.advance(100 * HOUR);
    relay.others_go_on().await;
    for to in to {
        assert_eq!(relay.came(to), 1, "{to}: {timeline:#?}");
        assert_eq!(timeline.of(to).count("rescheduled"), 10);
    }
    relay.stop().await;
}

#[tokio::test]
async fn what_has_left_was_taken_back_or_is_anothers_gets_no_other_time() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let later = relay.now().after(HOUR);
    let left = place.send_to("ann@left.test").await;
    place.settled(&left).await;
    let taken_back = scheduled(place, &["ann@never.test"], "in 1 hour").await;
    assert_eq!(cancel(place, &taken_back).await.status, 200);
    for (id, says) in [(&left, "delivered"), (&taken_back, "cancelled")] {
        let (status, name, message) = put_off(place, id, later).await.refusal();
        assert_eq!((status, name.as_str()), (422, "validation_error"));
        assert!(message.contains(says), "{message}");
    }
    let mine = scheduled(place, &["ann@mine.test"], "in 2 hours").await;
    let other = relay.another("Curious").await;
    let (status, name, _) = put_off(&other, &mine, later).await.refusal();
    assert_eq!((status, name.as_str()), (404, "not_found"));
    assert_eq!(states(place, &mine).await, ["scheduled"]);
    relay.advance(HOUR);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@mine.test"), 0);
    assert_eq!(relay.came("ann@never.test"), 0);
    assert_eq!(relay.came("ann@left.test"), 1);
    relay.stop().await;
}
