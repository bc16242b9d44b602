//! The keys that enrolment gives a tenant: in pairs, one for each kind of door.

use postrider_model::{Credential, CredentialStatus, KeyKind, Tenant, Timestamp};
use postrider_store::StoreError;

use super::{EnrolError, Enroller, NOTE, Secrets};
use crate::provision::KeyWishes;

impl Enroller {
    /// All that enrolment ever gave a tenant, whatever became of them.
    pub(super) async fn keys_of(&self, tenant: &Tenant) -> Result<Vec<Credential>, StoreError> {
        let provision = &self.ports.provision;
        self.ports.roster.refresh(&*provision.directory).await?;
        let keys = self.ports.roster.credentials_of(tenant.id).into_iter();
        Ok(keys
            .filter(|key| key.is_enrolled)
            .map(|key| (*key).clone())
            .collect())
    }

    /// Adds a pair; each is as narrow as the newest of its kind among `before`.
    pub(super) async fn pair(
        &self,
        tenant: &Tenant,
        before: &[Credential],
    ) -> Result<Secrets, EnrolError> {
        let newest = |kind| {
            let of_kind = before.iter().filter(|key| key.kind == kind);
            of_kind.max_by_key(|key| (key.created_at, key.id))
        };
        let (api, smtp) = (newest(KeyKind::Api), newest(KeyKind::Smtp));
        let provision = &self.ports.provision;
        let (_, key) = provision.credential(tenant.id, wishes(api)).await?;
        let (_, password) = provision.smtp_credential(tenant, wishes(smtp)).await?;
        Ok(Secrets { password, key })
    }
}

/// Whether a key opens the doors.
pub(super) fn lives(key: &Credential, now: Timestamp) -> bool {
    key.status == CredentialStatus::Active && key.expires_at.is_none_or(|at| now < at)
}

/// A key of enrolment like the one before it, but for its secret and its end.
pub(super) fn wishes(before: Option<&Credential>) -> KeyWishes {
    let usual = KeyWishes {
        note: NOTE.to_owned(),
        is_enrolled: true,
        ..KeyWishes::default()
    };
    match before {
        None => usual,
        Some(key) => KeyWishes {
            user: key.user.clone(),
            networks: key.networks.clone(),
            per_day: key.per_day,
            defaults: key.defaults.clone(),
            unknown_reply_to: key.unknown_reply_to,
            skips_duplicates: key.skips_duplicates,
            is_test: key.is_test,
            ..usual
        },
    }
}
