//! `GET /sessions/{code}`: what a program said over SMTP, for whose key it showed.

use postrider_http::{Answer, Problem, Request};
use postrider_model::{
    MessageId, Session, SessionCode, SessionLine, SessionTls, TenantId, Timestamp, site_of,
};
use postrider_store::StoreError;
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
    /// One of this tenant; or one in which nobody signed in: that claimed to be its own; or that claimed to
    /// be nobody's, if it came from where this is asked. Whoever has a wrong password wants to see what
    /// was said with it, and nobody else may.
    pub(crate) async fn session(
        &self,
        tenant: TenantId,
        code: SessionCode,
        request: &Request,
    ) -> Result<Answer, Problem> {
        let sessions = &self.ports.sessions;
        let fault = |error: &StoreError| fault(&request.request_id, error);
        let mut found = sessions.session(tenant, code).await;
        if matches!(found, Ok(None)) {
            let is_its_own = |session: &Session| match session.claimed {
                Some(claimed) => claimed == tenant,
                None => site_of(session.peer.ip()) == site_of(request.peer.ip()),
            };
            found = sessions.strangers_session(code).await;
            found = found.map(|session| session.filter(is_its_own));
        }
        let session = found.map_err(|error| fault(&error))?;
        let session = session.ok_or_else(not_kept)?;
        Ok(Answer::json(200, &Shown::from(&session)))
    }
}

// Another tenant's is not told apart from none.
fn not_kept() -> Problem {
    Problem::new(
        404,
        "not_found",
        "There is no such session of yours. Sessions are kept for seven days, of each account 500 an hour in which all went well and 500 in which something was refused; one that just began is written within a second.",
    )
}

impl<'a> From<&'a Session> for Shown<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            object: "session",
            code: session.code,
            started_at: session.started_at,
            verdict: &session.verdict,
            tls: session.tls.mode.is_some().then_some(&session.tls),
            dialogue: &session.dialogue,
            emails: &session.emails,
        }
    }
}
