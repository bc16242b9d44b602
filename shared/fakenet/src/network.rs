//! Networks of the loopback. An internet on 127.0.0.1 shares one with others; one that must find its
//! ports free after a restart, or meet nobody who looks for a free one, takes its own.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

/// Shared by internets that have none of their own: 127.0.0.0/16 is everybody's servers'.
const SHARED: u8 = 1;
/// Those that can be taken: from 127.2.0.0/16 on.
const FIRST: u32 = 2;
const NETWORKS: u32 = 250;
/// Where a network's holder stands: at its 127.N.0.1, UDP.
const HOLDER: u16 = 10_007;

/// A network 127.N.0.0/16, in which an internet's exchangers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(u8);

impl Network {
    /// The one that this address is in.
    pub(crate) fn of(host: Ipv4Addr) -> Self {
        match host.octets() {
            [127, n, _, _] if n > 0 => Self(n),
            _ => Self(SHARED),
        }
    }

    pub(crate) fn is_shared(self) -> bool {
        self.0 == SHARED
    }

    /// Listened on for as long as an internet lives, and nobody is answered there: no two of them
    /// on one machine have the same port in the same network.
    pub(crate) fn anchor(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 0, 1)
    }

    /// The first address of an exchanger. 127.N.0.0, 127.N.255.255 and the anchor's are nobody's.
    pub(crate) fn first(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.0, 0, 2)
    }
}

/// A network that no other process on this machine takes until this is dropped: servers in it find
/// their ports free whenever they start again.
#[derive(Debug)]
pub struct OwnNetwork {
    network: Network,
    // The system takes it back however this process ends.
    _holder: UdpSocket,
}

impl OwnNetwork {
    /// Takes one. An error where all 250 are taken, or the machine has 127.0.0.1 only.
    pub fn take() -> io::Result<Self> {
        let start = std::process::id() % NETWORKS;
        let mut networks = (0..NETWORKS)
            .filter_map(|step| u8::try_from(FIRST + (start + step) % NETWORKS).ok())
            .map(Network);
        let taken = networks.find_map(|network| {
            let holder = UdpSocket::bind((network.anchor(), HOLDER)).ok()?;
            Some(Self {
                network,
                _holder: holder,
            })
        });
        taken.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Where its servers listen.
    pub fn host(&self) -> Ipv4Addr {
        self.network.anchor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_holders_until_it_is_dropped() {
        let all: Vec<_> = (0..20).map(|_| OwnNetwork::take().unwrap()).collect();
        let mut hosts: Vec<_> = all.iter().map(OwnNetwork::host).collect();
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), all.len());
        for host in hosts {
            let network = Network::of(host);
            assert!(!network.is_shared() && network.anchor() == host, "{host}");
            assert!(UdpSocket::bind((host, HOLDER)).is_err(), "{host}");
        }
    }

    #[test]
    fn servers_of_everybody_are_in_no_internets_network() {
        for (host, first) in [
            ([127, 0, 0, 1], [127, 1, 0, 2]),
            ([127, 0, 1, 1], [127, 1, 0, 2]),
            ([127, 1, 0, 1], [127, 1, 0, 2]),
            ([127, 9, 8, 7], [127, 9, 0, 2]),
        ] {
            let network = Network::of(host.into());
            assert_eq!(network.first(), Ipv4Addr::from(first), "{host:?}");
        }
    }
}
