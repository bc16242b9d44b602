//! Mail to the simulator: the whole line, and nothing outside.

use std::time::Duration;

use postrider_fakenet::Script;
use serde_json::{Value, json};

use crate::harness::mail::codes;
use crate::harness::{Inside, Page, Place, unique};

in_both_arrangements!(
    each_word_of_the_simulator_ends_as_it_says,
    what_is_no_word_is_refused_with_the_list_of_words,
);

const DOMAIN: &str = "simulator.relay.test";

/// What the first attempt came to.
async fn first_result(place: &Place, id: &str) -> Value {
    let is_result = |kind: &&str| !["queued", "accepted", "attempted"].contains(kind);
    let timeline = place
        .events_when(id, |timeline| timeline.kinds().iter().any(&is_result))
        .await;
    let events = timeline.0.into_iter();
    let mut results = events.filter(|event| is_result(&event["type"].as_str().unwrap()));
    results.next().unwrap()
}

async fn each_word_of_the_simulator_ends_as_it_says(place: &Place) {
    for (word, want) in [
        ("delivered", "delivered 250 2.0.0"),
        ("bounced", "bounced 550 5.1.1"),
        ("deferred", "deferred 451 4.3.0"),
        ("full", "deferred 452 4.2.2"),
        ("greylisted", "deferred 451 4.7.1"),
        ("dropped", "ambiguous -"),
    ] {
        let recipient = format!("{word}+{}@{DOMAIN}", unique());
        let id = place.send_to(&recipient).await;
        let event = first_result(place, &id).await;
        let got = format!("{} {}", event["type"].as_str().unwrap(), codes(&event));
        assert_eq!(got, want, "{word}: {event}");
        if word == "delivered" {
            assert_eq!(event["mx"]["host"], DOMAIN, "{event}");
            assert_eq!(event["mx"]["address"], "127.0.0.1", "{event}");
            assert_eq!(event["tls"]["version"], "TLSv1.3", "{event}");
        }
    }
}

async fn what_is_no_word_is_refused_with_the_list_of_words(place: &Place) {
    let id = place.send_to(&format!("ann@{DOMAIN}")).await;
    let timeline = place.settled(&id).await;
    let event = timeline.first("bounced");
    assert_eq!(codes(event), "550 5.1.1");
    let text = event["reply"]["text"].as_str().unwrap();
    for word in ["delivered@", "bounced@", "greylisted@", "+label"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_bounce_of_the_simulator_counts_for_nobody() {
    let relay = Inside::start().await;
    let tenant = relay.another("Simulated").await;
    let results = |page: &Page| page.sum("postrider_delivery_results_total", &[]);
    let before = results(&Page::of(&tenant).await);
    let bounced = format!("bounced@{DOMAIN}");
    for _ in 0..2 {
        let id = tenant.send_to(&bounced).await;
        let timeline = tenant.settled(&id).await;
        // Not suppressed after the first.
        assert_eq!(timeline.end().unwrap()["type"], "bounced", "{timeline:?}");
    }
    let list = tenant.get("/suppressions").await.json();
    assert_eq!(list["data"], json!([]));
    let usage = tenant.get("/usage").await.json();
    // What it keeps of the relay's disk counts.
    assert_eq!(usage["emails"]["daily"]["used"], 2, "{usage}");
    assert!(results(&Page::of(&tenant).await) <= before, "{usage}");
    // The same answer of a real mailbox does count.
    let script = Script::new().recipient("gone@real.test", "550 5.1.1 no such user");
    relay.net.domain("real.test").mx(script);
    let id = tenant.send_to("gone@real.test").await;
    assert!(tenant.settled(&id).await.has("bounced"));
    let list = tenant.get("/suppressions").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    relay.stop().await;
}

#[tokio::test]
async fn mail_to_the_simulator_asks_no_dns_and_goes_on_after_a_restart() {
    let relay = Inside::start().await;
    let id = relay.place.send_to(&format!("deferred@{DOMAIN}")).await;
    let deferred = first_result(&relay.place, &id).await;
    assert_eq!(deferred["type"], "deferred", "{deferred}");
    let relay = relay.restart().await;
    let again = async |relay: &Inside| {
        let events = relay.place.events(&id).await;
        (events.count("deferred") > 1).then_some(())
    };
    crate::harness::until("a second attempt", async || {
        relay.advance(Duration::from_mins(5));
        again(&relay).await
    })
    .await;
    let asked = relay.net.dns_queries();
    let names: Vec<_> = asked
        .iter()
        .filter(|(name, _)| name.contains("simulator"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    relay.stop().await;
}

#[tokio::test]
async fn dev_json_names_the_simulator() {
    let place = crate::harness::one_process().await;
    let said = std::fs::read(place.folder.join("dev.json")).unwrap();
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["simulator"], DOMAIN);
}
