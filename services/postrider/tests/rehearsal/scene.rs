//! What stands before the first step, and what an operator asks.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::network::{Machine, Network, Running, may_build};
use super::shop::{Shop, name_server};
use crate::harness::tools::missing;
use crate::harness::until;

pub(crate) const POSTRIDER: &str = env!("CARGO_BIN_EXE_postrider");
const NEEDED: [&str; 9] = [
    "ip",
    "nsd",
    "postfix",
    "opendkim",
    "opendmarc",
    "swaks",
    "curl",
    "openssl",
    "pebble",
];
const INSTALL: &str = "the rehearsal: apt-get install iproute2 nsd postfix opendkim opendmarc swaks libnet-ssleay-perl \
     curl openssl pebble; as root, who may make network namespaces";

fn can_rehearse() -> bool {
    let is_there = |name: &&str| {
        let mut folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter();
        folders.any(|folder| Path::new(folder).join(name).exists())
    };
    let perl = ["-MNet::SSLeay", "-e", "1"];
    let speaks_tls = || {
        let perl = Command::new("perl").args(perl).output();
        perl.is_ok_and(|done| done.status.success())
    };
    NEEDED.iter().all(is_there) && speaks_tls() && may_build()
}

/// The relay's machine, where all commands are given.
pub(crate) struct Operator {
    machine: Machine,
    folder: PathBuf,
}

impl Operator {
    pub(crate) fn data(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// One command; `Err` with what it said where its exit code is not 0.
    pub(crate) fn asks(&self, words: &[&str]) -> Result<Value, Value> {
        let words = [&[POSTRIDER], words, &["--json"]].concat();
        let done = self.machine.run(&words);
        let said = String::from_utf8_lossy(&done.stdout);
        let fault = String::from_utf8_lossy(&done.stderr);
        let answer = serde_json::from_str(&said);
        let answer = answer.unwrap_or_else(|_| Value::String(format!("{said}{fault}")));
        if done.status.success() {
            Ok(answer)
        } else {
            Err(answer)
        }
    }

    pub(crate) fn does(&self, words: &[&str]) -> Value {
        let words = [words, &["--data", self.data()]].concat();
        let answer = self.asks(&words);
        answer.unwrap_or_else(|said| panic!("{words:?}: {said}"))
    }

    /// The ids of the hard findings, with what they are about.
    pub(crate) fn hard_findings(&self) -> Vec<String> {
        let said = self.asks(&["doctor", "--data", self.data()]);
        let (Ok(report) | Err(report)) = &said;
        let all = report["findings"].as_array();
        let all = all.unwrap_or_else(|| panic!("{report}")).iter();
        let hard = all.filter(|finding| finding["level"] == "hard");
        let hard: Vec<_> = hard
            .map(|finding| format!("{} {}", word(finding, "id"), word(finding, "about")))
            .collect();
        assert_eq!(said.is_ok(), hard.is_empty(), "{report}");
        hard
    }

    pub(crate) fn serves(&self) -> Running {
        let words = [POSTRIDER, "serve", "--data", self.data()];
        self.machine.start(&words, &self.folder.join("serve.log"))
    }

    /// The records to publish, as `init` wrote them.
    pub(crate) fn zone(&self) -> PathBuf {
        self.folder.join("zone.txt")
    }
}

pub(crate) fn word<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {of}"))
}

/// What the provider of the addresses sets, asked for by the comments in the zone file.
fn reverse_zone(zone: &str) -> String {
    let asked = zone.lines().filter(|line| line.contains(" IN PTR "));
    let lines: Vec<_> = asked.map(|line| line.trim_start_matches("; ")).collect();
    assert_eq!(lines.len(), 1, "{zone}");
    format!(
        "10.in-addr.arpa. 60 IN SOA ns. hostmaster. 1 60 60 60 60\n10.in-addr.arpa. 60 IN NS ns.\n{}\n",
        lines[0]
    )
}

/// All that stands before the first step.
pub(crate) struct Scene {
    pub(crate) operator: Operator,
    pub(crate) shop: Shop,
    /// Where whoever types has his files.
    pub(crate) desk: PathBuf,
    /// Where the authority has its files.
    pub(crate) authority: PathBuf,
    /// Where the name server has its files.
    dns: PathBuf,
    pub(crate) network: Network,
    _base: TempDir,
}

impl Scene {
    /// `None` where the machine has not what it takes, which is then said.
    pub(crate) fn new() -> Option<Self> {
        if !can_rehearse() {
            missing(INSTALL);
            return None;
        }
        let base = TempDir::new().unwrap();
        // Postfix's processes look from below as other users.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(base.path(), open).unwrap();
        let at = |name: &str| {
            let folder = base.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            folder
        };
        let network = Network::new(&base.path().join("trusted.pem"));
        let operator = Operator {
            machine: network.relay.clone(),
            folder: base.path().join("relay"),
        };
        Some(Self {
            operator,
            shop: Shop::start(&network.shop, &network.names, &at("shop")),
            desk: at("desk"),
            authority: at("authority"),
            dns: at("dns"),
            network,
            _base: base,
        })
    }

    pub(crate) fn own_address(&self) -> String {
        self.network.relay.address.to_string()
    }

    /// What `init` has to know of a closed network: after `--ip`.
    pub(crate) fn surroundings(&self) -> Vec<String> {
        let own = self.own_address();
        let resolver = self.network.names.address.to_string();
        let words = [
            &own,
            "--dns-server",
            &resolver,
            "--allow-destination",
            "10.77.0.0/24",
            "--probe",
            "shop.example",
        ];
        words.map(str::to_owned).to_vec()
    }

    fn name_server(&self, zones: &[(&str, &Path)]) -> Running {
        let network = &self.network;
        name_server(&network.names, &self.dns, &network.shop, zones)
    }

    /// A name server that knows nothing of the relay.
    pub(crate) fn without_records(&self) -> Running {
        self.name_server(&[])
    }

    /// One that has the zone as it was written.
    pub(crate) fn with_zone(&self) -> Running {
        let zone = self.operator.zone();
        self.name_server(&[("relay.example", zone.as_path())])
    }

    /// One that has also the address's name, which is its provider's.
    pub(crate) fn with_zone_and_ptr(&self) -> Running {
        let zone = self.operator.zone();
        let reverse = self.dns.join("reverse.zone");
        let text = std::fs::read_to_string(&zone).unwrap();
        std::fs::write(&reverse, reverse_zone(&text)).unwrap();
        self.name_server(&[
            ("relay.example", zone.as_path()),
            ("10.in-addr.arpa", reverse.as_path()),
        ])
    }

    /// Waits until the doctor can ask, and finds each record wanting.
    pub(crate) async fn is_all_red(&self) {
        let hard = until("the name server answers", async || {
            let hard = self.operator.hard_findings();
            hard.iter().any(|id| id.starts_with("mx ")).then_some(hard)
        });
        let hard = hard.await;
        for id in ["host", "mx", "spf", "dkim", "dmarc", "ptr"] {
            let is_named = hard.iter().any(|found| found.starts_with(id));
            assert!(is_named, "{id}: {hard:?}");
        }
    }

    /// What arrived passed every check of the shop's servers.
    pub(crate) fn is_trusted(&self, mail: &str) {
        for verdict in ["dkim=pass", "spf=pass", "dmarc=pass"] {
            assert!(mail.contains(verdict), "{verdict}: {mail}");
        }
        // Postfix writes the name of an address only where it leads back to it.
        let own = self.own_address();
        let from = format!("Received: from relay.example (relay.example [{own}])");
        assert!(mail.contains(&from), "{mail}");
    }
}
