//! An authority for a test: Debian's `pebble`, with a name server that says where all names are. Both
//! listen in the sandbox's own network only.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use postrider_tls::{Connector, KeyKind, self_signed, trusting};
use serde_json::json;

use crate::harness::{Door, Process, Sandbox, tools, until};

const DIRECTORY: u16 = 14_000;
const MANAGEMENT: u16 = 15_000;
const DNS: u16 = 8_053;
/// Where it looks for what it asks by HTTP, in place of 80.
pub(super) const LOOKS_AT: u16 = 5_002;

/// A running authority.
pub(super) struct Authority {
    pub(super) host: Ipv4Addr,
    pebble: Process,
    _names: Process,
    /// Vouches for its directory.
    pub(super) root: PathBuf,
}

/// What differs from one to the next.
#[derive(Default)]
pub(super) struct Habits {
    /// How long its certificates are good; 0: five years.
    pub(super) seconds: u32,
    /// It gives none for these.
    pub(super) blocked: &'static [&'static str],
}

/// Whether there is what an authority is made of.
pub(super) fn is_there() -> bool {
    let found = |tool: &str| Command::new(tool).arg("-h").output().is_ok();
    let all = found("pebble") && found("pebble-challtestsrv") && found("openssl");
    if !all {
        tools::missing("certificates by ACME: apt-get install pebble openssl");
    }
    all
}

impl Authority {
    /// Starts one beside this sandbox; returns when its directory is there.
    pub(super) async fn start(sandbox: &Sandbox, habits: &Habits) -> Self {
        let (host, folder) = (sandbox.network.host(), sandbox.folder());
        let own = self_signed(&[host.to_string()], KeyKind::Ecdsa).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let root = file("authority.pem", &own.certificate_pem);
        let key = file("authority-key.pem", &own.key_pem);
        let config = json!({"pebble": {
            "listenAddress": format!("{host}:{DIRECTORY}"),
            "managementListenAddress": format!("{host}:{MANAGEMENT}"),
            "certificate": root,
            "privateKey": key,
            "httpPort": LOOKS_AT,
            "tlsPort": 5_001,
            "certificateValidityPeriod": habits.seconds,
            "domainBlocklist": habits.blocked,
        }});
        let config = file("pebble.json", &config.to_string());
        let mut authority = Self {
            host,
            _names: names(host, folder),
            pebble: pebble(host, folder, &config),
            root,
        };
        authority.ready().await;
        authority
    }

    async fn ready(&mut self) {
        let names = SocketAddr::from((self.host, DNS));
        until("the authority's name server", async || {
            tokio::net::TcpStream::connect(names).await.ok().map(drop)
        })
        .await;
        let door = self.door(DIRECTORY);
        until("the authority's directory", async || {
            assert!(self.pebble.ended().is_none(), "{}", self.pebble.printed());
            door.say(b"GET /dir HTTP/1.0\r\n\r\n").await
        })
        .await;
    }

    /// The address of its directory.
    pub(super) fn directory(&self) -> String {
        format!("https://{}:{DIRECTORY}/dir", self.host)
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((self.host, DIRECTORY))
    }

    /// What it said of itself.
    pub(super) fn printed(&self) -> String {
        self.pebble.printed()
    }

    /// How many orders it has taken.
    pub(super) fn orders(&self) -> usize {
        self.printed().matches("Added order").count()
    }

    /// Trusts what it signs, and nobody else; as a file, too.
    pub(super) async fn trusted(&self) -> (Connector, PathBuf) {
        let root = self.door(MANAGEMENT).get("/roots/0").await;
        let file = self.root.with_file_name("issuer.pem");
        std::fs::write(&file, &root.body).unwrap();
        (trusting(&root.body).unwrap(), file)
    }

    fn door(&self, port: u16) -> Door {
        let own = std::fs::read(&self.root).unwrap();
        Door {
            address: SocketAddr::from((self.host, port)),
            tls: Some((trusting(&own).unwrap(), self.host.to_string())),
        }
    }
}

fn pebble(host: Ipv4Addr, folder: &Path, config: &Path) -> Process {
    let mut command = Command::new("pebble");
    command.arg("-config").arg(config);
    command.args(["-dnsserver", &format!("{host}:{DNS}")]);
    // Else it waits up to 15 s before it looks. It refuses one nonce of twenty all the same, which
    // has to be borne.
    command.env("PEBBLE_VA_NOSLEEP", "1");
    Process::spawn(command, folder, "pebble")
}

/// A name server for which all names are at this host.
fn names(host: Ipv4Addr, folder: &Path) -> Process {
    let mut command = Command::new("pebble-challtestsrv");
    command.args(["-defaultIPv4", &host.to_string(), "-defaultIPv6", ""]);
    command.args([
        "-dns01",
        &format!("{host}:{DNS}"),
        "-http01",
        "",
        "-https01",
        "",
    ]);
    command.args(["-tlsalpn01", "", "-management", &format!("{host}:8055")]);
    Process::spawn(command, folder, "names")
}
