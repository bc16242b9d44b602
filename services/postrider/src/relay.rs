//! The relay put together: from a configuration to running services, and to their end.

mod admin_door;
mod certified;
mod doors;
mod outside;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use postrider_delivery::{Dialer, Families, RunError, Simulated};
use postrider_dns::{DnsConfig, Resolver};
use postrider_fakenet::Simulator;
use postrider_model::Domain;
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_telemetry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::{self, Office};
use crate::caretaker::{self, Keep};
use crate::cli::Role;
use crate::config::{Config, Dial};
use crate::core::Core;
use crate::database::{Database, Location};
use crate::metrics::MetricsDoor;
use crate::recheck;
use crate::seals::Seals;
use crate::sockets::{Sockets, bind};
use crate::waiting::queue_count;

/// What a relay has of the machine; a test may give it another.
#[derive(Clone, Debug)]
pub struct Machine {
    pub clock: Clock,
    pub rng: Rng,
    /// Bound already; any other is bound by the relay.
    pub sockets: Sockets,
}

impl Machine {
    pub fn real() -> Self {
        Self {
            clock: Clock::system(),
            rng: Rng::system(),
            sockets: Sockets::default(),
        }
    }
}

/// A running relay.
pub struct Relay {
    /// Where the HTTP door listens.
    pub http: Vec<SocketAddr>,
    /// Where the SMTP door listens; none where it is off.
    pub smtp: Vec<SocketAddr>,
    /// Where an authority is answered: none where nobody is asked, and not where somebody else
    /// listens.
    pub acme: Vec<SocketAddr>,
    pub metrics: SocketAddr,
    /// The domain whose mail stays on this machine.
    pub simulator: Option<Domain>,
    /// Where the admin API listens, where it is on.
    pub admin: Option<SocketAddr>,
    pub office: Arc<Office>,
    pub shutdown: Shutdown,
    database: Database,
    figures: Registry,
    /// Made when the first part of the process asks DNS.
    resolver: Option<Resolver>,
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
}

/// Makes what a relay's folder cannot be without; see `Relay::start`.
pub async fn furnish(config: &Config) -> anyhow::Result<()> {
    crate::core::furnish(config).await
}

impl Relay {
    /// Starts the services that `roles` names. When it returns, all listeners accept, but for those of
    /// `acme.listen` that somebody else has.
    pub async fn start(
        config: &Config,
        roles: &[Role],
        machine: Machine,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let core = Core::open_when_free(config, &machine).await?;
        core.check_master_key(config)?;
        core.office.ensure_signing_keys().await?;
        core.office.ensure_house().await?;
        core.office.follow_contact().await;
        let mut relay = Self {
            http: Vec::new(),
            smtp: Vec::new(),
            acme: Vec::new(),
            metrics: config.metrics.listen,
            simulator: config.simulator()?,
            admin: None,
            office: Arc::clone(&core.office),
            shutdown,
            database: core.database.clone(),
            figures: core.metrics.clone(),
            resolver: None,
            tasks: JoinSet::new(),
        };
        relay.start_caretakers(config, &core, &machine);
        if !Location::of(config)?.is_shared() {
            // This process has the database for itself: who raised what stands is dead.
            let controls = &*core.database.controls;
            let mut seen = caretaker::Seen::default();
            let closed = caretaker::close_forgotten(controls, &mut seen, Duration::ZERO).await;
            closed.context("cannot close the verbs that a dead process left open")?;
            relay.start_commands(config, &core);
        }
        relay.start_metrics(config, &core, &machine)?;
        // Only the process that has certificates made writes where they lie.
        if roles.contains(&Role::Ingest) {
            crate::acme::remove_leftovers(config);
            crate::acme::write_placeholders(config)?;
        }
        relay.start_admin(config, &core, &machine)?;
        if roles.contains(&Role::Ingest) {
            relay.start_ingest(config, &core, &machine)?;
            relay.start_inbound(config, &machine)?;
            relay.start_acme(config, &core, &machine)?;
        }
        if roles.contains(&Role::Delivery) {
            relay.start_delivery(config, &core, &machine)?;
        }
        Ok(relay)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { (name, work.await) });
    }

    fn start_caretakers(&mut self, config: &Config, core: &Core, machine: &Machine) {
        let keep = Keep {
            body_life: Duration::from_hours(config.retention.body_hours),
            message_life: Duration::from_hours(24 * config.retention.message_days),
            free_space: config.limits.free_space_bytes,
        };
        let upkeep = Arc::clone(&core.database.upkeep);
        let directory = Arc::clone(&core.database.directory);
        let roster = caretaker::keep_roster(core.roster.clone(), directory, self.shutdown.clone());
        self.spawn("roster", done(roster));
        let space = (
            Arc::clone(&upkeep),
            Arc::clone(&core.gate),
            keep,
            core.metrics.clone(),
        );
        let space =
            caretaker::watch_space(space.0, space.1, space.2, space.3, self.shutdown.clone());
        self.spawn("space", done(space));
        let checkpoints = caretaker::checkpoint(Arc::clone(&upkeep), self.shutdown.clone());
        self.spawn("checkpoint", done(checkpoints));
        let (clock, metrics) = (machine.clock.clone(), core.metrics.clone());
        let retention = caretaker::retain(upkeep, keep, clock, metrics, self.shutdown.clone());
        self.spawn("retention", done(retention));
        let (gate, shutdown) = (Arc::clone(&core.gate), self.shutdown.clone());
        self.spawn("gate", async move {
            gate.run(shutdown).await;
            Ok(())
        });
        let controls = Arc::clone(&core.database.controls);
        let controls = caretaker::close_controls(controls, self.shutdown.clone());
        self.spawn("controls", done(controls));
    }

    // Where several processes have the database, commands go to it themselves.
    fn start_commands(&mut self, config: &Config, core: &Core) {
        let (socket, office, shutdown) = (
            config.socket_path(),
            Arc::clone(&core.office),
            self.shutdown.clone(),
        );
        self.spawn("commands", async move {
            admin::serve(&socket, office, shutdown).await
        });
    }

    fn start_metrics(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        let location = Location::of(config)?;
        crate::metrics::show_build(&core.metrics, location.kind());
        let listener = listen("metrics.listen", config.metrics.listen, machine)?;
        self.metrics = listener.local_addr()?;
        let upkeep = Arc::clone(&core.database.upkeep);
        let (queue, counter) = queue_count(upkeep, &core.metrics);
        self.spawn("queue count", done(counter.run(self.shutdown.clone())));
        let door = Arc::new(MetricsDoor {
            metrics: core.metrics.clone(),
            queue,
        });
        let limits = postrider_http::Config {
            max_connections: 64,
            ..Default::default()
        };
        let serving = postrider_http::serve(listener, None, door, limits, self.shutdown.clone());
        self.spawn("metrics", done(serving));
        Ok(())
    }

    /// One for the whole process.
    fn resolver(&mut self, config: &Config, core: &Core) -> anyhow::Result<Resolver> {
        if let Some(resolver) = &self.resolver {
            return Ok(resolver.clone());
        }
        let dns = DnsConfig {
            servers: config.dns.servers.clone(),
            timeout: Duration::from_secs(config.dns.timeout_seconds),
            attempts: 2,
        };
        let resolver = Resolver::new(dns, &core.metrics).context("dns.servers")?;
        Ok(self.resolver.insert(resolver).clone())
    }

    fn start_delivery(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        let resolver = self.resolver(config, core)?;
        let (gate, shutdown) = (Arc::clone(&core.gate), self.shutdown.clone());
        let looking = recheck::keep_looking(gate, resolver.clone(), shutdown);
        self.spawn("reply addresses", done(looking));
        let ports = postrider_delivery::Ports {
            queue: Arc::clone(&core.database.queue),
            nodes: Arc::clone(&core.database.nodes),
            controls: Arc::clone(&core.database.controls),
            suppressions: Arc::clone(&core.database.suppressions),
            warmups: Arc::clone(&core.database.warmups),
            seals: Arc::new(Seals(Arc::clone(&core.gate))),
            roster: core.roster.clone(),
            resolver,
            dialer: match config.delivery.dial {
                Dial::Internet => Dialer::internet(),
                Dial::Loopback => Dialer::loopback_only(),
            },
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
            metrics: core.metrics.clone(),
        };
        let mut delivery = delivery_config(config)?;
        warn_of_destinations(config, &delivery);
        let simulator = start_simulator(config, machine)?;
        delivery.warmup = config.warmup()?;
        delivery.traces = core.office.traces.clone();
        delivery.simulator = simulator.as_ref().map(|(simulated, _)| simulated.clone());
        let work = (ports, delivery, simulator.map(|(_, simulator)| simulator));
        self.start_attempts(config, core, machine, work);
        Ok(())
    }

    /// Returns when every task is gone: after shutdown, or because one of them failed.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let mut stopping = None;
        loop {
            let ended = tokio::select! {
                biased;
                ended = self.tasks.join_next() => ended,
                () = self.database.failed(), if outcome.is_ok() => {
                    outcome = Err(anyhow!("the database failed: only a restart can tell what is on the disk"));
                    self.shutdown.begin();
                    continue;
                }
            };
            let Some(ended) = ended else { break };
            // Some have nothing to finish, and end at once.
            stopping.get_or_insert_with(Instant::now);
            let fault = match ended {
                Ok((_, Ok(()))) if self.shutdown.has_begun() => continue,
                Ok((name, Ok(()))) => anyhow!("{name} ended by itself"),
                Ok((name, Err(fault))) => fault.context(format!("{name} failed")),
                Err(fault) => anyhow!(fault).context("a service ended in a panic"),
            };
            self.shutdown.begin();
            outcome = outcome.and(Err(fault));
        }
        self.database.close().await;
        let took = stopping.map_or(Duration::ZERO, |since| since.elapsed());
        self.say_stopped(took);
        outcome
    }

    fn say_stopped(&self, took: Duration) {
        let accepted = "postrider_gate_messages_accepted_total";
        let results = "postrider_delivery_results_total";
        tracing::info!(
            messages_accepted = self.figures.total(accepted, &[]),
            recipients_delivered = self.figures.total(results, &[("result", "delivered")]),
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "postrider has stopped"
        );
    }
}

/// A sandbox dials nothing else, and there is nobody to be warned of.
fn warn_of_destinations(config: &Config, delivery: &postrider_delivery::Config) {
    if config.delivery.dial == Dial::Internet {
        for network in &delivery.allow_destinations {
            tracing::warn!(%network, "delivery.allow_destinations: this network is dialled although it is not public");
        }
    }
}

/// The simulator, and what delivery is told of it.
fn start_simulator(
    config: &Config,
    machine: &Machine,
) -> anyhow::Result<Option<(Simulated, Simulator)>> {
    let Some(domain) = config.simulator()? else {
        return Ok(None);
    };
    let (host, size) = (domain.to_string(), config.limits.message_bytes);
    let simulator = Simulator::start(&host, size, machine.clock.clone())?;
    let address = simulator.address();
    Ok(Some((Simulated { domain, address }, simulator)))
}

pub(crate) fn delivery_config(config: &Config) -> anyhow::Result<postrider_delivery::Config> {
    let given = &config.delivery;
    let networks = given.allow_destinations.iter().map(|network| {
        let parsed = network.parse();
        parsed.with_context(|| format!("delivery.allow_destinations: {network:?}"))
    });
    let hello = config.service.host.to_string();
    Ok(postrider_delivery::Config {
        port: given.port,
        allow_destinations: networks.collect::<anyhow::Result<_>>()?,
        in_flight: given.in_flight,
        retry_divisor: given.retry_divisor,
        node: config.node(),
        rows_in_memory: given.rows_in_memory,
        site_connections: given.site_connections,
        families: Families::of(
            &config
                .egress
                .iter()
                .map(|one| one.address)
                .collect::<Vec<_>>(),
        ),
        clock_offset_most: Duration::from_millis(given.clock_offset_ms),
        ..postrider_delivery::Config::new(hello, config.path(&given.journal))
    })
}

/// Names the key to change.
fn with_remedy(fault: RunError) -> anyhow::Error {
    match fault {
        RunError::JournalInUse { .. } => {
            anyhow!(fault).context("delivery.journal: each process has a file of its own")
        }
        RunError::Journal(_) | RunError::Key { .. } => anyhow!(fault).context("delivery.journal"),
        // Says it itself.
        RunError::NameTaken { .. } => anyhow!(fault),
    }
}

async fn done(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}

/// A socket at an address that `key` of the configuration names.
fn listen(key: &str, address: SocketAddr, machine: &Machine) -> anyhow::Result<TcpListener> {
    if let Some(held) = machine.sockets.take(address) {
        return Ok(held);
    }
    bind(address).with_context(|| {
        format!("{key}: cannot listen on {address}: each process needs an address of its own there")
    })
}
