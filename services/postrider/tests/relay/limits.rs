//! A tenant's limits: what leaves per minute, what is under way at once, what is taken per day.
//! Time is the test's, so that what is counted is exact.

mod quota;

use std::time::Duration;

use postrider_fakenet::{Gate, Phase, Script};
use serde_json::{Value, json};

use crate::harness::{Inside, Place, Timeline, until};

/// A tenant with these limits, whose buckets are full: so much time has passed.
async fn limited(relay: &Inside, words: &[&str]) -> Place {
    let tenant = relay.another("Limited").await;
    let all = [&["tenant", "limit", &tenant.tenant], words].concat();
    relay.command(&all).await;
    let first = tenant.send_to("first@warm.test").await;
    // Its bucket is empty when the line first hears of it, whenever that is.
    until("the first has left", async || {
        relay.advance(Duration::from_secs(10));
        tenant.events(&first).await.is_settled().then_some(())
    })
    .await;
    relay.advance(Duration::from_mins(2));
    tenant
}

/// When each of this domain's messages came, in milliseconds of the test's clock since then.
fn arrivals(relay: &Inside, since: postrider_model::Timestamp, host: &str) -> Vec<u128> {
    let messages = relay.net.mailbox().of_host(host);
    let mut times: Vec<_> = messages
        .iter()
        .map(|one| one.received_at.since(since).as_millis())
        .collect();
    times.sort_unstable();
    times
}

async fn until_came(relay: &Inside, host: &str, count: usize) {
    until("what may leave has left", async || {
        let came = relay.net.mailbox().of_host(host).len();
        (came >= count).then_some(())
    })
    .await;
}

/// In no window of time more than its burst and what its rate allows.
fn exact(times: &[u128], per_minute: u128, burst: u128) {
    for (first, from) in times.iter().enumerate() {
        for (last, to) in times.iter().enumerate().skip(first) {
            let count = (last - first + 1) as u128;
            let allowed = burst + (to - from) * per_minute / 60_000;
            assert!(count <= allowed, "{count} in {from}..={to} ms: {times:?}");
        }
    }
}

#[tokio::test]
async fn a_tenants_pace_is_exact_in_every_window_and_its_burst_is_its_burst() {
    let relay = Inside::start().await;
    let tenant = limited(&relay, &["--per-minute", "120", "--burst", "5"]).await;
    let began = relay.now();
    for n in 0..25 {
        tenant.send_to(&format!("r{n}@paced.test")).await;
    }
    until_came(&relay, "mx.paced.test", 5).await;
    // Two in a second: one in half of it.
    for step in 1..=20 {
        relay.others_go_on().await;
        relay.advance(Duration::from_millis(500));
        until_came(&relay, "mx.paced.test", 5 + step).await;
    }
    let times = arrivals(&relay, began, "mx.paced.test");
    assert_eq!(times.len(), 25);
    exact(&times, 120, 5);
    assert_eq!(times.last(), Some(&10_000));
    // A pause fills the bucket to its burst and no further.
    relay.advance(Duration::from_mins(10));
    for n in 25..35 {
        tenant.send_to(&format!("r{n}@paced.test")).await;
    }
    until_came(&relay, "mx.paced.test", 30).await;
    relay.others_go_on().await;
    assert_eq!(arrivals(&relay, began, "mx.paced.test").len(), 30);
    relay.stop().await;
}

#[tokio::test]
async fn another_limit_holds_at_once_and_waiting_for_it_has_its_name() {
    let relay = Inside::start().await;
    let tenant = limited(&relay, &["--per-minute", "6", "--burst", "1"]).await;
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(tenant.send_to(&format!("r{n}@slow.test")).await);
    }
    until_came(&relay, "mx.slow.test", 1).await;
    let last = &tenant.email(&ids[29]).await["recipients"][0];
    assert_eq!(last["state"], "queued");
    relay
        .command(&["tenant", "limit", &tenant.tenant, "--per-minute", "0"])
        .await;
    for id in &ids {
        tenant.settled(id).await;
    }
    relay.stop().await;
}

#[tokio::test]
async fn only_first_attempts_are_paced() {
    let relay = Inside::start().await;
    let put_off = Script::new().times(10, Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain("putoff.test").mx(put_off);
    let tenant = limited(&relay, &["--per-minute", "60", "--burst", "10"]).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(tenant.send_to(&format!("r{n}@putoff.test")).await);
    }
    for id in &ids {
        let seen = |timeline: &Timeline| timeline.has("deferred");
        tenant.events_when(id, seen).await;
    }
    relay
        .command(&[
            "tenant",
            "limit",
            &tenant.tenant,
            "--per-minute",
            "1",
            "--burst",
            "1",
        ])
        .await;
    relay.advance(Duration::from_mins(10));
    for id in &ids {
        let timeline = tenant.settled(id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    }
    relay.stop().await;
}

#[tokio::test]
async fn an_urgent_message_does_not_stand_behind_the_same_tenants_bulk() {
    let relay = Inside::start().await;
    let tenant = limited(&relay, &["--per-minute", "60", "--burst", "1"]).await;
    for n in 0..20 {
        let to = format!("b{n}@lanes.test");
        let message = json!({"to": to, "subject": "x", "text": "y", "stream": "bulk"});
        tenant.send(message).await;
    }
    until_came(&relay, "mx.lanes.test", 1).await;
    for n in 0..3 {
        tenant.send_to(&format!("urgent{n}@lanes.test")).await;
    }
    relay.others_go_on().await;
    for came in 2..=6 {
        relay.advance(Duration::from_secs(1));
        until_came(&relay, "mx.lanes.test", came).await;
    }
    let came = relay.net.mailbox().of_host("mx.lanes.test");
    let urgent: Vec<_> = came
        .iter()
        .map(|one| one.rcpt_to[0].starts_with("urgent"))
        .collect();
    assert_eq!(urgent, [false, true, true, true, false, false]);
    relay.stop().await;
}

#[tokio::test]
async fn the_bulk_lane_has_a_pace_of_its_own() {
    let relay = Inside::start().await;
    let tenant = limited(&relay, &["--bulk-per-minute", "60"]).await;
    let began = relay.now();
    for n in 0..15 {
        let to = format!("b{n}@bulk.test");
        let message = json!({"to": to, "subject": "x", "text": "y", "stream": "bulk"});
        tenant.send(message).await;
    }
    // Ten seconds' worth.
    until_came(&relay, "mx.bulk.test", 10).await;
    for n in 0..20 {
        let id = tenant.send_to(&format!("t{n}@free.test")).await;
        tenant.settled(&id).await;
    }
    for came in 11..=15 {
        relay.advance(Duration::from_secs(1));
        until_came(&relay, "mx.bulk.test", came).await;
        relay.others_go_on().await;
    }
    exact(&arrivals(&relay, began, "mx.bulk.test"), 60, 10);
    relay.stop().await;
}

#[tokio::test]
async fn a_tenant_has_no_more_connections_than_it_is_given() {
    let relay = Inside::start().await;
    let tenant = limited(&relay, &["--connections", "2"]).await;
    let gate = Gate::new();
    let mut remotes = Vec::new();
    for n in 0..6 {
        let waits = Script::new().gate(Phase::Rcpt, &gate);
        remotes.push(relay.net.domain(&format!("slow{n}.test")).mx(waits));
    }
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(tenant.send_to(&format!("ann@slow{n}.test")).await);
    }
    gate.reached_times(2).await;
    relay.others_go_on().await;
    let made = || -> usize { remotes.iter().map(|one| one.counts().connections).sum() };
    assert_eq!(made(), 2);
    for done in 1..=6 {
        gate.release();
        gate.reached_times((2 + done).min(6)).await;
        relay.others_go_on().await;
        assert!(made() <= 2 + done, "{} after {done}", made());
    }
    for id in &ids {
        assert_eq!(tenant.settled(id).await.end().unwrap()["type"], "delivered");
    }
    relay.stop().await;
}

#[tokio::test]
async fn limits_are_shown_as_they_were_given_and_stay_as_they_are_where_they_were_not() {
    let relay = Inside::start().await;
    let tenant = relay.another("Shown").await;
    let limit = async |words: &[&str]| {
        let all = [&["tenant", "limit", &tenant.tenant], words].concat();
        relay.command(&all).await["limits"].clone()
    };
    let words = [
        "--per-minute",
        "600",
        "--per-day",
        "10",
        "--per-month",
        "100",
        "--connections",
        "3",
    ];
    let given = limit(&words).await;
    let shown = relay.command(&["tenant", "show", &tenant.tenant]).await;
    assert_eq!(shown["limits"], given);
    // The burst is ten seconds' worth where nobody says otherwise.
    for (name, value) in [
        ("per_minute", json!(600)),
        ("burst", json!(100)),
        ("bulk_per_minute", Value::Null),
        ("per_day", json!(10)),
        ("per_month", json!(100)),
        ("connections", json!(3)),
        ("requests_per_second", json!(10_000)),
    ] {
        assert_eq!(given[name], value, "{name}: {given}");
    }
    let changed = limit(&["--burst", "7"]).await;
    assert_eq!(
        (&changed["per_minute"], &changed["burst"]),
        (&json!(600), &json!(7))
    );
    let small = limit(&["--per-minute", "3", "--burst", "0"]).await;
    assert_eq!(small["burst"], 1, "at least one: {small}");
    let relay = relay.restart().await;
    let kept = relay.command(&["tenant", "show", &tenant.tenant]).await;
    assert_eq!(kept["limits"], small);
    relay.stop().await;
}
