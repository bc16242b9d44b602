//! Verbs about the service's signing keys.

use anyhow::bail;
use postrider_model::KeyStatus;
use serde_json::{Value, json};

use super::{Office, show};

impl Office {
    pub(super) async fn show_dkim(&self) -> anyhow::Result<Value> {
        let snapshot = self.database.directory.snapshot().await?;
        Ok(show::dkim_records(
            &snapshot,
            &self.provision.service.send_domain,
        ))
    }

    /// Makes signing keys if the configured domain has none, and writes the records to publish.
    pub async fn ensure_signing_keys(&self) -> anyhow::Result<()> {
        let snapshot = self.database.directory.snapshot().await?;
        let domain = &self.provision.service.send_domain;
        let mut known = snapshot.dkim_keys.iter();
        if !known.any(|key| key.domain == *domain && key.status == KeyStatus::Active) {
            self.provision.dkim_keys().await?;
            self.roster.refresh(&*self.database.directory).await?;
            tracing::info!(%domain, "new DKIM keys were made: publish the records of `postrider dkim show`");
        }
        self.write_records().await
    }

    pub(super) async fn add_dkim(&self) -> anyhow::Result<Value> {
        let added = self.provision.dkim_keys().await?;
        self.write_records().await?;
        Ok(added.iter().map(show::dkim_record).collect())
    }

    /// Stops signing with a key. What waits with its signature is signed anew before it leaves.
    pub(super) async fn revoke_dkim(&self, selector: &str) -> anyhow::Result<Value> {
        let directory = &self.database.directory;
        let snapshot = directory.snapshot().await?;
        let mut active = snapshot
            .dkim_keys
            .iter()
            .filter(|key| key.status == KeyStatus::Active);
        let Some(key) = active.clone().find(|key| key.selector == selector) else {
            bail!(
                "no key signs as {selector:?}: `postrider dkim show` names the selectors, before ._domainkey"
            );
        };
        let kind = (&key.domain, key.algorithm);
        if !active.any(|other| other.id != key.id && (&other.domain, other.algorithm) == kind) {
            bail!(
                "{selector} is the last {} key that signs for {}: make a new pair first, by `postrider dkim add`, and publish its records",
                key.algorithm,
                key.domain
            );
        }
        directory.revoke_dkim_key(key.id).await?;
        self.write_records().await?;
        Ok(json!({"selector": selector, "domain": key.domain, "status": KeyStatus::Revoked}))
    }

    /// Writes the DNS records to publish beside the configuration, for tools that read files.
    async fn write_records(&self) -> anyhow::Result<()> {
        let records = serde_json::to_vec_pretty(&self.show_dkim().await?)?;
        if std::fs::read(&self.records_path).is_ok_and(|there| there == records) {
            return Ok(());
        }
        crate::folder::write_atomically(&self.records_path, &records)
    }

    /// The same where another process changed the keys: what looks at this folder's file looks for
    /// them.
    pub(crate) async fn keep_records(&self) {
        if let Err(fault) = self.write_records().await {
            let path = self.records_path.display();
            let fault = format!("{fault:#}");
            tracing::warn!(%path, fault, "the records to publish cannot be written down");
        }
    }
}
