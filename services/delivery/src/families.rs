//! Which families of addresses mail leaves by: those that the outside knows this node under. Pure.

use std::net::IpAddr;

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

    pub(crate) fn has(self, ip: IpAddr) -> bool {
        if ip.is_ipv4() { self.v4 } else { self.v6 }
    }
}
