//! Verbs about reply addresses.

use anyhow::bail;
use postrider_model::{EmailAddress, ReplyStatus};
use serde_json::{Value, json};

use super::{Office, show};

impl Office {
    pub(super) async fn list_reply_to(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        Ok(show::reply_addresses(&tenant, &snapshot).into())
    }

    pub(super) async fn add_reply_to(
        &self,
        tenant: &str,
        address: EmailAddress,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let new = self
            .provision
            .reply_address(tenant.id, address, ReplyStatus::Unconfirmed)
            .await?;
        Ok(show::reply_address(&new))
    }

    pub(super) async fn confirm(
        &self,
        tenant: &str,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let now = self.provision.clock.now();
        self.database
            .directory
            .set_reply_status(tenant.id, address, ReplyStatus::Confirmed, now)
            .await?;
        Ok(json!({"address": address, "status": ReplyStatus::Confirmed}))
    }

    pub(super) async fn remove(
        &self,
        tenant: &str,
        address: &EmailAddress,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        if tenant.reply_to == *address {
            bail!(
                "{address} is where replies to {} go by default; it stays",
                tenant.slug
            );
        }
        self.database
            .directory
            .remove_reply_address(tenant.id, address)
            .await?;
        Ok(json!({"address": address, "status": "removed"}))
    }
}
