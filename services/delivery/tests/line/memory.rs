//! More mail than memory, sites at their cap, sites that rest.

use std::time::Duration;

use postrider_fakenet::{Act, Gate, Phase, Script};
use postrider_model::RecipientState;
use postrider_store::conformance::fixture;
use postrider_store::{Intake, NewMessage};

use crate::place::Place;

#[tokio::test]
async fn a_lane_with_more_than_its_share_of_memory_is_sent_page_by_page() {
    const MANY: usize = 150;
    let many = async |store: &postrider_store_sqlite::SqliteStore, tenant| {
        for n in 0..MANY {
            let mut message = fixture::message_to(tenant, &["ann@many.test"]);
            message.due_at = message.accepted_at;
            message.body = format!("Subject: {n}\r\n\r\nhello\r\n").into();
            store.commit(message).await.unwrap();
        }
    };
    let place = Place::start_after(many, |config| config.rows_in_memory = 16).await;
    let host = place.net.domain("many.test").mx(Script::new());
    for _ in 0..20 {
        place.send(&["bob@many.test"]).await;
    }
    let other = place.send_as_another(&["cid@many.test"]).await;
    host.wait_for(MANY + 21).await;
    let delivered = place.until(async || {
        let state = place.email_of(&other).await.recipients[0].state;
        (state == RecipientState::Delivered).then_some(())
    });
    delivered.await;
    assert_eq!(host.received().len(), MANY + 21);
    let node = place.node();
    assert!(node.metric("postrider_delivery_refills_total") > 5);
    assert_eq!(node.metric("postrider_delivery_sweep_found_total"), 0);
    place.stop().await;
}

#[tokio::test]
async fn a_site_gets_no_more_attempts_at_once_than_its_cap_and_all_in_the_end() {
    let place = Place::start_with(|config| config.site_connections = 2).await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::Data, &gate);
    let host = place.net.domain("narrow.test").mx(script);
    let other = place.net.domain("wide.test").mx(Script::new());
    let mut sent = Vec::new();
    for _ in 0..6 {
        sent.push(place.send(&["ann@narrow.test"]).await);
    }
    host.wait_until(|counts| counts.connections >= 2).await;
    gate.reached().await;
    place.send(&["bob@wide.test"]).await;
    other.wait_for(1).await;
    assert_eq!(host.connections(), 2);
    gate.open();
    for message in &sent {
        assert_eq!(place.words(message, 1).await, ["ann delivered 250"]);
    }
    assert_eq!(host.received().len(), 6);
    place.stop().await;
}

#[tokio::test]
async fn a_site_that_cannot_be_reached_rests_and_is_then_tried_by_one() {
    let place = Place::start_with(|config| config.site_connections = 1).await;
    let script = Script::new().times(3, Phase::Connect, Act::close());
    let host = place.net.domain("down.test").mx(script);
    let other = place.net.domain("up.test").mx(Script::new());
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(place.send(&["ann@down.test"]).await);
    }
    let fourth = place.until(async || the_only_untried(&place, &sent).await);
    let fourth = fourth.await;
    place.send(&["bob@up.test"]).await;
    other.wait_for(1).await;
    assert_eq!(host.connections(), 3, "the fourth waits with the site");
    assert_eq!(place.events(&sent[fourth]).await, []);
    place.clock.advance(Duration::from_secs(40));
    assert_eq!(place.words(&sent[fourth], 1).await, ["ann delivered 250"]);
    place.stop().await;
}

/// Which one was not attempted yet, once all others were. They are of one moment, and a node that
/// reads them from the database has them in another order than one that is handed them.
async fn the_only_untried(place: &Place, sent: &[NewMessage]) -> Option<usize> {
    let mut untried = Vec::new();
    for (number, message) in sent.iter().enumerate() {
        if place.events(message).await.is_empty() {
            untried.push(number);
        }
    }
    match untried[..] {
        [one] => Some(one),
        _ => None,
    }
}

#[tokio::test]
async fn mail_whose_signatures_are_about_to_end_is_sealed_again_before_it_is_sent() {
    let place = Place::start().await;
    let host = place.net.domain("old.test").mx(Script::new());
    let mut message = place.to(&["ann@old.test"]);
    message.sealed_until = message.accepted_at.after(Duration::from_mins(59));
    let sent = place.commit(message).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    let fresh = place.send(&["bob@old.test"]).await;
    assert_eq!(place.words(&fresh, 1).await, ["bob delivered 250"]);
    assert_eq!(place.node().metric("postrider_delivery_resealed_total"), 1);
    assert_eq!(host.received().len(), 2);
    place.stop().await;
}

#[tokio::test]
async fn what_nobody_told_of_is_found_by_the_sweep_and_counted() {
    let place = Place::start().await;
    let host = place.net.domain("lost.test").mx(Script::new());
    let first = place.send(&["ann@lost.test"]).await;
    assert_eq!(place.words(&first, 1).await, ["ann delivered 250"]);
    let node = place.node();
    node.queue.tell_nothing(true);
    // In many shards, for a round over all of them takes a minute.
    for _ in 0..24 {
        place.send_as_another(&["bob@lost.test"]).await;
    }
    let found = || node.metric("postrider_delivery_sweep_found_total") >= 1;
    place.until(async || found().then_some(())).await;
    host.wait_for(2).await;
    place.stop().await;
}

#[tokio::test]
async fn mail_that_was_signed_with_a_key_that_is_revoked_is_sealed_again() {
    let place = Place::start().await;
    let host = place.net.domain("old.test").mx(Script::new());
    let [first, _] = place.add_keys(["r1", "e1"]).await;
    let sent = place.send(&["ann@old.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    let resealed = || place.node().metric("postrider_delivery_resealed_total");
    assert_eq!(resealed(), 0);
    place.add_keys(["r2", "e2"]).await;
    place.revoke(first).await;
    // One of its two signatures cannot be verified any more.
    let sent = place.send(&["bob@old.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["bob delivered 250"]);
    assert_eq!(resealed(), 1);
    assert_eq!(host.received().len(), 2);
    place.stop().await;
}

/// Results that wait for the database until nothing more is begun.
const RESULTS_MOST: usize = 10_000;

#[tokio::test]
async fn nothing_is_begun_while_ten_thousand_results_wait_for_the_database() {
    const AT_ONCE: usize = 100;
    // Past their time: their results cost no connection.
    let expired = async |store: &postrider_store_sqlite::SqliteStore, tenant| {
        let to: Vec<_> = (0..AT_ONCE).map(|n| format!("r{n}@late.test")).collect();
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        for _ in 0..RESULTS_MOST / AT_ONCE {
            let mut message = fixture::message_to(tenant, &to);
            message.due_at = message.accepted_at;
            message.expires_at = message.accepted_at;
            store.commit(message).await.unwrap();
        }
    };
    let place = Place::start_after(expired, |config| config.in_flight = 400).await;
    let node = place.node();
    node.queue.take_nothing(true);
    let host = place.net.domain("next.test").mx(Script::new());
    let waiting = || node.metric("postrider_delivery_unsettled_results") >= 10_000;
    place.until(async || waiting().then_some(())).await;
    let sent = place.send_as_another(&["ann@next.test"]).await;
    let here = || {
        node.metric("postrider_delivery_waiting_recipients{cause=\"turn\",state=\"queued\"}") == 1
    };
    place.until(async || here().then_some(())).await;
    assert_eq!(host.connections(), 0);
    node.queue.take_nothing(false);
    host.wait_for(1).await;
    let state = place.until(async || {
        let state = place.email_of(&sent).await.recipients[0].state;
        (state == RecipientState::Delivered).then_some(())
    });
    state.await;
    place.stop().await;
}
