//! A database that dies, stands still, is full of connections, or is held up by somebody.

use std::time::Duration;

use postrider_store_postgres::cluster::Settings;

use crate::house::{Fleet, PAST_THE_LEASE};
use crate::ledger::{Load, judge};
use crate::shell::Shell;

/// A fleet with two tenants' mail on its way.
async fn at_work(settings: Settings) -> Option<(Fleet, Load)> {
    let fleet = Fleet::start_on(settings, 1, 2).await?;
    let mut load = Load::new();
    for n in 0..2 {
        let tenant = fleet.tenant(&format!("Tenant {n}"), &[]).await;
        load.add(&tenant, &format!("t{n}x"), 8);
    }
    load.acknowledged(40).await;
    Some((fleet, load))
}

fn settings() -> Settings {
    // What is acknowledged has to be there after a crash of the server; of the machine none comes.
    Settings {
        fsync: false,
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_comes_back_costs_nothing_that_was_acknowledged() {
    let Some((fleet, load)) = at_work(settings()).await else {
        return;
    };
    for _ in 0..3 {
        fleet.cluster.restart_immediate().await.unwrap();
        load.acknowledged(40).await;
    }
    let sent = load.end().await;
    judge(&fleet, &sent).await;
    fleet.balanced(2).await;
    fleet.nothing_was_overlooked().await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_for_longer_than_a_lease_is_waited_for() {
    let Some((fleet, load)) = at_work(settings()).await else {
        return;
    };
    fleet.cluster.stop_immediate().await.unwrap();
    load.goes_on(PAST_THE_LEASE).await;
    // What was in flight has ended; no new attempt begins.
    let came = fleet.net.mailbox().messages().len();
    load.goes_on(Duration::from_secs(2)).await;
    assert_eq!(fleet.net.mailbox().messages().len(), came);
    fleet.cluster.start().await.unwrap();
    load.acknowledged(40).await;
    let sent = load.end().await;
    judge(&fleet, &sent).await;
    fleet.balanced(2).await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_past_the_lease_loses_nothing() {
    let Some((fleet, load)) = at_work(settings()).await else {
        return;
    };
    fleet.cluster.pause().unwrap();
    load.goes_on(PAST_THE_LEASE).await;
    let came = fleet.net.mailbox().messages().len();
    load.goes_on(Duration::from_secs(2)).await;
    assert_eq!(fleet.net.mailbox().messages().len(), came);
    fleet.cluster.resume().unwrap();
    load.acknowledged(40).await;
    let sent = load.end().await;
    judge(&fleet, &sent).await;
    fleet.balanced(2).await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_open_transaction_holds_nothing_up() {
    let Some((fleet, load)) = at_work(settings()).await else {
        return;
    };
    let said = "BEGIN; SELECT 'xid ' || pg_current_xact_id(); SELECT count(*) FROM queue;";
    let forgotten = Shell::open(&fleet, "forgotten", said);
    forgotten.answers("xid ").await;
    load.acknowledged(100).await;
    // New mail is found as before, not by the sweep.
    for n in 0..10 {
        let id = fleet.place.send_to(&format!("r{n}@prompt.test")).await;
        fleet.place.settled(&id).await;
    }
    let sent = load.end().await;
    let verdict = judge(&fleet, &sent).await;
    assert_eq!(verdict.doubled, 0);
    fleet.nothing_was_overlooked().await;
    drop(forgotten);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_a_connection_to_spare_says_later_and_goes_on() {
    let few = Settings {
        max_connections: 40,
        ..settings()
    };
    let Some((fleet, load)) = at_work(few).await else {
        return;
    };
    // Everything that is free is taken, and what the relay has is taken from it.
    let mut takers = Vec::new();
    for n in 0..40 {
        takers.push(Shell::open(&fleet, &format!("taker{n}"), "SELECT 'in';"));
    }
    let is_in = |one: &&Shell| one.printed().contains("in\n");
    let first = crate::harness::until("one is in", async || {
        takers.iter().position(|one| is_in(&one))
    })
    .await;
    takers[first].say(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name <> 'psql' AND backend_type = 'client backend';",
    );
    for n in 40..60 {
        takers.push(Shell::open(&fleet, &format!("taker{n}"), "SELECT 'in';"));
    }
    load.goes_on(Duration::from_secs(10)).await;
    drop(takers);
    load.acknowledged(40).await;
    let sent = load.end().await;
    judge(&fleet, &sent).await;
    fleet.balanced(2).await;
    fleet.stop().await;
}
