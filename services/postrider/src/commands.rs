//! From a parsed command line to what it does.

mod asked;
mod examine;
mod follow;
mod import;
mod make;
mod table;
mod verbs;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub(crate) use follow::NotDelivered;
pub(crate) use import::Partly;

use anyhow::{Context, bail};
use postrider_runtime::Shutdown;
use postrider_telemetry::{LogFormat, start_logs};
use serde_json::Value;

use crate::admin::{self, Office, Verb};
use crate::caretaker::ROSTER_EVERY;
use crate::cli::{Command, ConfigArgs, Place, Role, ServeArgs, TenantCommand};
use crate::config::{self, Config, LogWord};
use crate::core::{Core, LOCKED_PAUSE, LOCKED_TRIES};
use crate::database::{Location, is_locked};
use crate::relay::{Machine, Relay};
use crate::signals::Signals;
use crate::{print, sandbox};

/// What a command takes of the database's connections.
const COMMAND_CONNECTIONS: u32 = 6;

/// Carries out one command.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev(args) => sandbox::run(args).await,
        Command::Fakenet(args) => sandbox::run_fakenet(args).await,
        Command::Serve(args) => serve(args).await,
        Command::Init(args) => make::init(args).await,
        Command::Doctor(args) => examine::doctor(args).await,
        Command::Zone(place) => make::zone(&place),
        Command::Migrate(place) => make::migrate(&place).await,
        Command::Config(args) => show_config(&args),
        Command::Vendor(command) => ask(command.parts()?).await,
        Command::Tenant(TenantCommand::Import(args)) => import::import(args).await,
        Command::Tenant(command) => ask(verbs::tenant(command)?).await,
        Command::Key(command) => ask(command.parts()).await,
        Command::Reply(command) => ask(command.parts()).await,
        Command::Suppression(command) => ask(command.parts()).await,
        Command::Session { code, place } => ask((place, Verb::Session { code })).await,
        Command::Report(args) => ask(args.parts()).await,
        Command::Find(args) => ask(args.parts()).await,
        Command::Dkim(command) => ask(verbs::dkim(command)).await,
        Command::Send(args) if args.trace => follow::follow(verbs::trace(args)?).await,
        Command::Send(args) => ask(verbs::send(args)).await,
        Command::Nodes(place) => ask((place, Verb::Nodes)).await,
        Command::Token(command) => ask(command.parts()).await,
        Command::Audit(args) => ask(args.parts()).await,
        Command::Queue(command) => ask(command.parts()?).await,
    }
}

/// Asks the running relay, or opens the database: where none runs, and where the database takes
/// several processes.
async fn ask((place, verb): (Place, Verb)) -> anyhow::Result<()> {
    let config = Config::read(&config_path(&place)?)?;
    let answer = if Location::of(&config)?.is_shared() {
        ask_beside(config, &verb).await?
    } else {
        ask_or_open(&config, &verb).await?
    };
    let found_nothing = matches!(verb, Verb::Find { .. }) && is_empty(&answer);
    match verb {
        Verb::Session { .. } if !place.json => print::line(&print::session(&answer)),
        Verb::Report { .. } if !place.json => print::line(&print::report(&answer)),
        Verb::Find { .. } if !place.json => print::line(&print::find(&answer)),
        Verb::Queue { act, .. } if !place.json => print::line(&print::queue(act, &answer)),
        Verb::QueueList { .. } if !place.json => print::line(&print::queue_list(&answer)),
        Verb::TenantList { .. } if !place.json => print::line(&print::tenant_list(&answer)),
        _ => print::answer(&answer, place.json),
    }?;
    if found_nothing {
        return Err(NothingFound.into());
    }
    Ok(())
}

/// `find` found neither mail nor a suppression. That is said already: it is the command's answer.
#[derive(Debug, thiserror::Error)]
#[error("nothing was found")]
pub(crate) struct NothingFound;

fn is_empty(found: &Value) -> bool {
    let has_none = |name| {
        let all = found.get(name).and_then(Value::as_array);
        all.is_none_or(Vec::is_empty)
    };
    has_none("messages") && has_none("suppressions")
}

/// Works in the database beside the processes that have it open.
async fn ask_beside(mut config: Config, verb: &Verb) -> anyhow::Result<Value> {
    // For one verb: the server's connections are the mail's.
    config.database.connections = config.database.connections.min(COMMAND_CONNECTIONS);
    let answer = Box::pin(alone(&config, verb.clone())).await?;
    if verb.changes_directory() {
        // What it changed is seen by all of them when it returns.
        tokio::time::sleep(ROSTER_EVERY * 2).await;
    }
    Ok(answer)
}

async fn ask_or_open(config: &Config, verb: &Verb) -> anyhow::Result<Value> {
    let socket = config.socket_path();
    let mut tries = 0;
    loop {
        if let Some(answer) = admin::ask(&socket, verb).await? {
            return Ok(answer);
        }
        match Box::pin(alone(config, verb.clone())).await {
            // A relay that is just starting or stopping has the database and no socket.
            Err(fault) if is_locked(&fault) && tries < LOCKED_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

async fn alone(config: &Config, verb: Verb) -> anyhow::Result<Value> {
    let core = Core::open(config, &Machine::real()).await?;
    if !verb.only_reads() {
        core.office.ensure_signing_keys().await?;
    }
    let answer = watched(&core.office, verb).await;
    core.database.close().await;
    answer
}

/// A verb about the queue is not left open by who has lost patience.
async fn watched(office: &Office, verb: Verb) -> anyhow::Result<Value> {
    if !matches!(verb, Verb::Queue { .. }) {
        return office.execute(verb).await;
    }
    let signals = Signals::catch()?;
    let mut work = std::pin::pin!(office.execute(verb));
    tokio::select! {
        answer = &mut work => answer,
        () = signals.watch(office.stopping.clone()) => work.await,
    }
}

/// The configuration that `--data` or `--config` names; `.postrider` where neither is given.
fn config_path(place: &Place) -> anyhow::Result<PathBuf> {
    let data = place.data.as_deref().unwrap_or(Path::new(".postrider"));
    let path = place
        .config
        .clone()
        .unwrap_or_else(|| data.join("postrider.toml"));
    if !path
        .try_exists()
        .with_context(|| format!("cannot read {}", path.display()))?
    {
        bail!(
            "there is no configuration {}: name a relay by --data DIR or --config FILE, or make one with `postrider init DIR`",
            path.display()
        );
    }
    Ok(path)
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let mut config = Config::read(&config_path(&args.place)?)?;
    if let Some(node) = args.node {
        config.name_node(node).context("--node")?;
    }
    config.operator.required()?;
    start_logs_as(&config)?;
    let is_alone = !Location::of(&config)?.is_shared();
    if is_alone && !(args.role.contains(&Role::Ingest) && args.role.contains(&Role::Delivery)) {
        tracing::warn!(
            role = %role_names(&args.role),
            "SQLite is for one process: nobody does the other part of the relay's work meanwhile"
        );
    }
    let signals = Signals::catch()?;
    let shutdown = Shutdown::new(config.drain());
    let relay = Relay::start(&config, &args.role, Machine::real(), shutdown.clone()).await?;
    say_serving(&relay, &config, &args.role);
    let (ended, ()) = tokio::join!(relay.ended(), signals.watch(shutdown));
    ended
}

/// Each address that is listened on, by its door.
fn say_serving(relay: &Relay, config: &Config, roles: &[Role]) {
    // Only a process that takes mail has it.
    let is_inbound = config.inbound.enabled && roles.contains(&Role::Ingest);
    let inbound: &[SocketAddr] = if is_inbound {
        &config.inbound.listen
    } else {
        &[]
    };
    tracing::info!(
        http = ?relay.http,
        smtp = ?relay.smtp,
        ?inbound,
        acme = ?relay.acme,
        admin = ?relay.admin.as_slice(),
        metrics = %relay.metrics,
        host = %config.service.host,
        role = %role_names(roles),
        node = config.node(),
        "postrider is serving"
    );
}

fn role_names(roles: &[Role]) -> String {
    let names = roles.iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(",")
}

pub(crate) fn start_logs_as(config: &Config) -> anyhow::Result<()> {
    let format = match config.log.format {
        LogWord::Text => LogFormat::Text,
        LogWord::Json => LogFormat::Json,
    };
    start_logs(format, &config.log.filter).context("log.filter")
}

fn show_config(args: &ConfigArgs) -> anyhow::Result<()> {
    let text = if args.default {
        config::DEFAULT.to_owned()
    } else {
        let path = config_path(&args.place)?;
        Config::read(&path)?;
        std::fs::read_to_string(&path)?
    };
    if args.place.json {
        return print::answer(&toml::from_str(&text)?, true);
    }
    print::line(text.trim_end())
}
