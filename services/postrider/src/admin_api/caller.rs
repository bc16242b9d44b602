//! Who calls the admin API, and what is there for it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use postrider_gate::AdminSecret;
use postrider_http::{Problem, Request};
use postrider_ingest::catalogue::Entry;
use postrider_model::{
    AdminRole, AdminToken, Authority, Tenant, TenantId, Timestamp, Vendor, VendorId,
};
use postrider_store::Roster;

use super::AdminDoor;
use super::missing::no_such;

/// Who shows a token, checked.
pub(super) struct Caller {
    pub(super) token: Arc<AdminToken>,
    /// Whose tenants it sees; `None`: everybody's.
    pub(super) vendor: Option<Arc<Vendor>>,
}

impl Caller {
    /// As the audit names it.
    pub(super) fn actor(&self) -> String {
        format!("token {}", self.token.id)
    }

    /// In whose name it acts.
    pub(super) fn authority(&self) -> Authority {
        match self.vendor {
            Some(_) => Authority::Vendor,
            None => Authority::Operator,
        }
    }

    /// Refuses what its role does not reach, and of a suspended vendor all but reading.
    pub(super) fn may(&self, needed: AdminRole) -> Result<(), Problem> {
        if rank(self.token.role) >= rank(needed) {
            return match &self.vendor {
                Some(vendor) if needed != AdminRole::Read && !vendor.is_active() => {
                    Err(suspended(vendor))
                }
                _ => Ok(()),
            };
        }
        let message = format!(
            "This token's role is {}; this takes {}: use a token that has it.",
            self.token.role.as_str(),
            needed.as_str()
        );
        Err(Problem::new(403, "restricted_api_key", message))
    }

    /// Whether a vendor's tenants are there for it.
    pub(super) fn sees(&self, vendor: VendorId) -> bool {
        self.vendor.as_ref().is_none_or(|own| own.id == vendor)
    }
}

// Its contact is who calls here: they ask the operator.
fn suspended(vendor: &Vendor) -> Problem {
    let message = format!(
        "{} is suspended, and all its accounts: until it is resumed its tokens may only read; ask the service's operator.",
        vendor.name
    );
    Problem::new(403, "validation_error", message).entry(Entry::VENDOR_SUSPENDED.id)
}

// Each role may do what those before it may.
fn rank(role: AdminRole) -> u8 {
    match role {
        AdminRole::Read => 0,
        AdminRole::Operate => 1,
        AdminRole::Admin => 2,
    }
}

impl AdminDoor {
    pub(super) fn identify(&self, request: &Request) -> Result<Caller, Problem> {
        let text = bearer(request).ok_or_else(missing)?;
        let now = self.office.provision.clock.now();
        let Some(caller) = find(&self.office.roster, text, now) else {
            let failed = self.paces.failed(request.peer.ip(), now);
            let message = "Too many tokens that open nothing came from this address; wait, and send the right one.";
            failed.map_err(|wait| too_many(message, wait))?;
            return Err(unknown());
        };
        let asked = self.paces.asked(caller.token.id, now);
        let message =
            "More than 100 requests came with this token in one second; wait and send it again.";
        asked.map_err(|wait| too_many(message, wait))?;
        Ok(caller)
    }

    /// A tenant by its id or slug, if it is there for the caller.
    pub(super) fn tenant(&self, caller: &Caller, which: &str) -> Result<Arc<Tenant>, Problem> {
        let roster = &self.office.roster;
        let by_id = which.parse::<TenantId>().ok();
        let found = by_id.and_then(|id| roster.tenant(id));
        let found = found.or_else(|| roster.tenant_named(which));
        // Our own mail is nobody's to look after.
        let found = found.filter(|tenant| caller.sees(tenant.vendor) && !tenant.is_house);
        found.ok_or_else(|| no_such("tenant", which))
    }
}

fn find(roster: &Roster, text: &str, now: Timestamp) -> Option<Caller> {
    let token = roster.admin_token(&AdminSecret::parse(text)?.hash())?;
    if !token.is_good(now) {
        return None;
    }
    let vendor = match token.vendor {
        None => None,
        // Without its vendor it is nobody's.
        Some(vendor) => Some(roster.vendor(vendor)?),
    };
    Some(Caller { token, vendor })
}

// RFC 6750 §2.1; the scheme's name in any case (RFC 9110 §11.1).
fn bearer(request: &Request) -> Option<&str> {
    let text = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn missing() -> Problem {
    let message = "No token came with the request; send it as Authorization: Bearer pra_….";
    let challenge = HeaderValue::from_static("Bearer");
    Problem::new(401, "missing_api_key", message).header(header::WWW_AUTHENTICATE, challenge)
}

fn too_many(message: &str, wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
    Problem::new(429, "rate_limit_exceeded", message).retry_after(seconds.max(1))
}

// One answer for all: nobody learns which tokens were once good.
fn unknown() -> Problem {
    let message = "This token opens nothing; check that it was copied whole, was not revoked and has not ended.";
    Problem::new(403, "invalid_api_key", message)
}
