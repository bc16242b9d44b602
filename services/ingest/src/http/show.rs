//! `GET /emails/{id}` and what lies below it: looking a tenant's mail up.

use postrider_http::{Answer, Problem, RequestId};
use postrider_message::Texts;
use postrider_model::{MessageId, TenantId};

use crate::http::{HttpDoor, email, fault};

/// Above this a message is shown without its texts, in bytes: showing it must stay cheap.
const TEXTS_MOST: u64 = 256 * 1024;

impl HttpDoor {
    /// `GET /emails/{id}`.
    pub(crate) async fn email(
        &self,
        tenant: TenantId,
        message: MessageId,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let mail = &self.ports.mail;
        let found = mail
            .email(tenant, message)
            .await
            .map_err(|error| fault(id, &error))?;
        let email = found.ok_or_else(Problem::not_found)?;
        let mut texts = Texts::default();
        if email.size <= TEXTS_MOST {
            let body = mail
                .body(tenant, message)
                .await
                .map_err(|error| fault(id, &error))?;
            texts = body
                .map(|body| postrider_message::texts(&body))
                .unwrap_or_default();
        }
        // Of what has ended nothing waits.
        let suspensions = if email.recipients.iter().all(|one| one.state.is_final()) {
            Vec::new()
        } else {
            let known = self.ports.suspensions.concerning(tenant, message).await;
            known.map_err(|error| fault(id, &error))?
        };
        let now = self.ports.clock.now();
        Ok(email::object(&email, texts, &suspensions, now))
    }

    /// `GET /emails/{id}/events`.
    pub(crate) async fn events(
        &self,
        tenant: TenantId,
        message: MessageId,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let found = self
            .ports
            .mail
            .events(tenant, message)
            .await
            .map_err(|error| fault(id, &error))?;
        found
            .map(|events| email::events(&events))
            .ok_or_else(Problem::not_found)
    }
}
