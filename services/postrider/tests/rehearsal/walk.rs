//! The walk itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::network::{Machine, Network, Running};
use super::shop::{Shop, name_server};
use crate::harness::tools::missing;
use crate::harness::until;

const POSTRIDER: &str = env!("CARGO_BIN_EXE_postrider");
const NEEDED: [&str; 6] = ["ip", "nsd", "postfix", "opendkim", "opendmarc", "swaks"];
const INSTALL: &str = "the rehearsal: apt-get install iproute2 nsd postfix opendkim opendmarc swaks libnet-ssleay-perl, as root";

fn can_rehearse() -> bool {
    let is_there = |name: &&str| {
        let mut folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter();
        folders.any(|folder| Path::new(folder).join(name).exists())
    };
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    is_root && NEEDED.iter().all(is_there)
}

/// The relay's machine, where all commands are given.
struct Operator {
    machine: Machine,
    folder: PathBuf,
}

impl Operator {
    fn data(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// One command; `Err` with what it said where its exit code is not 0.
    fn asks(&self, words: &[&str]) -> Result<Value, Value> {
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

    fn does(&self, words: &[&str]) -> Value {
        let words = [words, &["--data", self.data()]].concat();
        let answer = self.asks(&words);
        answer.unwrap_or_else(|said| panic!("{words:?}: {said}"))
    }

    /// The ids of the hard findings, with what they are about.
    fn hard_findings(&self) -> Vec<String> {
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

    fn serves(&self) -> Running {
        let words = [POSTRIDER, "serve", "--data", self.data()];
        self.machine.start(&words, &self.folder.join("serve.log"))
    }
}

fn word<'a>(of: &'a Value, name: &str) -> &'a str {
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
struct Scene {
    operator: Operator,
    shop: Shop,
    /// Where the name server has its files.
    dns: PathBuf,
    network: Network,
    _base: TempDir,
}

impl Scene {
    fn new() -> Self {
        let base = TempDir::new().unwrap();
        // Postfix's processes look from below as other users.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(base.path(), open).unwrap();
        let at = |name: &str| {
            let folder = base.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            folder
        };
        let network = Network::new();
        let operator = Operator {
            machine: network.relay.clone(),
            folder: base.path().join("relay"),
        };
        Self {
            operator,
            shop: Shop::start(&network.shop, &network.names, &at("shop")),
            dns: at("dns"),
            network,
            _base: base,
        }
    }

    fn name_server(&self, zones: &[(&str, &Path)]) -> Running {
        let network = &self.network;
        name_server(&network.names, &self.dns, &network.shop, zones)
    }

    /// `init`; gives the path of the zone file.
    fn init(&self) -> PathBuf {
        let own = self.network.relay.address.to_string();
        let resolver = self.network.names.address.to_string();
        let mut words = vec!["init", self.operator.data(), "--domain", "relay.example"];
        words.extend(["--ip", &own, "--dns-server", &resolver]);
        words.extend([
            "--allow-destination",
            "10.77.0.0/24",
            "--probe",
            "shop.example",
        ]);
        let made = self.operator.asks(&words);
        let made = made.unwrap_or_else(|said| panic!("init: {said}"));
        PathBuf::from(word(&made, "zone"))
    }

    /// A tenant's user name and password, once the relay is there: before, a command would have the
    /// database open by itself.
    async fn password(&self) -> Value {
        let operator = &self.operator;
        let own = self.network.relay.address.to_string();
        let door = [
            "swaks",
            "--server",
            &own,
            "--port",
            "587",
            "--quit-after",
            "EHLO",
        ];
        let open = async || self.network.relay.run(&door).status.success().then_some(());
        until("the SMTP door is open", open).await;
        let made = until("the relay takes commands", async || {
            let mut words = vec!["tenant", "add", "--name", "Joe's Garage", "--vouched"];
            words.extend(["--reply-to", "joe@shop.example", "--data", operator.data()]);
            let tenant = operator.asks(&words).ok()?;
            let slug = word(&tenant, "slug").to_owned();
            Some(operator.does(&["key", "create", &slug, "--smtp"]))
        });
        made.await
    }

    /// The shop's program hands in a mail.
    fn sends(&self, password: &Value) {
        let own = self.network.relay.address.to_string();
        let mut words = vec!["swaks", "--server", &own, "--port", "587", "-tls"];
        words.extend(["--auth", "PLAIN", "--auth-user", word(password, "user")]);
        words.extend(["--auth-password", word(password, "password")]);
        words.extend([
            "--helo",
            "till.garage.example",
            "--from",
            "joe@shop.example",
        ]);
        words.extend(["--to", "bob@shop.example", "--body", "It is ready."]);
        words.extend(["--header", "Subject: Your estimate"]);
        let sent = self.network.relay.run(&words);
        let said = String::from_utf8_lossy(&sent.stdout);
        assert!(sent.status.success(), "{said}");
    }
}

#[tokio::test]
async fn a_bare_server_becomes_a_relay_whose_mail_passes_every_check() {
    if !can_rehearse() {
        return missing(INSTALL);
    }
    let scene = Scene::new();
    let operator = &scene.operator;
    let own = scene.network.relay.address.to_string();
    let mut names = scene.name_server(&[]);
    let zone = scene.init();

    // Nothing is published yet: all of it is named, mail is taken and stays.
    let hard = until("the name server answers", async || {
        let hard = operator.hard_findings();
        hard.iter().any(|id| id.starts_with("mx ")).then_some(hard)
    });
    let hard = hard.await;
    for id in ["host", "mx", "spf", "dkim", "dmarc", "ptr"] {
        let is_named = hard.iter().any(|found| found.starts_with(id));
        assert!(is_named, "{id}: {hard:?}");
    }
    let _serving = operator.serves();
    let password = scene.password().await;
    scene.sends(&password);

    // The records as they are written, then the address's name, which is its provider's.
    names.stop();
    let mut names = scene.name_server(&[("relay.example", zone.as_path())]);
    let hard = until("the zone is seen", async || {
        let hard = operator.hard_findings();
        (hard.len() <= 1).then_some(hard)
    });
    assert_eq!(hard.await, [format!("ptr {own}")]);
    assert_eq!(scene.shop.arrived(), None, "it left under a hard finding");
    names.stop();
    let reverse = scene.dns.join("reverse.zone");
    let text = std::fs::read_to_string(&zone).unwrap();
    std::fs::write(&reverse, reverse_zone(&text)).unwrap();
    let zones = [
        ("relay.example", zone.as_path()),
        ("10.in-addr.arpa", reverse.as_path()),
    ];
    let _names = scene.name_server(&zones);
    let green = operator.asks(&["doctor", "--wait", "--data", operator.data()]);
    assert!(green.is_ok(), "{green:?}");

    let arrived = until("the mail arrives", async || scene.shop.arrived()).await;
    for verdict in ["dkim=pass", "spf=pass", "dmarc=pass"] {
        assert!(arrived.contains(verdict), "{verdict}: {arrived}");
    }
    // Postfix writes the name of an address only where it leads back to it.
    let from = format!("Received: from relay.example (relay.example [{own}])");
    assert!(arrived.contains(&from), "{arrived}");
    assert!(arrived.contains("Subject: Your estimate"), "{arrived}");
}
