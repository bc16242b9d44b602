//! New keys for a tenant that came by enrolment; its old ones live on for a while.

use postrider_model::{Credential, CredentialStatus, KeyKind, Tenant, Timestamp};
use postrider_store::StoreError;
use serde_json::json;

use super::again::is_its;
use super::keys::lives;
use super::{EnrolError, Enrolled, Enroller, ShopStatus, Spoken};
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
        let (tenant, roster) = (&tenant, &self.ports.roster);
        if ShopStatus::of(roster, tenant) == ShopStatus::Suspended {
            return Err(Denied::suspended(roster, tenant).into());
        }
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
        check_room(&old, tenant)?;
        let secrets = self.pair(tenant, &old).await?;
        // Last: whatever fails before, no door closes that has no other key.
        let ends = now.after(self.config.overlap);
        for key in old {
            self.end(key, ends).await?;
        }
        let detail = json!({"old_keys_until": ends});
        self.note(&spoken, "enrol_rotate", tenant, detail).await;
        let tenant = self.seen(tenant.clone()).await;
        Ok(self.told(tenant, Some(secrets)).await)
    }

    /// A token that is older than one used since, or is bound to another reply address, gives no
    /// keys: who has it could not enrol either.
    async fn check_rotation(&self, spoken: &Spoken, tenant: &Tenant) -> Result<(), EnrolError> {
        let last = self.ports.enrolments.last_token(tenant.id).await?;
        if last.is_some_and(|at| spoken.claims.issued_at < at) {
            return Err(EnrolError::Outdated);
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

fn check_room(live: &[Credential], tenant: &Tenant) -> Result<(), EnrolError> {
    let too_often = |until| EnrolError::RotatedTooOften {
        most: PAIRS_MOST,
        until,
        tenant: tenant.slug.clone(),
    };
    match Room::beside(live) {
        Room::Now => Ok(()),
        Room::At(until) => Err(too_often(Some(until))),
        Room::Never => Err(too_often(None)),
    }
}

/// Whether there may be another pair beside those that live. In the order of how long that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    Now,
    /// When enough of them have ended.
    At(Timestamp),
    /// Not by itself: they have no end.
    Never,
}

impl Room {
    fn beside(live: &[Credential]) -> Self {
        let of = |kind| {
            let of_kind = live.iter().filter(|key| key.kind == kind);
            let mut ends: Vec<_> = of_kind
                .map(|key| key.expires_at.map_or(Self::Never, Self::At))
                .collect();
            ends.sort_unstable();
            let over = ends.len().checked_sub(PAIRS_MOST);
            let end = over.and_then(|over| ends.get(over).copied());
            end.unwrap_or(Self::Now)
        };
        of(KeyKind::Smtp).max(of(KeyKind::Api))
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{CredentialId, TenantId};

    use super::*;

    #[test]
    fn there_is_room_again_when_the_first_of_five_ends() {
        let at = Timestamp::from_micros;
        let key = |kind, end: Option<i64>| {
            let (id, tenant) = (
                CredentialId::from_bytes([1; 16]),
                TenantId::from_bytes([1; 16]),
            );
            Credential {
                kind,
                expires_at: end.map(at),
                ..Credential::api(id, tenant, String::new(), [0; 32])
            }
        };
        let four = [None, Some(4), Some(2), Some(3)];
        let five = [None, Some(4), Some(2), Some(3), Some(5)];
        for (api, smtp, want, why) in [
            (&four[..], &four[..], Room::Now, "room"),
            (&five, &four, Room::At(at(2)), "the first that ends"),
            (&five, &[Some(9); 5], Room::At(at(9)), "the later kind"),
            (&[None; 5], &five, Room::Never, "some have no end"),
        ] {
            let api = api.iter().map(|end| key(KeyKind::Api, *end));
            let smtp = smtp.iter().map(|end| key(KeyKind::Smtp, *end));
            let live: Vec<_> = api.chain(smtp).collect();
            assert_eq!(Room::beside(&live), want, "{why}");
        }
    }
}
