//! Large bodies in files beside the database: there when they were promised, gone when they are not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use postrider_model::TenantId;
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    DAY, add_tenant, at, commit, commit_all, deliver, email, message,
};
use postrider_store::{Committed, NewMessage, Resealed, StoreError};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

const LARGE: usize = 200_000;

struct Relay {
    folder: TempDir,
    store: SqliteStore,
    ports: Ports,
    tenant: TenantId,
}

impl Relay {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, ports) = open(&folder.path().join("relay.db")).await;
        let tenant = add_tenant(&ports).await;
        Self {
            folder,
            store,
            ports,
            tenant,
        }
    }

    fn large(&self, byte: u8, size: usize) -> NewMessage {
        let mut large = message(self.tenant);
        large.body = vec![byte; size].into();
        large
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("relay.db")
    }

    fn segments(&self) -> Vec<PathBuf> {
        segments(&self.path())
    }

    /// Stops and starts it; the same folder.
    async fn restart(self) -> Self {
        drop(self.ports);
        self.store.close().await;
        let (store, ports) = open(&self.folder.path().join("relay.db")).await;
        Self {
            store,
            ports,
            ..self
        }
    }
}

// Nothing is kept in memory: what is read comes from the disk.
async fn open(path: &Path) -> (SqliteStore, Ports) {
    open_with(path, SqliteOptions::default().segment_bytes).await
}

async fn open_with(path: &Path, segment_bytes: u64) -> (SqliteStore, Ports) {
    let options = SqliteOptions {
        fresh_bytes: 0,
        segment_bytes,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(path, options).await.unwrap();
    (store.clone(), Ports::of(store, ()))
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path.with_extension("db.bodies")) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

async fn body(ports: &Ports, message: &NewMessage) -> Result<Option<Bytes>, StoreError> {
    ports.mail.body(message.tenant, message.id).await
}

/// The same bytes, whichever way they are asked for.
async fn is_whole(ports: &Ports, message: &NewMessage) {
    let wanted = Some(&message.body);
    let recipients = [message.recipients[0].id];
    let opened = ports.queue.open(message.id, &recipients).await.unwrap();
    let opened = opened.unwrap();
    assert_eq!(opened.size, message.body.len() as u64);
    if let Some(small) = &opened.body {
        assert!(Some(small) == wanted);
    }
    let large = ports.queue.large_body(message.id).await.unwrap();
    assert!(large.as_ref() == wanted);
    assert!(body(ports, message).await.unwrap().as_ref() == wanted);
}

#[tokio::test]
async fn a_large_body_lies_beside_the_database_and_comes_back_whole() {
    let relay = Relay::start().await;
    let sizes = [1, 32 << 10, (32 << 10) + 1, LARGE, (1 << 20) + 1];
    let all: Vec<_> = sizes.iter().map(|size| relay.large(b'x', *size)).collect();
    commit_all(&relay.ports, &all[..3]).await;
    let rest = all[3..].to_vec();
    let done = relay.ports.intake.commit_all(rest).await.unwrap();
    assert_eq!(done, Committed::Stored);
    let relay = relay.restart().await;
    for message in &all {
        is_whole(&relay.ports, message).await;
    }
    let [segment] = &relay.segments()[..] else {
        unreachable!("one segment")
    };
    let room = |size: usize| (size as u64 + 32).next_multiple_of(4_096);
    let beside: u64 = sizes[2..].iter().map(|size| room(*size)).sum();
    assert_eq!(segment.metadata().unwrap().len(), beside);
}

#[tokio::test]
async fn what_a_power_cut_leaves_has_all_that_was_answered() {
    let relay = Relay::start().await;
    let all: Vec<_> = (0..20).map(|n| relay.large(n, LARGE)).collect();
    commit_all(&relay.ports, &all).await;
    let copy = tempfile::tempdir().unwrap();
    for name in ["relay.db", "relay.db-wal"] {
        std::fs::copy(relay.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let path = copy.path().join("relay.db");
    std::fs::create_dir(path.with_extension("db.bodies")).unwrap();
    for segment in relay.segments() {
        let name = segment.file_name().unwrap();
        std::fs::copy(&segment, path.with_extension("db.bodies").join(name)).unwrap();
    }
    let (_store, ports) = open(&path).await;
    for message in &all {
        is_whole(&ports, message).await;
    }
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_nothing_behind() {
    let relay = Relay::start().await;
    let (first, last) = (relay.large(1, LARGE), relay.large(3, LARGE));
    commit(&relay.ports, &first).await;
    let before = relay.segments()[0].metadata().unwrap().len();
    let mut nobody = relay.large(2, LARGE);
    nobody.tenant = TenantId::from_bytes([9; 16]);
    for _ in 0..5 {
        let refused = relay.ports.intake.commit(nobody.clone()).await;
        assert!(matches!(refused, Err(StoreError::Rejected { .. })));
    }
    commit(&relay.ports, &last).await;
    assert_eq!(relay.segments()[0].metadata().unwrap().len(), 2 * before);
    is_whole(&relay.ports, &first).await;
    is_whole(&relay.ports, &last).await;
}

#[tokio::test]
async fn space_goes_back_with_the_body_and_a_segment_with_its_last_one() {
    let relay = Relay::start().await;
    let (old, kept) = (relay.large(1, 4 << 20), relay.large(2, LARGE));
    commit(&relay.ports, &old).await;
    commit(&relay.ports, &kept).await;
    deliver(&relay.ports, &old, 5).await;
    let blocks = |path: &Path| path.metadata().unwrap().blocks() * 512;
    let segment = relay.segments()[0].clone();
    assert!(blocks(&segment) > 4 << 20);
    let relay = retained(relay).await;
    assert_eq!(body(&relay.ports, &old).await.unwrap(), None);
    assert!(email(&relay.ports, &old).await.is_some());
    assert!(blocks(&segment) < 1 << 20);
    is_whole(&relay.ports, &kept).await;

    let relay = relay.restart().await;
    assert_eq!(relay.segments(), std::slice::from_ref(&segment));
    let later = relay.large(3, LARGE);
    commit(&relay.ports, &later).await;
    assert_eq!(relay.segments().len(), 2);
    deliver(&relay.ports, &kept, 5).await;
    let relay = retained(relay).await;
    assert_eq!(relay.segments().len(), 1);
    assert_ne!(relay.segments(), [segment]);
    is_whole(&relay.ports, &later).await;
}

async fn retained(relay: Relay) -> Relay {
    let now = at(10).after(DAY);
    let removed = relay.ports.upkeep.retain(now, DAY, 30 * DAY).await;
    assert_eq!(removed.unwrap().bodies, 1);
    relay
}

#[tokio::test]
async fn what_is_sealed_again_or_erased_leaves_the_spool() {
    let relay = Relay::start().await;
    let (sealed, erased) = (relay.large(1, LARGE), relay.large(2, LARGE));
    commit(&relay.ports, &sealed).await;
    commit(&relay.ports, &erased).await;
    let segment = relay.segments()[0].clone();
    let new = Resealed {
        id: sealed.id,
        tenant: sealed.tenant,
        was: sealed.sealed_until,
        sealed_until: sealed.sealed_until.after(DAY),
        selectors: sealed.selectors.clone(),
        body: vec![7; LARGE].into(),
    };
    assert!(relay.ports.intake.reseal(new.clone()).await.unwrap());
    assert!(body(&relay.ports, &sealed).await.unwrap() == Some(new.body));
    assert!(!has_run_of(1, &segment), "the old bytes are gone");
    assert!(has_run_of(2, &segment));
    while !relay
        .ports
        .upkeep
        .erase(relay.tenant)
        .await
        .unwrap()
        .is_nothing()
    {}
    assert!(!has_run_of(2, &segment));
}

// Of the bytes of a body; some in a header may be like it.
fn has_run_of(byte: u8, segment: &Path) -> bool {
    let bytes = std::fs::read(segment).unwrap();
    bytes.windows(100).any(|run| run.iter().all(|b| *b == byte))
}

#[tokio::test]
async fn a_segment_of_another_database_is_not_taken_for_ours() {
    let relay = Relay::start().await;
    let given = [relay.large(1, LARGE), relay.large(2, LARGE)];
    commit_all(&relay.ports, &given).await;
    let segment = relay.segments()[0].clone();
    let bytes = std::fs::read(&segment).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    std::fs::write(&segment, [second, first].concat()).unwrap();
    for message in &given {
        let read = body(&relay.ports, message).await;
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    }
    std::fs::remove_file(&segment).unwrap();
    let read = body(&relay.ports, &given[0]).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    assert!(email(&relay.ports, &given[0]).await.is_some());
}

#[tokio::test]
async fn segments_that_nothing_refers_to_go_at_the_next_start_and_no_number_comes_twice() {
    let relay = Relay::start().await;
    let given = relay.large(1, LARGE);
    commit(&relay.ports, &given).await;
    let first = relay.segments()[0].clone();
    let left = first.with_file_name("000000000007.spool");
    std::fs::write(&left, b"what a crash left").unwrap();
    let relay = relay.restart().await;
    assert_eq!(relay.segments(), std::slice::from_ref(&first));
    let later = relay.large(2, LARGE);
    commit(&relay.ports, &later).await;
    let next = first.with_file_name("000000000008.spool");
    assert_eq!(relay.segments(), [first, next]);
    is_whole(&relay.ports, &given).await;
    is_whole(&relay.ports, &later).await;
}

#[tokio::test]
async fn a_full_segment_is_followed_by_another_and_both_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let (_store, ports) = open_with(&path, LARGE as u64).await;
    let tenant = add_tenant(&ports).await;
    let mut all = Vec::new();
    for byte in 0..6 {
        let mut large = message(tenant);
        large.body = vec![byte; LARGE / 3 * 2].into();
        commit(&ports, &large).await;
        all.push(large);
    }
    assert_eq!(segments(&path).len(), 3);
    for message in &all {
        is_whole(&ports, message).await;
    }
    // Those that are full go with their last one; the newest does not.
    for message in &all {
        deliver(&ports, message, 5).await;
    }
    let removed = ports.upkeep.retain(at(10).after(DAY), DAY, 30 * DAY).await;
    assert_eq!(removed.unwrap().bodies, 6);
    assert_eq!(segments(&path).len(), 1);
}

#[tokio::test]
async fn what_lies_between_the_bodies_that_count_is_cleared_at_the_next_start() {
    let relay = Relay::start().await;
    let kept = [relay.large(1, LARGE), relay.large(3, LARGE)];
    let lost = relay.large(2, LARGE);
    for message in [&kept[0], &lost, &kept[1]] {
        commit(&relay.ports, message).await;
    }
    let mut shell = SqliteConnectOptions::new()
        .filename(relay.path())
        .connect()
        .await
        .unwrap();
    // As a crash between a removal and the release of its space.
    sqlx::query("DELETE FROM bodies WHERE message = ?1")
        .bind(lost.id.as_bytes().as_slice())
        .execute(&mut shell)
        .await
        .unwrap();
    drop(shell);
    let segment = relay.segments()[0].clone();
    assert!(has_run_of(2, &segment));
    let relay = relay.restart().await;
    assert!(!has_run_of(2, &segment));
    for message in &kept {
        is_whole(&relay.ports, message).await;
    }
}

#[tokio::test]
async fn what_is_sealed_again_while_it_is_read_is_read() {
    let relay = Relay::start().await;
    let given = relay.large(1, LARGE);
    commit(&relay.ports, &given).await;
    let mut was = given.sealed_until;
    for byte in 2..30 {
        let new = Resealed {
            id: given.id,
            tenant: given.tenant,
            was,
            sealed_until: was.after(DAY),
            selectors: given.selectors.clone(),
            body: vec![byte; LARGE].into(),
        };
        was = new.sealed_until;
        let reads = futures_util::future::join_all((0..4).map(|_| body(&relay.ports, &given)));
        let (read, done) = futures_util::join!(reads, relay.ports.intake.reseal(new));
        assert!(done.unwrap());
        for read in read {
            let read = read.unwrap().unwrap();
            assert_eq!(read.len(), LARGE);
            assert!(read.iter().all(|b| *b == read[0] && *b != 0));
        }
    }
}

#[tokio::test]
async fn the_spool_is_for_its_owner_alone() {
    let relay = Relay::start().await;
    commit(&relay.ports, &relay.large(1, LARGE)).await;
    let segment = relay.segments()[0].clone();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&segment), 0o600);
    assert_eq!(mode(segment.parent().unwrap()), 0o700);
}
