//! Warm-up: an address that nobody knows sends to so many recipients of a provider in a day.

use std::time::Duration;

use postrider_fakenet::Script;
use serde_json::{Value, json};

use crate::harness::inside::{Setup, held};
use crate::harness::{Inside, Place, Timeline, until};

const NEW: &str = "dial = \"internet\"";
/// Of the first day, at each large provider (infra/warmup.toml).
const FIRST_DAY: usize = 50;

async fn start(more: &'static str) -> Inside {
    let delivery = NEW;
    let relay = Inside::start_with(Setup {
        delivery,
        more,
        ..Setup::by(held())
    })
    .await;
    let zone = relay.net.domain("shop.test");
    zone.add_mx(10, "aspmx.l.google.com", Script::new());
    relay
}

/// A message to so many of this domain.
async fn send(place: &Place, domain: &str, count: usize, stream: &str) -> String {
    let tag = crate::harness::unique();
    let to: Vec<String> = (0..count).map(|n| format!("{tag}-{n}@{domain}")).collect();
    place
        .send(json!({"to": to, "subject": "x", "text": "y", "stream": stream}))
        .await
}

/// Once each of its recipients is delivered or waits for another day.
async fn settled(place: &Place, id: &str) -> Timeline {
    let is_done = |timeline: &Timeline| {
        let waits = |one: &&str| timeline.of(one).has("deferred");
        let ended = |one: &&str| timeline.of(one).end().is_some();
        let all = timeline.recipients();
        !all.is_empty() && all.iter().all(|one| ended(one) || waits(one))
    };
    place.events_when(id, is_done).await
}

fn delivered(timeline: &Timeline) -> usize {
    timeline.count("delivered")
}

#[tokio::test]
async fn what_is_over_the_day_waits_for_the_next_and_a_restart_forgets_nothing() {
    let relay = start("").await;
    let first = send(&relay.place, "shop.test", FIRST_DAY - 1, "transactional").await;
    let first = settled(&relay.place, &first).await;
    assert_eq!(delivered(&first), FIRST_DAY - 1, "{first:?}");
    let over = send(&relay.place, "shop.test", 3, "transactional").await;
    let timeline = settled(&relay.place, &over).await;
    assert_eq!((delivered(&timeline), timeline.count("deferred")), (1, 2));
    let deferred = timeline.first("deferred");
    assert_eq!(deferred["cause"], "warm_up", "{deferred}");
    assert!(
        deferred["note"].as_str().unwrap().contains("new"),
        "{deferred}"
    );
    let email = relay.place.email(&over).await;
    let waiting = email["recipients"].as_array().unwrap();
    let waiting = waiting.iter().find(|one| one["state"] == "queued").unwrap();
    assert_eq!(
        (&waiting["cause"], &waiting["attempts"]),
        (&json!("warm_up"), &json!(0))
    );

    let relay = relay.restart().await;
    let later = send(&relay.place, "shop.test", 1, "transactional").await;
    assert_eq!(delivered(&settled(&relay.place, &later).await), 0);
    // Another provider counts by itself.
    relay.others_go_on().await;

    relay.advance(relay.now().next_day().since(relay.now()) + Duration::from_mins(21));
    for id in [&over, &later] {
        let timeline = relay.place.settled(id).await;
        assert_eq!(timeline.count("delivered"), timeline.recipients().len());
    }
    ledger_is_whole(&relay.place.email(&later).await);
    relay.stop().await;
}

/// What it waited for sums to its age, nearly all of it for warm-up.
fn ledger_is_whole(email: &Value) {
    let waited = &email["recipients"][0]["waited"];
    let warm = waited["warm_up"].as_f64().unwrap();
    let all: f64 = waited
        .as_object()
        .unwrap()
        .values()
        .map(|ms| ms.as_f64().unwrap())
        .sum();
    assert!(all - warm < 22.0 * 60_000.0, "{waited}");
    assert!(warm > 0.0, "{waited}");
}

#[tokio::test]
async fn bulk_leaves_half_of_the_day_to_transactional_mail() {
    let relay = start("").await;
    // Each recipient of bulk mail is a message of its own.
    send(&relay.place, "shop.test", FIRST_DAY, "bulk").await;
    let came = async || relay.net.mailbox().of_host("aspmx.l.google.com").len();
    until("half of the day's allowance", async || {
        (came().await >= FIRST_DAY / 2).then_some(())
    })
    .await;
    let urgent = send(&relay.place, "shop.test", FIRST_DAY / 2, "transactional").await;
    let urgent = settled(&relay.place, &urgent).await;
    assert_eq!(delivered(&urgent), FIRST_DAY / 2, "{urgent:?}");
    let one_more = send(&relay.place, "shop.test", 1, "transactional").await;
    assert_eq!(delivered(&settled(&relay.place, &one_more).await), 0);
    assert_eq!(came().await, FIRST_DAY);
    relay.stop().await;
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_uses_nothing_up() {
    let relay = start("").await;
    let host = "alt9.aspmx.l.google.com";
    // Nobody listens there.
    let vacant = ["127.1.255.255".parse().unwrap()];
    let zone = relay.net.domain("down-at-google.test");
    zone.mx_records(&[(10, host)]).host_addresses(host, &vacant);
    for _ in 0..2 {
        let id = send(
            &relay.place,
            "down-at-google.test",
            FIRST_DAY,
            "transactional",
        )
        .await;
        let timeline = settled(&relay.place, &id).await;
        let cause = &timeline.first("deferred")["cause"];
        assert_eq!(cause, "destination_backoff", "{timeline:?}");
    }
    let id = send(&relay.place, "shop.test", FIRST_DAY, "transactional").await;
    assert_eq!(delivered(&settled(&relay.place, &id).await), FIRST_DAY);
    relay.stop().await;
}

#[tokio::test]
async fn a_known_address_and_mail_to_the_simulator_are_not_held_back() {
    let known = "[[egress]]\naddress = \"192.0.2.10\"\nskip = true\n";
    let relay = start(known).await;
    for _ in 0..2 {
        let id = send(&relay.place, "shop.test", FIRST_DAY, "transactional").await;
        assert_eq!(delivered(&settled(&relay.place, &id).await), FIRST_DAY);
    }
    relay.stop().await;

    let relay = start("").await;
    let to: Vec<String> = (0..50)
        .map(|n| format!("delivered+{n}@simulator.relay.test"))
        .collect();
    for _ in 0..5 {
        let message = json!({"to": to, "subject": "x", "text": "y"});
        let id = relay.place.send(message).await;
        assert_eq!(delivered(&relay.place.settled(&id).await), 50);
    }
    relay.stop().await;
}
