//! From a parsed command line to what it does.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use postrider_runtime::Shutdown;
use postrider_telemetry::{LogFormat, start_logs};
use serde_json::{Value, json};

use crate::admin::{self, Verb};
use crate::cli::{
    Command, ConfigArgs, DkimCommand, InitArgs, KeyCommand, Place, ReplyToCommand, ServeArgs,
    TenantCommand,
};
use crate::config::{self, Config, LogWord};
use crate::core::{Core, LOCKED_PAUSE, LOCKED_TRIES, furnish, is_locked};
use crate::relay::{Machine, Relay};
use crate::{folder, print, sandbox, signals};

/// Carries out one command.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev(args) => sandbox::run(args).await,
        Command::Fakenet(args) => sandbox::run_fakenet(args).await,
        Command::Serve(args) => serve(args).await,
        Command::Init(args) => init(args).await,
        Command::Migrate(place) => migrate(&place).await,
        Command::Config(args) => show_config(&args),
        Command::Tenant(command) => tenant(command).await,
        Command::Key(command) => key(command).await,
        Command::Dkim(DkimCommand::Show { place }) => ask(&place, Verb::DkimShow).await,
        Command::Dkim(DkimCommand::Add { place }) => ask(&place, Verb::DkimAdd).await,
        Command::Send(args) => {
            let (tenant, to, subject, text) = (args.tenant, args.to, args.subject, args.text);
            ask(
                &args.place,
                Verb::Send {
                    tenant,
                    to,
                    subject,
                    text,
                },
            )
            .await
        }
    }
}

async fn tenant(command: TenantCommand) -> anyhow::Result<()> {
    let (place, verb) = match command {
        TenantCommand::Add {
            name,
            reply_to,
            place,
        } => (place, Verb::TenantAdd { name, reply_to }),
        TenantCommand::List { place } => (place, Verb::TenantList),
        TenantCommand::Show { which } => (
            which.place,
            Verb::TenantShow {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Suspend { which } => (
            which.place,
            Verb::TenantSuspend {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Resume { which } => (
            which.place,
            Verb::TenantResume {
                tenant: which.tenant,
            },
        ),
        TenantCommand::ReplyTo(command) => reply_to(command),
    };
    ask(&place, verb).await
}

fn reply_to(command: ReplyToCommand) -> (Place, Verb) {
    match command {
        ReplyToCommand::Add { which } => (
            which.place,
            Verb::ReplyToAdd {
                tenant: which.tenant,
                address: which.address,
            },
        ),
        ReplyToCommand::Confirm { which } => (
            which.place,
            Verb::ReplyToConfirm {
                tenant: which.tenant,
                address: which.address,
            },
        ),
        ReplyToCommand::Remove { which } => (
            which.place,
            Verb::ReplyToRemove {
                tenant: which.tenant,
                address: which.address,
            },
        ),
    }
}

async fn key(command: KeyCommand) -> anyhow::Result<()> {
    let (place, verb) = match command {
        KeyCommand::Create { note, which } => (
            which.place,
            Verb::KeyCreate {
                tenant: which.tenant,
                note,
            },
        ),
        KeyCommand::List { which } => (
            which.place,
            Verb::KeyList {
                tenant: which.tenant,
            },
        ),
        KeyCommand::Revoke { id, place } => (place, Verb::KeyRevoke { id }),
    };
    ask(&place, verb).await
}

/// Asks the running relay, or opens the database where none runs.
async fn ask(place: &Place, verb: Verb) -> anyhow::Result<()> {
    let config = Config::read(&config_path(place)?)?;
    let socket = config.socket_path();
    let mut tries = 0;
    let answer = loop {
        if let Some(answer) = admin::ask(&socket, &verb).await? {
            break answer;
        }
        match alone(&config, verb.clone()).await {
            // A relay that is just starting or stopping has the database and no socket.
            Err(fault) if is_locked(&fault) && tries < LOCKED_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            answer => break answer?,
        }
    };
    print::answer(&answer, place.json)
}

async fn alone(config: &Config, verb: Verb) -> anyhow::Result<Value> {
    let core = Core::open(config, &Machine::real()).await?;
    if !verb.only_reads() {
        core.office.ensure_signing_keys().await?;
    }
    let answer = core.office.execute(verb).await;
    core.store.close().await;
    answer
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
    let config = Config::read(&config_path(&args.place)?)?;
    start_logs_as(&config)?;
    let shutdown = Shutdown::new(config.drain());
    let relay = Relay::start(&config, &args.role, Machine::real(), shutdown.clone()).await?;
    tracing::info!(
        http = ?relay.http,
        metrics = %relay.metrics,
        host = %config.service.host,
        "postrider is serving"
    );
    let (ended, watched) = tokio::join!(relay.ended(), signals::watch(shutdown));
    ended.and(watched)
}

pub(crate) fn start_logs_as(config: &Config) -> anyhow::Result<()> {
    let format = match config.log.format {
        LogWord::Text => LogFormat::Text,
        LogWord::Json => LogFormat::Json,
    };
    start_logs(format, &config.log.filter).context("log.filter")
}

async fn init(args: InitArgs) -> anyhow::Result<()> {
    let path = args.dir.join("postrider.toml");
    if path
        .try_exists()
        .with_context(|| format!("cannot look for {}", path.display()))?
    {
        bail!("{} is there already; nothing was changed", path.display());
    }
    folder::create(&args.dir)?;
    let text = match &args.host {
        Some(host) => config::DEFAULT.replace("relay.example", host.as_str()),
        None => config::DEFAULT.to_owned(),
    };
    furnish(&Config::parse(&text, &args.dir)?).await?;
    // Last: what is there is whole.
    folder::write_atomically(&path, text.as_bytes())?;
    let mut next = vec![
        "publish the records of `postrider dkim show`",
        "postrider tenant add --name NAME --reply-to ADDRESS",
        "postrider serve",
    ];
    if args.host.is_none() {
        next.insert(
            0,
            "set service.host, service.send_domain and service.bounce_domain in the configuration, before the first tenant: From addresses are for ever",
        );
    }
    print::answer(&json!({"config": path, "next": next}), args.json)
}

async fn migrate(place: &Place) -> anyhow::Result<()> {
    let config = Config::read(&config_path(place)?)?;
    let (path, _) = config.database_path()?;
    // Opening brings the schema up to this version, whole or not at all.
    let core = Core::open(&config, &Machine::real()).await?;
    core.store.close().await;
    print::answer(
        &json!({"database": path, "schema": "up to date"}),
        place.json,
    )
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
