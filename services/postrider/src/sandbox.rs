//! `postrider dev`: the relay as `serve` runs it, and a fake internet beside it, in one process.
//! It writes the configuration into its folder and starts the same code from it. Told to listen on
//! another address of the loopback, it stands there as a whole: several do not meet.

mod announced;
mod internet;
mod once;
mod people;
mod ports;
mod state;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use postrider_runtime::Shutdown;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::{DevArgs, FakenetArgs, Role};
use crate::commands::start_logs_as;
use crate::config::{Config, quoted};
use crate::core::furnish;
use crate::database::Database;
use crate::relay::{Machine, Relay};
use crate::signals::Signals;
use crate::sockets::Sockets;
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
    let config = write_config(&data, &args, &mut state, &internet, &machine.sockets)?;
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

/// Where the relay of the sandbox listens.
struct Doors {
    metrics: SocketAddr,
    admin: SocketAddr,
    http: SocketAddr,
    smtp: SocketAddr,
}

impl Doors {
    // The kept ones before those that any port is good for.
    fn take(args: &DevArgs, state: &mut State, sockets: &Sockets) -> anyhow::Result<Self> {
        let host = state.host.into();
        Ok(Self {
            metrics: sockets.hold(ports::kept_or_any(&mut state.metrics_port, host)?)?,
            admin: sockets.hold(ports::kept_or_any(&mut state.admin_port, host)?)?,
            http: sockets.hold(socket(args, "--http", args.http, HTTP_PORT)?)?,
            smtp: sockets.hold(socket(args, "--smtp", args.smtp, SMTP_PORT)?)?,
        })
    }
}

fn write_config(
    data: &Path,
    args: &DevArgs,
    state: &mut State,
    internet: &Internet,
    sockets: &Sockets,
) -> anyhow::Result<Config> {
    let Doors {
        metrics,
        admin,
        http,
        smtp,
    } = Doors::take(args, state, sockets)?;
    let certificates = smtp_certificates(data, args, internet)?;
    let (certificate, key) = http_certificate(data, args, internet)?;
    let public_url = url(args, http);
    let text = format!(
        r#"# Written by `postrider dev` at each start.
[operator]
contact = "postmaster@relay.test"

[service]
host = "relay.test"
send_domain = "send.relay.test"
bounce_domain = "bounce.relay.test"

[database]
url = {database}

[http]
listen = ["{http}"]
tls_certificate = "{certificate}"
tls_key = "{key}"
public_url = "{public_url}"

[smtp]
enabled = true
listen = [{{ address = "{smtp}", banner_after_ms = 150 }}]
certificates = [{certificates}]

[admin]
enabled = true
listen = "{admin}"

[enrolment]
smtp_host = "{smtp_host}"

[metrics]
listen = "{metrics}"

[dns]
servers = ["{dns}"]

[delivery]
port = {smtp_port}
allow_destinations = ["127.0.0.0/8"]
dial = "loopback"
retry_divisor = {divisor}

[tenants]
vouched = true
requests_per_second = 10000

[log]
# Sessions that died in TLS are told nothing: their codes stand here only.
filter = "warn,postrider_ingest::submission=info"

[shutdown]
drain_seconds = {DRAIN_SECONDS}
"#,
        database = quoted(&state.database),
        dns = internet.dns(),
        smtp_port = internet.smtp_port(),
        smtp_host = smtp_host(args, smtp),
        divisor = if args.fast { 60 } else { 1 },
    );
    let path = data.join("postrider.toml");
    folder::write_atomically(&path, text.as_bytes())?;
    Config::read(&path)
}

/// The files of the HTTP door's certificate and key; empty where it speaks in the clear.
fn http_certificate(
    data: &Path,
    args: &DevArgs,
    internet: &Internet,
) -> anyhow::Result<(String, String)> {
    let name = args.public.as_ref();
    let written = name.map(|name| internet.write_certificate(data, name.as_str()));
    Ok(written.transpose()?.unwrap_or_default())
}

const HTTP_PORT: u16 = 8025;
const SMTP_PORT: u16 = 2525;

// What was asked for, or the usual port, or the next free one.
fn socket(
    args: &DevArgs,
    option: &str,
    asked: Option<SocketAddr>,
    usual: u16,
) -> anyhow::Result<TcpListener> {
    let host = if args.public.is_some() {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };
    match asked {
        Some(address) => ports::asked(option, address),
        None => ports::next_free(option, IpAddr::V4(host), usual),
    }
}

/// Where on the loopback it stands with all that nobody told where to listen.
fn host(args: &DevArgs) -> Ipv4Addr {
    match args.http.map(|address| address.ip()) {
        Some(IpAddr::V4(host)) if host.is_loopback() => host,
        _ => Ipv4Addr::LOCALHOST,
    }
}

/// Where the HTTP door is for others.
fn url(args: &DevArgs, http: SocketAddr) -> String {
    match &args.public {
        Some(name) => format!("https://{name}:{}", http.port()),
        None => format!("http://{http}"),
    }
}

/// The host that programs are told for SMTP: `relay.test` has no address out here.
fn smtp_host(args: &DevArgs, smtp: SocketAddr) -> String {
    match &args.public {
        Some(name) => name.to_string(),
        None => smtp.ip().to_string(),
    }
}

// As the file has them: one of ECDSA, one of RSA.
fn smtp_certificates(data: &Path, args: &DevArgs, internet: &Internet) -> anyhow::Result<String> {
    let host = host(args).to_string();
    let mut names = vec!["relay.test", "localhost", "127.0.0.1"];
    if !names.contains(&host.as_str()) {
        names.insert(0, &host);
    }
    if let Some(name) = &args.public {
        names.insert(0, name.as_str());
    }
    let pairs = internet.ensure_smtp_certificates(data, &names)?;
    let pairs = pairs.iter().map(|(certificate, key)| {
        format!(
            "{{ certificate = {}, key = {} }}",
            quoted(certificate),
            quoted(key)
        )
    });
    Ok(pairs.collect::<Vec<_>>().join(", "))
}
