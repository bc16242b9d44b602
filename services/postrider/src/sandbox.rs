//! `postrider dev`: the relay as `serve` runs it, and a fake internet beside it, in one process.
//! It writes the configuration into its folder and starts the same code from it. Told to listen on
//! another address of the loopback, it stands there as a whole: several do not meet.

mod announced;
mod internet;
mod once;
mod people;
mod ports;
mod settings;
mod state;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use postrider_runtime::Shutdown;
use serde_json::json;

use crate::cli::{DevArgs, FakenetArgs, Role};
use crate::commands::start_logs_as;
use crate::config::Config;
use crate::core::furnish;
use crate::database::Database;
use crate::relay::{Machine, Relay};
use crate::signals::Signals;
use crate::{folder, print};

use announced::Announced;
use internet::Internet;
use state::State;

/// How long a stop of the sandbox waits for deliveries: nobody depends on them.
const DRAIN_SECONDS: u64 = 5;

/// Runs the sandbox until a signal, or once.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    folder::create(&args.data)?;
    let data = std::fs::canonicalize(&args.data)?;
    state::refuse_foreign(&data)?;
    // Before anything is touched that a running sandbox stands on. Held until the end.
    let _claim = state::claim(&data)?;
    if args.fresh {
        empty(&data).await?;
    }
    announced::remove(&data)?;
    let mut state = State::read(&data)?;
    state.choose_database(args.database.as_deref());
    state.host = host(&args);
    // Written at once: from here on the folder is known as a sandbox's.
    state.write(&data)?;
    let signals = Signals::catch()?;
    let shutdown = Shutdown::new(Duration::from_secs(DRAIN_SECONDS));
    let internet = Internet::start(&data, &mut state, greylist(args.fast), &shutdown).await?;
    let machine = Machine::real();
    let config = settings::write(&data, &args, &mut state, &internet, &machine.sockets)?;
    start_logs_as(&config)?;
    furnish(&config).await?;
    // From here on it is known as this sandbox's own, and may be emptied.
    state.owns_database = true;
    state.write(&data)?;
    let roles = [Role::Ingest, Role::Delivery];
    let relay = Relay::start(&config, &roles, machine, shutdown.clone()).await?;
    internet.publish(&config.dkim_records_path())?;
    people::ensure(&relay, &mut state, &Machine::real().rng).await?;
    state.write(&data)?;
    let address = Announced::new(&args, &data, &relay, &internet, &state)?;
    address.write(&data)?;
    let work = async {
        if args.once {
            let outcome = once::run(&relay, &internet, &state).await;
            shutdown.begin();
            outcome
        } else {
            address.print(&args)?;
            signals.watch(shutdown.clone()).await;
            Ok(())
        }
    };
    let worked = work.await;
    let ended = relay.ended().await;
    internet.stop().await;
    announced::remove(&data)?;
    worked.and(ended)
}

/// Empties the folder, and the database if it is on a server and this sandbox's own.
async fn empty(data: &Path) -> anyhow::Result<()> {
    // A state that does not parse is cured by this.
    let old = State::read(data).unwrap_or_default();
    if old.owns_database {
        let mut config = Config::default();
        config.database.url.clone_from(&old.database);
        Database::empty(&config).await?;
    }
    state::empty(data)?;
    let state = State {
        database: old.database,
        ..State::default()
    };
    state.write(data)
}

/// Runs the fake internet of a sandbox folder alone; a relay finds it by the folder's configuration.
pub(crate) async fn run_fakenet(args: FakenetArgs) -> anyhow::Result<()> {
    folder::create(&args.data)?;
    let data = std::fs::canonicalize(&args.data)?;
    state::refuse_foreign(&data)?;
    let _claim = state::claim(&data)?;
    let mut state = State::read(&data)?;
    start_logs_as(&Config::default())?;
    let signals = Signals::catch()?;
    let shutdown = Shutdown::new(Duration::from_secs(DRAIN_SECONDS));
    let internet = Internet::start(&data, &mut state, greylist(args.fast), &shutdown).await?;
    state.write(&data)?;
    print::line(&serde_json::to_string(&json!({
        "dns": internet.dns().to_string(),
        "smtp_port": internet.smtp_port(),
        "mailbox": internet.mailbox_url(),
        "ca": internet.ca_path(),
    }))?)?;
    signals.watch(shutdown).await;
    internet.stop().await;
    Ok(())
}

const fn greylist(fast: bool) -> Duration {
    if fast {
        internet::GREYLIST_FAST
    } else {
        internet::GREYLIST
    }
}

/// Where on the loopback it stands with all that nobody told where to listen.
fn host(args: &DevArgs) -> Ipv4Addr {
    match args.http.map(|address| address.ip()) {
        Some(IpAddr::V4(host)) if host.is_loopback() => host,
        _ => Ipv4Addr::LOCALHOST,
    }
}
