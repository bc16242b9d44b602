//! New keys: what opens the doors for a tenant, and the admin API for an operator or a vendor; and
//! what the service signs with.

use postrider_message::generate_key;
use postrider_model::{
    AdminRole, AdminToken, AdminTokenId, ApiToken, Credential, CredentialId, DkimAlgorithm,
    DkimKey, DkimKeyId, KeyDefaults, KeyKind, KeyStatus, Network, Tenant, TenantId, Timestamp,
    UnknownReplyTo, VendorId, user_name,
};

use super::{Provision, ProvisionError};
use crate::admin_token::AdminSecret;
use crate::password::{self, SmtpPassword};
use crate::token;

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWishes {
    pub note: String,
    /// For keys of old forms; made of the tenant's slug where none is wished.
    pub user: Option<String>,
    /// Where it may be used from; empty is anywhere.
    pub networks: Vec<Network>,
    /// Recipients per UTC day; 0 is no limit.
    pub per_day: u32,
    pub expires_at: Option<Timestamp>,
    pub defaults: KeyDefaults,
    pub unknown_reply_to: UnknownReplyTo,
    pub skips_duplicates: bool,
    /// May send to the simulator alone.
    pub is_test: bool,
    /// Enrolment gives it.
    pub is_enrolled: bool,
}

impl Default for KeyWishes {
    fn default() -> Self {
        Self {
            note: String::new(),
            user: None,
            networks: Vec::new(),
            per_day: 0,
            expires_at: None,
            defaults: KeyDefaults::default(),
            unknown_reply_to: UnknownReplyTo::default(),
            skips_duplicates: true,
            is_test: false,
            is_enrolled: false,
        }
    }
}

impl Provision {
    /// Adds a key to a tenant; the token is shown this one time.
    pub async fn credential(
        &self,
        tenant: TenantId,
        wishes: KeyWishes,
    ) -> Result<(Credential, ApiToken), ProvisionError> {
        let (credential, token) = self.new_credential(tenant, wishes);
        self.directory.add_credential(credential.clone()).await?;
        Ok((credential, token))
    }

    /// Adds a key for old forms, a user name with a password; shown this one time.
    pub async fn smtp_credential(
        &self,
        tenant: &Tenant,
        wishes: KeyWishes,
    ) -> Result<(Credential, SmtpPassword), ProvisionError> {
        let (credential, secret) = self.new_password(tenant, wishes)?;
        self.directory.add_credential(credential.clone()).await?;
        Ok((credential, secret))
    }

    /// The same, not yet added.
    pub(crate) fn new_password(
        &self,
        tenant: &Tenant,
        wishes: KeyWishes,
    ) -> Result<(Credential, SmtpPassword), ProvisionError> {
        let user = match wishes.user.clone() {
            None => user_name(&tenant.slug),
            Some(user) if password::is_user_name(&user) => user,
            Some(_) => return Err(ProvisionError::BadUser),
        };
        let secret = SmtpPassword::mint(&self.rng);
        let credential = Credential {
            kind: KeyKind::Smtp,
            user: Some(user),
            ..self.wished(tenant.id, wishes, (secret.shown(), secret.hash()))
        };
        Ok((credential, secret))
    }

    /// A token of the admin API, not yet added; shown this one time.
    pub fn admin_token(
        &self,
        role: AdminRole,
        vendor: Option<VendorId>,
        (note, expires_at): (String, Option<Timestamp>),
    ) -> (AdminToken, AdminSecret) {
        let (at, secret) = (self.clock.now(), AdminSecret::mint(&self.rng));
        let token = AdminToken {
            id: AdminTokenId::new(at, self.rng.bytes()),
            hash: secret.hash(),
            role,
            vendor,
            note,
            status: KeyStatus::Active,
            created_at: at,
            expires_at,
        };
        (token, secret)
    }

    /// Adds a pair of signing keys (RSA-2048 and Ed25519) under new selectors. They sign from the
    /// next message on: publish their records first where real receivers check.
    pub async fn dkim_keys(&self) -> Result<Vec<DkimKey>, ProvisionError> {
        let at = self.clock.now();
        let stem = format!(
            "{}-{}",
            at.to_string().replace('-', "").get(..6).unwrap_or("key"),
            self.suffix()
        );
        let algorithms = [
            (DkimAlgorithm::RsaSha256, "r"),
            (DkimAlgorithm::Ed25519Sha256, "e"),
        ];
        let mut keys = Vec::new();
        for (algorithm, ending) in algorithms {
            let made = generate_key(algorithm)?;
            let selector = format!("{stem}-{ending}");
            keys.push(DkimKey {
                id: DkimKeyId::new(at, self.rng.bytes()),
                domain: self.service.send_domain.clone(),
                algorithm,
                record: made.record,
                sealed_private_key: self.master.seal(&self.rng, &selector, &made.pkcs8)?,
                selector,
                status: KeyStatus::Active,
                created_at: at,
            });
        }
        self.directory.add_dkim_keys(keys.clone()).await?;
        Ok(keys)
    }

    pub(super) fn new_credential(
        &self,
        tenant: TenantId,
        wishes: KeyWishes,
    ) -> (Credential, ApiToken) {
        let token = token::mint(&self.rng);
        let secret = (token::shown(&token), token::hash(&token));
        (self.wished(tenant, wishes, secret), token)
    }

    // An API key; what is another's is put in by who wishes it.
    fn wished(
        &self,
        tenant: TenantId,
        wishes: KeyWishes,
        (prefix, hash): (String, [u8; 32]),
    ) -> Credential {
        let at = self.clock.now();
        let id = CredentialId::new(at, self.rng.bytes());
        Credential {
            note: wishes.note,
            user: wishes.user,
            networks: wishes.networks,
            per_day: wishes.per_day,
            expires_at: wishes.expires_at,
            defaults: wishes.defaults,
            unknown_reply_to: wishes.unknown_reply_to,
            skips_duplicates: wishes.skips_duplicates,
            is_test: wishes.is_test,
            is_enrolled: wishes.is_enrolled,
            created_at: at,
            ..Credential::api(id, tenant, prefix, hash)
        }
    }
}
