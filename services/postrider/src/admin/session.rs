//! The black box, for an operator: what a program said and was told, by the session's code.

use std::net::SocketAddr;

use anyhow::bail;
use postrider_model::{Session, SessionCode, Tenant};
use serde_json::{Value, json};

use super::Office;

impl Office {
    pub(super) async fn session(&self, code: SessionCode) -> anyhow::Result<Value> {
        let Some(session) = self.database.sessions.any_session(code).await? else {
            bail!(
                "there is no session {code}: they are kept for seven days, 500 of a tenant's smooth and 500 of its refused ones an hour, and fewer where nobody signed in; one that just began is written within a second. What is above that is not kept: postrider_ingest_sessions_lost_total counts it"
            );
        };
        let tenant = match session.tenant {
            Some(id) => self.directory().await?.tenant(id),
            None => None,
        };
        Ok(show(&session, tenant.as_deref()))
    }
}

fn show(session: &Session, tenant: Option<&Tenant>) -> Value {
    // A socket for both families shows IPv4 as part of IPv6.
    let peer = SocketAddr::new(session.peer.ip().to_canonical(), session.peer.port());
    json!({
        "object": "session",
        "code": session.code,
        "tenant": tenant.map(|tenant| &tenant.slug),
        "key": session.credential,
        "peer": peer.to_string(),
        "port": session.port,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "verdict": session.verdict,
        "tls": session.tls,
        "dialogue": session.dialogue,
        "emails": session.emails,
    })
}
