//! What all services of a process stand on: the database, the roster, the gate, the office.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_gate::{Access, Gate, GateConfig, GatePorts, MasterKey, Provision};
use postrider_store::{Directory, Intake, Roster};
use postrider_store_sqlite::{OpenError, SqliteOptions, SqliteStore, Synchronous};
use postrider_telemetry::Registry;

use crate::admin::Office;
use crate::config::Config;
use crate::folder;
use crate::relay::Machine;

/// The parts that all services of a process share.
pub(crate) struct Core {
    pub(crate) store: SqliteStore,
    pub(crate) roster: Roster,
    pub(crate) access: Arc<Access>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) office: Arc<Office>,
    pub(crate) metrics: Registry,
}

/// Makes what a relay's folder cannot be without: master key, database, signing keys. What is
/// there stays.
pub(crate) async fn furnish(config: &Config) -> anyhow::Result<()> {
    let machine = Machine::real();
    folder::ensure_master_key(&config.path(&config.service.master_key), &machine.rng)?;
    let core = Core::make(config, &machine).await?;
    let made = core.office.ensure_signing_keys().await;
    core.store.close().await;
    made
}

impl Core {
    /// As `open`, but waits a few seconds for another process to let the database go.
    pub(crate) async fn open_when_free(config: &Config, machine: &Machine) -> anyhow::Result<Self> {
        for _ in 0..LOCKED_TRIES {
            match Self::open(config, machine).await {
                Err(fault) if is_locked(&fault) => tokio::time::sleep(LOCKED_PAUSE).await,
                opened => return opened,
            }
        }
        Self::open(config, machine).await
    }

    /// Opens the database and what stands on it. Fails where there is none, or where another
    /// process has it open.
    pub(crate) async fn open(config: &Config, machine: &Machine) -> anyhow::Result<Self> {
        let (path, _) = config.database_path()?;
        // An empty one in its place would tell every client that its key is unknown.
        if !path
            .try_exists()
            .with_context(|| format!("cannot look for {}", path.display()))?
        {
            bail!(
                "there is no database {}: check database.url, or restore it; `postrider init DIR` makes a new relay",
                path.display()
            );
        }
        Self::make(config, machine).await
    }

    /// As `open`, but makes a database where there is none.
    async fn make(config: &Config, machine: &Machine) -> anyhow::Result<Self> {
        let metrics = Registry::new();
        let store = open_store(config, &metrics).await?;
        let master = Arc::new(folder::master_key(
            &config.path(&config.service.master_key),
        )?);
        let roster = Roster::new();
        let directory: Arc<dyn Directory> = Arc::new(store.clone());
        roster
            .refresh(&*directory)
            .await
            .context("cannot read the directory")?;
        let access = Arc::new(Access::new(roster.clone(), machine.clock.clone()));
        let gate = Arc::new(gate(
            config,
            machine,
            &roster,
            &master,
            (Arc::new(store.clone()), &metrics),
        ));
        let provision = Provision {
            directory: Arc::clone(&directory),
            master,
            service: config.service(),
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
        };
        let office = Arc::new(Office {
            directory,
            provision,
            roster: roster.clone(),
            access: Arc::clone(&access),
            gate: Arc::clone(&gate),
            tenant_limits: config.tenant_limits(),
            records_path: config.dkim_records_path(),
        });
        Ok(Self {
            store,
            roster,
            access,
            gate,
            office,
            metrics,
        })
    }
}

/// How often, and with which pause, a database is tried that another process has open: a command
/// has it for a moment.
pub(crate) const LOCKED_TRIES: u32 = 50;
pub(crate) const LOCKED_PAUSE: Duration = Duration::from_millis(100);

/// Whether opening failed because another process has the database.
pub(crate) fn is_locked(fault: &anyhow::Error) -> bool {
    matches!(fault.downcast_ref(), Some(OpenError::Locked { .. }))
}

async fn open_store(config: &Config, metrics: &Registry) -> anyhow::Result<SqliteStore> {
    let (path, options) = config.database_path()?;
    let synchronous = match options.as_str() {
        "" => Synchronous::Full,
        // Loses acknowledged mail at a power cut. For the test that shows that it is noticed.
        "synchronous=normal" => Synchronous::Normal,
        other => bail!("database.url: unknown option {other:?}"),
    };
    let options = SqliteOptions {
        synchronous,
        registry: metrics.clone(),
        ..Default::default()
    };
    SqliteStore::open(&path, options)
        .await
        .context("cannot open the database (a relay that runs has it for itself)")
}

fn gate(
    config: &Config,
    machine: &Machine,
    roster: &Roster,
    master: &Arc<MasterKey>,
    (intake, metrics): (Arc<dyn Intake>, &Registry),
) -> Gate {
    let ports = GatePorts {
        intake,
        roster: roster.clone(),
        master: Arc::clone(master),
        clock: machine.clock.clone(),
        rng: machine.rng.clone(),
        metrics: metrics.clone(),
    };
    let limits = &config.limits;
    let config = GateConfig {
        service: config.service(),
        size_most: limits.message_bytes,
        recipients_most: limits.recipients,
        lifetime: Duration::from_hours(limits.lifetime_hours),
        schedule_most: Duration::from_hours(24 * limits.schedule_days),
    };
    Gate::new(ports, config)
}
