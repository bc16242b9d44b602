//! Taking a scheduled message back.

use postrider_store::{ControlVerb, Controls, NewControl, Queue, Scope};

use crate::harness::{Answer, Relay, mail};

fn told(answer: &Answer) -> String {
    let (status, name) = answer.refusal();
    let message = answer.json["message"].as_str().unwrap();
    format!("{status} {name}: {message}")
}

#[tokio::test]
async fn a_scheduled_message_is_taken_back_once_whatever_the_body_is() {
    let relay = Relay::start().await;
    for body in ["", "{}", "null", "[", r#"{"scheduled_at":"in 1 min"}"#] {
        let scheduled = mail(r#","scheduled_at":"in 1 hour","cc":"bo@example.org""#);
        let id = relay.send(scheduled).await.id();
        let path = format!("/emails/{id}/cancel");
        let answer = relay.post(&path, &[], body).await;
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(
            answer.json,
            serde_json::json!({"object": "email", "id": id})
        );
        let email = relay.email(&id).await;
        assert_eq!(email["last_event"], "canceled");
        for recipient in email["recipients"].as_array().unwrap() {
            assert_eq!(recipient["state"], "cancelled");
            assert!(recipient["due_at"].is_null() && recipient["cause"].is_null());
        }
        assert_eq!(
            told(&relay.post(&path, &[], body).await),
            "422 validation_error: The email cannot be cancelled: it is not scheduled any more; it was cancelled before."
        );
    }
}

#[tokio::test]
async fn what_is_not_scheduled_is_not_taken_back_and_the_answer_says_what_it_is() {
    let relay = Relay::start().await;
    let fresh = relay.send(mail("")).await.id();
    assert_eq!(
        told(&relay.cancel(&fresh).await),
        "422 validation_error: The email cannot be cancelled: it is not scheduled; it is queued and being sent."
    );
    let started = relay.send(mail(r#","scheduled_at":"in 1 min""#)).await.id();
    relay.clock.advance(std::time::Duration::from_mins(1));
    let message = started.parse().unwrap();
    let now = relay.clock.now();
    let may_leave = relay.store.start_scheduled(&[message], now).await.unwrap();
    assert_eq!(may_leave, [message]);
    assert_eq!(
        told(&relay.cancel(&started).await),
        "422 validation_error: The email cannot be cancelled: it is not scheduled any more; it is queued and being sent."
    );
    assert_eq!(
        relay.email(&started).await["recipients"][0]["state"],
        "queued"
    );
}

#[tokio::test]
async fn a_message_that_was_taken_back_is_never_started() {
    let relay = Relay::start().await;
    let id = relay.send(mail(r#","scheduled_at":"in 1 min""#)).await.id();
    relay.clock.advance(std::time::Duration::from_mins(2));
    // Its time has come, but nobody has started it: the client may still win.
    assert_eq!(relay.cancel(&id).await.status, 200);
    let (message, now) = (id.parse().unwrap(), relay.clock.now());
    let may_leave = relay.store.start_scheduled(&[message], now).await.unwrap();
    assert_eq!(may_leave, []);
}

#[tokio::test]
async fn only_a_tenants_own_messages_are_there_to_be_cancelled() {
    let mut relay = Relay::start().await;
    let id = relay.send(mail(r#","scheduled_at":"in 1 min""#)).await.id();
    let (_, mut other) = relay.tenant("Other", 100).await;
    std::mem::swap(&mut relay.key, &mut other);
    for id in [&id, "00000000-0000-7000-8000-000000000000", "7"] {
        assert_eq!(relay.cancel(id).await.refusal(), (404, "not_found"), "{id}");
    }
    relay.key = other;
    assert_eq!(
        relay.email(&id).await["recipients"][0]["state"],
        "scheduled"
    );
    let path = format!("/emails/{id}/cancel");
    let get = relay.get(&path).await;
    assert_eq!(get.refusal(), (405, "method_not_allowed"));
    assert_eq!(get.field("allow"), Some("POST"));
    let nobody = relay.ask("POST", &path, &[], "").await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
}

#[tokio::test]
async fn a_suspension_of_the_queue_leaves_the_doors_open() {
    let relay = Relay::start().await;
    let scheduled = relay.send(mail(r#","scheduled_at":"in 1 min""#)).await.id();
    let control = NewControl {
        id: postrider_model::ControlId::from_bytes([7; 16]),
        verb: ControlVerb::Suspend,
        scope: Scope::Tenant(relay.tenant.id),
        at: relay.clock.now(),
        note: None,
    };
    relay.store.raise(control).await.unwrap();
    relay.send(mail("")).await.id();
    assert_eq!(relay.cancel(&scheduled).await.status, 200);
    relay.suspend(&relay.tenant).await;
    assert_eq!(
        relay.send(mail("")).await.refusal(),
        (403, "validation_error")
    );
    assert_eq!(
        relay.cancel(&scheduled).await.refusal(),
        (403, "validation_error")
    );
}
