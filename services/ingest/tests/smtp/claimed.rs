//! Whose a session is in which the password was wrong: support's commonest case has to find it.

use crate::harness::{Relay, pack};
use crate::line::{Line, code_of};

/// A sign-in with this user name and a password that is not known; the session's code.
async fn wrong(relay: &Relay, user: &str) -> String {
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    let plain = pack(&format!("\0{user}\0no-such-password"));
    let reply = line.say(&format!("AUTH PLAIN {plain}")).await;
    assert!(reply.starts_with("535 "), "{reply}");
    line.say("QUIT").await;
    code_of(&reply).to_owned()
}

#[tokio::test]
async fn a_wrong_password_beside_a_known_user_name_is_that_tenants_session() {
    let relay = Relay::start().await;
    let slug = relay.tenant.slug.clone();
    for (user, want) in [
        (slug.as_str(), Some(relay.tenant.id)),
        (&slug.to_uppercase(), Some(relay.tenant.id)),
        ("nobody-at-all", None),
    ] {
        let code = wrong(&relay, user).await;
        let session = relay.session(&code, |one| one.ended_at.is_some()).await;
        assert_eq!((session.tenant, session.claimed), (None, want), "{user}");
    }
}

#[tokio::test]
async fn who_signs_in_after_all_is_known_and_claims_nothing() {
    let relay = Relay::start().await;
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    let plain = pack(&format!("\0{}\0wrong", relay.tenant.slug));
    let code = line.say(&format!("AUTH PLAIN {plain}")).await;
    let reply = line.say(&relay.auth_plain()).await;
    assert!(reply.starts_with("235"), "{reply}");
    line.say("QUIT").await;
    let session = relay
        .session(code_of(&code), |one| one.ended_at.is_some())
        .await;
    assert_eq!(session.tenant, Some(relay.tenant.id));
    assert_eq!(session.claimed, None);
}

#[tokio::test]
async fn a_revoked_password_tells_whose_it_was() {
    let relay = Relay::start().await;
    let keys = relay.roster.credentials_of(relay.tenant.id);
    let directory = &relay.provision.directory;
    for key in keys {
        let revoked = directory.revoke_credential(relay.tenant.id, key.id).await;
        revoked.unwrap();
    }
    relay.roster.refresh(&**directory).await.unwrap();
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    let reply = line.say(&relay.auth_plain()).await;
    assert!(reply.starts_with("535 "), "{reply}");
    line.say("QUIT").await;
    let session = relay
        .session(code_of(&reply), |one| one.ended_at.is_some())
        .await;
    assert_eq!(session.claimed, Some(relay.tenant.id));
}
