//! The operator's verbs: what can be asked of a relay, and what is done then.
//!
//! A command reaches a running relay through a Unix socket in its folder (`socket`), so that one
//! process writes the database; where none runs, the command opens the database itself. Both ways
//! end in `Office::execute`.

mod show;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use postrider_gate::{Access, Gate, Provision, Submission, TenantDefaults};
use postrider_message::{Draft, compose};
use postrider_model::{
    EmailAddress, KeyStatus, Limits, Mailbox, ReplyStatus, Stream, Tenant, TenantId, TenantStatus,
};
use postrider_store::{Directory, DirectorySnapshot, Roster};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use socket::{ask, serve};

/// What can be asked of a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Verb {
    TenantAdd {
        name: String,
        reply_to: EmailAddress,
    },
    TenantList,
    TenantShow {
        tenant: String,
    },
    TenantSuspend {
        tenant: String,
    },
    TenantResume {
        tenant: String,
    },
    ReplyToAdd {
        tenant: String,
        address: EmailAddress,
    },
    ReplyToConfirm {
        tenant: String,
        address: EmailAddress,
    },
    ReplyToRemove {
        tenant: String,
        address: EmailAddress,
    },
    KeyCreate {
        tenant: String,
        note: String,
    },
    KeyList {
        tenant: String,
    },
    KeyRevoke {
        id: String,
    },
    DkimShow,
    DkimAdd,
    Send {
        tenant: String,
        to: Vec<EmailAddress>,
        subject: String,
        text: String,
    },
}

impl Verb {
    /// Whether nothing changes by it.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::TenantList | Self::TenantShow { .. } | Self::KeyList { .. } | Self::DkimShow
        )
    }
}

/// Where verbs are carried out.
pub struct Office {
    pub directory: Arc<dyn Directory>,
    pub provision: Provision,
    pub roster: Roster,
    pub access: Arc<Access>,
    pub gate: Arc<Gate>,
    pub tenant_limits: Limits,
    /// Where the DNS records to publish are written at each change.
    pub records_path: PathBuf,
}

impl Office {
    /// Carries out a verb and answers in JSON. What it changed is seen by this process's doors and
    /// queue when it returns.
    pub async fn execute(&self, verb: Verb) -> anyhow::Result<Value> {
        let answer = match verb {
            Verb::TenantAdd { name, reply_to } => self.add_tenant(&name, reply_to).await,
            Verb::TenantList => self.list_tenants().await,
            Verb::TenantShow { tenant } => self.show_tenant(&tenant).await,
            Verb::TenantSuspend { tenant } => {
                self.set_status(&tenant, TenantStatus::Suspended).await
            }
            Verb::TenantResume { tenant } => self.set_status(&tenant, TenantStatus::Active).await,
            Verb::ReplyToAdd { tenant, address } => self.add_reply_to(&tenant, address).await,
            Verb::ReplyToConfirm { tenant, address } => self.confirm(&tenant, &address).await,
            Verb::ReplyToRemove { tenant, address } => self.remove(&tenant, &address).await,
            Verb::KeyCreate { tenant, note } => self.create_key(&tenant, &note).await,
            Verb::KeyList { tenant } => self.list_keys(&tenant).await,
            Verb::KeyRevoke { id } => self.revoke_key(&id).await,
            Verb::DkimShow => self.show_dkim().await,
            Verb::DkimAdd => self.add_dkim().await,
            Verb::Send {
                tenant,
                to,
                subject,
                text,
            } => self.send(&tenant, to, subject, text).await,
        }?;
        // Done is done, and a key is shown this one time: the poll reads the directory again.
        if let Err(fault) = self.roster.refresh(&*self.directory).await {
            tracing::error!(%fault, "the directory cannot be read after a change");
        }
        Ok(answer)
    }

    async fn add_tenant(&self, name: &str, reply_to: EmailAddress) -> anyhow::Result<Value> {
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

    async fn list_tenants(&self) -> anyhow::Result<Value> {
        let snapshot = self.directory.snapshot().await?;
        Ok(snapshot.tenants.iter().map(show::tenant).collect())
    }

    async fn show_tenant(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        Ok(show::tenant_in_full(&tenant, &snapshot))
    }

    async fn set_status(&self, tenant: &str, status: TenantStatus) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        self.directory.set_status(tenant.id, status).await?;
        Ok(show::tenant(&Tenant { status, ..tenant }))
    }

    async fn add_reply_to(&self, tenant: &str, address: EmailAddress) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let new = self
            .provision
            .reply_address(tenant.id, address, ReplyStatus::Unconfirmed)
            .await?;
        Ok(show::reply_address(&new))
    }

    async fn confirm(&self, tenant: &str, address: &EmailAddress) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        self.directory
            .confirm_reply_address(tenant.id, address)
            .await?;
        Ok(json!({"address": address, "status": ReplyStatus::Confirmed}))
    }

    async fn remove(&self, tenant: &str, address: &EmailAddress) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        if tenant.reply_to == *address {
            bail!(
                "{address} is where replies to {} go by default; it stays",
                tenant.slug
            );
        }
        self.directory
            .remove_reply_address(tenant.id, address)
            .await?;
        Ok(json!({"address": address, "status": "removed"}))
    }

    async fn create_key(&self, tenant: &str, note: &str) -> anyhow::Result<Value> {
        let (_, tenant) = self.find(tenant).await?;
        let (credential, token) = self.provision.credential(tenant.id, note).await?;
        Ok(show::joined(
            show::credential(&credential),
            json!({"api_key": token.expose()}),
        ))
    }

    async fn list_keys(&self, tenant: &str) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        let mine = snapshot
            .credentials
            .iter()
            .filter(|key| key.tenant == tenant.id);
        Ok(mine.map(show::credential).collect())
    }

    async fn revoke_key(&self, id: &str) -> anyhow::Result<Value> {
        let snapshot = self.directory.snapshot().await?;
        let found = snapshot
            .credentials
            .iter()
            .find(|key| key.id.to_string() == id);
        let Some(key) = found else {
            bail!("there is no key {id:?}: `postrider key list TENANT` shows a tenant's keys");
        };
        self.directory.revoke_credential(key.tenant, key.id).await?;
        Ok(json!({"id": key.id, "status": "revoked"}))
    }

    async fn show_dkim(&self) -> anyhow::Result<Value> {
        let snapshot = self.directory.snapshot().await?;
        Ok(show::dkim_records(
            &snapshot,
            &self.provision.service.send_domain,
        ))
    }

    /// Makes signing keys if the configured domain has none, and writes the records to publish.
    pub async fn ensure_signing_keys(&self) -> anyhow::Result<()> {
        let snapshot = self.directory.snapshot().await?;
        let domain = &self.provision.service.send_domain;
        let mut known = snapshot.dkim_keys.iter();
        if !known.any(|key| key.domain == *domain && key.status == KeyStatus::Active) {
            self.provision.dkim_keys().await?;
            self.roster.refresh(&*self.directory).await?;
            tracing::info!(%domain, "new DKIM keys were made: publish the records of `postrider dkim show`");
        }
        self.write_records().await
    }

    async fn add_dkim(&self) -> anyhow::Result<Value> {
        let added = self.provision.dkim_keys().await?;
        self.write_records().await?;
        Ok(added.iter().map(show::dkim_record).collect())
    }

    /// Writes the DNS records to publish beside the database, for tools that read files.
    async fn write_records(&self) -> anyhow::Result<()> {
        let records = serde_json::to_vec_pretty(&self.show_dkim().await?)?;
        crate::folder::write_atomically(&self.records_path, &records)
    }

    async fn send(
        &self,
        tenant: &str,
        to: Vec<EmailAddress>,
        subject: String,
        text: String,
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

    async fn find(&self, which: &str) -> anyhow::Result<(DirectorySnapshot, Tenant)> {
        let snapshot = self.directory.snapshot().await?;
        let id = which.parse::<TenantId>().ok();
        let is_meant = |tenant: &&Tenant| Some(tenant.id) == id || tenant.slug == which;
        match snapshot.tenants.iter().find(is_meant).cloned() {
            Some(tenant) => Ok((snapshot, tenant)),
            None => {
                bail!("there is no tenant {which:?}: `postrider tenant list` shows all of them")
            }
        }
    }
}
