//! What programs said over SMTP, as tenants see it.

use std::net::SocketAddr;

use postrider_model::{Session, SessionCode, SessionLine, SessionTls, Side, TenantId};
use postrider_store::Sessions;
use serde_json::json;

use crate::harness::Relay;

async fn kept(relay: &Relay, code: &str, tenant: Option<TenantId>, peer: &str) {
    kept_as(relay, code, (tenant, None), peer).await;
}

/// Of whom it is, or whom it claimed to be of.
async fn kept_as(
    relay: &Relay,
    code: &str,
    (tenant, claimed): (Option<TenantId>, Option<TenantId>),
    peer: &str,
) {
    let at = relay.clock.now();
    let session = Session {
        code: SessionCode::parse(code).unwrap(),
        started_at: at,
        ended_at: Some(at),
        tenant,
        credential: None,
        claimed,
        peer: peer.parse::<SocketAddr>().unwrap(),
        port: 587,
        verdict: "All is well.".to_owned(),
        tls: SessionTls::default(),
        dialogue: vec![SessionLine {
            at,
            from: Side::Client,
            line: "EHLO vm".to_owned(),
        }],
        emails: Vec::new(),
    };
    assert!(relay.store.keep(vec![session]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_is_shown_to_its_tenant_however_its_code_is_written() {
    let relay = Relay::start().await;
    kept(&relay, "7F3K-Q2", Some(relay.tenant.id), "192.0.2.1:4000").await;
    for code in ["7F3K-Q2", "7f3kq2"] {
        let answer = relay.get(&format!("/sessions/{code}")).await;
        assert_eq!(
            answer.json,
            json!({
                "object": "session",
                "code": "7F3K-Q2",
                "started_at": "2026-01-31T08:00:00.000000Z",
                "verdict": "All is well.",
                "tls": null,
                "dialogue": [{"at": "2026-01-31T08:00:00.000000Z", "from": "client", "line": "EHLO vm"}],
                "emails": [],
            })
        );
    }
}

#[tokio::test]
async fn anothers_session_is_not_there_and_nobodys_only_where_it_came_from() {
    let mut relay = Relay::start().await;
    kept(&relay, "AAAA-AA", Some(relay.tenant.id), "127.0.0.1:4000").await;
    kept(&relay, "BBBB-BB", None, "192.0.2.1:4000").await;
    kept(&relay, "CCCC-CC", None, "127.0.0.1:4000").await;
    (_, relay.key) = relay.tenant("Other", 100).await;
    for (code, status) in [
        ("AAAA-AA", 404),
        ("BBBB-BB", 404),
        ("CCCC-CC", 200),
        ("DDDD-DD", 404),
        ("no-code", 404),
    ] {
        let answer = relay.get(&format!("/sessions/{code}")).await;
        assert_eq!(answer.status, status, "{code}");
    }
    let nobody = relay.ask("GET", "/sessions/CCCC-CC", &[], "").await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
}

#[tokio::test]
async fn a_session_with_a_wrong_password_is_the_tenants_whose_user_name_it_was() {
    let mut relay = Relay::start().await;
    let (mine, far) = (Some(relay.tenant.id), "192.0.2.1:4000");
    kept_as(&relay, "AAAA-AA", (None, mine), far).await;
    kept_as(&relay, "BBBB-BB", (None, mine), "127.0.0.1:4000").await;
    let is_there = async |relay: &Relay, code: &str| {
        relay.get(&format!("/sessions/{code}")).await.status == 200
    };
    assert!(is_there(&relay, "AAAA-AA").await);
    assert!(is_there(&relay, "BBBB-BB").await);
    (_, relay.key) = relay.tenant("Other", 100).await;
    assert!(!is_there(&relay, "AAAA-AA").await);
    assert!(!is_there(&relay, "BBBB-BB").await, "from the same site");
}
