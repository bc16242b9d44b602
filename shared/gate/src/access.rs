//! From a key to who is calling.

use std::sync::Arc;
use std::time::Duration;

use postrider_model::{ApiToken, CredentialId, KeyStatus, Tenant, TenantId, TenantStatus};
use postrider_runtime::Clock;
use postrider_store::Roster;

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
    #[error("the tenant is suspended")]
    Suspended,
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

    /// Tells who shows this key and takes one request from its tenant's rate.
    pub fn identify(&self, key: &ApiToken) -> Result<Caller, Denied> {
        if !token::is_well_formed(key) {
            return Err(Denied::UnknownKey);
        }
        // Found by the hash of 256 random bits: the time it takes tells nothing of another key.
        let credential = self
            .roster
            .credential(&token::hash(key))
            .ok_or(Denied::UnknownKey)?;
        if credential.status == KeyStatus::Revoked {
            return Err(Denied::RevokedKey);
        }
        let tenant = self
            .roster
            .tenant(credential.tenant)
            .ok_or(Denied::UnknownKey)?;
        if tenant.status == TenantStatus::Suspended {
            return Err(Denied::Suspended);
        }
        let rate = self
            .rates
            .take(
                tenant.id,
                tenant.limits.requests_per_second,
                self.clock.now(),
            )
            .map_err(|(rate, retry_after)| Denied::RateLimited { rate, retry_after })?;
        Ok(Caller {
            tenant,
            credential: Some(credential.id),
            rate,
        })
    }

    /// A caller for mail that the operator sends as a tenant: no key, no rate.
    pub fn vouch(&self, tenant: TenantId) -> Result<Caller, Denied> {
        let tenant = self.roster.tenant(tenant).ok_or(Denied::UnknownKey)?;
        if tenant.status == TenantStatus::Suspended {
            return Err(Denied::Suspended);
        }
        let rate = RateState {
            limit: 0,
            remaining: 0,
            reset: 0,
        };
        Ok(Caller {
            tenant,
            credential: None,
            rate,
        })
    }
}
