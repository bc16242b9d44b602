//! Names that are made of other names and of addresses.

use std::net::IpAddr;

use postrider_model::Domain;

/// Where an address's PTR record stands (RFC 1035 §3.5, RFC 3596 §2.5), without a dot at its end.
pub(crate) fn reverse(address: IpAddr) -> String {
    format!("{}.{}", reversed(address), suffix(address))
}

/// An address as DNS lists name it below their own zone (RFC 5782 §2.1 and §2.4).
pub(crate) fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev();
            let digits = digits.flat_map(|byte| [byte & 0xf, byte >> 4]);
            let digits: Vec<_> = digits.map(|digit| format!("{digit:x}")).collect();
            digits.join(".")
        }
    }
}

fn suffix(address: IpAddr) -> &'static str {
    if address.is_ipv4() {
        "in-addr.arpa"
    } else {
        "ip6.arpa"
    }
}

/// Below a country's domain, what anybody may register under, in most countries that have it.
const SECOND_LEVEL: &[&str] = &[
    "ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ne", "net", "or", "org",
];

/// The longest name that all of these are at or below; `None` where that is nobody's own: a
/// top-level domain, or one like `co.uk`.
pub(super) fn common(domains: &[&Domain]) -> Option<String> {
    let mut labels = domains.iter().map(|domain| {
        let mut labels: Vec<_> = domain.as_str().split('.').collect();
        labels.reverse();
        labels
    });
    let first = labels.next()?;
    let shared = labels.fold(first, |shared, other| {
        let same = shared.iter().zip(&other).take_while(|(a, b)| a == b);
        same.map(|(label, _)| *label).collect()
    });
    let name = shared.into_iter().rev().collect::<Vec<_>>().join(".");
    is_ones_own(&name).then_some(name)
}

fn is_ones_own(name: &str) -> bool {
    match name.split_once('.') {
        Some((second, country)) => country.len() != 2 || !SECOND_LEVEL.contains(&second),
        None => false,
    }
}
