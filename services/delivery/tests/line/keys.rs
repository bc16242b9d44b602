//! Keys that mail is signed with, as delivery knows of them.

use postrider_model::{DkimAlgorithm, DkimKey, DkimKeyId, KeyStatus};
use postrider_runtime::Rng;
use postrider_store::Directory;
use postrider_store::conformance::fixture;

use crate::place::Place;

impl Place {
    /// Keys with these selectors for the domain that all tenants write from.
    pub(crate) async fn add_keys<const N: usize>(&self, selectors: [&str; N]) -> [DkimKeyId; N] {
        let domain = fixture::new_tenant().tenant.from.domain().clone();
        let keys = selectors.map(|selector| DkimKey {
            id: DkimKeyId::new(self.clock.now(), Rng::system().bytes()),
            domain: domain.clone(),
            selector: selector.to_owned(),
            algorithm: DkimAlgorithm::Ed25519Sha256,
            record: "v=DKIM1; k=ed25519; p=AAAA".to_owned(),
            sealed_private_key: vec![1],
            status: KeyStatus::Active,
            created_at: self.clock.now(),
        });
        let ids = keys.each_ref().map(|key| key.id);
        self.store.add_dkim_keys(keys.to_vec()).await.unwrap();
        self.roster.refresh(&self.store).await.unwrap();
        ids
    }

    pub(crate) async fn revoke(&self, key: DkimKeyId) {
        self.store.revoke_dkim_key(key).await.unwrap();
        self.roster.refresh(&self.store).await.unwrap();
    }
}
