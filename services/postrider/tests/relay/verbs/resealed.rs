//! Signatures that would be worth nothing when they arrive are made anew.

use std::time::Duration;

use postrider_fakenet::{Act, Phase, Script};
use postrider_message::header_values;
use serde_json::Value;

use super::{changed, put_off, queue};
use crate::harness::inside::publish;
use crate::harness::mail::body;
use crate::harness::{Inside, Timeline};

async fn resealed(relay: &Inside) -> u64 {
    let page = relay.place.metrics.get("/metrics").await.text();
    let line = "postrider_gate_messages_resealed_total ";
    let count = page.lines().find_map(|found| found.strip_prefix(line));
    count.unwrap().parse().unwrap()
}

/// The bytes without the signatures at their top.
fn unsigned(raw: &[u8]) -> &[u8] {
    let mut rest = raw;
    while rest.starts_with(b"DKIM-Signature:") {
        let is_end = |at: &usize| {
            rest[*at..].starts_with(b"\r\n")
                && !rest[at + 2..].starts_with(b"\t")
                && !rest[at + 2..].starts_with(b" ")
        };
        let end = (0..rest.len()).find(is_end).unwrap();
        rest = &rest[end + 2..];
    }
    rest
}

async fn verdicts(relay: &Inside, to: &str) -> Vec<(Vec<&'static str>, Vec<u8>)> {
    let mut all = Vec::new();
    for message in relay.net.mailbox().messages() {
        if message.rcpt_to.iter().any(|one| one == to) {
            let entry = relay.net.mailbox().entry(message.id).await.unwrap();
            all.push((entry.dkim, message.raw.to_vec()));
        }
    }
    all
}

#[tokio::test]
async fn what_waited_until_its_signatures_end_is_signed_anew_and_is_else_the_same() {
    let relay = Inside::start().await;
    let first = Act::record().then("451 4.3.0 later");
    relay
        .net
        .domain("long.test")
        .mx(Script::new().once(Phase::FinalDot, first));
    let place = &relay.place;
    let id = place.send_to("ann@long.test").await;
    let seen = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(&id, seen).await;
    assert_eq!(changed(&relay, "hold", "message", &id).await, 1);
    assert_eq!(resealed(&relay).await, 0);
    relay.advance(Duration::from_mins(47 * 60 + 30));
    assert_eq!(changed(&relay, "release", "message", &id).await, 1);
    let timeline = place.settled(&id).await;
    assert_eq!(
        timeline.end().unwrap()["type"],
        "delivered",
        "{timeline:#?}"
    );
    assert!(resealed(&relay).await > 0);
    let came = verdicts(&relay, "ann@long.test").await;
    assert_eq!(came.len(), 2);
    for (dkim, raw) in &came {
        assert_eq!(dkim, &["pass", "pass"]);
        assert_eq!(header_values(raw, "DKIM-Signature").len(), 2);
    }
    assert_eq!(unsigned(&came[0].1), unsigned(&came[1].1));
    relay.stop().await;
}

fn selectors(records: &Value) -> Vec<String> {
    let names = records.as_array().unwrap().iter();
    let names = names.map(|one| one["name"].as_str().unwrap());
    names
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_waits_under_a_revoked_selector_leaves_under_another() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let waiting = put_off(&relay, place, "ann@waiting.test").await;
    let held = put_off(&relay, place, "ann@held.test").await;
    assert_eq!(changed(&relay, "hold", "message", &held).await, 1);

    let old = relay.command(&["dkim", "show"]).await;
    let new = relay.command(&["dkim", "add"]).await;
    for record in new.as_array().unwrap() {
        publish(&relay.net, record);
    }
    for (record, selector) in old.as_array().unwrap().iter().zip(selectors(&old)) {
        relay.command(&["dkim", "revoke", &selector]).await;
        relay.net.clear_txt(record["name"].as_str().unwrap());
    }
    for selector in selectors(&new) {
        let last = relay.try_command(&["dkim", "revoke", &selector]).await;
        assert_eq!(last.status.code(), Some(1), "the last pair signs");
    }

    assert_eq!(
        queue(&relay, "release", "message", &held).await["resealed"],
        1
    );
    place.settled(&held).await;
    relay.advance(Duration::from_mins(10));
    place.settled(&waiting).await;
    let fresh = place.send_to("ann@fresh.test").await;
    place.settled(&fresh).await;
    for to in ["ann@held.test", "ann@waiting.test", "ann@fresh.test"] {
        let came = verdicts(&relay, to).await;
        assert_eq!(came.len(), 1, "{to}");
        let (dkim, raw) = &came[0];
        assert_eq!(dkim, &["pass", "pass"], "{to}");
        for signature in header_values(raw, "DKIM-Signature") {
            let is_new = |one: &String| signature.contains(&format!("s={one};"));
            assert!(selectors(&new).iter().any(is_new), "{to}: {signature}");
        }
        assert_eq!(body(raw), b"It is ready.\r\n");
    }
    relay.stop().await;
}
