//! A COMMIT that the server has done and nobody has heard of.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use postrider_model::{EventKind, TenantId, WaitCause};
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    add_tenant, at, claiming, deliver, email, live, message, settlement,
};
use postrider_store::{Committed, NewMessage, Outcome, OverQuota, Period, Quota, Settled, Whose};
use postrider_store_postgres::PostgresStore;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::{Relay, server};

/// Stands between a store and its server, and cuts a connection where the answer to a COMMIT would
/// pass, as often as it is told to; or before the server has read the COMMIT.
struct Deaf {
    ports: Ports,
    cuts: Arc<Cuts>,
    _proxy: JoinSet<()>,
}

/// How often a connection is yet to be cut.
#[derive(Default)]
struct Cuts {
    behind: AtomicU32,
    ahead: AtomicU32,
}

/// Whether one was left; then there is one less.
fn is_left(cuts: &AtomicU32) -> bool {
    let one_less = |left: u32| left.checked_sub(1);
    cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        .is_ok()
}

impl Deaf {
    async fn before(relay: &Relay) -> Self {
        let server: PgConnectOptions = relay.database.url.parse().unwrap();
        let folder = server.get_socket().unwrap();
        let socket = folder.join(format!(".s.PGSQL.{}", server.get_port()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(Cuts::default());
        let mut proxy = JoinSet::new();
        let left = Arc::clone(&cuts);
        proxy.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&socket).await;
                connections.spawn(pass(client, server.unwrap(), Arc::clone(&left)));
            }
        });
        let database = server.get_database().unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}");
        let store = PostgresStore::open(&url, server::options()).await.unwrap();
        Self {
            ports: Ports::of(store, ()),
            cuts,
            _proxy: proxy,
        }
    }

    /// What comes of a group whose first so many commits are not heard of.
    async fn commit(&self, group: &[NewMessage], cuts: u32) -> Committed {
        self.cuts.behind.store(cuts, Ordering::SeqCst);
        let done = self.ports.intake.commit_all(group.to_vec()).await.unwrap();
        self.are_all_cut();
        done
    }

    fn are_all_cut(&self) {
        let left = [&self.cuts.behind, &self.cuts.ahead];
        let left = left.map(|left| left.load(Ordering::SeqCst));
        assert_eq!(left, [0, 0], "all were cut");
    }
}

async fn pass(mut client: TcpStream, mut server: UnixStream, cuts: Arc<Cuts>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut deaf = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                // A simple query alone on its way: Q, length, text, NUL.
                if up[..count].ends_with(b"COMMIT\0") {
                    if is_left(&cuts.ahead) { return }
                    deaf = is_left(&cuts.behind);
                }
                if server.write_all(&up[..count]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                // It has answered: what it was asked is done.
                if deaf || client.write_all(&down[..count]).await.is_err() { return }
            }
        }
    }
}

fn group(tenant: TenantId, count: usize) -> Vec<NewMessage> {
    (0..count).map(|_| message(tenant)).collect()
}

#[tokio::test]
async fn a_group_whose_commit_was_not_heard_of_is_stored_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let deaf = Deaf::before(&relay).await;
    let plain = group(tenant, 20);
    assert_eq!(deaf.commit(&plain, 1).await, Committed::Stored);
    let mut keyed = group(tenant, 20);
    keyed[0] = claiming(tenant, "once");
    assert_eq!(deaf.commit(&keyed, 2).await, Committed::Stored);
    for given in plain.iter().chain(&keyed) {
        assert!(email(&relay.ports, given).await.is_some());
    }
    assert_eq!(live(&relay.ports).await.len(), 40);
    let usage = relay.ports.mail.usage(tenant, at(0)).await.unwrap();
    assert_eq!(usage.day, 40);
    // Another group under its key is told what was promised for the first.
    let mut other = group(tenant, 2);
    other[0] = claiming(tenant, "once");
    let told = deaf.commit(&other, 0).await;
    let answer = keyed[0].claim.as_ref().unwrap().answer.clone();
    assert_eq!(told, Committed::Claimed(answer));
}

#[tokio::test]
async fn a_group_that_filled_its_quota_unheard_is_not_over_it() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let deaf = Deaf::before(&relay).await;
    let limited = |count| {
        let mut group = group(tenant, count);
        for given in &mut group {
            given.quota = Quota {
                per_day: 10,
                per_month: 0,
                ..Quota::default()
            };
        }
        group
    };
    assert_eq!(deaf.commit(&limited(10), 1).await, Committed::Stored);
    let over = deaf.commit(&limited(1), 0).await;
    let wanted = OverQuota {
        period: Period::Day,
        limit: 10,
        used: 10,
        more: 1,
    };
    assert_eq!(over, Committed::OverQuota(wanted));
}

#[tokio::test]
async fn counts_whose_commit_was_not_heard_of_are_written_once() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let deaf = Deaf::before(&relay).await;
    let (span, whose) = (at(0)..at(60), Whose::All);
    let accepted = async || {
        let report = deaf.ports.reports.total(&span, &whose).await;
        report.map(|traffic| traffic.counts.accepted)
    };
    for _ in 0..3 {
        deaf.commit(&group(tenant, 5), 0).await;
        deaf.cuts.behind.store(1, Ordering::SeqCst);
        accepted().await.unwrap_err();
    }
    let stored = live(&relay.ports).await.len();
    let told = accepted().await.unwrap();
    assert_eq!(told, u64::try_from(stored).unwrap());
}

#[tokio::test]
async fn what_a_settlement_came_to_is_counted_once_whether_its_commit_was_heard_of_or_not() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let deaf = Deaf::before(&relay).await;
    let span = at(0)..at(60);
    let (mut ends, mut put_off) = (0, 0);
    for (behind, ahead) in [(0, 0), (1, 0), (0, 1), (2, 1), (3, 3)] {
        let mail = group(tenant, 8);
        assert_eq!(deaf.commit(&mail, 0).await, Committed::Stored);
        deaf.cuts.behind.store(behind, Ordering::SeqCst);
        deaf.cuts.ahead.store(ahead, Ordering::SeqCst);
        let settle = |message| {
            let retry = Outcome::Retry {
                due_at: at(50),
                attempts: 1,
                cause: WaitCause::Retry,
            };
            let settlement = settlement(message, 5, EventKind::Deferred, retry);
            deaf.ports.queue.settle(settlement)
        };
        for done in join_all(mail.iter().map(settle)).await {
            assert_eq!(done.unwrap(), Settled::Recorded);
        }
        let ended = join_all(mail.iter().map(|one| deliver(&deaf.ports, one, 6)));
        assert_eq!(ended.await, vec![Settled::Recorded; 8]);
        deaf.are_all_cut();
        (ends, put_off) = (ends + 8, put_off + 8);
        let report = deaf.ports.reports.total(&span, &Whose::All).await.unwrap();
        let told = (report.counts.deferred, report.counts.delivered);
        assert_eq!(told, (put_off, ends), "{behind} {ahead}");
        assert_eq!(report.counts.accepted, ends);
    }
}

#[tokio::test]
async fn what_was_accepted_is_counted_once_where_its_commit_was_not_heard_of() {
    let relay = Relay::start().await;
    let tenant = add_tenant(&relay.ports).await;
    let deaf = Deaf::before(&relay).await;
    let accepted = async || {
        let span = at(0)..at(60);
        let report = deaf.ports.reports.total(&span, &Whose::All).await;
        report.unwrap().counts.accepted
    };
    // The first makes the parts of its days too.
    for (behind, ahead, want) in [(0, 0, 5), (1, 0, 10), (0, 1, 15), (2, 2, 20)] {
        deaf.cuts.ahead.store(ahead, Ordering::SeqCst);
        let done = deaf.commit(&group(tenant, 5), behind).await;
        assert_eq!(done, Committed::Stored);
        assert_eq!(accepted().await, want, "{behind} {ahead}");
    }
}

#[tokio::test]
async fn a_number_from_before_a_failover_is_a_fault_of_the_question() {
    let relay = Relay::start().await;
    let mut shell = relay.shell().await;
    let ask = sqlx::query("SELECT pg_xact_status('4611686018427387903'::xid8)");
    let fault = ask.execute(&mut shell).await.unwrap_err();
    // invalid_parameter_value: the store takes it for a row's, and asks no more.
    let code = fault.as_database_error().and_then(DatabaseError::code);
    assert_eq!(code.as_deref(), Some("22023"));
}
