//! The configuration of the sandbox's relay, written anew at each start.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use tokio::net::TcpListener;

use super::internet::Internet;
use super::state::State;
use super::{DRAIN_SECONDS, host, ports};
use crate::cli::DevArgs;
use crate::config::{Config, quoted};
use crate::folder;
use crate::sockets::Sockets;

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

/// Writes it into the folder, and reads it as `serve` does.
pub(super) fn write(
    data: &Path,
    args: &DevArgs,
    state: &mut State,
    internet: &Internet,
    sockets: &Sockets,
) -> anyhow::Result<Config> {
    let doors = Doors::take(args, state, sockets)?;
    let text = [
        service(state),
        doors.text(data, args, internet)?,
        surroundings(args, internet),
    ];
    let path = data.join("postrider.toml");
    folder::write_atomically(&path, text.concat().as_bytes())?;
    Config::read(&path)
}

/// What it is called, and where it keeps its mail.
fn service(state: &State) -> String {
    format!(
        r#"# Written by `postrider dev` at each start.
[operator]
contact = "postmaster@relay.test"

[service]
host = "relay.test"
send_domain = "send.relay.test"
bounce_domain = "bounce.relay.test"

[database]
url = {database}
"#,
        database = quoted(&state.database),
    )
}

impl Doors {
    /// Who comes in, and by which certificates.
    fn text(&self, data: &Path, args: &DevArgs, internet: &Internet) -> anyhow::Result<String> {
        let Self {
            metrics,
            admin,
            http,
            smtp,
        } = self;
        let certificates = smtp_certificates(data, args, internet)?;
        let (certificate, key) = http_certificate(data, args, internet)?;
        Ok(format!(
            r#"
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
"#,
            public_url = url(args, *http),
            smtp_host = smtp_host(args, *smtp),
        ))
    }
}

/// The fake internet that its mail goes to, and what is easier on who tries it.
fn surroundings(args: &DevArgs, internet: &Internet) -> String {
    format!(
        r#"
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
        dns = internet.dns(),
        smtp_port = internet.smtp_port(),
        divisor = if args.fast { 60 } else { 1 },
    )
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

/// Where the HTTP door is for others.
pub(super) fn url(args: &DevArgs, http: SocketAddr) -> String {
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
