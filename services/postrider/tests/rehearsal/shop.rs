//! The servers that others run: a name server, and a shop's mail server that judges what comes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::network::{Machine, Running};

/// A zone that a name server has: its name and its file.
pub(crate) type Served<'a> = (&'a str, &'a Path);

/// Starts NSD with these zones, and with a root that knows of nothing else but the shop.
pub(crate) fn name_server(
    on: &Machine,
    folder: &Path,
    shop: &Machine,
    zones: &[Served<'_>],
) -> Running {
    let root = folder.join("root.zone");
    let text = format!(
        ". 60 IN SOA ns. hostmaster. 1 60 60 60 60\n. 60 IN NS ns.\nns. 60 IN A {}\n\
         shop.example. 60 IN MX 10 mx.shop.example.\nmx.shop.example. 60 IN A {}\n",
        on.address, shop.address
    );
    fs::write(&root, text).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let mut config = format!(
        "server:\n  ip-address: {}\n  username: root\n  zonesdir: \"\"\n  database: \"\"\n  server-count: 1\n\
         \x20 pidfile: \"{}\"\n  xfrdfile: \"{}\"\n  zonelistfile: \"{}\"\n\
         remote-control:\n  control-enable: no\n",
        on.address,
        at("nsd.pid"),
        at("nsd.xfrd"),
        at("nsd.list"),
    );
    for (name, file) in zones.iter().chain([&(".", root.as_path())]) {
        let file = file.display();
        let clause = format!("zone:\n  name: \"{name}\"\n  zonefile: \"{file}\"\n");
        config.push_str(&clause);
    }
    let path = folder.join("nsd.conf");
    fs::write(&path, config).unwrap();
    let words = ["nsd", "-d", "-c", path.to_str().unwrap()];
    on.start(&words, &folder.join("nsd.log"))
}

/// A running mail server.
pub(crate) struct Shop {
    _programs: Vec<Running>,
    machine: Machine,
    folder: PathBuf,
}

const MASTER: &str = "smtp inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

impl Shop {
    /// Postfix on port 25, which asks opendkim and opendmarc of each message.
    pub(crate) fn start(on: &Machine, names: &Machine, folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        let text = |name: &str| at(name).to_str().unwrap().to_owned();
        let resolver = names.address;
        let write = |name: &str, text: String| fs::write(at(name), text).unwrap();
        write(
            "opendkim.conf",
            format!(
                "Mode v\nSocket inet:8891@127.0.0.1\nAuthservID mx.shop.example\nSyslog no\n\
                 Nameservers {resolver}\nPidFile {}\n",
                text("opendkim.pid")
            ),
        );
        write("nobody", "192.0.2.9\n".to_owned());
        write(
            "opendmarc.conf",
            format!(
                "Socket inet:8893@127.0.0.1\nAuthservID mx.shop.example\nTrustedAuthservIDs mx.shop.example\n\
                 SPFSelfValidate true\nSPFIgnoreResults true\nSyslog false\nIgnoreHosts {}\nPidFile {}\n",
                text("nobody"),
                text("opendmarc.pid")
            ),
        );
        let programs = vec![
            on.start(
                &["opendkim", "-f", "-x", &text("opendkim.conf")],
                &at("opendkim.log"),
            ),
            on.start(
                &["opendmarc", "-f", "-c", &text("opendmarc.conf")],
                &at("opendmarc.log"),
            ),
        ];
        for name in ["postfix", "queue", "data", "mail"] {
            fs::create_dir(at(name)).unwrap();
        }
        write("postfix/main.cf", postfix(on, folder));
        write("postfix/master.cf", MASTER.to_owned());
        for (owner, name) in [("postfix", "data"), ("nobody", "mail")] {
            let given = Command::new("chown").args([owner, &text(name)]).status();
            assert!(given.unwrap().success());
        }
        let shop = Self {
            _programs: programs,
            machine: on.clone(),
            folder: folder.to_owned(),
        };
        let is_up = shop.postfix("start");
        let said = fs::read_to_string(at("start.log")).unwrap();
        assert!(is_up, "postfix: {said}");
        shop
    }

    // What it says goes to a file: its daemons would keep a pipe open.
    fn postfix(&self, verb: &str) -> bool {
        let config = self.folder.join("postfix");
        let words = ["postfix", "-c", config.to_str().unwrap(), verb];
        let log = self.folder.join(format!("{verb}.log"));
        self.machine.start(&words, &log).ended()
    }

    /// Where mail lies that arrived, a file each.
    pub(crate) fn mailbox(&self) -> PathBuf {
        self.folder.join("mail/box/new")
    }

    /// A message that arrived and has this in it, as it lies in the mailbox.
    pub(crate) fn arrived(&self, with: &str) -> Option<String> {
        let mail = fs::read_dir(self.mailbox()).ok()?;
        let mut mail = mail.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        mail.find(|text| text.contains(with))
    }
}

fn postfix(on: &Machine, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mx.shop.example
mydestination =
inet_interfaces = {}
inet_protocols = ipv4
virtual_mailbox_domains = shop.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:8893
milter_default_action = tempfail
",
        on.address
    )
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _stopped = self.postfix("stop");
    }
}
