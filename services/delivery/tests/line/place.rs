//! Delivery on a real database, towards the fake internet, with a clock that the test holds.

use std::sync::Arc;
use std::time::Duration;

use postrider_delivery::{Config, Dialer, Ports, Timeouts};
use postrider_dns::{DnsConfig, Resolver};
use postrider_fakenet::{FakeInternet, Options};
use postrider_model::{EventKind, TenantId, TenantStatus};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::conformance::fixture;
use postrider_store::{Directory, Intake, Mail, NewMessage, Roster, StoredEmail, StoredEvent};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use postrider_telemetry::Registry;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time that each phase has.
pub(crate) const PHASE: Duration = Duration::from_millis(400);

pub(crate) struct Place {
    pub(crate) net: FakeInternet,
    pub(crate) store: SqliteStore,
    pub(crate) clock: Clock,
    tenant: TenantId,
    shutdown: Shutdown,
    roster: Roster,
    running: Mutex<JoinSet<()>>,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let net = FakeInternet::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let store = SqliteStore::open(&path, SqliteOptions::default());
        let store = store.await.unwrap();
        let tenant = add_tenant(&store).await;
        let roster = Roster::new();
        roster.refresh(&store).await.unwrap();

        let mut config = Config::new("out.relay.example".into(), folder.path().join("inflight"));
        config.port = net.smtp_port();
        config.allow_destinations = vec!["127.0.0.0/8".parse().unwrap()];
        config.timeouts = timeouts();
        change(&mut config);
        let clock = Clock::held(fixture::at(0));
        let shutdown = Shutdown::new(PHASE);
        let resolver = Resolver::new(DnsConfig {
            servers: vec![net.dns_addr()],
            timeout: Duration::from_secs(2),
            attempts: 1,
        });
        let ports = Ports {
            queue: Arc::new(store.clone()),
            roster: roster.clone(),
            resolver: resolver.unwrap(),
            dialer: Dialer::loopback_only(),
            clock: clock.clone(),
            rng: Rng::seeded(7),
            metrics: Registry::new(),
        };
        let mut running = JoinSet::new();
        let stop = shutdown.clone();
        running.spawn(async move {
            postrider_delivery::run(ports, config, stop).await.unwrap();
        });
        Self {
            net,
            store,
            clock,
            tenant,
            shutdown,
            roster,
            running: Mutex::new(running),
            _folder: folder,
        }
    }

    /// A message to these, not handed in yet.
    pub(crate) fn to(&self, to: &[&str]) -> NewMessage {
        fixture::message_to(self.tenant, to)
    }

    pub(crate) async fn send(&self, to: &[&str]) -> NewMessage {
        self.commit(self.to(to)).await
    }

    pub(crate) async fn commit(&self, message: NewMessage) -> NewMessage {
        self.store.commit(message.clone()).await.unwrap();
        message
    }

    pub(crate) async fn events(&self, message: &NewMessage) -> Vec<StoredEvent> {
        let found = self.store.events(self.tenant, message.id).await;
        let mut events = found.unwrap().unwrap();
        events.retain(|stored| {
            !matches!(
                stored.event.kind,
                EventKind::Accepted | EventKind::Attempted
            )
        });
        events
    }

    pub(crate) async fn email(&self, message: &NewMessage) -> StoredEmail {
        let found = self.store.email(self.tenant, message.id).await;
        found.unwrap().unwrap()
    }

    /// The results of a message's attempts, once there are so many.
    pub(crate) async fn results(&self, message: &NewMessage, count: usize) -> Vec<StoredEvent> {
        let asked = async {
            let mut ask = tokio::time::interval(Duration::from_millis(5));
            loop {
                ask.tick().await;
                let events = self.events(message).await;
                if events.len() >= count {
                    return events;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, asked).await;
        if let Ok(events) = found {
            return events;
        }
        panic!("{count} wanted: {:#?}", self.events(message).await);
    }

    /// The words of the results, by recipient: `delivered 250`.
    pub(crate) async fn words(&self, message: &NewMessage, count: usize) -> Vec<String> {
        let events = self.results(message, count).await;
        events.iter().map(words).collect()
    }

    /// The same from a tenant of its own.
    pub(crate) async fn send_as_another(&self, to: &[&str]) -> NewMessage {
        let tenant = add_tenant(&self.store).await;
        self.roster.refresh(&self.store).await.unwrap();
        self.commit(fixture::message_to(tenant, to)).await
    }

    pub(crate) async fn set_status(&self, status: TenantStatus) {
        self.store.set_status(self.tenant, status).await.unwrap();
        self.roster.refresh(&self.store).await.unwrap();
    }

    pub(crate) fn begin_to_stop(&self) {
        self.shutdown.begin();
    }

    /// Stops delivery, and returns when it is over; the database stays open.
    pub(crate) async fn end_delivery(&self) {
        self.shutdown.begin();
        let mut running = self.running.lock().await;
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }

    /// Stops, and returns when all is over.
    pub(crate) async fn stop(self) {
        self.end_delivery().await;
        self.store.close().await;
        self.net.shutdown().await;
    }
}

/// A tenant without a pace: under a clock that stands, no token would ever come.
async fn add_tenant(store: &SqliteStore) -> TenantId {
    let mut new = fixture::new_tenant();
    new.tenant.limits.per_minute = 0;
    let tenant = new.tenant.id;
    store.add_tenant(new).await.unwrap();
    tenant
}

/// `ann delivered 250`.
pub(crate) fn words(stored: &StoredEvent) -> String {
    let who = stored.address.local_part();
    let kind = stored.event.kind.as_str();
    match &stored.event.reply {
        Some(reply) => format!("{who} {kind} {}", reply.code),
        None => format!("{who} {kind}"),
    }
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: PHASE,
        connect_with_others: PHASE,
        greeting: PHASE,
        hello: PHASE,
        starttls: PHASE,
        handshake: PHASE,
        mail: PHASE,
        rcpt: PHASE,
        data: PHASE,
        data_block: PHASE,
        final_dot: PHASE,
        rset: PHASE,
        quit: PHASE,
        ..Timeouts::default()
    }
}
