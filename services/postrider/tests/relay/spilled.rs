//! More mail than memory: what one tenant has waiting lies in the database, and nobody else waits
//! for it.

use std::collections::HashMap;

use serde_json::json;

use crate::harness::inside::{Setup, held};
use crate::harness::{Inside, Timeline, until};

const SMALL: &str = "rows_in_memory = 100";
const MESSAGES: usize = 30;
const EACH: usize = 50;

async fn metric(relay: &Inside, name: &str) -> f64 {
    let page = relay.place.metrics.get("/metrics").await.text();
    let line = format!("{name} ");
    let value = page.lines().find_map(|found| found.strip_prefix(&line));
    value
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .parse()
        .unwrap()
}

/// How many recipients of the whale's have their copy.
fn whales(relay: &Inside) -> usize {
    let messages = relay.net.mailbox().messages();
    let all = messages.iter().flat_map(|one| &one.rcpt_to);
    all.filter(|to| to.contains("@whale")).count()
}

#[tokio::test]
async fn a_tenant_with_more_than_its_share_of_memory_loses_nothing_and_holds_up_nobody() {
    let relay = Inside::start_with(Setup {
        delivery: SMALL,
        ..Setup::by(held())
    })
    .await;
    let whale = relay.another("Whale").await;
    let limit = ["tenant", "limit", &whale.tenant, "--per-minute"];
    relay.command(&[&limit[..], &["1"]].concat()).await;
    let mut ids = Vec::new();
    for n in 0..MESSAGES {
        let to: Vec<_> = (0..EACH)
            .map(|each| format!("w{n}x{each}@whale{}.test", each % 3))
            .collect();
        ids.push(
            whale
                .send(json!({"to": to, "subject": "x", "text": "y"}))
                .await,
        );
    }
    for _ in 0..5 {
        relay.others_go_on().await;
    }
    let relay = relay.restart().await;
    for _ in 0..5 {
        relay.others_go_on().await;
    }
    let again = relay.place.as_tenant(&whale.key, &whale.tenant);
    relay.command(&[&limit[..], &["0"]].concat()).await;
    // It is much: what is waited for is the next of them.
    let mut came = 0;
    while came < MESSAGES * EACH {
        came = until("more comes", async || {
            Some(whales(&relay)).filter(|now| *now > came)
        })
        .await;
    }
    for id in &ids {
        let timeline: Timeline = again.settled(id).await;
        assert_eq!(timeline.count("delivered"), EACH);
    }
    let mut came: HashMap<String, usize> = HashMap::new();
    for message in relay.net.mailbox().messages() {
        for recipient in message.rcpt_to {
            *came.entry(recipient).or_default() += 1;
        }
    }
    let whales = came.iter().filter(|(to, _)| to.contains("@whale"));
    let copies: Vec<_> = whales.map(|(_, copies)| *copies).collect();
    assert_eq!(copies, [1; MESSAGES * EACH]);
    let found = metric(&relay, "postrider_delivery_sweep_found_total").await;
    assert!(found.abs() < f64::EPSILON, "the sweep found {found}");
    relay.stop().await;
}
