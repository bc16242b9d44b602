//! Mail of many tenants, while nothing may leave this machine.

use std::net::IpAddr;
use std::time::Duration;

use postrider_delivery::{Barrier, Config, WayOut};
use postrider_fakenet::Script;
use postrider_model::{EventKind, WaitCause};
use postrider_store::NewMessage;

use crate::place::Place;

const TENANTS: usize = 60;

fn closed() -> (impl FnOnce(&mut Config), Barrier) {
    let (way_out, barrier) = WayOut::with_barrier(Some("a finding stands".to_owned()));
    let change = |config: &mut Config| {
        config.way_out = way_out;
        // No more than one address takes at once: who finds the cap after an address that nobody
        // answers at is deferred.
        config.in_flight = 5;
    };
    (change, barrier)
}

/// The host has an address elsewhere, so that mail to it leaves, and one here, where it arrives.
fn elsewhere(place: &Place) {
    let zone = place.net.domain("far.test");
    let here = zone.mx(Script::new()).address().ip();
    let there: IpAddr = "9.9.9.9".parse().unwrap();
    zone.host_addresses("mx.far.test", &[here, there]);
}

async fn each_has(place: &Place, messages: &[NewMessage], results: usize) -> Vec<EventKind> {
    let mut last = Vec::new();
    for message in messages {
        let events = place.results(message, results).await;
        assert_eq!(events.len(), results, "{events:#?}");
        last.push(events[results - 1].event.kind);
    }
    last
}

#[tokio::test]
async fn what_waits_for_the_way_out_is_asked_about_once_and_leaves_when_it_opens_after_a_restart() {
    let (change, _shut) = closed();
    let place = Place::start_with(change).await;
    elsewhere(&place);
    let mut messages = Vec::new();
    for _ in 0..TENANTS {
        messages.push(place.send_as_another(&["ann@far.test"]).await);
    }
    each_has(&place, &messages, 1).await;
    place.clock.advance(Duration::from_hours(9));
    place.end_delivery().await;

    let (change, barrier) = closed();
    let node = place.another("two", change);
    let waiting = "postrider_delivery_waiting_recipients{cause=\"no_route\",state=\"queued\"}";
    let all = i64::try_from(TENANTS).unwrap();
    let counted = async || (node.metric(waiting) == all).then_some(());
    place.until(counted).await;
    each_has(&place, &messages, 1).await;
    let email = place.email_of(&messages[0]).await;
    assert_eq!(email.recipients[0].cause, Some(WaitCause::NoRoute));
    assert_eq!(email.recipients[0].attempts, 0);

    // The clock stands: nothing becomes due meanwhile.
    barrier.open();
    let last = each_has(&place, &messages, 2).await;
    assert!(
        last.iter().all(|kind| *kind == EventKind::Delivered),
        "{last:?}"
    );
    let recipient = &place.email_of(&messages[0]).await.recipients[0];
    let waits: Vec<_> = recipient.waits.iter().collect();
    assert_eq!(waits, [(WaitCause::NoRoute, Duration::from_hours(9))]);
    node.stop().await;
    place.stop().await;
}
