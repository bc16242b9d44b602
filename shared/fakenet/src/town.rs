//! Who lives where: each exchanger name has its own address out of the network, by hash, so that
//! it is the same at every start; listeners are made on first use.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use crate::exchanger::{Exchanger, Ground};
use crate::network::Network;
use crate::script::Script;

const ADDRESSES: u32 = 0xfffd;

/// How many addresses are tried when something else listens there.
const TRIES: usize = 8;

pub(crate) struct Town {
    network: Network,
    port: u16,
    addresses: HashMap<String, Ipv4Addr>,
    taken: HashSet<Ipv4Addr>,
    exchangers: HashMap<String, Exchanger>,
}

impl Town {
    pub(crate) fn new(network: Network, port: u16) -> Self {
        Self {
            network,
            port,
            addresses: HashMap::new(),
            taken: HashSet::new(),
            exchangers: HashMap::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The exchanger of this name, if it was made.
    pub(crate) fn find(&self, host: &str) -> Option<&Exchanger> {
        self.exchangers.get(host)
    }

    /// The exchanger of this name; made with this script if it was not.
    pub(crate) fn settle(
        &mut self,
        host: &str,
        script: Script,
        ground: &Arc<Ground>,
    ) -> io::Result<Exchanger> {
        if let Some(exchanger) = self.exchangers.get(host) {
            return Ok(exchanger.clone());
        }
        let exchanger = Exchanger::open(host, self.listener(host)?, script, ground)?;
        self.exchangers.insert(host.to_owned(), exchanger.clone());
        Ok(exchanger)
    }

    /// An address of this name's own; nobody listens there until `settle`.
    pub(crate) fn address(&mut self, host: &str) -> io::Result<Ipv4Addr> {
        if let Some(known) = self.addresses.get(host) {
            return Ok(*known);
        }
        let free = places(self.network, host).find(|place| !self.taken.contains(place));
        let free = free.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.taken.insert(free);
        self.addresses.insert(host.to_owned(), free);
        Ok(free)
    }

    fn listener(&mut self, host: &str) -> io::Result<TcpListener> {
        let mut bound = Err(io::ErrorKind::AddrNotAvailable.into());
        for _ in 0..TRIES {
            let address = self.address(host)?;
            bound = TcpListener::bind(SocketAddr::from((address, self.port)));
            match &bound {
                // Its address stays taken: somebody else is there.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    self.addresses.remove(host);
                }
                _ => break,
            }
        }
        bound
    }
}

// All addresses, beginning with the name's own.
fn places(network: Network, host: &str) -> impl Iterator<Item = Ipv4Addr> {
    let first = network.first().to_bits();
    let start = fnv1a(host.as_bytes()) % ADDRESSES;
    (0..ADDRESSES).map(move |step| Ipv4Addr::from_bits(first + (start + step) % ADDRESSES))
}

// Fowler–Noll–Vo 1a, 32 bit: small, and the same in every release, unlike std's.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_an_own_address_that_stays_the_same() {
        let network = Network::of(Ipv4Addr::LOCALHOST);
        let (mut town, mut again) = (Town::new(network, 25), Town::new(network, 25));
        let mut seen = HashSet::new();
        for n in 0..2_000 {
            let host = format!("mx.domain{n}.example");
            let address = town.address(&host).unwrap();
            assert!(seen.insert(address), "{address} twice");
            assert_eq!(address.octets()[..2], [127, 1]);
            assert!(!matches!(address.octets()[2..], [0, 0 | 1] | [255, 255]));
            assert_eq!(again.address(&host).unwrap(), address);
            assert_eq!(town.address(&host).unwrap(), address);
        }
    }

    #[test]
    fn the_places_are_all_different_and_end() {
        let network = Network::of(Ipv4Addr::new(127, 9, 0, 1));
        let all: HashSet<_> = places(network, "mx.example.org").collect();
        assert_eq!(all.len(), ADDRESSES as usize);
        for nobodys in [[127, 9, 0, 0], [127, 9, 0, 1], [127, 9, 255, 255]] {
            assert!(!all.contains(&Ipv4Addr::from(nobodys)), "{nobodys:?}");
        }
        assert!(all.iter().all(|place| place.octets()[1] == 9));
    }
}
