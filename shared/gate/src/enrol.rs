//! Enrolment: what the check box in a vendor's program calls. A vendor's token makes a tenant,
//! once; shown again it tells the same, without the secrets. Nobody comes in without a token.

mod again;
mod keys;
mod letter;
mod rotate;
mod signer;
mod standing;
pub(crate) mod token;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{
    ApiToken, AuditEntry, AuditId, EmailAddress, Language, Licence, Limits, ReplySource, Tenant,
    Timestamp, Vendor, VendorKey, user_name,
};
use postrider_store::{Audit, Enrolment, Enrolments, LICENCE, Roster, StoreError, Vendors};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::accept::Gate;
use crate::access::Denied;
use crate::password::SmtpPassword;
use crate::provision::{Provision, ProvisionError, TenantDefaults};
use crate::ramp::RampConfig;
use crate::reachable::Unreachable;
pub use letter::ShopLetter;
pub use signer::VendorSigner;
pub use standing::ShopStatus;
use token::{Claims, KeyName, TokenFault};

/// What the keys are called that enrolment made, by which it knows them again.
const NOTE: &str = "enrolment";
/// How often another random ending is tried for a From address that was used before.
const SLUG_TRIES: u32 = 8;
/// Licences that are enrolled at the same time wait for each other only where they fall together.
const STRIPES: usize = 64;

/// What enrolment works with.
#[derive(Clone)]
pub struct EnrolPorts {
    pub provision: Provision,
    pub vendors: Arc<dyn Vendors>,
    pub enrolments: Arc<dyn Enrolments>,
    pub audit: Arc<dyn Audit>,
    /// Writes to reply addresses.
    pub gate: Arc<Gate>,
    pub roster: Roster,
}

/// How tenants that come by enrolment begin.
#[derive(Clone, Copy, Debug)]
pub struct EnrolConfig {
    /// Of tenants that the operator itself brings; others begin with their vendor's.
    pub limits: Limits,
    pub ramp: RampConfig,
    /// How long keys open the doors after they were rotated.
    pub overlap: Duration,
}

/// Where vendors' programs bring their shops.
pub struct Enroller {
    ports: EnrolPorts,
    config: EnrolConfig,
    stripes: Vec<Mutex<()>>,
}

/// What a program asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolWish {
    pub reply_to: EmailAddress,
    pub name: String,
    /// The vendor's first where it is not said.
    pub language: Option<Language>,
    /// Whether others at the reply address's domain may answer too.
    pub own_domain: Option<bool>,
}

/// A tenant as its vendor's program is told of it.
#[derive(Clone, Debug)]
pub struct Enrolled {
    pub tenant: Arc<Tenant>,
    pub status: ShopStatus,
    /// How its next reply address stands, where it has one.
    pub next_status: Option<ShopStatus>,
    /// Where somebody is asked whether they know it.
    pub letter: Option<ShopLetter>,
    /// The user name for SMTP forms.
    pub user: String,
    /// In the clear this one time.
    pub secrets: Option<Secrets>,
}

/// A new pair of keys.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub password: SmtpPassword,
    pub key: ApiToken,
}

/// Why a program does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error("the token says iss {issuer:?}, and its key is another vendor's")]
    OtherVendor { issuer: String },
    #[error("the token is for {bound}, not for {given}")]
    OtherReplyTo {
        bound: EmailAddress,
        given: EmailAddress,
    },
    /// The token was used with another reply address, or a newer one was used since.
    #[error("the token is not newer than the last one, which had another reply address")]
    Replayed,
    #[error("the licence was never enrolled")]
    NotEnrolled { licence: Licence },
    /// Its owner said so.
    #[error("{address} has nothing to do with the tenant")]
    Disowned { address: EmailAddress },
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A newer one was used since.
    #[error("the token is older than the last one that was used")]
    Outdated,
    /// `until`: when there is room for another; `None` where none of them ends by itself.
    #[error("there are {most} pairs of keys already that open the doors")]
    RotatedTooOften {
        most: usize,
        until: Option<Timestamp>,
        tenant: String,
    },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

impl From<StoreError> for EnrolError {
    fn from(fault: StoreError) -> Self {
        Self::Provision(fault.into())
    }
}

/// Who speaks, checked.
struct Spoken {
    claims: Claims,
    vendor: Arc<Vendor>,
    key: Arc<VendorKey>,
}

impl Enroller {
    pub fn new(ports: EnrolPorts, config: EnrolConfig) -> Self {
        Self {
            ports,
            config,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
        }
    }

    /// Makes the tenant of a licence, or tells of the one there is. With a newer token than the
    /// last one, what the wish says otherwise is changed; with that one again nothing is.
    pub async fn enrol(&self, token: &str, wish: EnrolWish) -> Result<Enrolled, EnrolError> {
        let spoken = self.spoken(token)?;
        check_address(&spoken.claims, &wish.reply_to)?;
        if !spoken.vendor.is_active() {
            let vendor = spoken.vendor;
            return Err(Denied::SuspendedVendor { vendor }.into());
        }
        let _alone = self.alone(&spoken).await;
        if let Some(tenant) = self.tenant_of(&spoken).await? {
            return self.again(&spoken, tenant, wish).await;
        }
        match self.first(&spoken, &wish).await {
            // Another process was quicker.
            Err(EnrolError::Provision(ProvisionError::Store(StoreError::Taken { what })))
                if what == LICENCE =>
            {
                let tenant = self.tenant_of(&spoken).await?;
                let tenant = tenant.ok_or(StoreError::Taken { what })?;
                self.again(&spoken, tenant, wish).await
            }
            made => made,
        }
    }

    /// What became of a licence.
    pub async fn status(&self, token: &str) -> Result<Enrolled, EnrolError> {
        let spoken = self.spoken(token)?;
        match self.tenant_of(&spoken).await? {
            Some(tenant) => Ok(self.told(tenant, None).await),
            None => Err(EnrolError::NotEnrolled {
                licence: spoken.claims.licence,
            }),
        }
    }

    /// The same of a tenant that showed its key.
    pub async fn status_of(&self, tenant: Arc<Tenant>) -> Enrolled {
        let tenant = self.ports.roster.tenant(tenant.id).unwrap_or(tenant);
        self.told((*tenant).clone(), None).await
    }

    fn spoken(&self, token: &str) -> Result<Spoken, EnrolError> {
        let roster = &self.ports.roster;
        let now = self.ports.provision.clock.now();
        let (claims, key) = token::check(token, |name| self.keys(name), now)?;
        let issuer = claims.issuer.clone().unwrap_or_default();
        let vendor = roster.vendor(key.vendor);
        let is_it = |vendor: &Arc<Vendor>| claims.issuer.is_none() || is_named(vendor, &issuer);
        match vendor.filter(is_it) {
            Some(vendor) => Ok(Spoken {
                claims,
                vendor,
                key,
            }),
            None => Err(EnrolError::OtherVendor { issuer }),
        }
    }

    fn keys(&self, name: KeyName<'_>) -> Vec<Arc<VendorKey>> {
        let roster = &self.ports.roster;
        match name {
            KeyName::Kid(kid) => roster.vendor_key(kid).into_iter().collect(),
            KeyName::Issuer(issuer) => {
                let by_id = issuer.parse().ok().and_then(|id| roster.vendor(id));
                let vendor = by_id.or_else(|| roster.vendor_named(issuer));
                vendor.map_or_else(Vec::new, |vendor| roster.vendor_keys_of(vendor.id))
            }
        }
    }

    async fn alone(&self, spoken: &Spoken) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        (spoken.vendor.id, &spoken.claims.licence).hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0);
        match self.stripes.get(stripe) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        }
    }

    async fn tenant_of(&self, spoken: &Spoken) -> Result<Option<Tenant>, StoreError> {
        let licence = std::slice::from_ref(&spoken.claims.licence);
        let found = self
            .ports
            .vendors
            .licensed(spoken.vendor.id, licence)
            .await?;
        Ok(found.into_iter().next())
    }

    async fn first(&self, spoken: &Spoken, wish: &EnrolWish) -> Result<Enrolled, EnrolError> {
        self.ports.gate.check_reply_to(&wish.reply_to)?;
        let provision = &self.ports.provision;
        let now = provision.clock.now();
        let defaults = TenantDefaults {
            limits: spoken.vendor.limits_of_new(self.config.limits),
            language: wish
                .language
                .filter(|language| spoken.vendor.speaks(*language))
                .unwrap_or_else(|| spoken.vendor.language()),
            ramp: self.config.ramp.begin(now),
            is_confirmed: spoken.claims.attested.is_some(),
            vendor: spoken.vendor.id,
            licence: Some(spoken.claims.licence.clone()),
            plan: spoken.claims.plan.clone(),
            attested_by: spoken.claims.attested.as_ref().map(|_| spoken.by()),
        };
        let enrolment = spoken.enrolment(&wish.reply_to);
        let (tenant, secrets) = self.added(wish, &defaults, &enrolment).await?;
        let detail = json!({"licence": spoken.claims.licence, "reply_to": wish.reply_to});
        self.note(spoken, "enrol", &tenant, detail).await;
        let tenant = self.seen(tenant).await;
        Ok(self.told(tenant, Some(secrets)).await)
    }

    async fn added(
        &self,
        wish: &EnrolWish,
        defaults: &TenantDefaults,
        enrolment: &Enrolment,
    ) -> Result<(Tenant, Secrets), EnrolError> {
        let provision = &self.ports.provision;
        let mut tries = 1;
        loop {
            let (mut new, key) = provision.draft(&wish.name, &wish.reply_to, defaults)?;
            new.tenant.own_domain = wish.own_domain.unwrap_or(false);
            new.reply_address.source = ReplySource::Tenant;
            new.enrolment = Some(enrolment.clone());
            for first in &mut new.credentials {
                NOTE.clone_into(&mut first.note);
                first.is_enrolled = true;
            }
            let (credential, password) = provision.new_password(&new.tenant, keys::wishes(None))?;
            new.credentials.push(credential);
            let tenant = new.tenant.clone();
            match provision.directory.add_tenant(new).await {
                Ok(()) => return Ok((tenant, Secrets { password, key })),
                Err(StoreError::Taken { what }) if what != LICENCE && tries < SLUG_TRIES => {
                    tries += 1;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// The tenant as the directory has it now, which this process's doors see from here on.
    async fn seen(&self, tenant: Tenant) -> Tenant {
        let roster = &self.ports.roster;
        // Done is done: the poll reads the directory again.
        if let Err(fault) = roster.refresh(&*self.ports.provision.directory).await {
            tracing::error!(
                error = &fault as &dyn std::error::Error,
                "the directory cannot be read after an enrolment"
            );
        }
        let now = roster.tenant(tenant.id);
        now.map_or(tenant, |now| (*now).clone())
    }

    async fn told(&self, tenant: Tenant, secrets: Option<Secrets>) -> Enrolled {
        let status = ShopStatus::of(&self.ports.roster, &tenant);
        let mut letter = self.letter(&tenant, status);
        // Keys are told once: that answer waits for nothing more.
        if let (None, Some(letter)) = (&secrets, &mut letter) {
            letter.next_after = self.next_after(&tenant, letter).await;
        }
        Enrolled {
            status,
            next_status: ShopStatus::of_next(&self.ports.roster, &tenant),
            letter,
            user: user_name(&tenant.slug),
            tenant: Arc::new(tenant),
            secrets,
        }
    }

    async fn note(&self, spoken: &Spoken, verb: &str, tenant: &Tenant, detail: Value) {
        let provision = &self.ports.provision;
        let at = provision.clock.now();
        let entry = AuditEntry {
            id: AuditId::new(at, provision.rng.bytes()),
            at,
            actor: format!("vendor key {}", spoken.key.kid),
            vendor: Some(spoken.vendor.id),
            verb: verb.to_owned(),
            subject: tenant.slug.clone(),
            detail,
        };
        if let Err(fault) = self.ports.audit.record(entry).await {
            tracing::error!(error = &fault as &dyn std::error::Error, verb, tenant.id = %tenant.id, "an entry of the audit is lost");
        }
    }
}

impl Spoken {
    /// Who vouches, in whose name.
    fn by(&self) -> String {
        format!("vendor {} by key {}", self.vendor.slug, self.key.kid)
    }

    /// Its token, used with this reply address.
    fn enrolment(&self, reply_to: &EmailAddress) -> Enrolment {
        Enrolment {
            issued_at: self.claims.issued_at,
            reply_to: reply_to.clone(),
        }
    }
}

fn is_named(vendor: &Vendor, issuer: &str) -> bool {
    vendor.slug == issuer || vendor.id.to_string() == issuer
}

fn check_address(claims: &Claims, given: &EmailAddress) -> Result<(), EnrolError> {
    let mut bound = claims.bound();
    if let Some(bound) = bound.find(|bound| bound.folded() != given.folded()) {
        return Err(EnrolError::OtherReplyTo {
            bound: bound.clone(),
            given: given.clone(),
        });
    }
    Ok(())
}
