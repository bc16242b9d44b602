//! Verbs about keys: of programs that speak HTTP, and passwords for SMTP forms.

use anyhow::bail;
use postrider_gate::{KeyWishes, ProvisionError};
use postrider_model::{
    Authority, Credential, CredentialStatus, EmailAddress, KeyDefaults, KeyKind, Network,
    ReplyStatus, Tenant, Timestamp, UnknownReplyTo,
};
use postrider_store::DirectorySnapshot;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, Refused, show};

/// A key to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewKey {
    pub kind: KeyKind,
    pub note: String,
    /// The user name beside an SMTP password; made of the tenant's name where none is given.
    pub user: Option<String>,
    pub networks: Vec<Network>,
    /// Recipients per UTC day, 0 is none.
    pub per_day: u32,
    pub expires_at: Option<Timestamp>,
    pub defaults: KeyDefaults,
    pub unknown_reply_to: UnknownReplyTo,
    pub skips_duplicates: bool,
    /// May send to the simulator alone.
    pub test: bool,
}

impl Default for NewKey {
    fn default() -> Self {
        Self {
            kind: KeyKind::Api,
            note: String::new(),
            user: None,
            networks: Vec::new(),
            per_day: 0,
            expires_at: None,
            defaults: KeyDefaults::default(),
            unknown_reply_to: UnknownReplyTo::Replace,
            skips_duplicates: true,
            test: false,
        }
    }
}

impl Office {
    pub(super) async fn create_key(&self, tenant: &str, key: NewKey) -> anyhow::Result<Value> {
        let (snapshot, tenant) = self.find(tenant).await?;
        if key
            .expires_at
            .is_some_and(|at| at <= self.provision.clock.now())
        {
            bail!("--expires is past: the key would open no door");
        }
        if let Some(span) = key
            .defaults
            .expires_after
            .filter(|span| *span > self.lifetime)
        {
            bail!(
                "--expires-after is {}: mail is given up after {} here, whatever its key says; give at most that, or raise limits.lifetime_hours",
                show::span(span),
                show::span(self.lifetime)
            );
        }
        let remark = key
            .defaults
            .reply_to
            .as_ref()
            .map(|address| remark(&snapshot, &tenant, address))
            .transpose()?
            .flatten();
        let made = match key.kind {
            KeyKind::Api => self.create_token(&tenant, key).await,
            KeyKind::Smtp => self.create_password(&tenant, key).await,
        }?;
        Ok(match remark {
            Some(remark) => show::joined(made, json!({"remark": remark})),
            None => made,
        })
    }

    async fn create_token(&self, tenant: &Tenant, key: NewKey) -> anyhow::Result<Value> {
        let (credential, token) = self.provision.credential(tenant.id, wishes(key)).await?;
        Ok(show::joined(
            show::credential(&credential),
            json!({"api_key": token.expose()}),
        ))
    }

    async fn create_password(&self, tenant: &Tenant, key: NewKey) -> anyhow::Result<Value> {
        let made = self.provision.smtp_credential(tenant, wishes(key)).await;
        let (credential, password) = match made {
            Err(ProvisionError::BadUser) => {
                let why = "give 1 to 20 letters, digits and signs, without spaces: old forms take no more";
                bail!(Refused::argument("--user", "user", why))
            }
            made => made?,
        };
        let mut shown = show::credential(&credential);
        if let Value::Object(fields) = &mut shown {
            // Beside the password: the two go into a form.
            fields.shift_remove("user");
        }
        let pair = json!({"user": credential.user, "password": password.grouped()});
        Ok(show::joined(shown, pair))
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
        let key = self.find_key(id).await?;
        let directory = &self.database.directory;
        directory.revoke_credential(key.tenant, key.id).await?;
        Ok(json!({"id": key.id, "status": CredentialStatus::Revoked}))
    }

    /// Closes a key for a while.
    pub(super) async fn suspend_key(&self, id: &str, by: Authority) -> anyhow::Result<Value> {
        self.set_key_status(id, CredentialStatus::Suspended, by)
            .await
    }

    /// Opens a suspended key again.
    pub(super) async fn resume_key(&self, id: &str, by: Authority) -> anyhow::Result<Value> {
        self.set_key_status(id, CredentialStatus::Active, by).await
    }

    async fn set_key_status(
        &self,
        id: &str,
        status: CredentialStatus,
        by: Authority,
    ) -> anyhow::Result<Value> {
        let key = self.find_key(id).await?;
        let directory = &self.database.directory;
        if key.status == CredentialStatus::Revoked {
            let said =
                |way: &str| format!("the key {id} is revoked, for good: {way} makes another");
            let endpoint = format!("POST /tenants/{}/keys", key.tenant);
            bail!(Refused::verb(said, "key create", &endpoint));
        }
        directory
            .set_credential_status(key.tenant, key.id, status, by)
            .await?;
        Ok(json!({"id": key.id, "status": status}))
    }

    async fn find_key(&self, id: &str) -> anyhow::Result<Credential> {
        let directory = self.directory().await?;
        let found = id.parse().ok();
        let found = found.and_then(|id| directory.credential_of_id(id));
        let Some(key) = found else {
            bail!("there is no key {id:?}: `postrider key list TENANT` shows a tenant's keys");
        };
        Ok((*key).clone())
    }
}

/// What is to be known of a key's reply address. An error where it is not one of the tenant's.
fn remark(
    snapshot: &DirectorySnapshot,
    tenant: &Tenant,
    address: &EmailAddress,
) -> anyhow::Result<Option<String>> {
    let slug = &tenant.slug;
    let mut known = snapshot.reply_addresses.iter();
    let found =
        known.find(|one| one.tenant == tenant.id && one.address.folded() == address.folded());
    match found {
        None => bail!(
            "{address} is no reply address of {slug}: `postrider reply add {slug} {address}` first"
        ),
        Some(one) if one.status == ReplyStatus::Confirmed => Ok(None),
        Some(_) => Ok(Some(format!(
            "{address} is not confirmed: until it is, replies go to {}. It was asked when it was added; `postrider reply confirm {slug} {address}` where you know it is theirs",
            tenant.reply_to
        ))),
    }
}

fn wishes(key: NewKey) -> KeyWishes {
    KeyWishes {
        note: key.note,
        user: key.user,
        networks: key.networks,
        per_day: key.per_day,
        expires_at: key.expires_at,
        defaults: key.defaults,
        unknown_reply_to: key.unknown_reply_to,
        skips_duplicates: key.skips_duplicates,
        is_test: key.test,
        is_enrolled: false,
    }
}
