//! Which addresses may be dialled at all. Pure.
//!
//! MX records are written by whoever owns a domain, so they may point into our own network.
//! Every address is checked here, and the checked address is the one that is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::families::Families;

/// What no public mail exchanger has: the registries of RFC 6890 as of 2026, multicast,
/// documentation, and the deprecated forms that hide an IPv4 address.
const NOT_GLOBAL_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),           // RFC 791 §3.2: this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // RFC 1918 §3: private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // RFC 6598 §7: shared behind carriers
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // RFC 1122 §3.2.1.3: loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // RFC 3927 §2: link local, clouds' metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // RFC 1918 §3
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // RFC 6890 §2.1: protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // RFC 5737 §3: documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // RFC 7526 §4: 6to4 relays, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // RFC 1918 §3
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // RFC 2544: benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // RFC 5737 §3
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // RFC 5737 §3
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // RFC 5771: multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // RFC 1112 §4: reserved, broadcast
];

const NOT_GLOBAL_V6: &[(Ipv6Addr, u8)] = &[
    // RFC 4291 §2.5.2, §2.5.3, §2.5.5.1: unspecified, loopback, IPv4-compatible (deprecated).
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), // RFC 4291 §2.5.5.2: IPv4-mapped
    (NAT64, 96),                                      // RFC 6052 §2.1: NAT64
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48), // RFC 8215: local NAT64
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),  // RFC 6666: discard
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // RFC 2928: protocol assignments, Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // RFC 3849 §2: documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // RFC 3056 §2: 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // RFC 9637: documentation
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16), // RFC 9602: segment routing
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),  // RFC 4193 §3.1: unique local
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), // RFC 4291 §2.5.6: link local
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10), // RFC 3879 §4: site local, deprecated
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),  // RFC 4291 §2.7: multicast
];

const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// Decides on each address before it is dialled.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    allow: Vec<Network>,
    own: Vec<IpAddr>,
    families: Families,
}

impl Filter {
    /// `allow` opens networks that are closed otherwise (tests, closed networks); `own` are the
    /// addresses of this relay, closed whatever else is said: mail to them is a loop.
    pub(crate) fn new(allow: Vec<Network>, own: Vec<IpAddr>) -> Self {
        let families = Families::BOTH;
        Self {
            allow,
            own,
            families,
        }
    }

    /// By these families alone: from another the others would see an address that they do not
    /// know us by.
    pub(crate) fn within(self, families: Families) -> Self {
        Self { families, ..self }
    }

    /// True where only its family keeps this address from being dialled.
    pub(crate) fn is_of_another_family(&self, ip: IpAddr) -> bool {
        !self.families.has(ip) && self.is_open(ip)
    }

    /// True where the address may be dialled. One that carries an IPv4 address must be open in
    /// both of its forms.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.families.has(ip) && self.is_open(ip)
    }

    fn is_open(&self, ip: IpAddr) -> bool {
        let open = self.allow.iter().any(|network| network.contains(ip)) || is_public(ip);
        open && !self.own.contains(&ip)
            && hidden_v4(ip).is_none_or(|v4| self.is_open(IpAddr::V4(v4)))
    }
}

pub fn is_public(ip: IpAddr) -> bool {
    let within = |(network, length): (IpAddr, u8)| Network { network, length }.contains(ip);
    let v4 = NOT_GLOBAL_V4
        .iter()
        .map(|(ip, length)| ((*ip).into(), *length));
    let v6 = NOT_GLOBAL_V6
        .iter()
        .map(|(ip, length)| ((*ip).into(), *length));
    !v4.chain(v6).any(within)
}

/// The IPv4 address that an IPv6 one leads to: mapped and compatible (RFC 4291 §2.5.5), NAT64
/// (RFC 6052 §2.2), 6to4 (RFC 3056 §2).
fn hidden_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = ip else { return None };
    let [.., a, b, c, d] = v6.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    match v6.segments() {
        // RFC 4291 §2.5.2, §2.5.3: these two carry nothing.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(
            (u32::from(high) << 16) | u32::from(low),
        )),
        _ => None,
    }
}

/// A range of addresses, written `127.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    // Invariant: no bit is set past `length`, which fits the family.
    network: IpAddr,
    length: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("not a network such as 127.0.0.0/8 or fd00::/8: {0:?}")]
    Syntax(String),
    #[error("the network {0} has bits set past its length, {1} is meant perhaps")]
    HostBits(String, Network),
}

impl Network {
    pub fn is_ipv4(&self) -> bool {
        self.network.is_ipv4()
    }

    /// True where the address lies in it. Families never mix.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.network.is_ipv4() && masked(ip, self.length) == self.network
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `network/length`; an address alone is a network of one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError::Syntax(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
        };
        if length > most {
            return Err(wrong());
        }
        let network = Self {
            network: masked(address, length),
            length,
        };
        if network.network == address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits(text.to_owned(), network))
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

/// The address with nothing left past its first `length` bits.
fn masked(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let past = 32_u32.saturating_sub(length.into());
            Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(past).unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            let past = 128_u32.saturating_sub(length.into());
            Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(past).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests;
