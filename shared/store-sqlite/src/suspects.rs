//! Which addresses may be suppressed, from memory: so that mail to all others asks the database
//! nothing. Exact but for what was lifted since the start: then the database is asked in vain. With
//! one process there is nobody else to hear of.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use parking_lot::RwLock;
use postrider_model::{EmailAddress, TenantId};
use sqlx::SqliteConnection;

/// Fingerprints of (tenant, address): eight bytes each.
#[derive(Clone, Default)]
pub(crate) struct Suspects(Arc<RwLock<HashSet<u64>>>);

impl Suspects {
    /// All that stand in the database, before anything is written.
    pub(crate) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut known = HashSet::new();
        let mut rows = sqlx::query_as("SELECT tenant, folded FROM suppressions").fetch(connection);
        while let Some((tenant, folded)) = rows.try_next().await? {
            let (tenant, folded): (Vec<u8>, String) = (tenant, folded);
            known.insert(fingerprint(&tenant, &folded));
        }
        drop(rows);
        Ok(Self(Arc::new(RwLock::new(known))))
    }

    /// Inside the transaction that suppresses them: where it fails, one asks in vain.
    pub(crate) fn add<'a>(&self, rows: impl Iterator<Item = (TenantId, &'a EmailAddress)>) {
        let mut known = self.0.write();
        known.extend(
            rows.map(|(tenant, address)| {
                fingerprint(tenant.as_bytes().as_slice(), &address.folded())
            }),
        );
    }

    /// Those that the database has to be asked about.
    pub(crate) fn of(&self, tenant: TenantId, addresses: &[EmailAddress]) -> Vec<String> {
        let known = self.0.read();
        let tenant = tenant.as_bytes().as_slice();
        let folded = addresses.iter().map(EmailAddress::folded);
        folded
            .filter(|folded| known.contains(&fingerprint(tenant, folded)))
            .collect()
    }
}

fn fingerprint(tenant: &[u8], folded: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tenant, folded).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use postrider_store::conformance::fixture::address;

    use super::*;

    #[test]
    fn only_a_tenants_own_addresses_are_suspect() {
        let [a, b] = [1, 2].map(|n| TenantId::from_bytes([n; 16]));
        let suspects = Suspects::default();
        let (ann, bob) = (address("Ann@x.example"), address("bob@x.example"));
        suspects.add([(a, &ann)].into_iter());
        let asked = [bob, address("ann@x.example")];
        assert_eq!(suspects.of(a, &asked), ["ann@x.example"]);
        assert_eq!(suspects.of(b, &asked), [""; 0]);
    }
}
