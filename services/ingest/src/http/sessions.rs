//! `GET /sessions/{code}`: what a program said over SMTP, for whose key it showed.

use postrider_http::{Answer, Problem, RequestId};
use postrider_model::{
    MessageId, Session, SessionCode, SessionLine, SessionTls, TenantId, Timestamp,
};
use serde::Serialize;

use crate::http::{HttpDoor, fault};

#[derive(Serialize)]
struct Shown<'a> {
    object: &'static str,
    code: SessionCode,
    started_at: Timestamp,
    verdict: &'a str,
    /// Null where nothing was ever encrypted.
    tls: Option<&'a SessionTls>,
    dialogue: &'a [SessionLine],
    emails: &'a [MessageId],
}

impl HttpDoor {
    /// A session in which nobody signed in belongs to nobody: the operator's command shows it.
    pub(crate) async fn session(
        &self,
        tenant: TenantId,
        code: SessionCode,
        id: &RequestId,
    ) -> Result<Answer, Problem> {
        let found = self.ports.sessions.session(tenant, code).await;
        let found = found.map_err(|error| fault(id, &error))?;
        let session: Session = found.ok_or_else(Problem::not_found)?;
        let shown = Shown {
            object: "session",
            code: session.code,
            started_at: session.started_at,
            verdict: &session.verdict,
            tls: session.tls.mode.is_some().then_some(&session.tls),
            dialogue: &session.dialogue,
            emails: &session.emails,
        };
        Ok(Answer::json(200, &shown))
    }
}
