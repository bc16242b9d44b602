//! Machines on one wire, as network namespaces that this test makes and removes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::scene::POSTRIDER;
use crate::harness::unique;

/// One machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    namespace: String,
    /// Authorities that its browsers trust.
    pub(crate) trusted: PathBuf,
    pub(crate) address: Ipv4Addr,
}

/// All of them, and the bridge between them.
pub(crate) struct Network {
    bridge: String,
    pub(crate) relay: Machine,
    pub(crate) names: Machine,
    pub(crate) shop: Machine,
}

fn ip(words: &[&str]) {
    let done = Command::new("ip").args(words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words:?}: {said}");
}

/// Whether machines can be made here: root in a container may not be allowed to.
pub(crate) fn may_build() -> bool {
    let name = unique();
    let done = |verb| Command::new("ip").args(["netns", verb, &name]).output();
    let is_good = |output: std::io::Result<Output>| output.is_ok_and(|done| done.status.success());
    is_good(done("add")) && is_good(done("del"))
}

impl Network {
    /// Everybody trusts the authorities in this file, once it is there.
    pub(crate) fn new(trusted: &Path) -> Self {
        let word = unique();
        let machine = |name: &str, last| Machine {
            namespace: format!("{word}-{name}"),
            trusted: trusted.to_owned(),
            address: Ipv4Addr::new(10, 77, 0, last),
        };
        let network = Self {
            bridge: format!("{word}-lan"),
            relay: machine("relay", 1),
            names: machine("names", 3),
            shop: machine("shop", 7),
        };
        network.build();
        network
    }

    fn machines(&self) -> [&Machine; 3] {
        [&self.relay, &self.names, &self.shop]
    }

    fn build(&self) {
        let lan = self.bridge.as_str();
        ip(&["netns", "add", lan]);
        ip(&["-n", lan, "link", "add", "wire", "type", "bridge"]);
        ip(&["-n", lan, "link", "set", "wire", "up"]);
        for (n, machine) in self.machines().into_iter().enumerate() {
            let space = machine.namespace.as_str();
            let port = format!("port{n}");
            ip(&["netns", "add", space]);
            let pair = ["type", "veth", "peer", "name", &port, "netns", lan];
            ip(&[&["-n", space, "link", "add", "eth0"][..], &pair].concat());
            ip(&["-n", lan, "link", "set", &port, "master", "wire", "up"]);
            let address = format!("{}/24", machine.address);
            ip(&["-n", space, "addr", "add", &address, "dev", "eth0"]);
            ip(&["-n", space, "link", "set", "eth0", "up"]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
            // `ip netns exec` puts it over /etc/resolv.conf.
            let etc = format!("/etc/netns/{space}");
            std::fs::create_dir_all(&etc).unwrap();
            let line = format!("nameserver {}\n", self.names.address);
            std::fs::write(format!("{etc}/resolv.conf"), line).unwrap();
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let spaces = self.machines().map(|machine| machine.namespace.clone());
        for space in spaces.iter().chain([&self.bridge]) {
            let _gone = Command::new("ip").args(["netns", "del", space]).status();
            let _gone = std::fs::remove_dir_all(format!("/etc/netns/{space}"));
        }
    }
}

impl Machine {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).args(words);
        let installed = Path::new(POSTRIDER).parent().unwrap().display();
        command.env("PATH", format!("{installed}:/usr/sbin:/usr/bin:/sbin:/bin"));
        command.env("CURL_CA_BUNDLE", &self.trusted);
        command.stdin(Stdio::null());
        command
    }

    /// What a person types to sit down at it.
    pub(crate) fn entrance(&self) -> String {
        let installed = Path::new(POSTRIDER).parent().unwrap().display();
        format!(
            "ip netns exec {} env PATH={installed}:$PATH CURL_CA_BUNDLE={} bash",
            self.namespace,
            self.trusted.display()
        )
    }

    /// Runs a command on it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Types these lines into a shell on it, in this folder, where `postrider` is installed. The
    /// first that fails ends it.
    pub(crate) fn typed(&self, lines: &str, at: &Path) -> Output {
        let mut command = self.command(&["bash", "-euo", "pipefail", "-c", lines]);
        command.current_dir(at).output().unwrap()
    }

    /// Starts a program on it; what it says goes to this file.
    pub(crate) fn start(&self, words: &[&str], log: &Path) -> Running {
        let file = std::fs::File::create(log).unwrap();
        let mut command = self.command(words);
        command.stdout(file.try_clone().unwrap()).stderr(file);
        // `ip netns exec` becomes the program, so that its id is the program's.
        Running(command.spawn().unwrap())
    }
}

/// A program that ends with this value.
pub(crate) struct Running(Child);

impl Running {
    /// `Some` once it has.
    pub(crate) fn has_ended(&mut self) -> Option<()> {
        self.0.try_wait().unwrap().map(|_| ())
    }

    /// Waits for its end; whether that was a good one.
    pub(crate) fn ended(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(&mut self) {
        if self.0.try_wait().unwrap().is_some() {
            return;
        }
        let id = self.0.id().to_string();
        let _asked = Command::new("kill").arg(&id).status();
        let _ended = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
