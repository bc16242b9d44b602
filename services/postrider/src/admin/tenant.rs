//! Verbs about tenants: their reply addresses, keys and limits; and mail sent in their name.

use anyhow::{Context, bail};
use postrider_gate::{Door, Submission, TenantDefaults};
use postrider_message::{Draft, compose};
use postrider_model::{EmailAddress, Mailbox, ReplyStatus, Stream, Tenant, TenantStatus};
use serde_json::{Value, json};

use super::{NewLimits, Office, show};

impl Office {
    pub(super) async fn add_tenant(
        &self,
        name: &str,
        reply_to: EmailAddress,
    ) -> anyhow::Result<Value> {
        let defaults = TenantDefaults {
            limits: self.tenant_limits,
        };
        let made = self.provision.tenant(name, reply_to, defaults).await?;
        Ok(json!({
            "id": made.tenant.id,
            "name": made.tenant.name,
            "slug": made.tenant.slug,
            "from": made.tenant.from,
            "reply_to": made.tenant.reply_to,
            "api_key": made.token.expose(),
        }))
    }

    pub(super) async fn list_tenants(&self) -> anyhow::Result<Value> {
        let snapshot = self.database.directory.snapshot().await?;
        Ok(snapshot.tenants.iter().map(show::tenant).collect())
    }

    pub(super) async fn show_tenant(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let usage = self.usage(&tenant).await?;
        Ok(show::tenant_in_full(&tenant, &snapshot, &usage))
    }

    pub(super) async fn set_status(
        &self,
        tenant: &str,
        status: TenantStatus,
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        self.database
            .directory
            .set_status(tenant.id, status)
            .await?;
        Ok(show::tenant(&Tenant { status, ..tenant }))
    }

    pub(super) async fn limit(&self, tenant: &str, limits: NewLimits) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let limits = limits.over(tenant.limits);
        if limits != tenant.limits {
            self.database
                .directory
                .set_limits(tenant.id, limits)
                .await?;
        }
        let tenant = Tenant { limits, ..tenant };
        let usage = self.usage(&tenant).await?;
        Ok(show::joined(
            json!({"id": tenant.id, "slug": tenant.slug}),
            json!({"limits": show::limits(limits), "usage": usage}),
        ))
    }

    async fn usage(&self, tenant: &Tenant) -> anyhow::Result<Value> {
        let now = self.provision.clock.now();
        let used = self.database.mail.usage(tenant.id, now).await?;
        Ok(show::usage(tenant.limits, used, now))
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
        self.database
            .directory
            .confirm_reply_address(tenant.id, address)
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

    pub(super) async fn create_key(&self, tenant: &str, note: &str) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let (credential, token) = self.provision.credential(tenant.id, note).await?;
        Ok(show::joined(
            show::credential(&credential),
            json!({"api_key": token.expose()}),
        ))
    }

    pub(super) async fn list_keys(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let mine = snapshot
            .credentials
            .iter()
            .filter(|key| key.tenant == tenant.id);
        Ok(mine.map(show::credential).collect())
    }

    pub(super) async fn revoke_key(&self, id: &str) -> anyhow::Result<Value> {
        let directory = &self.database.directory;
        let snapshot = directory.snapshot().await?;
        let found = snapshot
            .credentials
            .iter()
            .find(|key| key.id.to_string() == id);
        let Some(key) = found else {
            bail!("there is no key {id:?}: `postrider key list TENANT` shows a tenant's keys");
        };
        directory.revoke_credential(key.tenant, key.id).await?;
        Ok(json!({"id": key.id, "status": "revoked"}))
    }

    pub(super) async fn send(
        &self,
        tenant: &str,
        to: Vec<EmailAddress>,
        (subject, text): (String, String),
    ) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let draft = Draft {
            from: None,
            to: to.iter().cloned().map(Mailbox::from).collect(),
            cc: Vec::new(),
            reply_to: Vec::new(),
            subject,
            text: Some(text),
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
        };
        let composed = compose(&draft, self.provision.rng.bytes())?;
        let submission = Submission {
            door: Door::Command,
            raw: composed.bytes,
            envelope: to,
            bcc: Vec::new(),
            stream: Stream::Transactional,
            tags: Vec::new(),
            scheduled_at: None,
            expires_at: None,
            claim: None,
        };
        let caller = self.access.vouch(tenant.id)?;
        let accepted = self.gate.accept(&caller, submission).await?;
        serde_json::from_str(&accepted.answer.body).context("the answer is JSON")
    }
}
