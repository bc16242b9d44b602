//! Filling the directory: new tenants with their From address, keys, reply addresses, and the
//! service's signing keys.

use std::sync::Arc;

use postrider_message::{KeyError, generate_key};
use postrider_model::{
    ApiToken, Credential, CredentialId, DkimAlgorithm, DkimKey, DkimKeyId, EmailAddress, KeyStatus,
    Limits, ReplyAddress, ReplyAddressId, ReplyStatus, Tenant, TenantId, TenantStatus,
};
use postrider_runtime::{Clock, Rng};
use postrider_store::{Directory, NewTenant, StoreError};

use crate::identity::Service;
use crate::secret::{MasterKey, SecretError};
use crate::token;

/// Makes what the directory holds. Used by the operator's commands.
pub struct Provision {
    pub directory: Arc<dyn Directory>,
    pub master: Arc<MasterKey>,
    pub service: Service,
    pub clock: Clock,
    pub rng: Rng,
}

/// What a new tenant starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantDefaults {
    pub limits: Limits,
}

/// A new tenant and its first key, in the clear this one time.
#[derive(Clone, Debug)]
pub struct Provisioned {
    pub tenant: Tenant,
    pub token: ApiToken,
}

/// Why something was not made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error(
        "the name cannot stand before an address: it is empty, longer than 128 characters, or has an @, control or invisible characters"
    )]
    BadName,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// How often another random ending is tried for a From address that was used before.
const SLUG_TRIES: u32 = 8;

impl Provision {
    /// Adds a tenant with one confirmed reply address and one key.
    pub async fn tenant(
        &self,
        name: &str,
        reply_to: EmailAddress,
        defaults: TenantDefaults,
    ) -> Result<Provisioned, ProvisionError> {
        let name = name.trim();
        if !crate::name::is_acceptable(name) {
            return Err(ProvisionError::BadName);
        }
        let mut tries = 1;
        loop {
            let tenant = self.new_tenant(name, reply_to.clone(), defaults)?;
            let (credential, token) = self.new_credential(tenant.id, "first key");
            let reply_address =
                self.new_reply_address(tenant.id, reply_to.clone(), ReplyStatus::Confirmed);
            let new = NewTenant {
                tenant: tenant.clone(),
                reply_address,
                credential,
            };
            match self.directory.add_tenant(new).await {
                Ok(()) => return Ok(Provisioned { tenant, token }),
                Err(StoreError::Taken { .. }) if tries < SLUG_TRIES => tries += 1,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Adds a reply address to a tenant.
    pub async fn reply_address(
        &self,
        tenant: TenantId,
        address: EmailAddress,
        status: ReplyStatus,
    ) -> Result<ReplyAddress, ProvisionError> {
        let new = self.new_reply_address(tenant, address, status);
        self.directory.add_reply_address(new.clone()).await?;
        Ok(new)
    }

    /// Adds a key to a tenant; the token is shown this one time.
    pub async fn credential(
        &self,
        tenant: TenantId,
        note: &str,
    ) -> Result<(Credential, ApiToken), ProvisionError> {
        let (credential, token) = self.new_credential(tenant, note);
        self.directory.add_credential(credential.clone()).await?;
        Ok((credential, token))
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

    fn new_tenant(
        &self,
        name: &str,
        reply_to: EmailAddress,
        defaults: TenantDefaults,
    ) -> Result<Tenant, ProvisionError> {
        let at = self.clock.now();
        let slug = format!("{}-{}", slug(name), self.suffix());
        let from = EmailAddress::new(slug.clone(), self.service.send_domain.clone());
        Ok(Tenant {
            id: TenantId::new(at, self.rng.bytes()),
            name: name.to_owned(),
            from: from.map_err(|_| ProvisionError::BadName)?,
            slug,
            reply_to,
            status: TenantStatus::Active,
            limits: defaults.limits,
            created_at: at,
        })
    }

    fn new_credential(&self, tenant: TenantId, note: &str) -> (Credential, ApiToken) {
        let token = token::mint(&self.rng);
        let at = self.clock.now();
        let credential = Credential {
            id: CredentialId::new(at, self.rng.bytes()),
            tenant,
            prefix: token::shown(&token),
            hash: token::hash(&token),
            note: note.to_owned(),
            status: KeyStatus::Active,
            created_at: at,
        };
        (credential, token)
    }

    fn new_reply_address(
        &self,
        tenant: TenantId,
        address: EmailAddress,
        status: ReplyStatus,
    ) -> ReplyAddress {
        let at = self.clock.now();
        let id = ReplyAddressId::new(at, self.rng.bytes());
        ReplyAddress {
            id,
            tenant,
            address,
            status,
            created_at: at,
        }
    }

    // Four characters that cannot be taken for each other on the telephone.
    fn suffix(&self) -> String {
        const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstvwxyz";
        let letter = |_| {
            let at = usize::try_from(self.rng.below(LETTERS.len() as u64)).unwrap_or(0);
            char::from(LETTERS.get(at).copied().unwrap_or(b'2'))
        };
        (0..4).map(letter).collect()
    }
}

/// `Joe's Garage` becomes `joes-garage`: ASCII letters and digits, at most 30. Always followed by
/// a random ending, so that no reserved word (RFC 2142) can come of it.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().filter(|c| !matches!(c, '\'' | '’' | '.')) {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 30 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "tenant".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_what_ascii_has_of_the_name() {
        for (given, want) in [
            ("Joe's Garage", "joes-garage"),
            ("  Émile & Fils S.A. ", "mile-fils-sa"),
            ("修理", "tenant"),
            (
                "A very long name of a company that goes on",
                "a-very-long-name-of-a-company",
            ),
        ] {
            assert_eq!(slug(given), want, "{given}");
        }
    }
}
