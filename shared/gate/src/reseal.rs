//! Sealing again: the very same message under new signatures, for what waits near the end of the
//! old ones or was signed with a key that is revoked.

use std::borrow::Cow;

use bytes::Bytes;
use postrider_message::SignError;
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_runtime::apart;
use postrider_store::{Resealed, StoreError};

use crate::accept::Gate;
use crate::identity::Identity;
use crate::seal::{Signed, signed};
use crate::signing::Signers;

/// Why a message could not be sealed again. It stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    #[error("the tenant is not there any more")]
    NoTenant,
    #[error("no DKIM key is there to sign with")]
    NoSigningKey,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the work was stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    /// Signs a message anew with today's keys, `t=` now and `x=` 48 h later; on disk when it
    /// returns. All bytes behind our own signatures stay as they are. `was` is until when the
    /// signatures stood that the caller saw: false where somebody else has sealed it since, or
    /// where its bytes are gone. Then there is nothing to do but to open it again.
    pub async fn reseal(
        &self,
        tenant: TenantId,
        message: MessageId,
        was: Timestamp,
    ) -> Result<bool, ResealError> {
        let now = self.clock.now();
        let Some(body) = self.mail.body(tenant, message).await? else {
            return Ok(false);
        };
        let signers = self.signers_of(tenant)?;
        // Due at once. Of what is rescheduled the new time stands here.
        let times = Times {
            now,
            due_at: now,
            date: None,
        };
        let signed = signed_anew(body, signers, times).await?;
        let resealed = resealed((tenant, message), signed, was);
        let is_ours = self.intake.reseal(resealed).await?;
        self.instruments.resealed.add(u64::from(is_ours));
        Ok(is_ours)
    }

    /// The keys of today for what this tenant sends; at least one.
    pub(crate) fn signers_of(&self, tenant: TenantId) -> Result<Signers, ResealError> {
        let sender = self.roster.tenant(tenant).ok_or(ResealError::NoTenant)?;
        let identity = Identity::of(&sender, &self.rules.service);
        let signers = self.keys.signers(&identity.signing_domain);
        if signers.is_empty() {
            return Err(ResealError::NoSigningKey);
        }
        Ok(signers)
    }
}

/// For when a message is signed anew.
pub(crate) struct Times {
    pub(crate) now: Timestamp,
    /// The first attempt.
    pub(crate) due_at: Timestamp,
    /// The time that its Date was made for, where it is to get another.
    pub(crate) date: Option<Timestamp>,
}

/// The same message with another Date, if that was asked for and is ours to give, and with new
/// signatures.
pub(crate) async fn signed_anew(
    body: Bytes,
    signers: Signers,
    times: Times,
) -> Result<Signed, ResealError> {
    let size = body.len();
    let work = move || {
        let Times { now, due_at, date } = times;
        let mut stamped = body.slice_ref(postrider_message::unsigned(&body));
        drop(body);
        if let Some(was) = date
            && let Cow::Owned(other) = postrider_message::redate(&stamped, was, due_at)
        {
            // The old one is given up here: at most two copies of a large message are in memory.
            stamped = Bytes::from(other);
        }
        signed(&stamped, &signers, (now, due_at))
    };
    let signed = apart(size, work).await;
    Ok(signed.map_err(|_| ResealError::Stopped)??)
}

/// What the store is told of it. `was` is until when the old signatures stood.
pub(crate) fn resealed(
    (tenant, id): (TenantId, MessageId),
    signed: Signed,
    was: Timestamp,
) -> Resealed {
    Resealed {
        id,
        tenant,
        body: signed.body,
        selectors: signed.selectors,
        sealed_until: signed.until,
        was,
    }
}
