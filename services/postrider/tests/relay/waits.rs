//! Every wait has a reason, and the reasons sum to the age.

use std::time::Duration;

use postrider_fakenet::{Act, Gate, Phase, Script};
use postrider_model::Timestamp;
use serde_json::Value;

use crate::harness::inside::Setup;
use crate::harness::{Inside, Place, Timeline};

/// The ledger of a message's first recipient, in milliseconds.
async fn ledger(place: &Place, id: &str) -> Vec<(String, f64)> {
    let email = place.email(id).await;
    let waited: &Value = &email["recipients"][0]["waited"];
    let each = waited.as_object().unwrap().iter();
    each.map(|(cause, span)| (cause.clone(), span.as_f64().unwrap()))
        .collect()
}

fn sum(ledger: &[(String, f64)]) -> f64 {
    ledger.iter().map(|(_, span)| span).sum()
}

fn share(ledger: &[(String, f64)], cause: &str) -> f64 {
    let found = ledger.iter().find(|(name, _)| name == cause);
    found.map_or(0.0, |(_, span)| *span)
}

fn within_one_percent(sum: f64, age: Duration) {
    let age = age.as_secs_f64() * 1_000.0;
    assert!((sum - age).abs() <= age / 100.0, "{sum} ms of {age} ms");
}

async fn accepted_at(place: &Place, id: &str) -> Timestamp {
    let email = place.email(id).await;
    Timestamp::parse(email["created_at"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_causes_sum_to_the_age_while_it_waits_and_after_its_end() {
    let relay = Inside::start().await;
    let gate = Gate::new();
    let script = Script::new()
        .times(2, Phase::Rcpt, "451 4.3.0 later")
        .once(Phase::Rcpt, Act::gate(&gate).then(Act::usual()));
    relay.net.domain("long.test").mx(script);
    let place = relay.place.clone();
    let id = place.send_to("ann@long.test").await;
    let began = accepted_at(&place, &id).await;
    for deferred in 1..=2 {
        let seen = |timeline: &Timeline| timeline.count("deferred") == deferred;
        place.events_when(&id, seen).await;
        let waiting = ledger(&place, &id).await;
        within_one_percent(sum(&waiting), relay.now().since(began));
        relay.advance(Duration::from_mins(30));
        if deferred == 1 {
            continue;
        }
        gate.reached().await;
    }
    // The third attempt stands still for a while, and is an attempt all the time.
    relay.advance(Duration::from_secs(20));
    gate.open();
    place.settled(&id).await;
    let ended = ledger(&place, &id).await;
    within_one_percent(sum(&ended), relay.now().since(began));
    assert!(share(&ended, "retry") > 0.0, "{ended:?}");
    assert!(share(&ended, "attempt") >= 20_000.0, "{ended:?}");
    relay.advance(Duration::from_hours(1));
    assert_eq!(
        ledger(&place, &id).await,
        ended,
        "what is done with waits no longer"
    );
    relay.stop().await;
}

#[tokio::test]
async fn each_kind_of_wait_has_its_own_name() {
    let relay = Inside::start().await;
    let place = relay.another("Waits").await;
    relay
        .command(&[
            "tenant",
            "limit",
            &place.tenant,
            "--per-minute",
            "1",
            "--burst",
            "1",
        ])
        .await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(place.send_to(&format!("r{n}@paced.test")).await);
    }
    let message = serde_json::json!({
        "to": "ann@paced.test", "subject": "x", "text": "y", "scheduled_at": "in 10 minutes",
    });
    let scheduled = place.send(message).await;
    let began = relay.now();
    for minute in 1..=15 {
        relay.advance(Duration::from_mins(1));
        relay.others_go_on().await;
        if minute == 10 {
            // The clock goes on once its time was seen.
            place.settled(&scheduled).await;
        }
    }
    for id in &ids {
        place.settled(id).await;
    }
    let last = ledger(&place, &ids[2]).await;
    assert!(share(&last, "tenant_pace") >= 60_000.0, "{last:?}");
    assert!(share(&last, "tenant_pace") >= sum(&last) * 0.9, "{last:?}");
    let later = ledger(&place, &scheduled).await;
    within_one_percent(share(&later, "scheduled"), Duration::from_mins(10));
    assert!(relay.now().since(began) >= Duration::from_mins(15));
    relay.stop().await;
}

#[tokio::test]
async fn the_causes_sum_to_the_age_by_the_machines_clock_too() {
    let clock = postrider_runtime::Clock::system();
    let relay = Inside::start_with(Setup::by(clock)).await;
    let slow = Script::new().always(
        Phase::Rcpt,
        Act::wait(Duration::from_millis(300)).then(Act::usual()),
    );
    relay.net.domain("slow.test").mx(slow);
    let place = relay.another("Real").await;
    relay
        .command(&[
            "tenant",
            "limit",
            &place.tenant,
            "--per-minute",
            "120",
            "--burst",
            "1",
        ])
        .await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(place.send_to(&format!("r{n}@slow.test")).await);
    }
    for id in &ids {
        let timeline = place.settled(id).await;
        let ended = timeline.end().unwrap()["created_at"].as_str().unwrap();
        let age = Timestamp::parse(ended)
            .unwrap()
            .since(accepted_at(&place, id).await);
        let ledger = ledger(&place, id).await;
        within_one_percent(sum(&ledger), age);
        assert!(share(&ledger, "attempt") >= 290.0, "{ledger:?}");
    }
    relay.stop().await;
}
