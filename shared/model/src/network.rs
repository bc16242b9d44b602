//! Networks that a key may be used from: an address and how many of its bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation: `203.0.113.0/24`, `2001:db8::/32`; one address is `/32` or `/128`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    // Invariant: the bits behind `prefix` are zero, `prefix` is at most 32 or 128; never an
    // IPv4-mapped IPv6 address.
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("it is not an IP address")]
    Address,
    #[error("the length of its prefix is not a number of bits of such an address")]
    Prefix,
}

/// What counts as one client where clients are counted: an IPv4 address, or the /64 that one site
/// has at least (RFC 6177 §2), by its first address.
pub fn site_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

impl Network {
    /// Takes `203.0.113.7` and `203.0.113.7/24`, of which it keeps `203.0.113.0/24`.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let address = given.to_canonical();
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let bits: u8 = digits.parse().map_err(|_| NetworkError::Prefix)?;
                // Of a mapped address the prefix was counted from the beginning of all 128 bits.
                let mapped = u8::from(given.is_ipv6() && address.is_ipv4()) * 96;
                bits.checked_sub(mapped).ok_or(NetworkError::Prefix)?
            }
            Some(_) => return Err(NetworkError::Prefix),
        };
        if prefix > most {
            return Err(NetworkError::Prefix);
        }
        Ok(Self {
            address: masked(address, prefix),
            prefix,
        })
    }

    /// Whether the address is one of the network's. An IPv4-mapped IPv6 address, as sockets for
    /// both families show it, is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let behind = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & !behind).into()
        }
        IpAddr::V6(v6) => {
            let behind = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & !behind).into()
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::parse(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({self})")
    }
}

impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_an_address_or_the_64_bits_before_it() {
        for (given, want) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1:2::3", "2001:db8:0:1::"),
        ] {
            let site = site_of(given.parse().unwrap());
            assert_eq!(site.to_string(), want, "{given}");
        }
    }

    #[test]
    fn a_network_is_read_and_printed_in_one_form() {
        for (given, want) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("255.255.255.255/1", "128.0.0.0/1"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("2001:db8:ffff::/33", "2001:db8:8000::/33"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
        ] {
            let network = Network::parse(given).unwrap();
            assert_eq!(network.to_string(), want, "{given}");
            assert_eq!(Network::parse(want), Ok(network), "{given}");
        }
        for (given, want) in [
            ("", NetworkError::Address),
            ("office", NetworkError::Address),
            ("203.0.113/24", NetworkError::Address),
            ("203.0.113.0/33", NetworkError::Prefix),
            ("203.0.113.0/", NetworkError::Prefix),
            ("203.0.113.0/+8", NetworkError::Prefix),
            ("203.0.113.0/255.255.255.0", NetworkError::Prefix),
            ("::/129", NetworkError::Prefix),
            ("::ffff:192.0.2.9/24", NetworkError::Prefix),
        ] {
            assert_eq!(Network::parse(given), Err(want), "{given}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        for (network, address, want) in [
            ("203.0.113.0/24", "203.0.113.255", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.0/24", "::ffff:203.0.113.9", true),
            ("203.0.113.0/24", "2001:db8::1", false),
            ("0.0.0.0/0", "198.51.100.1", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
        ] {
            let contains = Network::parse(network)
                .unwrap()
                .contains(address.parse().unwrap());
            assert_eq!(contains, want, "{address} in {network}");
        }
    }
}
