//! A server that goes away, stands still, or has no room.

use std::time::Duration;

use futures_util::future::join_all;
use postrider_model::EventKind;
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    add_tenant, at, claiming, commit, commit_all, deliver, kinds, live, message,
};
use postrider_store::{Committed, Settled, StoreError};
use postrider_store_postgres::PostgresStore;
use postrider_store_postgres::cluster::{Cluster, Settings};

use crate::{Relay, server, shell};

async fn own(settings: Settings) -> Cluster {
    server::present(Cluster::own(settings).await)
}

async fn on(cluster: &Cluster) -> Relay {
    Relay::on(cluster.database().await.unwrap()).await
}

fn unsynced() -> Settings {
    Settings {
        fsync: false,
        ..Settings::default()
    }
}

/// Ends all connections of stores to this database.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name = 'postrider'";

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_is_stored_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let mut killer = relay.shell().await;
    for round in 0..10 {
        let plain: Vec<_> = (0..40).map(|_| message(tenant)).collect();
        let keyed: Vec<_> = (0..40)
            .map(|n| claiming(tenant, &format!("k{round}-{n}")))
            .collect();
        let work = async {
            let plain = commit_all(&relay.ports, &plain).await;
            let keyed = commit_all(&relay.ports, &keyed).await;
            [plain, keyed].concat_all()
        };
        let cutting = async {
            for _ in 0..6 {
                sqlx::raw_sql(CUT).execute(&mut killer).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (done, ()) = futures_util::future::join(work, cutting).await;
        for done in done {
            assert_eq!(done.unwrap(), Committed::Stored);
        }
    }
    assert_eq!(live(&relay.ports).await.len(), 800);
    let usage = relay.ports.mail.usage(tenant, at(0)).await.unwrap();
    assert_eq!(usage.day, 800);
}

#[tokio::test]
async fn groups_that_are_cut_off_are_stored_whole_and_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let mut killer = relay.shell().await;
    for round in 0..5 {
        let groups: Vec<Vec<_>> = (0..8)
            .map(|n| {
                let mut group: Vec<_> = (0..20).map(|_| message(tenant)).collect();
                if n % 2 == 0 {
                    group[0] = claiming(tenant, &format!("g{round}-{n}"));
                }
                group
            })
            .collect();
        let work = groups
            .iter()
            .map(|group| relay.ports.intake.commit_all(group.clone()));
        let cutting = async {
            for _ in 0..12 {
                sqlx::raw_sql(CUT).execute(&mut killer).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (done, ()) = futures_util::future::join(join_all(work), cutting).await;
        for done in done {
            assert_eq!(done.unwrap(), Committed::Stored);
        }
    }
    assert_eq!(live(&relay.ports).await.len(), 800);
    let usage = relay.ports.mail.usage(tenant, at(0)).await.unwrap();
    assert_eq!(usage.day, 800);
}

#[tokio::test]
async fn a_result_whose_commit_was_not_heard_of_is_recorded_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let mut killer = relay.shell().await;
    for _ in 0..10 {
        let messages: Vec<_> = (0..40).map(|_| message(tenant)).collect();
        for done in commit_all(&relay.ports, &messages).await {
            assert_eq!(done.unwrap(), Committed::Stored);
        }
        let settling = join_all(messages.iter().map(|given| deliver(&relay.ports, given, 5)));
        let cutting = async {
            for _ in 0..6 {
                sqlx::raw_sql(CUT).execute(&mut killer).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (settled, ()) = futures_util::future::join(settling, cutting).await;
        assert!(settled.iter().all(|settled| *settled == Settled::Recorded));
        for given in &messages {
            let told = kinds(&relay.ports, given).await;
            assert_eq!(told, [EventKind::Accepted, EventKind::Delivered]);
        }
    }
}

trait ConcatAll<T> {
    fn concat_all(self) -> Vec<T>;
}

impl<T, const N: usize> ConcatAll<T> for [Vec<T>; N] {
    fn concat_all(self) -> Vec<T> {
        self.into_iter().flatten().collect()
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash_of_the_server() {
    let cluster = own(Settings::default()).await;
    let relay = on(&cluster).await;
    let tenant = add_tenant(&relay.ports).await;
    let before: Vec<_> = (0..30).map(|_| message(tenant)).collect();
    for done in commit_all(&relay.ports, &before).await {
        assert_eq!(done.unwrap(), Committed::Stored);
    }
    // Commits go on while it crashes and comes back: none is lost, none needs a new store.
    let during: Vec<_> = (0..30).map(|_| message(tenant)).collect();
    let crash = async { cluster.restart_immediate().await.unwrap() };
    let (done, ()) = futures_util::future::join(commit_all(&relay.ports, &during), crash).await;
    let kept = done.iter().filter(|done| done.is_ok()).count();
    let after = message(tenant);
    assert_eq!(
        commit_patiently(&relay.ports, &after).await,
        Committed::Stored
    );
    let there = live(&relay.ports).await.len();
    assert!(there > 30 + kept, "{there} of {kept} and 31");
}

async fn commit_patiently(ports: &Ports, message: &postrider_store::NewMessage) -> Committed {
    loop {
        match ports.intake.commit(message.clone()).await {
            Ok(done) => return done,
            Err(StoreError::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_not_waited_for_without_end() {
    let cluster = own(unsynced()).await;
    let relay = on(&cluster).await;
    let tenant = add_tenant(&relay.ports).await;
    cluster.stop_immediate().await.unwrap();
    let waited = Duration::from_secs(12);
    let refused = tokio::time::timeout(waited, relay.ports.intake.commit(message(tenant))).await;
    let refused = refused.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    // Whoever comes later is told at once.
    let soon = Duration::from_secs(2);
    let refused = tokio::time::timeout(soon, relay.ports.intake.commit(message(tenant))).await;
    let refused = refused.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    let refused = relay.ports.directory.generation().await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    cluster.start().await.unwrap();
    commit_patiently(&relay.ports, &message(tenant)).await;
    relay.ports.upkeep.check().await.unwrap();
}

#[tokio::test]
async fn a_server_that_stands_still_and_wakes_loses_and_doubles_nothing() {
    let cluster = own(unsynced()).await;
    let relay = on(&cluster).await;
    let tenant = add_tenant(&relay.ports).await;
    commit(&relay.ports, &message(tenant)).await;
    cluster.pause().unwrap();
    let messages: Vec<_> = (0..20).map(|_| message(tenant)).collect();
    let waiting = commit_all(&relay.ports, &messages);
    let waking = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cluster.resume().unwrap();
    };
    let (done, ()) = futures_util::future::join(waiting, waking).await;
    for done in done {
        assert_eq!(done.unwrap(), Committed::Stored);
    }
    assert_eq!(live(&relay.ports).await.len(), 21);
}

#[tokio::test]
async fn a_server_without_room_for_connections_is_not_available_and_then_is() {
    let cluster = own(Settings {
        max_connections: 20,
        ..unsynced()
    })
    .await;
    let relay = on(&cluster).await;
    let tenant = add_tenant(&relay.ports).await;
    let mut taken = Vec::new();
    loop {
        let options: sqlx::postgres::PgConnectOptions = relay.database.url.parse().unwrap();
        match sqlx::ConnectOptions::connect(&options).await {
            Ok(connection) => taken.push(connection),
            Err(_) => break,
        }
    }
    let url = &relay.database.url;
    let refused = PostgresStore::open(url, server::options()).await;
    assert!(refused.is_err());
    let refused = relay.ports.intake.commit(message(tenant)).await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Unavailable(_)) | Ok(Committed::Stored)
        ),
        "{refused:?}"
    );
    drop(taken);
    commit_patiently(&relay.ports, &message(tenant)).await;
}

#[tokio::test]
async fn a_lock_that_somebody_forgot_is_not_waited_for_without_end() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let mut holder = shell(&relay.database.url).await;
    let hold = "BEGIN; LOCK TABLE queue IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let waiting = join_all((0..3).map(|_| relay.ports.intake.commit(message(tenant))));
    let let_go = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut holder)
            .await
            .unwrap();
    };
    let (done, ()) = futures_util::future::join(waiting, let_go).await;
    assert!(
        done.into_iter()
            .all(|done| done.unwrap() == Committed::Stored)
    );
}
