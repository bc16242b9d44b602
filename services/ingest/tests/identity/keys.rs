//! Keys: what they look like, and what they allow.

use std::time::Duration;

use postrider_gate::{AcceptError, Denied, KeyWishes, QuotaOf};
use postrider_model::{
    ApiToken, Authority, EmailAddress, KeyDefaults, Network, Stream, Tag, TenantStatus,
    UnknownReplyTo,
};
use postrider_store::Directory;

use crate::harness::{HERE, House, address, peer};

const TO: &[&str] = &["ann@example.org"];

#[tokio::test]
async fn a_password_opens_both_doors_however_it_is_typed() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let password = house.password(&tenant, KeyWishes::default()).await;
    for typed in [
        password.grouped(),
        password.grouped().to_lowercase(),
        password.expose().to_owned(),
        format!(" {} ", password.grouped().replace('-', " ")),
    ] {
        let caller = house.access.sign_in(&typed, peer(HERE)).unwrap();
        assert_eq!(caller.tenant.id, tenant.id);
        assert!(caller.key.is_some());
    }
    let bearer = ApiToken::parse(&password.grouped()).unwrap();
    assert!(house.access.identify(&bearer, peer(HERE)).is_ok());
    let made = house.provision.credential(tenant.id, KeyWishes::default());
    let (_, token) = made.await.unwrap();
    house.refresh().await;
    assert!(house.access.sign_in(token.expose(), peer(HERE)).is_ok());
    for wrong in ["", "x", "0000-0000-0000-0000-0000-0000", "pr_live_x"] {
        let denied = house.access.sign_in(wrong, peer(HERE)).unwrap_err();
        assert_eq!(denied, Denied::UnknownKey, "{wrong}");
    }
}

#[tokio::test]
async fn a_key_is_for_its_networks_and_its_time() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let ends = house.clock.now().after(Duration::from_hours(1));
    let wishes = KeyWishes {
        networks: vec![Network::parse("192.0.2.0/24").unwrap()],
        expires_at: Some(ends),
        ..KeyWishes::default()
    };
    let password = house.password(&tenant, wishes).await;
    let sign_in = |from| house.access.sign_in(password.expose(), peer(from));
    let caller = sign_in(HERE).unwrap();
    let from = peer("198.51.100.1");
    assert_eq!(
        sign_in("198.51.100.1").unwrap_err(),
        Denied::WrongNetwork { from }
    );
    house.clock.advance(Duration::from_hours(1));
    let ended = Denied::Expired { at: ends };
    assert_eq!(sign_in(HERE).unwrap_err(), ended);
    assert_eq!(house.access.renew(&caller).unwrap_err(), ended);
    let late = house.send(&caller, TO, "Subject: x\n\ny\n").await;
    assert!(matches!(late, Err(AcceptError::DeniedNow(denied)) if denied == ended));
}

#[tokio::test]
async fn a_suspension_bites_within_a_session() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    assert!(house.send(&caller, TO, "Subject: x\n\ny\n").await.is_ok());
    let set = |status| {
        house
            .store
            .set_status(tenant.id, status, Authority::Operator)
    };
    set(TenantStatus::Suspended).await.unwrap();
    house.refresh().await;
    let refused = house.send(&caller, TO, "Subject: x\n\ny\n").await;
    assert!(matches!(
        refused,
        Err(AcceptError::DeniedNow(Denied::Suspended { .. }))
    ));
    set(TenantStatus::Active).await.unwrap();
    house.refresh().await;
    assert!(house.access.renew(&caller).is_ok());
    let key = caller.credential.unwrap();
    house.store.revoke_credential(tenant.id, key).await.unwrap();
    house.refresh().await;
    let refused = house.send(&caller, TO, "Subject: x\n\ny\n").await;
    assert!(matches!(
        refused,
        Err(AcceptError::DeniedNow(Denied::RevokedKey))
    ));
}

#[tokio::test]
async fn a_key_speaks_for_programs_that_cannot() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let of = |name: &str, value: &str| Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let wishes = KeyWishes {
        defaults: KeyDefaults {
            stream: Some(Stream::Bulk),
            tags: vec![of("from", "till-2")],
            expires_after: Some(Duration::from_hours(2)),
            reply_to: None,
        },
        ..KeyWishes::default()
    };
    let caller = house.caller_with(&tenant, wishes).await;
    let silent = house.send(&caller, TO, "Subject: x\n\ny\n").await.unwrap();
    let email = house.email(tenant.id, silent.id().unwrap()).await;
    assert_eq!(email.summary.stream, Stream::Bulk);
    assert_eq!(email.summary.tags, [of("from", "till-2")]);
    assert_eq!(email.credential, caller.credential);
    let ends = house.clock.now().after(Duration::from_hours(2));
    assert_eq!(email.expires_at, ends);
    let raw = "X-Postrider-Stream: transactional\nX-Postrider-Tag: order=17\nSubject: x\n\ny\n";
    let said = house.send(&caller, TO, raw).await.unwrap();
    let email = house.email(tenant.id, said.id().unwrap()).await;
    assert_eq!(email.summary.stream, Stream::Transactional);
    assert_eq!(
        email.summary.tags,
        [of("order", "17"), of("from", "till-2")]
    );
    let text = house.text(tenant.id, said.id().unwrap()).await;
    assert!(!text.to_lowercase().contains("x-postrider"), "{text}");
    assert!(text.contains("with ESMTPSA id"), "{text}");
}

#[tokio::test]
async fn a_key_has_a_quota_of_its_own() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let wishes = KeyWishes {
        per_day: 2,
        ..KeyWishes::default()
    };
    let caller = house.caller_with(&tenant, wishes).await;
    let other = house.caller(&tenant).await;
    for _ in 0..2 {
        let raw = "Subject: x\n\ny\n";
        assert!(house.send(&caller, TO, raw).await.is_ok());
    }
    let over = house.send(&caller, TO, "Subject: x\n\ny\n").await;
    let Err(AcceptError::OverQuota(over)) = over else {
        panic!("{over:?}");
    };
    assert_eq!((over.by, over.limit, over.used), (QuotaOf::Key, 2, 2));
    assert!(house.send(&other, TO, "Subject: x\n\ny\n").await.is_ok());
    house.clock.advance(Duration::from_hours(24));
    assert!(house.send(&caller, TO, "Subject: x\n\ny\n").await.is_ok());
}

#[tokio::test]
async fn a_strict_key_refuses_what_another_replaces() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let wishes = KeyWishes {
        unknown_reply_to: UnknownReplyTo::Refuse,
        ..KeyWishes::default()
    };
    let caller = house.caller_with(&tenant, wishes).await;
    let raw = "From: x@elsewhere.example\nSubject: x\n\ny\n";
    let refused = house.send(&caller, TO, raw).await;
    let unknown: EmailAddress = address("x@elsewhere.example");
    assert!(matches!(refused, Err(AcceptError::UnknownReplyTo { address }) if address == unknown));
    let raw = "From: joe@joesgarage.example\nSubject: x\n\ny\n";
    assert!(house.send(&caller, TO, raw).await.is_ok());
}
