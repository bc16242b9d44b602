//! Two nodes on one database, and one that is not heard of.

use std::time::Duration;

use postrider_delivery::{Config, Heartbeat};
use postrider_fakenet::{Act, Gate, Phase, Script};
use postrider_model::{EventKind, RecipientState};

use crate::node::Node;
use crate::place::Place;

const SHARDS: &str = "postrider_delivery_shards";

fn often(config: &mut Config) {
    config.heartbeat.every = Duration::from_millis(50);
}

async fn works_on(place: &Place, node: &Node, shards: i64) {
    place
        .until(async || (node.metric(SHARDS) == shards).then_some(()))
        .await;
}

#[tokio::test]
async fn two_nodes_share_the_queue_and_mail_is_sent_once_while_shards_change_hands() {
    let place = Place::start_with(often).await;
    let host = place.net.domain("fair.test").mx(Script::new());
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.push(place.send_as_another(&["ann@fair.test"]).await);
    }
    let second = place.another("two", often);
    for _ in 0..10 {
        sent.push(place.send_as_another(&["bob@fair.test"]).await);
    }
    works_on(&place, place.node(), 512).await;
    works_on(&place, &second, 512).await;
    for _ in 0..10 {
        sent.push(place.send_as_another(&["cid@fair.test"]).await);
    }
    host.wait_for(30).await;
    // The first one goes: all is the other's.
    place.end_delivery().await;
    for _ in 0..10 {
        sent.push(place.send_as_another(&["dan@fair.test"]).await);
    }
    works_on(&place, &second, 1_024).await;
    for message in &sent {
        place
            .until(async || {
                let state = place.email_of(message).await.recipients[0].state;
                (state == RecipientState::Delivered).then_some(())
            })
            .await;
    }
    assert_eq!(host.received().len(), sent.len());
    assert_eq!(second.metric("postrider_delivery_sweep_found_total"), 0);
    second.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn a_shard_is_not_given_away_while_a_reply_to_its_mail_is_awaited() {
    let place = Place::start_with(often).await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    let host = place.net.domain("slow.test").mx(script);
    // In a shard of those that are given to the next node that comes.
    let sent = place.send_from_shard_below(512, &["ann@slow.test"]).await;
    gate.reached().await;
    let second = place.another("two", often);
    // All but that one change hands.
    works_on(&place, &second, 511).await;
    gate.open();
    works_on(&place, &second, 512).await;
    place
        .until(async || {
            let state = place.email_of(&sent).await.recipients[0].state;
            (state == RecipientState::Delivered).then_some(())
        })
        .await;
    assert_eq!(host.received().len(), 1);
    second.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_keeps_only_the_shards_whose_replies_it_awaits() {
    let place = Place::start_with(often).await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    let host = place.net.domain("last.test").mx(script);
    let sent = place.send(&["ann@last.test"]).await;
    gate.reached().await;
    place.begin_to_stop();
    let second = place.another("two", often);
    works_on(&place, &second, 1_023).await;
    gate.open();
    works_on(&place, &second, 1_024).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(host.received().len(), 1);
    second.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn without_a_young_heartbeat_no_dot_is_sent_and_nothing_is_begun() {
    let place = Place::start_with(|config| {
        config.heartbeat = Heartbeat {
            every: Duration::from_millis(50),
            fresh: Duration::from_secs(1),
        };
    })
    .await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::Data, &gate);
    let host = place.net.domain("deaf.test").mx(script);
    let other = place.net.domain("else.test").mx(Script::new());
    let sent = place.send(&["ann@deaf.test"]).await;
    gate.reached().await;
    let node = place.node();
    node.beats.stop();
    let old = || node.metric("postrider_delivery_heartbeat_age_seconds") >= 1;
    place.until(async || old().then_some(())).await;
    gate.open();
    let later = place.send(&["bob@else.test"]).await;
    place
        .until(async || {
            let in_flight = node.metric("postrider_delivery_attempts_in_flight");
            (in_flight == 0).then_some(())
        })
        .await;
    assert_eq!((host.received().len(), other.connections()), (0, 0));
    assert_eq!(place.events(&sent).await, []);
    node.beats.go_on();
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(place.words(&later, 1).await, ["bob delivered 250"]);
    assert_eq!(host.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn a_heartbeat_that_gets_old_between_two_hosts_defers_nobody() {
    let place = Place::start_with(|config| {
        config.heartbeat = Heartbeat {
            every: Duration::from_millis(50),
            fresh: Duration::from_secs(1),
        };
    })
    .await;
    let gate = Gate::new();
    let zone = place.net.domain("pair.test");
    let broken = Script::new().always(Phase::Connect, Act::gate(&gate).then(Act::close()));
    zone.add_mx(10, "a.pair.test", broken);
    let second = zone.add_mx(20, "b.pair.test", Script::new());
    let sent = place.send(&["ann@pair.test"]).await;
    gate.reached().await;
    let node = place.node();
    node.beats.stop();
    let old = || node.metric("postrider_delivery_heartbeat_age_seconds") >= 1;
    place.until(async || old().then_some(())).await;
    gate.open();
    place
        .until(async || {
            let in_flight = node.metric("postrider_delivery_attempts_in_flight");
            (in_flight == 0).then_some(())
        })
        .await;
    assert_eq!(
        (second.connections(), place.events(&sent).await),
        (0, vec![])
    );
    node.beats.go_on();
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(second.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn a_node_whose_clock_is_off_owns_nothing() {
    let place = Place::start().await;
    place.end_delivery().await;
    let host = place.net.domain("odd.test").mx(Script::new());
    let off = place.another("off", often);
    off.beats.be_off(Duration::from_hours(1));
    let sent = place.send(&["ann@odd.test"]).await;
    let right = place.another("right", often);
    works_on(&place, &right, 1_024).await;
    works_on(&place, &off, 0).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(host.received().len(), 1);
    off.stop().await;
    right.stop().await;
    place.stop().await;
}

/// Two nodes deliver one message: the first one's heartbeats get lost for longer than its lease
/// while it waits for the reply. `meanwhile` may come between that reply and its record.
async fn delivered_by_two(meanwhile: impl AsyncFnOnce(&Place, &Gate)) {
    let place = Place::start_with(often).await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    let host = place.net.domain("twice.test").mx(script);
    let sent = place.send(&["ann@twice.test"]).await;
    gate.reached().await;
    place.node().beats.stop();
    place.clock.advance(Duration::from_secs(20));
    let second = place.another("two", often);
    works_on(&place, &second, 1_024).await;
    // The gate holds back the first one only.
    place.results(&sent, 1).await;
    // Results of one moment would be taken for one that is told twice.
    place.clock.advance(Duration::from_secs(1));
    meanwhile(&place, &gate).await;
    let kinds = place
        .until(async || {
            let events = place.events(&sent).await;
            let kinds: Vec<_> = events.iter().map(|stored| stored.event.kind).collect();
            (kinds.len() >= 3).then_some(kinds)
        })
        .await;
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    assert_eq!(host.received().len(), 2);
    assert_eq!(count(EventKind::Delivered), 2, "{kinds:?}");
    assert_eq!(count(EventKind::Ambiguous), 1, "{kinds:?}");
    let state = place.email(&sent).await.recipients[0].state;
    assert_eq!(state, RecipientState::Delivered);
    second.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn a_delivery_by_a_node_that_lost_its_shard_is_recorded_and_a_double_is_told() {
    delivered_by_two(async |_, gate| gate.open()).await;
}

#[tokio::test]
async fn a_double_is_told_by_a_node_that_found_no_database_and_has_not_heard_what_it_lost() {
    delivered_by_two(async |place, gate| {
        let node = place.node();
        node.queue.take_nothing(true);
        gate.open();
        place
            .until(async || {
                let waits = node.metric("postrider_delivery_settle_failures_total");
                (waits >= 1).then_some(())
            })
            .await;
        node.queue.take_nothing(false);
    })
    .await;
}
