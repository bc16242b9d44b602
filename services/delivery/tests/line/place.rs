//! Delivery on a real database, towards the fake internet, with a clock that the test holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_delivery::{Config, Dialer, Ports, Reseal, ResealFault, Timeouts};
use postrider_dns::{DnsConfig, Resolver};
use postrider_fakenet::{FakeInternet, Options};
use postrider_model::{
    Authority, ControlId, EventKind, MessageId, TenantId, TenantStatus, Timestamp,
};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::conformance::fixture;
use postrider_store::{
    Acknowledged, ControlVerb, Controls, Directory, Intake, Mail, NewControl, NewMessage, Resealed,
    Roster, Scope, Shard, StoredEmail, StoredEvent,
};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};
use postrider_telemetry::Registry;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::beats::Beats;
use crate::faulty::Faulty;

/// Longer than anything here may take, on a machine that is slow and has other things to do.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time that each phase has where a remote is waited for in vain.
const PHASE: Duration = Duration::from_secs(3);

pub(crate) struct Place {
    pub(crate) net: FakeInternet,
    pub(crate) store: SqliteStore,
    pub(crate) clock: Clock,
    pub(crate) tenant: TenantId,
    pub(crate) roster: Roster,
    first: Node,
    folder: tempfile::TempDir,
}

/// One delivery node of the place.
pub(crate) struct Node {
    pub(crate) metrics: Registry,
    pub(crate) beats: Beats,
    pub(crate) queue: Faulty,
    shutdown: Shutdown,
    running: Mutex<JoinSet<()>>,
}

impl Place {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_after(async |_, _| (), change).await
    }

    /// Does something to the database before delivery starts on it.
    pub(crate) async fn start_after(
        before: impl AsyncFnOnce(&SqliteStore, TenantId),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let net = FakeInternet::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let store = SqliteStore::open(&path, SqliteOptions::default());
        let store = store.await.unwrap();
        let tenant = add_tenant(&store).await;
        let roster = Roster::new();
        roster.refresh(&store).await.unwrap();
        before(&store, tenant).await;
        let clock = Clock::held(fixture::at(0));
        let ports = (&store, &roster, &clock);
        let first = start_node(&net, ports, (folder.path(), PATIENCE), "one", change);
        Self {
            net,
            store,
            clock,
            tenant,
            roster,
            first,
            folder,
        }
    }

    /// Another node on the same database.
    pub(crate) fn another(&self, name: &str, change: impl FnOnce(&mut Config)) -> Node {
        let ports = (&self.store, &self.roster, &self.clock);
        start_node(
            &self.net,
            ports,
            (self.folder.path(), PATIENCE),
            name,
            change,
        )
    }

    /// Another one that waits no longer than this for what is under way when it stops.
    pub(crate) fn another_in_a_hurry(&self, name: &str, drain: Duration) -> Node {
        let ports = (&self.store, &self.roster, &self.clock);
        let folder = (self.folder.path(), drain);
        start_node(&self.net, ports, folder, name, |_| ())
    }

    /// The node that was there from the start.
    pub(crate) fn node(&self) -> &Node {
        &self.first
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
        let found = self.store.events(message.tenant, message.id).await;
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

    /// The same of any tenant.
    pub(crate) async fn email_of(&self, message: &NewMessage) -> StoredEmail {
        let found = self.store.email(message.tenant, message.id).await;
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

    /// The same from a tenant whose mail lies in one of the first shards.
    pub(crate) async fn send_from_shard_below(&self, shard: u16, to: &[&str]) -> NewMessage {
        let mut tenant = add_tenant(&self.store).await;
        while Shard::of(tenant).number() >= shard {
            tenant = add_tenant(&self.store).await;
        }
        self.roster.refresh(&self.store).await.unwrap();
        self.commit(fixture::message_to(tenant, to)).await
    }

    pub(crate) async fn set_status(&self, status: TenantStatus) {
        let by = Authority::Operator;
        self.store
            .set_status(self.tenant, status, by)
            .await
            .unwrap();
        self.roster.refresh(&self.store).await.unwrap();
    }

    pub(crate) fn begin_to_stop(&self) {
        self.first.shutdown.begin();
    }

    /// Stops delivery, and returns when it is over; the database stays open.
    pub(crate) async fn end_delivery(&self) {
        self.first.stop().await;
    }

    /// Does a verb from its raising to its end.
    pub(crate) async fn verb(&self, verb: ControlVerb, scope: Scope) -> Acknowledged {
        let (id, acknowledged) = self.raise(verb, scope).await;
        while self.store.enact(id, self.clock.now()).await.unwrap().more {}
        self.close(id).await;
        acknowledged
    }

    pub(crate) async fn close(&self, control: ControlId) {
        Controls::close(&self.store, control).await.unwrap();
    }

    /// Raises a verb, and returns when all owners have acknowledged it.
    pub(crate) async fn raise(&self, verb: ControlVerb, scope: Scope) -> (ControlId, Acknowledged) {
        let control = NewControl {
            id: ControlId::new(self.clock.now(), Rng::system().bytes()),
            verb,
            scope,
            at: self.clock.now(),
            note: None,
        };
        let id = self.store.raise(control).await.unwrap();
        let acknowledged = self.until(async || {
            let asked = self.store.acknowledged(id, self.clock.now()).await;
            asked.ok().filter(|told| told.waiting_for.is_empty())
        });
        (id, acknowledged.await)
    }

    /// What `ask` gives, once it gives something.
    pub(crate) async fn until<T>(&self, ask: impl AsyncFn() -> Option<T>) -> T {
        let asked = async {
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                // After each look: one may take longer than this, and the relay has the same thread.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap()
    }

    /// Stops, and returns when all is over.
    pub(crate) async fn stop(self) {
        self.end_delivery().await;
        self.store.close().await;
        self.net.shutdown().await;
    }
}

impl Node {
    /// Stops it, and returns when it is over.
    pub(crate) async fn stop(&self) {
        self.shutdown.begin();
        let mut running = self.running.lock().await;
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }

    /// A metric as its page shows it, whole; with the labels in `name`, as they stand on the page,
    /// or without any. -1 before it is there.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let page = self.metrics.page();
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let whole = value.map(|value| value.split('.').next().unwrap());
        whole.map_or(-1, |whole| whole.parse().unwrap())
    }
}

fn start_node(
    net: &FakeInternet,
    (store, roster, clock): (&SqliteStore, &Roster, &Clock),
    (folder, drain): (&Path, Duration),
    name: &str,
    change: impl FnOnce(&mut Config),
) -> Node {
    let mut config = Config::new(
        "out.relay.example".into(),
        folder.join(format!("{name}.inflight")),
    );
    name.clone_into(&mut config.node);
    config.port = net.smtp_port();
    config.allow_destinations = vec!["127.0.0.0/8".parse().unwrap()];
    // Remotes have all the time of the test.
    config.timeouts = all_phases(PATIENCE);
    config.pool.idle = PATIENCE;
    config.heartbeat.fresh = PATIENCE;
    change(&mut config);
    let shutdown = Shutdown::new(drain);
    let (metrics, beats, queue) = (Registry::new(), Beats::of(store), Faulty::of(store));
    let dns = DnsConfig {
        servers: vec![net.dns_addr()],
        timeout: PATIENCE,
        attempts: 1,
    };
    let resolver = Resolver::new(dns, &metrics);
    let ports = Ports {
        queue: Arc::new(queue.clone()),
        nodes: Arc::new(beats.clone()),
        controls: Arc::new(store.clone()),
        suppressions: Arc::new(store.clone()),
        warmups: Arc::new(store.clone()),
        seals: Arc::new(Seals(store.clone())),
        roster: roster.clone(),
        resolver: resolver.unwrap(),
        dialer: Dialer::loopback_only(),
        clock: clock.clone(),
        // No two nodes draw the same ids.
        rng: Rng::seeded(name.bytes().map(u64::from).sum()),
        metrics: metrics.clone(),
    };
    let mut running = JoinSet::new();
    let stop = shutdown.clone();
    running.spawn(async move {
        postrider_delivery::run(ports, config, stop).await.unwrap();
    });
    Node {
        metrics,
        beats,
        queue,
        shutdown,
        running: Mutex::new(running),
    }
}

/// Seals by saying so: the bytes stay as they are, their signatures last two days longer.
struct Seals(SqliteStore);

#[async_trait::async_trait]
impl Reseal for Seals {
    async fn reseal(
        &self,
        tenant: TenantId,
        message: MessageId,
        was: Timestamp,
    ) -> Result<bool, ResealFault> {
        let Some(body) = self.0.body(tenant, message).await? else {
            return Ok(false);
        };
        let resealed = Resealed {
            id: message,
            tenant,
            body,
            selectors: vec!["r2".to_owned(), "e2".to_owned()],
            sealed_until: was.after(Duration::from_hours(48)),
            was,
        };
        Ok(Intake::reseal(&self.0, resealed).await?)
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

/// Remotes that say nothing are given up soon.
pub(crate) fn hasty(config: &mut Config) {
    config.timeouts = all_phases(PHASE);
}

fn all_phases(span: Duration) -> Timeouts {
    Timeouts {
        connect: span,
        connect_with_others: span,
        greeting: span,
        hello: span,
        starttls: span,
        handshake: span,
        mail: span,
        rcpt: span,
        data: span,
        data_block: span,
        final_dot: span,
        rset: span,
        quit: span,
        ..Timeouts::default()
    }
}
