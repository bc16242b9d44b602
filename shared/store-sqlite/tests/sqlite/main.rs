//! What only this dialect promises: one process, crashes, the log, damage.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod damage;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    DAY, add_tenant, at, changed_since, claiming, commit, commit_all, cursor, deliver, email,
    kinds, live, message, message_to,
};
use postrider_store::{Committed, News, StoreError};
use postrider_store_sqlite::{OpenError, SqliteOptions, SqliteStore, migrate};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

struct Relay {
    folder: TempDir,
    path: PathBuf,
    store: SqliteStore,
    ports: Ports,
}

impl Relay {
    async fn start() -> Self {
        Self::start_with(SqliteOptions::default()).await
    }

    async fn start_with(options: SqliteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let store = SqliteStore::open(&path, options).await.unwrap();
        Self {
            ports: Ports::of(store.clone(), ()),
            folder,
            path,
            store,
        }
    }

    /// What a power cut now would leave, in another folder.
    fn crash_image(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["relay.db", "relay.db-wal"] {
            let from = self.folder.path().join(name);
            std::fs::copy(from, folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("relay.db");
        (folder, path)
    }
}

async fn reopen(path: &Path) -> (SqliteStore, Ports) {
    let store = SqliteStore::open(path, SqliteOptions::default())
        .await
        .unwrap();
    (store.clone(), Ports::of(store, ()))
}

async fn shell(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_ends() {
    let relay = Relay::start().await;
    let second = SqliteStore::open(&relay.path, SqliteOptions::default()).await;
    let Err(refused) = second else {
        panic!("opened twice")
    };
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    let refused = migrate(&relay.path).await.unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    relay.store.close().await;
    migrate(&relay.path).await.unwrap();
    reopen(&relay.path).await;
}

#[tokio::test]
async fn a_closed_store_says_that_it_is_not_available() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    relay.store.close().await;
    let refused = relay.ports.intake.commit(message(tenant)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_waits_when_the_store_is_closed_is_still_done() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let messages: Vec<_> = (0..50).map(|_| message(tenant)).collect();
    let mut waiting: Vec<_> = messages
        .iter()
        .map(|message| relay.ports.intake.commit(message.clone()))
        .collect();
    for commit in &mut waiting {
        assert!(commit.now_or_never().is_none());
    }
    relay.store.close().await;
    for done in join_all(waiting).await {
        assert_eq!(done.unwrap(), Committed::Stored);
    }
    let (_store, ports) = reopen(&relay.path).await;
    assert_eq!(live(&ports).await.len(), 50);
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let messages: Vec<_> = (0..20)
        .map(|n| claiming(tenant, &format!("k{n}")))
        .collect();
    commit_all(&relay.ports, &messages).await;
    deliver(&relay.ports, &messages[0], 5).await;
    let before = live(&relay.ports).await;

    let (_folder, path) = relay.crash_image();
    let (_store, ports) = reopen(&path).await;
    assert_eq!(live(&ports).await, before);
    for message in &messages {
        let stored = email(&ports, message).await;
        assert_eq!(stored, email(&relay.ports, message).await);
        assert_eq!(
            kinds(&ports, message).await,
            kinds(&relay.ports, message).await
        );
        let body = ports.mail.body(tenant, message.id).await.unwrap();
        assert_eq!(body.as_ref(), Some(&message.body));
    }
    // Change order goes on where it was.
    let newest = cursor(&ports).await;
    commit(&ports, &message(tenant)).await;
    let added = changed_since(&ports, &newest).await;
    assert_eq!(added.len(), 1);
    assert!(live(&ports).await.ends_with(&added));
}

#[tokio::test]
async fn the_log_stays_short_while_commits_go_on() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    // A reader that stands still in the middle holds no commit up.
    let mut reader = shell(&relay.path).await;
    let mut snapshot = reader.begin().await.unwrap();
    let tenants = "SELECT count(*) FROM tenants";
    sqlx::query(tenants).execute(&mut *snapshot).await.unwrap();
    let log = relay.folder.path().join("relay.db-wal");
    write_megabytes(&relay.ports, tenant, 40).await;
    snapshot.rollback().await.unwrap();
    write_megabytes(&relay.ports, tenant, 200).await;
    let length = log.metadata().unwrap().len();
    assert!(length < 160 << 20, "{length} bytes of log for 240 MB");
}

async fn write_megabytes(ports: &Ports, tenant: postrider_model::TenantId, count: usize) {
    let messages: Vec<_> = (0..count)
        .map(|_| {
            let mut large = message(tenant);
            large.body = vec![b'x'; 1 << 20].into();
            large
        })
        .collect();
    for done in commit_all(ports, &messages).await {
        assert_eq!(done.unwrap(), Committed::Stored);
    }
}

#[tokio::test]
async fn a_checkpoint_copies_the_whole_log() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let given = message(tenant);
    commit(&relay.ports, &given).await;
    relay.ports.upkeep.checkpoint().await.unwrap();
    // Without the log, the database file alone has it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    std::fs::copy(&relay.path, &path).unwrap();
    let (_store, ports) = reopen(&path).await;
    assert!(email(&ports, &given).await.is_some());
}

#[tokio::test]
async fn a_commit_waits_for_another_process_that_holds_the_database() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let mut backup = shell(&relay.path).await;
    let hold = "BEGIN IMMEDIATE";
    sqlx::query(hold).execute(&mut backup).await.unwrap();
    let given = message(tenant);
    let mut commit = relay.ports.intake.commit(given.clone());
    assert!((&mut commit).now_or_never().is_none());
    sqlx::query("ROLLBACK").execute(&mut backup).await.unwrap();
    assert_eq!(commit.await.unwrap(), Committed::Stored);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_not_touched() {
    let relay = Relay::start().await;
    relay.store.close().await;
    let mut shell = shell(&relay.path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut shell)
    .await
    .unwrap();
    shell.close().await.unwrap();
    let refused = migrate(&relay.path).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { version: 9001, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn its_files_are_for_their_owner_alone() {
    let relay = Relay::start().await;
    add_tenant(&relay.ports).await;
    for name in ["relay.db", "relay.db-wal", "relay.db-shm", "relay.db.lock"] {
        let there = relay.folder.path().join(name).metadata().unwrap();
        assert_eq!(there.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn accepted_recipients_are_counted_once_per_tenant_and_day() {
    let relay = Relay::start().await;
    let (one, two) = (
        add_tenant(&relay.ports).await,
        add_tenant(&relay.ports).await,
    );
    let pair = message_to(one, &["a@x.example", "b@x.example"]);
    let mut tomorrow = message(one);
    tomorrow.accepted_at = tomorrow.accepted_at.after(DAY);
    tomorrow.due_at = tomorrow.accepted_at;
    let twice = claiming(two, "order-17");
    let other = claiming(two, "order-17");
    let all = [pair.clone(), tomorrow, twice.clone(), other, twice, pair];
    commit_all(&relay.ports, &all).await;

    let mut shell = shell(&relay.path).await;
    let counted: Vec<(Vec<u8>, i64, i64)> =
        sqlx::query_as("SELECT tenant, day, accepted FROM usage ORDER BY tenant, day")
            .fetch_all(&mut shell)
            .await
            .unwrap();
    let day = at(0).day();
    let mut wanted = [(one, day, 2), (one, day + 1, 1), (two, day, 1)]
        .map(|(tenant, day, accepted)| (tenant.as_bytes().to_vec(), day, accepted));
    wanted.sort();
    assert_eq!(counted, wanted);
}

#[tokio::test]
async fn a_refused_row_announces_no_change_that_nobody_can_find() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let given = message(tenant);
    commit(&relay.ports, &given).await;
    let first = relay.ports.queue.news().now_or_never();
    assert!(matches!(first, Some(News::Rows(rows)) if rows.len() == 1));
    let nobody = postrider_model::TenantId::from_bytes([9; 16]);
    let refused = relay.ports.intake.commit(message(nobody)).await;
    assert!(matches!(refused, Err(StoreError::Rejected { .. })));
    deliver(&relay.ports, &given, 1).await;
    let more = relay.ports.queue.news().now_or_never();
    assert!(more.is_none(), "its owner would look again and again");
}
