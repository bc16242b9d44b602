//! One PostgreSQL, one fake internet, and as many processes of the relay as a test asks for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use postrider_fakenet::{FakeInternet, Options, OwnNetwork};
use postrider_store_postgres::cluster::{Cluster, ClusterError, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::harness::inside::publish;
use crate::harness::process::run;
use crate::harness::tools::missing;
use crate::harness::{Database, Door, Place, Process, until};

/// A fleet. Commands go to the database by `place`, requests to its first door.
pub(crate) struct Fleet {
    pub(crate) net: FakeInternet,
    pub(crate) place: Place,
    pub(crate) doors: Vec<Part>,
    pub(crate) nodes: Vec<Part>,
    pub(crate) database: Database,
    pub(crate) cluster: Cluster,
    /// What is stopped and started again finds its ports free.
    network: OwnNetwork,
    folder: TempDir,
}

/// One process with a folder of its own.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) config: PathBuf,
    pub(crate) http: Door,
    pub(crate) metrics: Door,
    pub(crate) process: Option<Process>,
    role: &'static str,
}

impl Fleet {
    /// So many doors and nodes, the nodes sharing all shards. `None` where there is no
    /// PostgreSQL; then the test says so.
    pub(crate) async fn start(doors: usize, nodes: usize) -> Option<Self> {
        let settings = Settings {
            fsync: false,
            ..Settings::default()
        };
        Self::start_on(settings, doors, nodes).await
    }

    pub(crate) async fn start_on(settings: Settings, doors: usize, nodes: usize) -> Option<Self> {
        let cluster = match Cluster::own(settings).await {
            Err(ClusterError::Missing) => {
                missing("several nodes on one database: apt-get install postgresql");
                return None;
            }
            started => started.unwrap(),
        };
        let database = Database::on(&cluster).await;
        let network = OwnNetwork::take().unwrap();
        let options = Options {
            host: network.host(),
            ..Options::default()
        };
        let net = FakeInternet::start(options).await.unwrap();
        let folder = TempDir::new().unwrap();
        let mut fleet = Self {
            place: Place {
                folder: folder.path().join("base"),
                http: nobody(),
                key: String::new(),
                tenant: String::new(),
                mailbox: nobody(),
                metrics: nobody(),
            },
            net,
            doors: Vec::new(),
            nodes: Vec::new(),
            database,
            cluster,
            network,
            folder,
        };
        fleet.furnish();
        for n in 0..doors {
            let mut door = fleet.part(&format!("door{n}"), "ingest");
            door.start();
            door.answers().await;
            fleet.doors.push(door);
        }
        if let Some(door) = fleet.doors.first() {
            fleet.place.http = door.http.clone();
            fleet.place.metrics = door.metrics.clone();
        }
        fleet.place = fleet.tenant("Fleet", &[]).await;
        for n in 0..nodes {
            let mut node = fleet.part(&format!("node{n}"), "delivery");
            node.start();
            fleet.nodes.push(node);
        }
        fleet.balanced(nodes).await;
        Some(fleet)
    }

    /// Master key, signing keys, their records.
    fn furnish(&mut self) {
        let data = self.place.folder.clone();
        let words = ["init", data.to_str().unwrap(), "--host", "relay.test"];
        let words = words.into_iter().chain(["--contact", "ann@corp.test"]);
        let made = run(words.chain(self.database.words()));
        let fault = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{fault}");
        for record in self.place.command(&["dkim", "show"]).as_array().unwrap() {
            publish(&self.net, record);
        }
        // What new tenants get, no test is about.
        let config = self.place.config();
        let text = std::fs::read_to_string(&config).unwrap();
        let (few, many) = (
            "requests_per_second = 10\n",
            "requests_per_second = 10000\n",
        );
        assert!(text.contains(few), "{text}");
        let text = text.replace(few, many);
        let text = text.replace("vouched = false\n", "vouched = true\n");
        std::fs::write(&config, text).unwrap();
    }

    /// One more process, not started yet.
    pub(crate) fn part(&self, name: &str, role: &'static str) -> Part {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let (http, metrics) = (self.own_address(), self.own_address());
        let text = format!(
            r#"
[operator]
contact = "postmaster@relay.test"
[service]
host = "relay.test"
send_domain = "send.relay.test"
bounce_domain = "bounce.relay.test"
master_key = "{base}/master.key"
[database]
url = "{url}"
connections = 6
[http]
listen = ["{http}"]
[metrics]
listen = "{metrics}"
[log]
filter = "info"
[delivery]
node = "{name}"
port = {port}
allow_destinations = ["127.0.0.0/8"]
dial = "loopback"
retry_divisor = 60
[dns]
servers = ["{dns}"]
[shutdown]
drain_seconds = 10
"#,
            base = self.place.folder.display(),
            url = self.database.url(),
            port = self.net.smtp_port(),
            dns = self.net.dns_addr(),
        );
        let config = folder.join("postrider.toml");
        std::fs::write(&config, text).unwrap();
        let plain = |address| Door { address, tls: None };
        Part {
            name: name.to_owned(),
            config,
            http: plain(http),
            metrics: plain(metrics),
            process: None,
            role,
        }
    }

    /// Nobody else's in the fleet's own network: not its internet's either, from 20,000 on.
    fn own_address(&self) -> SocketAddr {
        static DRAWN: AtomicU16 = AtomicU16::new(11_000);
        let port = DRAWN.fetch_add(1, Ordering::Relaxed);
        (self.network.host(), port).into()
    }

    /// `postrider nodes --json`.
    pub(crate) fn standing(&self) -> Vec<Value> {
        let nodes = self.place.command(&["nodes"]);
        nodes.as_array().unwrap().clone()
    }

    /// Returns once so many nodes own all shards, each its share.
    pub(crate) async fn balanced(&self, nodes: usize) {
        let share = 1_024_usize.div_ceil(nodes.max(1)) as u64;
        until("each node has its share", async || {
            let standing = self.standing();
            let shards: Vec<_> = standing.iter().map(shards).filter(|n| *n > 0).collect();
            let is_all = shards.iter().sum::<u64>() == 1_024 && shards.len() == nodes;
            let is_fair = shards.iter().all(|owned| *owned <= share);
            (nodes == 0 || is_all && is_fair).then_some(())
        })
        .await;
    }

    /// A new tenant of this fleet, known at all its doors.
    pub(crate) async fn tenant(&self, name: &str, limits: &[&str]) -> Place {
        let tenant = self.place.another(name).await;
        if !limits.is_empty() {
            let words = [&["tenant", "limit", &tenant.tenant], limits].concat();
            tenant.command(&words);
        }
        for door in &self.doors {
            let mut there = tenant.clone();
            there.http = door.http.clone();
            until("the door knows the tenant", async || {
                (there.get("/usage").await.status == 200).then_some(())
            })
            .await;
        }
        tenant
    }

    /// The slow sweep found nothing: nobody's work was overlooked.
    pub(crate) async fn nothing_was_overlooked(&self) {
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            let page = node.metrics.get("/metrics").await.text();
            let line = "postrider_delivery_sweep_found_total ";
            let found = page.lines().find_map(|found| found.strip_prefix(line));
            let printed = node.process.as_ref().unwrap().printed();
            assert_eq!(found, Some("0"), "{}: {printed}", node.name);
        }
    }

    pub(crate) async fn stop(mut self) {
        for mut part in self.nodes.drain(..).chain(self.doors.drain(..)) {
            part.stop().await;
        }
        self.net.shutdown().await;
    }
}

/// How many shards this entry of `nodes` owns.
pub(crate) fn shards(node: &Value) -> u64 {
    node["shards"].as_u64().unwrap()
}

impl Part {
    pub(crate) fn start(&mut self) {
        let config = self.config.to_str().unwrap();
        let words = ["serve", "--config", config, "--role", self.role];
        let folder = self.config.parent().unwrap();
        self.process = Some(Process::start(folder, &self.name, words));
    }

    /// Returns once its door takes connections.
    pub(crate) async fn answers(&mut self) {
        let (address, process) = (self.http.address, self.process.as_mut().unwrap());
        until("the door", async || {
            if let Some(status) = process.ended() {
                panic!("{} ended, {status}: {}", self.name, process.printed());
            }
            TcpStream::connect(address).await.ok()
        })
        .await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.as_ref().unwrap().id();
        crate::harness::process::signal(name, id);
    }

    pub(crate) async fn kill(&mut self) {
        self.process.take().unwrap().kill().await;
    }

    /// SIGTERM, and its end, if it runs.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
            let status = process.end().await;
            let printed = process.printed();
            assert!(status.success(), "{}: {status}: {printed}", self.name);
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }
}

fn nobody() -> Door {
    Door {
        address: ([127, 0, 0, 1], 9).into(),
        tls: None,
    }
}

/// Longer than a lease: what is not back by then is somebody else's.
pub(crate) const PAST_THE_LEASE: Duration = Duration::from_secs(20);
