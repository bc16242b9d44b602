//! Another time for a scheduled message: sealed for the new time, and put in the place of the old
//! in one commit.

use postrider_model::{MessageId, RecipientState, TenantId, Timestamp};
use postrider_store::{Rescheduled, Rescheduling, StoredEmail};

use crate::accept::{AcceptError, Gate};
use crate::admit;
use crate::reseal::{ResealError, Times, resealed, signed_anew};

/// How often a message is read again that somebody else sealed in between.
const TRIES: usize = 3;

/// Why a message did not get another time. It stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum RescheduleError {
    /// Its new times are not allowed, or there is no room for its new bytes.
    #[error(transparent)]
    Refused(#[from] AcceptError),
    #[error("its stored bytes begin with no signature of ours")]
    Unsealed,
    #[error(transparent)]
    Seal(#[from] ResealError),
}

impl Gate {
    /// Lets a scheduled message leave at `wish`, or now if that is past, with the Date and the
    /// signatures of the new time; on disk when it returns `Done`. Its expiry is counted from the
    /// new time as `accept` counts it; one that the client asked for stays. `SealedByAnother`
    /// means that others sealed it again and again: to be asked for once more.
    pub async fn reschedule(
        &self,
        tenant: TenantId,
        message: MessageId,
        wish: Timestamp,
    ) -> Result<Rescheduling, RescheduleError> {
        if self.space_is_short() {
            return Err(AcceptError::SpaceIsShort.into());
        }
        for _ in 0..TRIES {
            let done = self.reschedule_once(tenant, message, wish).await?;
            if done != Rescheduling::SealedByAnother {
                return Ok(done);
            }
        }
        Ok(Rescheduling::SealedByAnother)
    }

    async fn reschedule_once(
        &self,
        tenant: TenantId,
        message: MessageId,
        wish: Timestamp,
    ) -> Result<Rescheduling, RescheduleError> {
        // The bytes first: whoever seals the message between the two reads is found out by `was`.
        let body = self.mail.body(tenant, message).await;
        let body = body.map_err(ResealError::from)?;
        let email = self.mail.email(tenant, message).await;
        let Some(email) = email.map_err(ResealError::from)? else {
            return Ok(Rescheduling::NotFound);
        };
        let (Some(body), Some(scheduled_at)) = (body, scheduled(&email)) else {
            return Ok(Rescheduling::NotScheduled);
        };
        let was = postrider_message::sealed_until(&body).ok_or(RescheduleError::Unsealed)?;
        let now = self.clock.now();
        let asked = email.summary.expires_at;
        let (due_at, expires_at) = admit::times(&self.rules, Some(wish), asked, now)?;
        let times = Times {
            now,
            due_at,
            date: Some(scheduled_at),
        };
        let signed = signed_anew(body, self.signers_of(tenant)?, times).await?;
        let rescheduled = Rescheduled {
            sealed: resealed((tenant, message), signed, was),
            due_at,
            expires_at,
            at: now,
        };
        let done = self.intake.reschedule(rescheduled).await;
        Ok(done.map_err(ResealError::from)?)
    }
}

// The time that a message waits for. What has left already is not sealed in vain; that it is
// still scheduled is decided in the commit.
fn scheduled(email: &StoredEmail) -> Option<Timestamp> {
    let mut states = email.recipients.iter().map(|recipient| recipient.state);
    let waits = states.any(|state| state == RecipientState::Scheduled);
    email.summary.scheduled_at.filter(|_| waits)
}
