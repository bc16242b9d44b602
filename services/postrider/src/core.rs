//! What all services of a process stand on: the database, the roster, the gate, the office.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use postrider_delivery::Traces;
use postrider_gate::{
    Access, EnrolConfig, EnrolPorts, Enroller, Gate, GateConfig, GatePorts, IdentityConfig,
    MasterKey, NameConfig, NamePolicy, NoticeConfig, Provision, RampConfig, ReplyConfig,
};
use postrider_runtime::Shutdown;
use postrider_store::Roster;
use postrider_telemetry::Registry;

use crate::admin::{Newcomers, Office};
use crate::config::{Config, NameWord};
use crate::database::{Database, Location, is_locked};
use crate::folder;
use crate::relay::Machine;

/// The parts that all services of a process share.
pub(crate) struct Core {
    pub(crate) database: Database,
    pub(crate) roster: Roster,
    pub(crate) access: Arc<Access>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) enroller: Arc<Enroller>,
    pub(crate) office: Arc<Office>,
    pub(crate) metrics: Registry,
}

/// Makes what a relay's folder cannot be without: master key, database, signing keys. What is
/// there stays.
pub(crate) async fn furnish(config: &Config) -> anyhow::Result<()> {
    let machine = Machine::real();
    folder::ensure_master_key(&config.path(&config.service.master_key), &machine.rng)?;
    let metrics = Registry::new();
    let database = Database::make(config, &metrics).await?;
    let core = Core::on(database, metrics, config, &machine).await?;
    let made = match core.check_master_key(config) {
        Ok(()) => core.office.ensure_signing_keys().await,
        refused => refused,
    };
    core.database.close().await;
    made
}

/// How often, and with which pause, a database is tried that another process has open: a command
/// has it for a moment.
pub(crate) const LOCKED_TRIES: u32 = 50;
pub(crate) const LOCKED_PAUSE: Duration = Duration::from_millis(100);

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
    /// process has it for itself.
    pub(crate) async fn open(config: &Config, machine: &Machine) -> anyhow::Result<Self> {
        let metrics = Registry::new();
        let database = Database::open(config, &metrics).await?;
        Self::on(database, metrics, config, machine).await
    }

    async fn on(
        database: Database,
        metrics: Registry,
        config: &Config,
        machine: &Machine,
    ) -> anyhow::Result<Self> {
        let master = folder::master_key(&config.path(&config.service.master_key))?;
        let master = Arc::new(master);
        let roster = roster(&database, config).await?;
        let access = Arc::new(Access::new(roster.clone(), machine.clock.clone()));
        let ports = gate_ports(&database, (&roster, &master), (machine, &metrics));
        let gate = Arc::new(Gate::new(ports, gate_config(config)?));
        let provision = Provision {
            directory: Arc::clone(&database.directory),
            master,
            service: config.service(),
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
        };
        let enrol = EnrolPorts {
            provision: provision.clone(),
            vendors: Arc::clone(&database.vendors),
            enrolments: Arc::clone(&database.enrolments),
            audit: Arc::clone(&database.audit),
            gate: Arc::clone(&gate),
            roster: roster.clone(),
        };
        let office = Arc::new(Office {
            database: database.clone(),
            provision,
            roster: roster.clone(),
            access: Arc::clone(&access),
            gate: Arc::clone(&gate),
            newcomers: newcomers(config),
            contact: config.operator.address(),
            lifetime: Duration::from_hours(config.limits.lifetime_hours),
            traces: Traces::default(),
            way_out: OnceLock::new(),
            is_alone: !Location::of(config)?.is_shared(),
            simulator: config.simulator()?,
            records_path: config.dkim_records_path(),
            stopping: Shutdown::new(config.drain()),
        });
        Ok(Self {
            database,
            roster,
            access,
            gate,
            enroller: Arc::new(Enroller::new(enrol, enrol_config(config))),
            office,
            metrics,
        })
    }

    /// Refuses to sign with less than all keys: another folder's master key lies here.
    pub(crate) fn check_master_key(&self, config: &Config) -> anyhow::Result<()> {
        if self.gate.is_sealed_by_another_key() {
            bail!(
                "the signing keys in the database do not open with the master key {}: all folders of one relay have the same file, copy it from the first one. If it is lost: `postrider dkim add`, publish the records, `postrider dkim revoke` the old selectors",
                config.path(&config.service.master_key).display()
            );
        }
        Ok(())
    }
}

/// What the gate stands on.
fn gate_ports(
    database: &Database,
    (roster, master): (&Roster, &Arc<MasterKey>),
    (machine, metrics): (&Machine, &Registry),
) -> GatePorts {
    GatePorts {
        intake: Arc::clone(&database.intake),
        mail: Arc::clone(&database.mail),
        directory: Arc::clone(&database.directory),
        suppressions: Arc::clone(&database.suppressions),
        failures: Arc::clone(&database.failures),
        audit: Arc::clone(&database.audit),
        roster: roster.clone(),
        master: Arc::clone(master),
        clock: machine.clock.clone(),
        rng: machine.rng.clone(),
        metrics: metrics.clone(),
    }
}

/// The directory as it is now, and whom to ask who has nobody else.
async fn roster(database: &Database, config: &Config) -> anyhow::Result<Roster> {
    let roster = Roster::new();
    let read = roster.refresh(&*database.directory).await;
    read.context("cannot read the directory")?;
    if let Some(contact) = config.operator.address() {
        roster.name_operator(contact);
    }
    Ok(roster)
}

fn newcomers(config: &Config) -> Newcomers {
    Newcomers {
        limits: config.tenant_limits(),
        vouched: config.tenants.vouched,
        ramp: identity(config).ramp,
    }
}

fn enrol_config(config: &Config) -> EnrolConfig {
    EnrolConfig {
        limits: config.tenant_limits(),
        ramp: identity(config).ramp,
        overlap: Duration::from_hours(24 * config.enrolment.overlap_days),
    }
}

fn gate_config(config: &Config) -> anyhow::Result<GateConfig> {
    let limits = &config.limits;
    Ok(GateConfig {
        service: config.service(),
        size_most: limits.message_bytes,
        recipients_most: limits.recipients,
        lifetime: Duration::from_hours(limits.lifetime_hours),
        schedule_most: Duration::from_hours(24 * limits.schedule_days),
        simulator: config.simulator()?,
        identity: identity(config),
    })
}

fn identity(config: &Config) -> IdentityConfig {
    let (names, replies, ramp) = (&config.names, &config.replies, &config.ramp);
    let mut brands = if names.known_brands {
        NameConfig::default().brands
    } else {
        Vec::new()
    };
    brands.extend(names.brands.iter().cloned());
    IdentityConfig {
        public_url: config.public_url(),
        names: NameConfig {
            policy: match names.policy {
                NameWord::Hold => NamePolicy::Hold,
                NameWord::Replace => NamePolicy::Replace,
                NameWord::Refuse => NamePolicy::Refuse,
            },
            brands,
        },
        replies: ReplyConfig {
            new_per_day: replies.new_per_day,
            pause: Duration::from_hours(24 * replies.pause_days),
            unconfirmed_most: replies.unconfirmed_most,
        },
        ramp: RampConfig {
            first_day: ramp.first_day,
            new_per_hour: ramp.new_recipients_per_hour,
            new_for: Duration::from_hours(24 * ramp.new_for_days),
            plan: ramp.plan,
        },
        notices: NoticeConfig {
            per_hour: config.notices.per_hour,
            gather: Duration::from_secs(config.notices.gather_seconds),
        },
    }
}
