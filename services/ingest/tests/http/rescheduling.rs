//! Another time for a scheduled message.

use std::time::Duration;

use postrider_message::{header_value, sealed_until, unsigned};
use postrider_model::{MessageId, Timestamp};
use postrider_store::{Mail, Queue};

use crate::harness::{Answer, Relay, mail};
use crate::sending::futures_of;

const IN_TWO_HOURS: &str = "2026-01-31T10:00:00.000000Z";
const IN_FIVE_DAYS: &str = "2026-02-05T08:00:00.000000Z";

async fn scheduled(relay: &Relay, members: &str) -> String {
    let members = format!(r#","scheduled_at":"in 2 hours"{members}"#);
    relay.send(mail(&members)).await.id()
}

async fn bytes(relay: &Relay, id: &str) -> Vec<u8> {
    let body = relay.store.body(relay.tenant.id, id.parse().unwrap()).await;
    body.unwrap().unwrap().to_vec()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn to(time: &str) -> String {
    format!(r#"{{"scheduled_at":"{time}"}}"#)
}

fn told(answer: &Answer) -> String {
    let (status, name) = answer.refusal();
    let message = answer.json["message"].as_str().unwrap();
    format!("{status} {name}: {message}")
}

async fn kinds(relay: &Relay, id: &str) -> Vec<String> {
    let events = relay.get(&format!("/emails/{id}/events")).await.json;
    let events = events["data"].as_array().unwrap().clone();
    let kind = |event: &serde_json::Value| event["type"].as_str().unwrap().to_owned();
    events.iter().map(kind).collect()
}

#[tokio::test]
async fn a_scheduled_message_gets_another_time_with_its_date_and_its_seal() {
    let relay = Relay::start().await;
    let large = format!(r#","html":"<p>{}</p>""#, "é ".repeat(100_000));
    for members in ["", &large] {
        let id = scheduled(&relay, members).await;
        let before = bytes(&relay, &id).await;
        for (wish, time) in [
            ("2026-02-05T09:00:00+01:00", IN_FIVE_DAYS),
            ("in 1 hour", "2026-01-31T09:00:00.000000Z"),
            ("in 2 hours", IN_TWO_HOURS),
        ] {
            let answer = relay.patch(&id, to(wish)).await;
            assert_eq!(answer.status, 200, "{}", answer.json);
            assert_eq!(
                answer.json,
                serde_json::json!({"object": "email", "id": id})
            );
            let email = relay.email(&id).await;
            assert_eq!(email["scheduled_at"], time);
            assert_eq!(email["last_event"], "scheduled");
            let lifetime = Duration::from_hours(72);
            let expires = at(time).after(lifetime).to_string();
            assert_eq!(email["expires_at"], expires);
            let recipient = &email["recipients"][0];
            assert_eq!(
                (&recipient["due_at"], &recipient["state"]),
                (&time.into(), &"scheduled".into())
            );
            let body = bytes(&relay, &id).await;
            let date = header_value(&body, "Date").unwrap();
            assert_eq!(date, at(time).to_rfc5322());
            let until = at(time).after(Duration::from_hours(48));
            assert_eq!(sealed_until(&body), Some(until));
        }
        // There and back: nothing else has changed.
        assert_eq!(unsigned(&bytes(&relay, &id).await), unsigned(&before));
        let want = ["scheduled", "rescheduled", "rescheduled", "rescheduled"];
        assert_eq!(kinds(&relay, &id).await, want);
    }
}

#[tokio::test]
async fn it_leaves_at_the_new_time_and_not_before() {
    let relay = Relay::start().await;
    let id = scheduled(&relay, "").await;
    let message: MessageId = id.parse().unwrap();
    assert_eq!(relay.patch(&id, to("in 5 days")).await.status, 200);
    relay.clock.advance(Duration::from_hours(2));
    let now = relay.clock.now();
    let early = relay.store.start_scheduled(&[message], now).await;
    assert_eq!(early.unwrap(), []);
    relay.clock.advance(Duration::from_hours(118));
    let now = relay.clock.now();
    let due = relay.store.start_scheduled(&[message], now).await;
    assert_eq!(due.unwrap(), [message]);
}

#[tokio::test]
async fn a_date_that_the_client_gave_stays() {
    let relay = Relay::start().await;
    let date = "Fri, 30 Jan 2026 18:00:00 +0100";
    let id = scheduled(&relay, &format!(r#","headers":{{"Date":"{date}"}}"#)).await;
    assert_eq!(relay.patch(&id, to("in 5 days")).await.status, 200);
    let body = bytes(&relay, &id).await;
    assert_eq!(header_value(&body, "Date").as_deref(), Some(date));
}

#[tokio::test]
async fn a_time_in_the_past_is_now() {
    let relay = Relay::start().await;
    for past in ["1999-01-31T08:00:00Z", "in 0 minutes"] {
        let id = scheduled(&relay, "").await;
        relay.clock.advance(Duration::from_secs(1));
        assert_eq!(relay.patch(&id, to(past)).await.status, 200);
        let email = relay.email(&id).await;
        let now = relay.clock.now();
        assert_eq!(email["scheduled_at"], now.to_string());
        let message = id.parse().unwrap();
        let due = relay.store.start_scheduled(&[message], now).await;
        assert_eq!(due.unwrap(), [message]);
        let body = bytes(&relay, &id).await;
        assert_eq!(header_value(&body, "Date").unwrap(), now.to_rfc5322());
    }
}

#[tokio::test]
async fn an_expiry_that_the_client_asked_for_is_not_outlived() {
    let relay = Relay::start().await;
    // Later than the lifetime allows at first, so that what is stored is earlier than what was asked.
    let asked = "2026-02-05T08:00:00.000000Z";
    let id = scheduled(&relay, &format!(r#","expires_at":"{asked}""#)).await;
    assert_eq!(
        relay.email(&id).await["expires_at"],
        "2026-02-03T10:00:00.000000Z"
    );
    assert_eq!(relay.patch(&id, to("in 4 days")).await.status, 200);
    assert_eq!(relay.email(&id).await["expires_at"], asked);
    let late = relay.patch(&id, to("in 5 days")).await;
    assert_eq!(
        told(&late),
        "422 invalid_parameter: scheduled_at: 2026-02-05T08:00:00.000000Z is not before 2026-02-05T08:00:00.000000Z, when the email expires; give an earlier time."
    );
    assert_eq!(
        relay.email(&id).await["scheduled_at"],
        "2026-02-04T08:00:00.000000Z"
    );
}

#[tokio::test]
async fn other_wishes_are_refused_and_change_nothing() {
    let relay = Relay::start().await;
    let id = scheduled(&relay, "").await;
    let before = bytes(&relay, &id).await;
    let large = format!(
        r#"{{"scheduled_at":"in 1 hour","x":"{}"}}"#,
        "a".repeat(65_536)
    );
    for (body, status, name) in [
        (to("in 31 days").as_str(), 422, "invalid_parameter"),
        (&to("next tuesday"), 422, "invalid_parameter"),
        (&to("2026-02-01T08:00:00"), 422, "invalid_parameter"),
        (&to(""), 422, "invalid_parameter"),
        (r#"{"scheduled_at":1769846400}"#, 422, "invalid_parameter"),
        (r#"{"scheduled_at":null}"#, 422, "missing_required_field"),
        ("{}", 422, "missing_required_field"),
        ("[]", 422, "validation_error"),
        ("", 400, "validation_error"),
        (&large, 413, "validation_error"),
    ] {
        let answer = relay.patch(&id, body).await;
        assert_eq!(answer.refusal(), (status, name), "{body:.80}");
    }
    assert_eq!(bytes(&relay, &id).await, before);
    assert_eq!(relay.email(&id).await["scheduled_at"], IN_TWO_HOURS);
}

#[tokio::test]
async fn unknown_fields_and_a_repeated_id_are_passed_over() {
    let relay = Relay::start().await;
    let id = scheduled(&relay, "").await;
    let body = format!(r#"{{"id":"{id}","scheduled_at":"in 3 hours","foo":1,"subject":"x"}}"#);
    let answer = relay.patch(&id, body).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert_eq!(
        answer.field("relay-warning"),
        Some("ignored unknown fields: foo, subject")
    );
    assert_eq!(relay.email(&id).await["subject"], "Your car");
}

#[tokio::test]
async fn what_is_not_scheduled_any_more_stays_as_it_is_and_the_answer_says_what_that_is() {
    let relay = Relay::start().await;
    let fresh = relay.send(mail("")).await.id();
    assert_eq!(
        told(&relay.patch(&fresh, to("in 1 hour")).await),
        "422 validation_error: The email cannot be rescheduled: it is not scheduled; it is queued and being sent."
    );
    let back = scheduled(&relay, "").await;
    relay.cancel(&back).await;
    assert_eq!(
        told(&relay.patch(&back, to("in 1 hour")).await),
        "422 validation_error: The email cannot be rescheduled: it is not scheduled any more; it was cancelled before."
    );
    let started = scheduled(&relay, "").await;
    relay.clock.advance(Duration::from_hours(2));
    let message = started.parse().unwrap();
    let now = relay.clock.now();
    relay.store.start_scheduled(&[message], now).await.unwrap();
    assert_eq!(
        told(&relay.patch(&started, to("in 1 hour")).await),
        "422 validation_error: The email cannot be rescheduled: it is not scheduled any more; it is queued and being sent."
    );
    assert_eq!(kinds(&relay, &started).await, ["scheduled"]);
}

#[tokio::test]
async fn only_a_tenants_own_messages_get_another_time() {
    let mut relay = Relay::start().await;
    let id = scheduled(&relay, "").await;
    let (_, mut other) = relay.tenant("Other", 100).await;
    std::mem::swap(&mut relay.key, &mut other);
    for id in [&id, "00000000-0000-7000-8000-000000000000", "7"] {
        let answer = relay.patch(id, to("in 1 hour")).await;
        assert_eq!(answer.refusal(), (404, "not_found"), "{id}");
    }
    relay.key = other;
    assert_eq!(relay.email(&id).await["scheduled_at"], IN_TWO_HOURS);
    let path = format!("/emails/{id}");
    let nobody = relay.ask("PATCH", &path, &[], to("in 1 hour")).await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
    let put = relay.ask("PUT", &path, &[], to("in 1 hour")).await;
    assert_eq!(put.field("allow"), Some("GET, HEAD, PATCH"));
}

#[tokio::test]
async fn of_many_wishes_at_once_one_is_the_last_in_all_that_is_stored() {
    let relay = Relay::start().await;
    let id = scheduled(&relay, "").await;
    let wishes = (1..=8).map(|hours| {
        let (relay, id) = (&relay, &id);
        async move { relay.patch(id, to(&format!("in {hours} hours"))).await }
    });
    let answers = futures_of(wishes).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert!(done >= 1 && done + busy == 8, "{done} and {busy}");
    let email = relay.email(&id).await;
    let time = email["scheduled_at"].as_str().unwrap();
    assert_eq!(email["recipients"][0]["due_at"], time);
    let body = bytes(&relay, &id).await;
    assert_eq!(header_value(&body, "Date").unwrap(), at(time).to_rfc5322());
    let until = at(time).after(Duration::from_hours(48));
    assert_eq!(sealed_until(&body), Some(until));
}

#[tokio::test]
async fn a_wish_and_a_cancel_at_once_are_one_after_the_other() {
    let relay = Relay::start().await;
    for _ in 0..10 {
        let id = scheduled(&relay, "").await;
        let (moved, back) = tokio::join!(relay.patch(&id, to("in 5 days")), relay.cancel(&id));
        assert_eq!(back.status, 200, "{}", back.json);
        assert!(matches!(moved.status, 200 | 422), "{}", moved.json);
        assert_eq!(relay.email(&id).await["last_event"], "canceled");
    }
}
