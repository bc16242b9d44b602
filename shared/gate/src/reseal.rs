//! Sealing again: the very same message under new signatures, for what waits near the end of the
//! old ones or was signed with a key that is revoked.

use bytes::Bytes;
use postrider_message::SignError;
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_store::{Resealed, StoreError};

use crate::accept::{Gate, INLINE_MOST};
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
        let sender = self.roster.tenant(tenant).ok_or(ResealError::NoTenant)?;
        let identity = Identity::of(&sender, &self.rules.service);
        let signers = self.keys.signers(&identity.signing_domain);
        if signers.is_empty() {
            return Err(ResealError::NoSigningKey);
        }
        // Due at once. Of what is rescheduled the new time stands here.
        let Signed {
            body,
            selectors,
            until,
        } = signed_anew(body, signers, (now, now)).await?;
        let resealed = Resealed {
            id: message,
            tenant,
            body,
            selectors,
            sealed_until: until,
            was,
        };
        let is_ours = self.intake.reseal(resealed).await?;
        self.resealed.add(u64::from(is_ours));
        Ok(is_ours)
    }
}

async fn signed_anew(
    body: Bytes,
    signers: Signers,
    times: (Timestamp, Timestamp),
) -> Result<Signed, ResealError> {
    let large = body.len() > INLINE_MOST;
    let work = move || signed(postrider_message::unsigned(&body), &signers, times);
    let signed = if large {
        let work = tokio::task::spawn_blocking(work);
        work.await.map_err(|_| ResealError::Stopped)?
    } else {
        work()
    };
    Ok(signed?)
}
