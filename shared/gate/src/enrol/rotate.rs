//! New keys for a tenant that came by enrolment; its old ones live on for a while.

use postrider_model::{Credential, CredentialStatus, KeyKind, Tenant, Timestamp};
use postrider_store::StoreError;
use serde_json::json;

use super::{EnrolError, Enrolled, Enroller, NOTE, Secrets, wishes};
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
        let old = self.living(tenant).await?;
        let of = |kind| old.iter().filter(|key| key.kind == kind).count();
        if of(KeyKind::Smtp).max(of(KeyKind::Api)) >= PAIRS_MOST {
            return Err(EnrolError::RotatedTooOften { most: PAIRS_MOST });
        }
        let provision = &self.ports.provision;
        let (_, key) = provision.credential(tenant.id, wishes()).await?;
        let (_, password) = provision.smtp_credential(tenant, wishes()).await?;
        // Last: whatever fails before, no door closes that has no other key.
        let ends = provision.clock.now().after(self.config.overlap);
        for key in old {
            self.end(key, ends).await?;
        }
        let detail = json!({"old_keys_until": ends});
        self.note(&spoken, "enrol_rotate", tenant, detail).await;
        let tenant = self.seen(tenant.clone()).await;
        Ok(self.told(tenant, Some(Secrets { password, key })))
    }

    /// The keys that enrolment gave a tenant and that open the doors now.
    async fn living(&self, tenant: &Tenant) -> Result<Vec<Credential>, StoreError> {
        let provision = &self.ports.provision;
        self.ports.roster.refresh(&*provision.directory).await?;
        let now = provision.clock.now();
        let lives = |key: &Credential| {
            key.note == NOTE
                && key.status == CredentialStatus::Active
                && key.expires_at.is_none_or(|at| now < at)
        };
        let keys = self.ports.roster.credentials_of(tenant.id).into_iter();
        Ok(keys
            .filter(|key| lives(key))
            .map(|key| (*key).clone())
            .collect())
    }

    async fn end(&self, key: Credential, at: Timestamp) -> Result<(), StoreError> {
        let key = Credential {
            expires_at: Some(key.expires_at.map_or(at, |ends| ends.min(at))),
            ..key
        };
        self.ports.provision.directory.change_credential(key).await
    }
}
