//! What is left of it on a disk that is full, or that lies.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    DAY, add_tenant, at, commit, deliver, email, live, message,
};
use postrider_store::{Committed, NewMessage, Shard, StoreError};
use postrider_store_sqlite::{OpenError, SqliteOptions, migrate};
use sqlx::Connection as _;

use super::{Relay, reopen, shell};

#[tokio::test]
async fn a_full_database_refuses_mail_keeps_what_it_has_and_recovers() {
    let relay = Relay::start_with(SqliteOptions {
        pages_most: Some(400),
        ..SqliteOptions::default()
    })
    .await;
    let ports = &relay.ports;
    let tenant = add_tenant(ports).await;
    let large = || {
        let mut large = message(tenant);
        large.body = vec![b'x'; 30_000].into();
        large
    };
    let old = large();
    commit(ports, &old).await;
    deliver(ports, &old, 5).await;

    let (mut kept, refused) = fill(ports, large).await;
    assert!(kept.len() > 5, "{}", kept.len());
    assert_eq!(email(ports, &refused).await, None);
    for message in &kept {
        assert!(email(ports, message).await.is_some());
    }
    assert!(relay.store.failed().now_or_never().is_none());

    // Space comes back with an old body; the same message is taken then.
    let day = Duration::from_hours(24);
    let removed = ports.upkeep.retain(at(10).after(DAY), day, 30 * day).await;
    assert_eq!(removed.unwrap().bodies, 1);
    assert_eq!(commit(ports, &refused).await, Committed::Stored);
    kept.push(refused);
    assert_eq!(live(ports).await.len(), kept.len());
}

/// Commits until there is no space; returns what was kept, and what was refused.
async fn fill(ports: &Ports, make: impl Fn() -> NewMessage) -> (Vec<NewMessage>, NewMessage) {
    let mut kept = Vec::new();
    loop {
        let next = make();
        match ports.intake.commit(next.clone()).await {
            Ok(done) => assert_eq!(done, Committed::Stored),
            Err(StoreError::Full(_)) => return (kept, next),
            Err(other) => panic!("{other}"),
        }
        kept.push(next);
    }
}

#[tokio::test]
async fn a_damaged_file_stops_all_writing() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    relay.store.close().await;
    garble(&relay.path, "usage").await;

    let (store, ports) = reopen(&relay.path).await;
    let refused = ports.intake.commit(message(tenant)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    store.failed().await;
    let after = ports.intake.commit(message(tenant)).await;
    assert!(
        matches!(after, Err(StoreError::Unavailable(_))),
        "{after:?}"
    );
    assert!(ports.upkeep.check().await.is_err());
}

/// Overwrites the first page of a table.
async fn garble(path: &Path, table: &str) {
    let mut shell = shell(path).await;
    let page: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = ?1")
        .bind(table)
        .fetch_one(&mut shell)
        .await
        .unwrap();
    shell.close().await.unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let start = usize::try_from(page - 1).unwrap() * 16_384;
    bytes[start..start + 16_384].fill(0x55);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    std::fs::write(&path, "this is not a database ".repeat(1_000)).unwrap();
    let refused = migrate(&path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    assert!(refused.to_string().contains("relay.db"), "{refused}");
}

#[tokio::test]
async fn damaged_rows_keep_nothing_behind_them_from_being_loaded() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    for _ in 0..5 {
        commit(&relay.ports, &message(tenant)).await;
    }
    let rows = live(&relay.ports).await;
    let mut shell = shell(&relay.path).await;
    sqlx::query("UPDATE queue SET domain = 'no domain' WHERE recipient <> ?1")
        .bind(rows[4].recipient.as_bytes().as_slice())
        .execute(&mut shell)
        .await
        .unwrap();
    assert_eq!(live(&relay.ports).await, [rows[4].clone()]);
    let all: Vec<Shard> = Shard::all().collect();
    let pages = relay.ports.queue.load_shards(&all, at(1), 10).await;
    assert_eq!(pages.unwrap()[0].rows, [rows[4].clone()]);
}
