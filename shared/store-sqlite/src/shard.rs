//! Which of the 1,024 virtual shards a tenant's queue lies in.

use aws_lc_rs::digest::{SHA256, digest};
use postrider_model::TenantId;

/// The first 10 bits of SHA-256 over the tenant's 16 bytes. Stored in rows: never to be changed.
pub(crate) fn of(tenant: TenantId) -> u16 {
    let hash = digest(&SHA256, tenant.as_bytes());
    let first = hash.as_ref().iter().take(2);
    first.fold(0, |bits, &byte| (bits << 8) | u16::from(byte)) >> 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_the_first_ten_bits_of_the_hash() {
        // SHA-256 of 16 zero bytes begins 37 47 08 ff.
        let tenant = TenantId::from_bytes([0; 16]);
        assert_eq!(of(tenant), 0x3747 >> 6);
    }
}
