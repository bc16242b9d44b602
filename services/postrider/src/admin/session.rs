//! The black box, for an operator: what a program said and was told, by the session's code.

use std::net::SocketAddr;
use std::sync::Arc;

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
        let directory = self.directory().await?;
        let [tenant, claimed] = [session.tenant, session.claimed].map(|id| directory.tenant(id?));
        Ok(show(&session, [tenant, claimed]))
    }
}

/// With who signed in; and whose name was given where nobody did, which anybody may type.
fn show(session: &Session, named: [Option<Arc<Tenant>>; 2]) -> Value {
    let [tenant, claimed] = named.map(|one| one.map(|tenant| tenant.slug.clone()));
    // A socket for both families shows IPv4 as part of IPv6.
    let peer = SocketAddr::new(session.peer.ip().to_canonical(), session.peer.port());
    json!({
        "object": "session",
        "code": session.code,
        "tenant": tenant,
        "claimed": claimed,
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
