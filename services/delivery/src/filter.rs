//! Which addresses may be dialled at all. Pure.
//!
//! MX records are written by whoever owns a domain, so they may point into our own network.
//! Every address is checked here, and the checked address is the one that is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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

/// Which families of addresses mail may leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    pub v4: bool,
    pub v6: bool,
}

impl Families {
    pub const BOTH: Self = Self { v4: true, v6: true };

    /// Those of the addresses that others know this node by; both where none is named.
    pub fn of(addresses: &[IpAddr]) -> Self {
        if addresses.is_empty() {
            return Self::BOTH;
        }
        let v4 = |ip: &IpAddr| ip.to_canonical().is_ipv4();
        Self {
            v4: addresses.iter().any(v4),
            v6: !addresses.iter().all(v4),
        }
    }

    fn has(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }
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
mod tests {
    use super::*;

    fn plain() -> Filter {
        Filter::new(Vec::new(), Vec::new())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of every range")]
    fn every_closed_range_is_closed_from_its_first_to_its_last_address() {
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            (
                "100.63.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "100.128.0.0",
            ),
            (
                "126.255.255.255",
                "127.0.0.0",
                "127.255.255.255",
                "128.0.0.0",
            ),
            (
                "169.253.255.255",
                "169.254.0.0",
                "169.254.255.255",
                "169.255.0.0",
            ),
            (
                "172.15.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "172.32.0.0",
            ),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            (
                "192.88.98.255",
                "192.88.99.0",
                "192.88.99.255",
                "192.88.100.0",
            ),
            (
                "192.167.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "192.169.0.0",
            ),
            (
                "198.17.255.255",
                "198.18.0.0",
                "198.19.255.255",
                "198.20.0.0",
            ),
            (
                "198.51.99.255",
                "198.51.100.0",
                "198.51.100.255",
                "198.51.101.0",
            ),
            (
                "203.0.112.255",
                "203.0.113.0",
                "203.0.113.255",
                "203.0.114.0",
            ),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
            ("", "240.0.0.0", "255.255.255.255", ""),
            ("", "::", "::ffff:ffff", "::1:0:0"),
            (
                "::fffe:ffff:ffff",
                "::ffff:0.0.0.0",
                "::ffff:255.255.255.255",
                "::1:0:0:0",
            ),
            (
                "64:ff9a:ffff::",
                "64:ff9b::",
                "64:ff9b::ffff:ffff",
                "64:ff9b::1:0:0",
            ),
            (
                "64:ff9b:0:ffff::",
                "64:ff9b:1::",
                "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
                "64:ff9b:2::",
            ),
            (
                "ff:ffff::",
                "100::",
                "100::ffff:ffff:ffff:ffff",
                "100:0:0:1::",
            ),
            ("2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"),
            (
                "2001:db7:ffff::",
                "2001:db8::",
                "2001:db8:ffff::ffff",
                "2001:db9::",
            ),
            ("2001:ffff::", "2002::", "2002:ffff:ffff::", "2003::"),
            ("3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"),
            ("5eff:ffff::", "5f00::", "5f00:ffff::", "5f01::"),
            ("fbff:ffff::", "fc00::", "fdff:ffff::ffff", "fe00::"),
            ("fe7f:ffff::", "fe80::", "febf:ffff::ffff", ""),
            ("", "fec0::", "feff:ffff::ffff", ""),
            ("", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
        ] {
            for closed in [first, last] {
                assert!(!plain().allows(closed.parse().unwrap()), "{closed}");
            }
            for open in [before, after].iter().filter(|ip| !ip.is_empty()) {
                assert!(plain().allows(open.parse().unwrap()), "{open}");
            }
        }
    }

    #[test]
    fn an_allowed_network_opens_itself_and_nothing_that_hides_in_it() {
        let allow = ["127.0.0.0/8", "64:ff9b::/96", "2002::/16"];
        let allow = allow.map(|text| text.parse().unwrap()).to_vec();
        let filter = Filter::new(allow, vec!["127.0.0.9".parse().unwrap()]);
        for (ip, want) in [
            ("127.1.2.3", true),
            ("127.0.0.9", false),        // our own
            ("::ffff:127.1.2.3", false), // the mapped form was not opened
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::127.1.2.3", true),
            ("64:ff9b::127.0.0.9", false), // our own, behind NAT64
            ("64:ff9b::10.0.0.1", false),
            ("2002:0a00:0001::1", false),
            ("2002:0808:0808::1", true),
            ("10.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(filter.allows(ip.parse().unwrap()), want, "{ip}");
        }
    }

    #[test]
    fn networks_are_read_as_they_are_written() {
        for (given, want) in [
            ("127.0.0.0/8", "127.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("FD00::/8", "fd00::/8"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(given.parse::<Network>().unwrap().to_string(), want);
        }
        for wrong in [
            "",
            "x",
            "127.0.0.0/",
            "127.0.0.0/33",
            "127.0.0.0/+8",
            "::/129",
            "1.2.3/8",
        ] {
            assert_eq!(
                wrong.parse::<Network>(),
                Err(NetworkError::Syntax(wrong.to_owned()))
            );
        }
        assert_eq!(
            "127.0.0.1/8".parse::<Network>().unwrap_err().to_string(),
            "the network 127.0.0.1/8 has bits set past its length, 127.0.0.0/8 is meant perhaps"
        );
    }

    proptest::proptest! {
        #[test]
        fn a_network_is_read_back_as_it_is_printed(bits: u128, length in 0_u8..=128) {
            let network = masked(Ipv6Addr::from_bits(bits).into(), length);
            let text = format!("{network}/{length}");
            proptest::prop_assert_eq!(text.parse::<Network>(), Ok(Network { network, length }));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[0-9a-f:./]{0,24}") {
            let _read = text.parse::<Network>();
        }
    }

    #[test]
    fn what_is_of_a_family_that_nobody_knows_us_by_is_not_dialled() {
        let parsed = |text: &str| text.parse::<IpAddr>().unwrap();
        let (v4, v6, private) = ("198.41.0.4", "2001:500:1::53", "10.0.0.1");
        let named = |all: &[&str]| {
            let all: Vec<_> = all.iter().map(|one| parsed(one)).collect();
            Filter::new(Vec::new(), Vec::new()).within(Families::of(&all))
        };
        for (egress, opens, other) in [
            (&[][..], vec![v4, v6], vec![]),
            (&["192.0.2.1"], vec![v4], vec![v6]),
            (&["2001:db8::1"], vec![v6], vec![v4]),
            (&["192.0.2.1", "2001:db8::1"], vec![v4, v6], vec![]),
        ] {
            let filter = named(egress);
            for ip in [v4, v6, private] {
                assert_eq!(filter.allows(parsed(ip)), opens.contains(&ip), "{ip}");
                let is_other = filter.is_of_another_family(parsed(ip));
                assert_eq!(is_other, other.contains(&ip), "{ip}");
            }
        }
    }
}
