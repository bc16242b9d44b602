//! `POST /emails/{id}/cancel`: taking a scheduled message back.

use postrider_http::{Answer, Problem, RequestId};
use postrider_model::{MessageId, TenantId};
use postrider_store::Cancelled;

use crate::http::{HttpDoor, MessageRef, fault};
use crate::refusal::{self, Verb};

impl HttpDoor {
    /// Answers 200 only where nothing of the message leaves any more.
    pub(crate) async fn cancel(
        &self,
        tenant: TenantId,
        message: MessageId,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let (mail, now) = (&self.ports.mail, self.ports.clock.now());
        let cancelled = mail.cancel(tenant, message, now).await;
        match cancelled.map_err(|error| fault(id, &error))? {
            Cancelled::Done => Ok(Answer::json(200, &MessageRef::email(message))),
            Cancelled::NotFound => Err(Problem::not_found()),
            Cancelled::NotScheduled => {
                // Only to say what it is now: the refusal stands.
                let email = mail.email(tenant, message).await;
                let email = email.map_err(|error| fault(id, &error))?;
                let email = email.ok_or_else(Problem::not_found)?;
                Err(refusal::not_scheduled(&email, Verb::Cancel))
            }
        }
    }
}
