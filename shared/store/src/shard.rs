//! Shards: into which parts the queue is cut, and the right to one of them.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_model::TenantId;

/// One of the 1,024 virtual shards of the queue. All of a tenant's rows lie in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u16);

impl Shard {
    pub const COUNT: u16 = 1024;

    /// The first 10 bits of SHA-256 over the tenant's 16 bytes. Stored in rows: never to be
    /// changed.
    pub fn of(tenant: TenantId) -> Self {
        let hash = digest(&SHA256, tenant.as_bytes());
        let first = hash.as_ref().iter().take(2);
        Self(first.fold(0, |bits, &byte| (bits << 8) | u16::from(byte)) >> 6)
    }

    /// From the number a row has; `None` from `COUNT` on.
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    pub fn number(self) -> u16 {
        self.0
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

/// How often a shard has changed hands. Rises with each taking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// The right to attempt a shard's recipients: good for as long as its owner's heartbeat is
/// young and nobody took the shard since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub shard: Shard,
    pub epoch: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_the_first_ten_bits_of_the_hash() {
        // SHA-256 of 16 zero bytes begins 37 47 08 ff.
        let tenant = TenantId::from_bytes([0; 16]);
        assert_eq!(Shard::of(tenant).number(), 0x3747 >> 6);
    }
}
