//! What came within the last minutes: kept in memory, and there again after a start.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider_model::{TenantId, Timestamp};
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{DAY, QUARTER, add_tenant, at, commit, lately};
use postrider_store::{Committed, NewMessage};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

async fn open(path: &Path) -> (SqliteStore, Ports) {
    let store = SqliteStore::open(path, SqliteOptions::default());
    let store = store.await.unwrap();
    (store.clone(), Ports::of(store, ()))
}

fn database() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    (folder, path)
}

fn told(first: &NewMessage) -> Committed {
    Committed::Claimed(first.claim.as_ref().unwrap().answer.clone())
}

#[tokio::test]
async fn what_came_lately_is_known_to_the_next_process() {
    let (_folder, path) = database();
    let (store, ports) = open(&path).await;
    let tenant = add_tenant(&ports).await;
    let firsts = [1, 2].map(|content| lately(tenant, content, at(0)));
    for first in &firsts {
        assert_eq!(commit(&ports, first).await, Committed::Stored);
    }
    store.close().await;
    let (store, ports) = open(&path).await;
    for (content, first) in [1, 2].into_iter().zip(&firsts) {
        let again = commit(&ports, &lately(tenant, content, at(60))).await;
        assert_eq!(again, told(first));
    }
    let later = lately(tenant, 1, at(0).after(QUARTER));
    assert_eq!(commit(&ports, &later).await, Committed::Stored);
    store.close().await;
}

/// As it is noted where memory has no room for more, and as earlier releases noted all.
fn under_a_key(tenant: TenantId, content: u8, accepted_at: Timestamp) -> NewMessage {
    let mut message = lately(tenant, content, accepted_at);
    let claim = message.claim.as_mut().unwrap();
    claim.until = accepted_at.after(2 * DAY);
    message
}

#[tokio::test]
async fn what_stands_among_the_claims_under_keys_counts_as_well() {
    let (_folder, path) = database();
    let (store, ports) = open(&path).await;
    let tenant = add_tenant(&ports).await;
    let first = under_a_key(tenant, 1, at(0));
    assert_eq!(commit(&ports, &first).await, Committed::Stored);
    let again = commit(&ports, &lately(tenant, 1, at(60))).await;
    assert_eq!(again, told(&first));
    store.close().await;
    let (store, ports) = open(&path).await;
    let again = commit(&ports, &lately(tenant, 1, at(120))).await;
    assert_eq!(again, told(&first));
    store.close().await;
}

#[tokio::test]
async fn what_does_not_count_any_more_is_removed() {
    let (_folder, path) = database();
    let (store, ports) = open(&path).await;
    let tenant = add_tenant(&ports).await;
    for content in 1..=3 {
        let message = lately(tenant, content, at(u64::from(content)));
        assert_eq!(commit(&ports, &message).await, Committed::Stored);
    }
    let life = Duration::from_hours(24);
    for (now, want) in [
        (at(1), 0),
        (at(2).after(QUARTER), 2),
        (at(9).after(QUARTER), 1),
    ] {
        let removed = ports.upkeep.retain(now, life, 30 * life).await.unwrap();
        assert_eq!(removed.claims, want);
    }
    commit(&ports, &lately(tenant, 9, at(0))).await;
    let erased = ports.upkeep.erase(tenant).await.unwrap();
    assert_eq!(erased.claims, 1);
    store.close().await;
}
