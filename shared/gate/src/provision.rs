//! Filling the directory: new tenants with their From address, reply addresses and keys.

mod keys;

use std::sync::Arc;

use postrider_message::KeyError;
use postrider_model::{
    ApiToken, EmailAddress, Language, Licence, Limits, Plan, Ramp, ReplyAddress, ReplyAddressId,
    ReplySource, ReplyStatus, Tenant, TenantId, TenantStatus, Vendor, VendorId,
};
use postrider_runtime::{Clock, Rng};
use postrider_store::{Directory, LICENCE, NewTenant, StoreError};

pub use keys::KeyWishes;

use crate::identity::Service;
use crate::secret::{MasterKey, SecretError};

/// Makes what the directory holds. Used by the operator's commands and by enrolment.
#[derive(Clone)]
pub struct Provision {
    pub directory: Arc<dyn Directory>,
    pub master: Arc<MasterKey>,
    pub service: Service,
    pub clock: Clock,
    pub rng: Rng,
}

/// What a new tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantDefaults {
    pub limits: Limits,
    pub language: Language,
    /// `Ramp::PAST` of one that somebody knows.
    pub ramp: Ramp,
    /// Whether its reply address counts as confirmed; else it is asked, and the tenant may write
    /// to nobody else until it has answered.
    pub is_confirmed: bool,
    /// Who vouches for it.
    pub vendor: VendorId,
    pub licence: Option<Licence>,
    pub plan: Option<Plan>,
    /// Who said in whose name that the reply address is its own, where that confirms it.
    pub attested_by: Option<String>,
}

impl Default for TenantDefaults {
    /// One of the operator's that nobody has confirmed, without limits.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            language: Language::default(),
            ramp: Ramp::PAST,
            is_confirmed: false,
            vendor: Vendor::OPERATOR,
            licence: None,
            plan: None,
            attested_by: None,
        }
    }
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
    #[error("a user name has 1 to 20 visible ASCII characters")]
    BadUser,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The slug of the tenant that Postrider writes its own mail as. No other ends without a random
/// part.
const HOUSE: &str = "postrider";
/// How often another random ending is tried for a From address that was used before.
const SLUG_TRIES: u32 = 8;

impl Provision {
    /// Adds a tenant with one reply address and one key. `Taken` of `LICENCE` where its vendor has
    /// one of that already.
    pub async fn tenant(
        &self,
        name: &str,
        reply_to: EmailAddress,
        defaults: TenantDefaults,
    ) -> Result<Provisioned, ProvisionError> {
        let mut tries = 1;
        loop {
            let (new, token) = self.draft(name, &reply_to, &defaults)?;
            let tenant = new.tenant.clone();
            match self.directory.add_tenant(new).await {
                Ok(()) => return Ok(Provisioned { tenant, token }),
                Err(StoreError::Taken { what }) if what != LICENCE && tries < SLUG_TRIES => {
                    tries += 1;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// A tenant with one reply address and one key, not yet added: for many at once. Its slug may
    /// be taken; then another draft has another.
    pub fn draft(
        &self,
        name: &str,
        reply_to: &EmailAddress,
        defaults: &TenantDefaults,
    ) -> Result<(NewTenant, ApiToken), ProvisionError> {
        let name = acceptable(name)?;
        let slug = format!("{}-{}", slug(name), self.suffix());
        let tenant = self.new_tenant(name, slug, reply_to, defaults)?;
        let wishes = KeyWishes {
            note: "first key".to_owned(),
            ..KeyWishes::default()
        };
        let (credential, token) = self.new_credential(tenant.id, wishes);
        let new = NewTenant {
            reply_address: ReplyAddress {
                attested_by: defaults.attested_by.clone(),
                ..self.default_reply_address(&tenant, defaults.is_confirmed)
            },
            tenant,
            credentials: vec![credential],
            enrolment: None,
        };
        Ok((new, token))
    }

    /// Adds the tenant that Postrider writes its own mail as, with answers to `reply_to`. It has
    /// no key and no limits. `Taken` where there is one.
    pub async fn house(
        &self,
        name: &str,
        reply_to: EmailAddress,
    ) -> Result<Tenant, ProvisionError> {
        let defaults = TenantDefaults {
            is_confirmed: true,
            ..TenantDefaults::default()
        };
        let slug = HOUSE.to_owned();
        let tenant = self.new_tenant(acceptable(name)?, slug, &reply_to, &defaults)?;
        let tenant = Tenant {
            is_house: true,
            ..tenant
        };
        let new = NewTenant {
            reply_address: self.default_reply_address(&tenant, true),
            tenant: tenant.clone(),
            credentials: Vec::new(),
            enrolment: None,
        };
        self.directory.add_tenant(new).await?;
        Ok(tenant)
    }

    /// Adds a reply address to a tenant. One that is not confirmed is asked by the gate.
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

    fn new_tenant(
        &self,
        name: &str,
        slug: String,
        reply_to: &EmailAddress,
        defaults: &TenantDefaults,
    ) -> Result<Tenant, ProvisionError> {
        let at = self.clock.now();
        let from = EmailAddress::new(slug.clone(), self.service.send_domain.clone());
        Ok(Tenant {
            id: TenantId::new(at, self.rng.bytes()),
            name: name.to_owned(),
            from: from.map_err(|_| ProvisionError::BadName)?,
            slug,
            reply_to: reply_to.clone(),
            next_reply_to: None,
            status: TenantStatus::Active,
            stopped_by: None,
            limits: defaults.limits,
            language: defaults.language,
            own_domain: false,
            notices: true,
            ramp: defaults.ramp,
            is_house: false,
            vendor: defaults.vendor,
            licence: defaults.licence.clone(),
            plan: defaults.plan.clone(),
            created_at: at,
        })
    }

    // Entered by who added the tenant.
    fn default_reply_address(&self, tenant: &Tenant, is_confirmed: bool) -> ReplyAddress {
        let status = if is_confirmed {
            ReplyStatus::Confirmed
        } else {
            ReplyStatus::Unconfirmed
        };
        self.new_reply_address(tenant.id, tenant.reply_to.clone(), status)
    }

    /// A reply address of a tenant, not yet added.
    pub fn new_reply_address(
        &self,
        tenant: TenantId,
        address: EmailAddress,
        status: ReplyStatus,
    ) -> ReplyAddress {
        let at = self.clock.now();
        ReplyAddress {
            id: ReplyAddressId::new(at, self.rng.bytes()),
            tenant,
            address,
            status,
            source: ReplySource::Operator,
            confirmed_at: (status == ReplyStatus::Confirmed).then_some(at),
            asked_at: None,
            told_at: None,
            refused_at: None,
            attested_by: None,
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

fn acceptable(name: &str) -> Result<&str, ProvisionError> {
    let name = name.trim();
    if crate::name::is_acceptable(name) {
        Ok(name)
    } else {
        Err(ProvisionError::BadName)
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
