//! Where a relay listens and who comes in there: what a firewall has to know.

use std::net::SocketAddr;

use super::Config;

/// One address that `serve` listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listens {
    pub address: SocketAddr,
    /// What comes in there, in words.
    pub what: &'static str,
}

impl Config {
    /// Every address that a process with all roles listens on, in the order of the ports.
    pub fn listens(&self) -> Vec<Listens> {
        let smtp: Vec<_> = self.smtp.listen.iter().map(|port| port.address).collect();
        let doors: [(bool, &[SocketAddr], _); 6] = [
            (
                self.inbound.enabled,
                &self.inbound.listen,
                "other mail servers",
            ),
            (
                self.acme.is_on(),
                &self.acme.listen,
                "the authority that gives certificates",
            ),
            (true, &self.http.listen, "HTTP"),
            (self.smtp.enabled, &smtp, "SMTP"),
            (self.admin.enabled, &[self.admin.listen], "the admin API"),
            (true, &[self.metrics.listen], "metrics"),
        ];
        let open = doors.into_iter().filter(|(is_on, ..)| *is_on);
        let mut all: Vec<_> = open
            .flat_map(|(_, listen, what)| {
                let listen = listen.iter();
                listen.map(move |address| Listens {
                    address: *address,
                    what,
                })
            })
            .collect();
        all.sort_by_key(|one| one.address.port());
        all
    }
}
