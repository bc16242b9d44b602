//! The authority that certificates are had from: Debian's pebble, where the name server is. It asks on
//! port 80, as those of the internet do, and everybody's machine trusts it.

use std::path::{Path, PathBuf};

use postrider_tls::{KeyKind, self_signed};
use serde_json::json;

use super::network::{Machine, Running};
use crate::harness::until;

/// A running one.
pub(crate) struct Authority {
    machine: Machine,
    /// Its files.
    folder: PathBuf,
    _running: Running,
}

impl Authority {
    /// Returns when it answers. What it signs is trusted by `trusted` from then on.
    pub(crate) async fn start(machine: &Machine, folder: &Path, trusted: &Path) -> Self {
        let own = self_signed(&[machine.address.to_string()], KeyKind::Ecdsa).unwrap();
        std::fs::write(folder.join("own.pem"), &own.certificate_pem).unwrap();
        std::fs::write(folder.join("own-key.pem"), &own.key_pem).unwrap();
        let config = json!({"pebble": {
            "listenAddress": format!("{}:14000", machine.address),
            "managementListenAddress": format!("{}:15000", machine.address),
            "certificate": folder.join("own.pem"),
            "privateKey": folder.join("own-key.pem"),
            "httpPort": 80,
            "tlsPort": 443,
        }});
        let file = folder.join("pebble.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let (file, dns) = (file.to_str().unwrap(), format!("{}:53", machine.address));
        let words = [
            "env",
            "PEBBLE_VA_NOSLEEP=1",
            "pebble",
            "-config",
            file,
            "-dnsserver",
            &dns,
        ];
        let authority = Self {
            machine: machine.clone(),
            folder: folder.to_owned(),
            _running: machine.start(&words, &folder.join("pebble.log")),
        };
        let root = until("the authority", async || authority.root()).await;
        std::fs::write(trusted, root).unwrap();
        authority
    }

    fn root(&self) -> Option<Vec<u8>> {
        let (own, address) = (self.folder.join("own.pem"), self.machine.address);
        let url = format!("https://{address}:15000/roots/0");
        let curl = [
            "curl",
            "--silent",
            "--fail",
            "--cacert",
            own.to_str()?,
            &url,
        ];
        let done = self.machine.run(&curl);
        done.status.success().then_some(done.stdout)
    }

    /// What `init` has to know of it, after `--acme`.
    pub(crate) fn words(&self) -> String {
        let (own, address) = (self.folder.join("own.pem"), self.machine.address);
        let root = own.display();
        format!("--acme-directory https://{address}:14000/dir --acme-root {root}")
    }
}
