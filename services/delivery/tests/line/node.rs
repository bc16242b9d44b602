//! One delivery node: delivery as a process has it, with what the test sees and holds of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postrider_delivery::{Config, Dialer, Ports, Reseal, ResealFault, Timeouts};
use postrider_dns::{DnsConfig, Resolver};
use postrider_fakenet::FakeInternet;
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Intake, Mail, Resealed, Roster};
use postrider_store_sqlite::SqliteStore;
use postrider_telemetry::Registry;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::beats::Beats;
use crate::faulty::Faulty;

/// Longer than anything here may take, on a machine that is slow and has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The time that each phase has where a remote is waited for in vain.
const PHASE: Duration = Duration::from_secs(3);

/// One delivery node of the place.
pub(crate) struct Node {
    pub(crate) metrics: Registry,
    pub(crate) beats: Beats,
    pub(crate) queue: Faulty,
    pub(crate) shutdown: Shutdown,
    running: Mutex<JoinSet<()>>,
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

/// Starts one that lies in this folder, and waits so long for what is under way when it stops.
pub(crate) fn start_node(
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
