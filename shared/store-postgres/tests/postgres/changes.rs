//! Reading by change order beside transactions that stay open.

use std::time::{Duration, Instant};

use postrider_store::conformance::fixture::{add_tenant, commit, commit_all, deliver, message};
use postrider_store::{Cursor, News, QueueRow, Shard, StoreError};
use postrider_store_postgres::cluster::{Cluster, Settings};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::Executor as _;

use crate::{Relay, server};

fn all() -> Vec<Shard> {
    Shard::all().collect()
}

impl Relay {
    async fn changed(&self, since: &Cursor) -> (Vec<QueueRow>, Cursor) {
        let page = self.ports.queue.load_changed(&all(), since, 10_000).await;
        let page = page.unwrap();
        assert!(!page.more);
        (page.rows, page.next)
    }
}

/// A transaction with a number of its own that does nothing more.
async fn forgotten(relay: &Relay) -> sqlx::PgConnection {
    let mut forgotten = relay.shell().await;
    forgotten.execute("BEGIN").await.unwrap();
    let number = "SELECT pg_current_xact_id()";
    forgotten.execute(number).await.unwrap();
    forgotten
}

#[tokio::test]
async fn what_came_before_a_forgotten_transaction_and_during_it_is_read_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let _open = forgotten(&relay).await;
    let (none, mut cursor) = relay.changed(&Cursor::START).await;
    assert!(none.is_empty());
    for _ in 0..5 {
        let messages: Vec<_> = (0..20).map(|_| message(tenant)).collect();
        commit_all(&relay.ports, &messages).await;
        let (rows, next) = relay.changed(&cursor).await;
        assert_eq!(rows.len(), 20, "new rows, and none of those before");
        cursor = next;
    }
    let (none, _) = relay.changed(&cursor).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_row_that_is_committed_late_is_found_behind_the_cursor() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let (late, early) = (message(tenant), message(tenant));
    commit(&relay.ports, &late).await;
    let (_, cursor) = relay.changed(&Cursor::START).await;
    // The first is rescheduled by a transaction that takes its time.
    let mut slow = relay.shell().await;
    slow.execute("BEGIN").await.unwrap();
    let change = "UPDATE queue SET due_at = due_at + 1, changed = pg_current_xact_id()";
    slow.execute(change).await.unwrap();
    commit(&relay.ports, &early).await;
    let (rows, cursor) = relay.changed(&cursor).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message, early.id);
    slow.execute("COMMIT").await.unwrap();
    let (rows, cursor) = relay.changed(&cursor).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message, late.id);
    assert!(relay.changed(&cursor).await.0.is_empty());
}

#[tokio::test]
async fn a_pass_in_pages_misses_nothing_that_is_committed_meanwhile() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let (_, mut cursor) = relay.changed(&Cursor::START).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let messages: Vec<_> = (0..30).map(|_| message(tenant)).collect();
        commit_all(&relay.ports, &messages).await;
        // In the middle of a pass as a rule.
        let page = relay.ports.queue.load_changed(&all(), &cursor, 7).await;
        let page = page.unwrap();
        seen.extend(page.rows.iter().map(|row| row.recipient));
        cursor = page.next;
    }
    loop {
        let page = relay.ports.queue.load_changed(&all(), &cursor, 7).await;
        let page = page.unwrap();
        seen.extend(page.rows.iter().map(|row| row.recipient));
        cursor = page.next;
        if !page.more && page.rows.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 300);
}

#[tokio::test]
async fn a_forgotten_transaction_makes_a_look_at_what_is_new_no_dearer() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let _open = forgotten(&relay).await;
    // Thousands that came and went since it began, none of which may be cleared away.
    for _ in 0..10 {
        let messages: Vec<_> = (0..200).map(|_| message(tenant)).collect();
        commit_all(&relay.ports, &messages).await;
        let settled = messages
            .iter()
            .map(|message| deliver(&relay.ports, message, 5));
        futures_util::future::join_all(settled).await;
    }
    let (_, cursor) = relay.changed(&Cursor::START).await;
    assert!(relay.changed(&cursor).await.0.is_empty());
    let blocks = blocks_read(&relay, &cursor).await;
    assert!(blocks < 30, "{blocks} blocks for nothing new");
}

/// Blocks that the look behind a cursor reads: those of two thousand dead rows would be hundreds.
async fn blocks_read(relay: &Relay, cursor: &Cursor) -> u64 {
    let (_, snapshot) = cursor.0.rsplit_once(';').unwrap();
    let mut parts = snapshot.split(':').skip(1);
    let (next, open) = (parts.next().unwrap(), parts.next().unwrap());
    assert!(
        !open.is_empty(),
        "the forgotten transaction is among the open ones"
    );
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS) SELECT recipient FROM queue
         WHERE changed >= '{next}'::xid8
         UNION ALL SELECT recipient FROM queue WHERE changed = ANY('{{{open}}}'::xid8[])"
    );
    let mut shell = relay.shell().await;
    shell.execute("SET enable_seqscan = off").await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(&mut shell)
        .await
        .unwrap();
    let total = plan.iter().find_map(|line| {
        let hit = line.split("shared hit=").nth(1)?;
        hit.split_whitespace().next()?.parse().ok()
    });
    total.unwrap_or_else(|| panic!("{plan:#?}"))
}

/// Transactions that leave no trace on the disk in time: a server that crashes gives their numbers
/// again.
async fn use_up_numbers(relay: &Relay) {
    let mut shell = relay.shell().await;
    let lazily = "SET synchronous_commit = off";
    shell.execute(lazily).await.unwrap();
    let many =
        "DO $$ BEGIN FOR n IN 1..100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
    shell.execute(many).await.unwrap();
}

/// The postmaster ends all others then, recovers, and lives on.
async fn kill_a_backend(relay: &Relay) {
    let mut shell = relay.shell().await;
    let number = "SELECT pg_backend_pid()";
    let backend: i32 = sqlx::query_scalar(number)
        .fetch_one(&mut shell)
        .await
        .unwrap();
    kill_process(Pid::from_raw(backend).unwrap(), Signal::KILL).unwrap();
    while shell.execute("SELECT 1").await.is_ok() {}
}

impl Relay {
    /// All that changed, as soon as the server answers.
    async fn patiently_changed(&self, since: &Cursor) -> (Vec<QueueRow>, Cursor) {
        loop {
            let page = self.ports.queue.load_changed(&all(), since, 10_000).await;
            match page {
                Ok(page) => return (page.rows, page.next),
                Err(StoreError::Unavailable(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_committed_after_a_crash_is_found_behind_the_cursors_from_before() {
    let settings = Settings {
        more: vec![("wal_writer_delay", "10s".to_owned())],
        ..Settings::default()
    };
    let cluster = server::present(Cluster::own(settings).await);
    let relay = Relay::on(cluster.database().await.unwrap()).await;
    let tenant = add_tenant(&relay.ports).await;
    for whole_server in [true, false] {
        commit(&relay.ports, &message(tenant)).await;
        use_up_numbers(&relay).await;
        let (_, at_the_end) = relay.changed(&Cursor::START).await;
        let start = Cursor::START;
        let page = relay.ports.queue.load_changed(&all(), &start, 1).await;
        let in_the_middle = page.unwrap().next;
        let asked = relay.ports.queue.cursor().await.unwrap();
        if whole_server {
            cluster.restart_immediate().await.unwrap();
        } else {
            kill_a_backend(&relay).await;
        }
        let after = message(tenant);
        while relay.ports.intake.commit(after.clone()).await.is_err() {}
        for cursor in [at_the_end, in_the_middle, asked] {
            let (rows, next) = relay.patiently_changed(&cursor).await;
            let found = rows.iter().any(|row| row.message == after.id);
            assert!(found, "{cursor:?}");
            assert!(relay.changed(&next).await.0.is_empty(), "{next:?}");
        }
    }
}

#[tokio::test]
async fn another_process_hears_of_new_mail_and_of_verbs() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    drain(&other).await;
    let began = Instant::now();
    commit(&relay.ports, &message(tenant)).await;
    let news = tokio::time::timeout(Duration::from_secs(10), other.queue.news()).await;
    assert!(matches!(news.unwrap(), News::Look));
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Until nothing is new: the listener is there, and what it said at first is read.
async fn drain(ports: &postrider_store::conformance::Ports) {
    let patience = Duration::from_millis(500);
    while tokio::time::timeout(patience, ports.queue.news())
        .await
        .is_ok()
    {}
}

#[tokio::test]
async fn word_is_heard_again_after_the_listening_connection_broke() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    drain(&other).await;
    let mut shell = relay.shell().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    shell.execute(cut).await.unwrap();
    // It says that something may have been missed.
    let news = tokio::time::timeout(Duration::from_secs(10), other.queue.news()).await;
    assert!(matches!(news.unwrap(), News::Look));
    drain(&other).await;
    commit(&relay.ports, &message(tenant)).await;
    let news = tokio::time::timeout(Duration::from_secs(10), other.queue.news()).await;
    assert!(matches!(news.unwrap(), News::Look));
}
