//! New keys for a tenant that came by enrolment; its old ones live on for a while.

use postrider_model::{Credential, CredentialStatus, KeyKind, Tenant, Timestamp};
use postrider_store::StoreError;
use serde_json::json;

use super::again::is_its;
use super::keys::lives;
use super::{EnrolError, Enrolled, Enroller, Spoken};
use crate::access::Denied;

/// Pairs of keys that may open the doors at a time.
const PAIRS_MOST: usize = 5;

impl Enroller {
    /// Gives the tenant of a licence a new pair of keys. Those that enrolment gave before open the
    /// doors for the overlap yet; keys that were made otherwise are left as they are.
    pub async fn rotate(&self, token: &str) -> Result<Enrolled, EnrolError> {
        let spoken = self.spoken(token)?;
        let _alone = self.alone(&spoken).await;
        let Some(tenant) = self.tenant_of(&spoken).await? else {
            let licence = spoken.claims.licence;
            return Err(EnrolError::NotEnrolled { licence });
        };
        if !spoken.vendor.is_active() {
            let vendor = spoken.vendor;
            return Err(Denied::SuspendedVendor { vendor }.into());
        }
        let told = self.told(tenant, None);
        if !told.is_active {
            return Err(Denied::Suspended.into());
        }
        let tenant = &*told.tenant;
        self.check_rotation(&spoken, tenant).await?;
        let (keys, now) = (
            self.keys_of(tenant).await?,
            self.ports.provision.clock.now(),
        );
        // One that leaked was stopped: a new pair would let whoever has it and the token go on.
        if keys
            .iter()
            .any(|key| key.status == CredentialStatus::Suspended)
        {
            return Err(Denied::SuspendedKey.into());
        }
        let old: Vec<_> = keys.into_iter().filter(|key| lives(key, now)).collect();
        let of = |kind| old.iter().filter(|key| key.kind == kind).count();
        if of(KeyKind::Smtp).max(of(KeyKind::Api)) >= PAIRS_MOST {
            return Err(EnrolError::RotatedTooOften { most: PAIRS_MOST });
        }
        let secrets = self.pair(tenant, &old).await?;
        // Last: whatever fails before, no door closes that has no other key.
        let ends = now.after(self.config.overlap);
        for key in old {
            self.end(key, ends).await?;
        }
        let detail = json!({"old_keys_until": ends});
        self.note(&spoken, "enrol_rotate", tenant, detail).await;
        let tenant = self.seen(tenant.clone()).await;
        Ok(self.told(tenant, Some(secrets)))
    }

    /// A token that is older than one used since, or is bound to another reply address, gives no
    /// keys: who has it could not enrol either.
    async fn check_rotation(&self, spoken: &Spoken, tenant: &Tenant) -> Result<(), EnrolError> {
        let last = self.ports.enrolments.last_token(tenant.id).await?;
        if last.is_some_and(|at| spoken.claims.issued_at < at) {
            return Err(EnrolError::Replayed);
        }
        match spoken.claims.bound().find(|bound| !is_its(tenant, bound)) {
            None => Ok(()),
            Some(bound) => Err(EnrolError::OtherReplyTo {
                bound: bound.clone(),
                given: tenant.reply_to.clone(),
            }),
        }
    }

    async fn end(&self, key: Credential, at: Timestamp) -> Result<(), StoreError> {
        let key = Credential {
            expires_at: Some(key.expires_at.map_or(at, |ends| ends.min(at))),
            ..key
        };
        self.ports.provision.directory.change_credential(key).await
    }
}
