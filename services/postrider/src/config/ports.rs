//! Where a relay listens and who comes in there: what a firewall has to know.

use std::net::{IpAddr, SocketAddr};

use anyhow::bail;

use super::Config;

/// Its addresses alone are waited for.
const ACME: &str = "acme.listen";

/// One address that `serve` listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listens {
    /// What names it in the configuration.
    pub key: &'static str,
    pub address: SocketAddr,
    /// What comes in there, in words.
    pub what: &'static str,
}

impl Config {
    /// Every address that a process with all roles listens on, in the order of the ports.
    pub fn listens(&self) -> Vec<Listens> {
        let smtp: Vec<_> = self.smtp.listen.iter().map(|port| port.address).collect();
        let (inbound, acme) = (&self.inbound, &self.acme);
        let authority = "the authority that gives certificates";
        let (admin, metrics) = (&[self.admin.listen], &[self.metrics.listen]);
        let doors: [(bool, _, &[SocketAddr], _); 6] = [
            (
                inbound.enabled,
                "inbound.listen",
                &inbound.listen,
                "other mail servers",
            ),
            (acme.is_on(), ACME, &acme.listen, authority),
            (true, "http.listen", &self.http.listen, "HTTP"),
            (self.smtp.enabled, "smtp.listen", &smtp, "SMTP"),
            (self.admin.enabled, "admin.listen", admin, "the admin API"),
            (true, "metrics.listen", metrics, "metrics"),
        ];
        let open = doors.into_iter().filter(|(is_on, ..)| *is_on);
        let mut all: Vec<_> = open
            .flat_map(|(_, key, listen, what)| {
                let listen = listen.iter();
                listen.map(move |address| Listens {
                    key,
                    address: *address,
                    what,
                })
            })
            .collect();
        all.sort_by_key(|one| one.address.port());
        all
    }

    /// Refuses an address of `acme.listen` that we have another socket on. Any other door says so at
    /// the start; this one is waited for, and no certificate would come.
    pub(super) fn check_acme_alone(&self) -> anyhow::Result<()> {
        let all = self.listens();
        for (at, one) in all.iter().enumerate() {
            let mut rest = all.iter().skip(at + 1);
            let taken = rest.find(|other| {
                (one.key == ACME || other.key == ACME) && is_one_socket(one.address, other.address)
            });
            if let Some(other) = taken {
                bail!(
                    "{} has {} and {} has {}: only one of them can open, since [::] takes every address of its port and 0.0.0.0 all of IPv4; leave one out, or give it another port",
                    one.key,
                    one.address,
                    other.key,
                    other.address
                );
            }
        }
        Ok(())
    }
}

/// Whether what listens on one of them takes the other as well. Port 0 is another at each start.
fn is_one_socket(one: SocketAddr, other: SocketAddr) -> bool {
    // Linux takes IPv4 by [::], as long as nobody has set bindv6only.
    let takes =
        |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    let (port, (a, b)) = (one.port(), (one.ip(), other.ip()));
    port != 0 && port == other.port() && (a == b || takes(a, b) || takes(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_one_socket_takes_are_known() {
        for (one, other, want) in [
            ("[::]:80", "0.0.0.0:80", true),
            ("[::]:80", "[::]:80", true),
            ("[::]:80", "192.0.2.1:80", true),
            ("[::]:80", "[2001:db8::1]:80", true),
            ("0.0.0.0:80", "192.0.2.1:80", true),
            ("0.0.0.0:80", "[2001:db8::1]:80", false),
            ("192.0.2.1:80", "192.0.2.2:80", false),
            ("[::]:80", "0.0.0.0:443", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(is_one_socket(a, b), want, "{one} {other}");
            assert_eq!(is_one_socket(b, a), want, "{other} {one}");
        }
    }
}
