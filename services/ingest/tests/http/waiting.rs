//! Why a recipient waits, and what it waited for.

use std::time::Duration;

use postrider_model::{Event, EventKind, MessageId, Provider, RecipientState, WaitCause, Waits};
use postrider_store::{Outcome, Queue, Settlement};
use serde_json::Value;

use crate::harness::{Relay, mail};

fn total(recipient: &Value) -> f64 {
    let waited = recipient["waited"].as_object().unwrap();
    waited.values().map(|millis| millis.as_f64().unwrap()).sum()
}

async fn only(relay: &Relay, id: &str) -> Value {
    relay.email(id).await["recipients"][0].clone()
}

// An attempt that took two seconds, after all the time before was its turn's.
async fn settled(relay: &Relay, id: &str, outcome: Outcome) {
    let recipient = only(relay, id).await;
    let until_now = Duration::from_secs_f64(total(&recipient) / 1_000.0);
    let recipient = recipient["id"].as_str().unwrap().parse().unwrap();
    let mut waits = Waits::default();
    waits.add(WaitCause::Turn, until_now);
    waits.add(WaitCause::Attempt, Duration::from_secs(2));
    relay.clock.advance(Duration::from_secs(2));
    let at = relay.clock.now();
    let settlement = Settlement {
        message: id.parse::<MessageId>().unwrap(),
        recipient,
        at,
        outcome,
        reply: None,
        events: vec![Event::new(recipient, at, EventKind::Attempted)],
        waits,
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        provider: Provider::None,
        simulated: false,
    };
    relay.store.settle(settlement).await.unwrap();
}

#[tokio::test]
async fn every_moment_of_a_recipients_age_has_its_cause() {
    let relay = Relay::start().await;
    let id = relay.send(mail("")).await.id();
    relay.clock.advance(Duration::from_secs(3));
    let fresh = only(&relay, &id).await;
    assert_eq!(fresh["cause"], "turn");
    assert_eq!(fresh["waited"], serde_json::json!({"turn": 3_000.0}));
    assert!(fresh["reason"].as_str().unwrap().ends_with('.'));

    let again = Outcome::Retry {
        due_at: relay.clock.now().after(Duration::from_mins(5)),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    settled(&relay, &id, again).await;
    relay.clock.advance(Duration::from_mins(1));
    let waits = only(&relay, &id).await;
    assert_eq!(waits["cause"], "greylisting");
    assert_eq!(
        waits["waited"],
        serde_json::json!({"turn": 3_000.0, "attempt": 2_000.0, "greylisting": 60_000.0})
    );

    relay.clock.advance(Duration::from_mins(5));
    let due = only(&relay, &id).await;
    assert_eq!(due["cause"], "turn");
    assert!((total(&due) - 365_000.0).abs() < 0.001, "{due}");

    let delivered = Outcome::Final {
        state: RecipientState::Delivered,
        attempts: 2,
    };
    let before = total(&only(&relay, &id).await);
    settled(&relay, &id, delivered).await;
    relay.clock.advance(Duration::from_hours(1));
    let ended = only(&relay, &id).await;
    assert!(ended["cause"].is_null() && ended["reason"].is_null());
    assert!(total(&ended) > before, "{ended}");
}

#[tokio::test]
async fn scheduled_mail_waits_for_its_time_and_held_mail_for_a_person() {
    let relay = Relay::start().await;
    let id = relay
        .send(mail(r#","scheduled_at":"in 1 hour""#))
        .await
        .id();
    relay.clock.advance(Duration::from_mins(30));
    let scheduled = only(&relay, &id).await;
    assert_eq!(
        scheduled["waited"],
        serde_json::json!({"scheduled": 1_800_000.0})
    );

    let held = relay.send(mail("")).await.id();
    settled(&relay, &held, Outcome::Held { attempts: 1 }).await;
    relay.clock.advance(Duration::from_secs(10));
    let held = only(&relay, &held).await;
    assert_eq!(
        (&held["state"], &held["cause"]),
        (&"held".into(), &"held".into())
    );
    assert_eq!(
        held["waited"],
        serde_json::json!({"attempt": 2_000.0, "held": 10_000.0})
    );
}
