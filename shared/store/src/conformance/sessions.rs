//! The black box.

use std::slice::from_ref;

use postrider_model::{Session, SessionCode, SessionLine, SessionTls, Side, TenantId, Timestamp};

use super::Ports;
use super::fixture::{add_tenant, at, credential_id, message_id, number};

/// A session, each time with another code.
fn session(tenant: Option<TenantId>, started_at: Timestamp) -> Session {
    let random = u32::try_from(number()).expect("a small number");
    Session {
        code: SessionCode::new(random.to_be_bytes()),
        started_at,
        ended_at: None,
        tenant,
        credential: tenant.map(|_| credential_id()),
        claimed: None,
        peer: "[2001:db8::7]:50123".parse().expect("a socket's address"),
        port: 587,
        verdict: "your program sent no password".to_owned(),
        tls: SessionTls {
            mode: Some("STARTTLS".to_owned()),
            version: Some("TLSv1.2".to_owned()),
            offered: vec!["TLSv1.2".to_owned(), "TLSv1.0".to_owned()],
            ..SessionTls::default()
        },
        dialogue: vec![
            SessionLine {
                at: started_at,
                from: Side::Server,
                line: "220 mail.relay.example".to_owned(),
            },
            SessionLine {
                at: started_at,
                from: Side::Client,
                line: "EHLO mas-dev1.local \u{0}\"é'".to_owned(),
            },
        ],
        emails: vec![message_id(), message_id()],
    }
}

async fn keep(ports: &Ports, sessions: &[Session]) -> Vec<SessionCode> {
    let kept = ports.sessions.keep(sessions.to_vec()).await;
    kept.expect("sessions to be kept")
}

async fn any(ports: &Ports, code: SessionCode) -> Option<Session> {
    let found = ports.sessions.any_session(code).await;
    found.expect("a look at a session")
}

pub async fn a_session_comes_back_as_it_was_kept(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let sessions = [
        session(Some(tenant), at(0)),
        session(None, at(1)),
        Session {
            ended_at: Some(at(3)),
            dialogue: Vec::new(),
            emails: Vec::new(),
            tls: SessionTls {
                failure: Some("the client's alert: unknown_ca".to_owned()),
                ..SessionTls::default()
            },
            ..session(None, at(2))
        },
    ];
    assert_eq!(keep(ports, &sessions).await, []);
    for session in sessions {
        assert_eq!(any(ports, session.code).await, Some(session));
    }
    assert_eq!(keep(ports, &[]).await, []);
    assert_eq!(any(ports, session(None, at(9)).code).await, None);
}

pub async fn a_tenant_sees_the_sessions_in_which_its_key_was_shown(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let (mine, nobodys) = (session(Some(a), at(0)), session(None, at(0)));
    let claimed = Session {
        claimed: Some(a),
        ..session(None, at(0))
    };
    keep(ports, &[mine.clone(), nobodys.clone(), claimed.clone()]).await;
    for (tenant, code, want) in [
        (a, mine.code, Some(&mine)),
        (b, mine.code, None),
        (a, nobodys.code, None),
        (a, claimed.code, None),
    ] {
        let found = ports.sessions.session(tenant, code).await;
        assert_eq!(found.expect("a look at a session").as_ref(), want);
    }
    for (code, want) in [
        (mine.code, None),
        (nobodys.code, Some(&nobodys)),
        (claimed.code, Some(&claimed)),
    ] {
        let found = ports.sessions.strangers_session(code).await;
        assert_eq!(found.expect("a look at a session").as_ref(), want);
    }
}

pub async fn a_session_is_kept_anew_as_it_goes_on(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let early = session(None, at(0));
    let late = Session {
        ended_at: Some(at(9)),
        tenant: Some(tenant),
        verdict: "2 messages were accepted".to_owned(),
        emails: vec![message_id()],
        ..early.clone()
    };
    keep(ports, &[early]).await;
    assert_eq!(keep(ports, from_ref(&late)).await, []);
    let found = ports.sessions.session(tenant, late.code).await;
    assert_eq!(found.expect("a look at a session"), Some(late));
}

pub async fn another_session_of_the_same_code_is_left_out_and_told(ports: &Ports) {
    let first = session(None, at(0));
    keep(ports, from_ref(&first)).await;
    let clash = Session {
        started_at: at(1),
        ..first.clone()
    };
    let third = session(None, at(1));
    assert_eq!(keep(ports, &[clash, third.clone()]).await, [first.code]);
    assert_eq!(any(ports, first.code).await, Some(first));
    assert_eq!(any(ports, third.code).await, Some(third));
}
