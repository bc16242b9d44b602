//! A message that waited long is signed anew, and nothing else of it changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postrider_gate::{Gate, GatePorts, MasterKey, ResealError};
use postrider_message::{DkimVerdict, unsigned, verify};
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_runtime::Rng;
use postrider_store::{Mail, OpenMessage, Queue};
use postrider_telemetry::Registry;

use crate::harness::{Relay, gate_config, mail};

struct Sealed {
    id: MessageId,
    open: OpenMessage,
    body: Bytes,
}

async fn sealed(relay: &Relay, id: &str) -> Sealed {
    let email = relay.email(id).await;
    let recipient = email["recipients"][0]["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let id: MessageId = id.parse().unwrap();
    let open = relay.store.open(id, &[recipient]).await.unwrap().unwrap();
    let body = relay
        .store
        .body(relay.tenant.id, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        open.body,
        Some(body.clone()),
        "what is attempted is what is stored"
    );
    Sealed { id, open, body }
}

fn verdicts(relay: &Relay, body: &[u8]) -> Vec<(String, bool)> {
    let keys = relay.roster.dkim_keys();
    let lookup = |name: &str| {
        let named = |selector: &str| name == format!("{selector}._domainkey.send.relay.example");
        let key = keys.iter().find(|key| named(&key.selector));
        key.map(|key| key.record.clone())
    };
    let checks = verify(body, &lookup).into_iter();
    checks
        .map(|check| (check.selector, check.verdict == DkimVerdict::Pass))
        .collect()
}

fn selectors(verdicts: &[(String, bool)]) -> Vec<String> {
    verdicts.iter().map(|(name, _)| name.clone()).collect()
}

// The verifier goes by the machine's clock, long after the one we hold.
const FOURTEEN_YEARS: Duration = Duration::from_hours(14 * 365 * 24);

#[tokio::test]
async fn a_message_near_its_end_is_signed_anew_and_keeps_all_other_bytes() {
    let large = format!(r#","html":"<p>{}</p>""#, "é ".repeat(100_000));
    for members in ["", &large, r#","scheduled_at":"in 2 days","stream":"bulk""#] {
        let relay = &Relay::start().await;
        let id = relay.send(mail(members)).await.id();
        let before = sealed(relay, &id).await;
        assert!(
            verdicts(relay, &before.body)
                .iter()
                .all(|(_, passes)| !passes)
        );
        relay.clock.advance(FOURTEEN_YEARS);
        let was = before.open.sealed_until;
        let resealed = relay.gate.reseal(relay.tenant.id, before.id, was).await;
        assert!(resealed.unwrap());
        let after = sealed(relay, &id).await;
        assert_eq!(unsigned(&after.body), unsigned(&before.body));
        assert_ne!(after.body, before.body);
        let verdicts = verdicts(relay, &after.body);
        assert_eq!(verdicts.len(), 2);
        assert!(verdicts.iter().all(|(_, passes)| *passes), "{verdicts:?}");
        assert_eq!(after.open.selectors, selectors(&verdicts));
        let until = relay.clock.now().after(Duration::from_hours(48));
        assert_eq!(after.open.sealed_until, until);
        let expires = format!("; x={};", until.as_seconds());
        assert_eq!(
            String::from_utf8_lossy(&after.body)
                .matches(&expires)
                .count(),
            2
        );
    }
}

#[tokio::test]
async fn what_is_stored_as_the_end_is_what_the_signatures_say() {
    let relay = Relay::start().await;
    relay.clock.advance(Duration::from_micros(999_999));
    for (members, hours) in [("", 48), (r#","scheduled_at":"in 1 day""#, 72)] {
        let sealed = sealed(&relay, &relay.send(mail(members)).await.id()).await;
        let now = relay.clock.now().as_seconds();
        let until = Timestamp::from_micros((now + hours * 3_600) * 1_000_000);
        assert_eq!(sealed.open.sealed_until, until, "{members}");
        let expires = format!("; x={};", until.as_seconds());
        assert!(
            String::from_utf8_lossy(&sealed.body).contains(&expires),
            "{members}"
        );
    }
}

#[tokio::test]
async fn of_two_that_seal_at_once_one_wins() {
    let relay = Relay::start().await;
    let before = sealed(&relay, &relay.send(mail("")).await.id()).await;
    relay.clock.advance(FOURTEEN_YEARS);
    let (tenant, id, was) = (relay.tenant.id, before.id, before.open.sealed_until);
    let (one, other) = tokio::join!(
        relay.gate.reseal(tenant, id, was),
        relay.gate.reseal(tenant, id, was)
    );
    let won = [one.unwrap(), other.unwrap()];
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let after = sealed(&relay, &id.to_string()).await;
    assert_eq!(verdicts(&relay, &after.body).len(), 2);
    assert!(
        !relay.gate.reseal(tenant, id, was).await.unwrap(),
        "long since sealed"
    );
}

#[tokio::test]
async fn what_is_not_there_or_anothers_is_not_sealed() {
    let relay = Relay::start().await;
    let before = sealed(&relay, &relay.send(mail("")).await.id()).await;
    let was = before.open.sealed_until;
    let (other, _) = relay.tenant("Other", 100).await;
    relay.clock.advance(FOURTEEN_YEARS);
    for (tenant, id) in [
        (other.id, before.id),
        (TenantId::from_bytes([9; 16]), before.id),
        (relay.tenant.id, MessageId::from_bytes([9; 16])),
    ] {
        assert!(
            !relay.gate.reseal(tenant, id, was).await.unwrap(),
            "{tenant}"
        );
    }
    assert_eq!(
        sealed(&relay, &before.id.to_string()).await.body,
        before.body
    );
}

#[tokio::test]
async fn a_revoked_selector_gives_way_to_the_keys_of_today() {
    let relay = Relay::start().await;
    let before = sealed(&relay, &relay.send(mail("")).await.id()).await;
    let old = relay.roster.dkim_keys();
    let directory = &relay.provision.directory;
    let new = relay.provision.dkim_keys().await.unwrap();
    for key in old.iter() {
        directory.revoke_dkim_key(key.id).await.unwrap();
    }
    relay.roster.refresh(&**directory).await.unwrap();
    assert!(!relay.gate.is_sealed_by_another_key());
    relay.clock.advance(FOURTEEN_YEARS);
    let was = before.open.sealed_until;
    assert!(
        relay
            .gate
            .reseal(relay.tenant.id, before.id, was)
            .await
            .unwrap()
    );
    let after = sealed(&relay, &before.id.to_string()).await;
    let mut names: Vec<_> = new.iter().map(|key| key.selector.clone()).collect();
    names.sort();
    assert_eq!(selectors(&verdicts(&relay, &after.body)), names);
    assert!(
        verdicts(&relay, &after.body)
            .iter()
            .all(|(_, passes)| *passes)
    );
}

#[tokio::test]
async fn without_a_key_a_message_stands_as_it_was() {
    let relay = Relay::start().await;
    let before = sealed(&relay, &relay.send(mail("")).await.id()).await;
    let directory = &relay.provision.directory;
    for key in relay.roster.dkim_keys().iter() {
        directory.revoke_dkim_key(key.id).await.unwrap();
    }
    relay.roster.refresh(&**directory).await.unwrap();
    let was = before.open.sealed_until;
    let refused = relay.gate.reseal(relay.tenant.id, before.id, was).await;
    assert!(matches!(refused, Err(ResealError::NoSigningKey)));
    assert_eq!(
        sealed(&relay, &before.id.to_string()).await.body,
        before.body
    );
}

#[tokio::test]
async fn a_gate_with_another_master_key_says_so() {
    let relay = Relay::start().await;
    assert!(!relay.gate.is_sealed_by_another_key());
    let ports = GatePorts {
        intake: Arc::new(relay.store.clone()),
        mail: Arc::new(relay.store.clone()),
        directory: Arc::new(relay.store.clone()),
        suppressions: Arc::new(relay.store.clone()),
        failures: Arc::new(relay.store.clone()),
        audit: Arc::new(relay.store.clone()),
        roster: relay.roster.clone(),
        master: Arc::new(MasterKey::new(&[8; 32]).unwrap()),
        clock: relay.clock.clone(),
        rng: Rng::system(),
        metrics: Registry::new(),
    };
    assert!(Gate::new(ports, gate_config()).is_sealed_by_another_key());
}
