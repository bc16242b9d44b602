//! A COMMIT that the server has done and nobody has heard of.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use postrider_model::TenantId;
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{add_tenant, at, claiming, email, live, message};
use postrider_store::{Committed, NewMessage, OverQuota, Period, Quota, Whose};
use postrider_store_postgres::PostgresStore;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::{Relay, server};

/// Stands between a store and its server, and cuts a connection where the answer to a COMMIT would
/// pass, as often as it is told to.
struct Deaf {
    ports: Ports,
    cuts: Arc<AtomicU32>,
    _proxy: JoinSet<()>,
}

impl Deaf {
    async fn before(relay: &Relay) -> Self {
        let server: PgConnectOptions = relay.database.url.parse().unwrap();
        let folder = server.get_socket().unwrap();
        let socket = folder.join(format!(".s.PGSQL.{}", server.get_port()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicU32::new(0));
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
        self.cuts.store(cuts, Ordering::SeqCst);
        let done = self.ports.intake.commit_all(group.to_vec()).await.unwrap();
        assert_eq!(self.cuts.load(Ordering::SeqCst), 0, "all were cut");
        done
    }
}

async fn pass(mut client: TcpStream, mut server: UnixStream, cuts: Arc<AtomicU32>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut deaf = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Some(count) = read.ok().filter(|count| *count > 0) else { return };
                // A simple query alone on its way: Q, length, text, NUL.
                if up[..count].ends_with(b"COMMIT\0") {
                    let one_less = |left: u32| left.checked_sub(1);
                    let order = Ordering::SeqCst;
                    deaf = cuts.fetch_update(order, order, one_less).is_ok();
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
        deaf.cuts.store(1, Ordering::SeqCst);
        accepted().await.unwrap_err();
    }
    let stored = live(&relay.ports).await.len();
    let told = accepted().await.unwrap();
    assert_eq!(told, u64::try_from(stored).unwrap());
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
