//! From a key to who is calling.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{
    ApiToken, Credential, CredentialId, CredentialStatus, Tenant, TenantId, TenantStatus,
    Timestamp, Vendor,
};
use postrider_runtime::Clock;
use postrider_store::Roster;

use crate::password::SmtpPassword;
use crate::rate::{RateState, Rates};
use crate::token;

/// The check at the doors. Reads memory only; a change in the directory is seen here as soon as
/// the roster is refreshed.
pub struct Access {
    roster: Roster,
    rates: Rates,
    clock: Clock,
}

/// Who is calling, checked.
#[derive(Clone, Debug)]
pub struct Caller {
    pub tenant: Arc<Tenant>,
    /// The key that was shown; `None` where the operator speaks for the tenant.
    pub credential: Option<CredentialId>,
    /// The same with all that it says of its mail.
    pub key: Option<Arc<Credential>>,
    pub rate: RateState,
}

/// Why a caller is turned away before its request is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Not a key of ours, or one that was never issued. The two are not told apart.
    #[error("the key is unknown")]
    UnknownKey,
    #[error("the key was revoked")]
    RevokedKey,
    #[error("the key ended at {at}")]
    Expired { at: Timestamp },
    #[error("the key may not be used from {from}")]
    WrongNetwork { from: IpAddr },
    #[error("the key is suspended")]
    SuspendedKey,
    #[error("the tenant is suspended by {by}")]
    Suspended {
        /// In words: the vendor's name, or the operator.
        by: String,
        /// Whom to write to.
        contact: String,
    },
    /// All tenants of its vendor are.
    #[error("the tenant's vendor {} is suspended", vendor.slug)]
    SuspendedVendor { vendor: Arc<Vendor> },
    #[error("too many requests in this second")]
    RateLimited {
        rate: RateState,
        retry_after: Duration,
    },
}

impl Access {
    pub fn new(roster: Roster, clock: Clock) -> Self {
        Self {
            roster,
            rates: Rates::default(),
            clock,
        }
    }

    /// Tells who shows this key from `peer` and takes one request from its tenant's rate. Either
    /// kind of key opens either door.
    pub fn identify(&self, key: &ApiToken, peer: IpAddr) -> Result<Caller, Denied> {
        let mut caller = self.opened(key.expose(), peer)?;
        let rate = self.rates.take(
            caller.tenant.id,
            caller.tenant.limits.requests_per_second,
            self.clock.now(),
        );
        caller.rate =
            rate.map_err(|(rate, retry_after)| Denied::RateLimited { rate, retry_after })?;
        Ok(caller)
    }

    /// Tells who signs in from `peer` with this password, typed however: a password for old forms
    /// or a long key. Takes nothing from the rate: a program that is quick over SMTP is paced at
    /// delivery. The user name says nothing.
    pub fn sign_in(&self, password: &str, peer: IpAddr) -> Result<Caller, Denied> {
        self.opened(password.trim(), peer)
    }

    /// Whose a sign-in claims to be that opened nothing: whose key the password is, ended or revoked, or else
    /// whose user name it is. Says nothing of who typed it.
    pub fn claimed(&self, user: &str, password: &str) -> Option<TenantId> {
        let key = hash(password.trim()).and_then(|hash| self.roster.credential(&hash));
        let by_key = key.map(|key| key.tenant);
        by_key.or_else(|| self.roster.tenant_of_user(user))
    }

    /// The same caller as the directory has it now: a session may last for hours.
    pub fn renew(&self, caller: &Caller) -> Result<Caller, Denied> {
        renewed(&self.roster, caller, self.clock.now())
    }

    /// A caller for mail that the operator sends as a tenant: no key, no rate.
    pub fn vouch(&self, tenant: TenantId) -> Result<Caller, Denied> {
        vouched(&self.roster, tenant)
    }

    fn opened(&self, secret: &str, peer: IpAddr) -> Result<Caller, Denied> {
        // Found by the hash of at least 95 random bits: the time it takes tells nothing of
        // another key.
        let hash = hash(secret).ok_or(Denied::UnknownKey)?;
        let key = self.roster.credential(&hash).ok_or(Denied::UnknownKey)?;
        let caller = standing(&self.roster, key, self.clock.now())?;
        match &caller.key {
            Some(key) if !key.is_for(peer) => Err(Denied::WrongNetwork { from: peer }),
            _ => Ok(caller),
        }
    }
}

impl Denied {
    /// Whether somebody stopped it, and may let it go on: no fault of who calls.
    pub fn is_suspension(&self) -> bool {
        matches!(
            self,
            Self::SuspendedKey | Self::Suspended { .. } | Self::SuspendedVendor { .. }
        )
    }

    /// What is told of a suspended tenant.
    pub(crate) fn suspended(roster: &Roster, tenant: &Tenant) -> Self {
        let (by, contact) = roster.stopper_of(tenant);
        Self::Suspended { by, contact }
    }
}

/// The same caller, checked once more; with what the directory says of it now.
pub(crate) fn renewed(roster: &Roster, caller: &Caller, now: Timestamp) -> Result<Caller, Denied> {
    let now = match &caller.key {
        None => vouched(roster, caller.tenant.id),
        Some(key) => {
            let key = roster.credential(&key.hash).ok_or(Denied::UnknownKey)?;
            standing(roster, key, now)
        }
    }?;
    Ok(Caller {
        rate: caller.rate,
        ..now
    })
}

/// A caller without a key.
pub(crate) fn vouched(roster: &Roster, tenant: TenantId) -> Result<Caller, Denied> {
    let tenant = roster.tenant(tenant).ok_or(Denied::UnknownKey)?;
    if tenant.status == TenantStatus::Suspended {
        return Err(Denied::suspended(roster, &tenant));
    }
    let vendor = roster.vendor(tenant.vendor).ok_or(Denied::UnknownKey)?;
    if !vendor.is_active() {
        return Err(Denied::SuspendedVendor { vendor });
    }
    Ok(Caller {
        tenant,
        credential: None,
        key: None,
        rate: RateState::NONE,
    })
}

fn standing(roster: &Roster, key: Arc<Credential>, now: Timestamp) -> Result<Caller, Denied> {
    match key.status {
        CredentialStatus::Active => {}
        CredentialStatus::Suspended => return Err(Denied::SuspendedKey),
        CredentialStatus::Revoked => return Err(Denied::RevokedKey),
    }
    if let Some(at) = key.expires_at.filter(|at| *at <= now) {
        return Err(Denied::Expired { at });
    }
    let caller = vouched(roster, key.tenant)?;
    Ok(Caller {
        credential: Some(key.id),
        key: Some(key),
        ..caller
    })
}

// Told from its form, without asking the directory, what cannot be a key of ours.
fn hash(secret: &str) -> Option<[u8; 32]> {
    if let Some(password) = SmtpPassword::parse(secret) {
        return Some(password.hash());
    }
    let token = ApiToken::parse(secret).ok()?;
    token::is_well_formed(&token).then(|| token::hash(&token))
}
