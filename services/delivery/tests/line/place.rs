//! Delivery on a real database, towards the fake internet, with a clock that the test holds.

use std::time::Duration;

use postrider_delivery::Config;
use postrider_fakenet::{FakeInternet, Options};
use postrider_model::{Authority, ControlId, EventKind, TenantId, TenantStatus};
use postrider_runtime::{Clock, Rng};
use postrider_store::conformance::fixture;
use postrider_store::{
    Acknowledged, ControlVerb, Controls, Directory, Intake, Mail, NewControl, NewMessage, Roster,
    Scope, Shard, StoredEmail, StoredEvent,
};
use postrider_store_sqlite::{SqliteOptions, SqliteStore};

use crate::node::{Node, PATIENCE, start_node};

pub(crate) struct Place {
    pub(crate) net: FakeInternet,
    pub(crate) store: SqliteStore,
    pub(crate) clock: Clock,
    pub(crate) tenant: TenantId,
    pub(crate) roster: Roster,
    first: Node,
    folder: tempfile::TempDir,
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
