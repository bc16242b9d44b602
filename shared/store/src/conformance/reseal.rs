//! Messages that are sealed again: new signatures in the place of the old.

use bytes::Bytes;
use futures_util::future::join_all;
use postrider_model::{CredentialId, Timestamp};

use super::Ports;
use super::fixture::{DAY, add_tenant, at, commit, deliver, email, message, message_id};
use crate::{NewMessage, OpenMessage, Resealed};

fn resealed(message: &NewMessage, was: Timestamp, text: &str) -> Resealed {
    Resealed {
        id: message.id,
        tenant: message.tenant,
        body: Bytes::copy_from_slice(text.as_bytes()),
        selectors: vec!["r2".to_owned()],
        sealed_until: was.after(DAY),
        was,
    }
}

async fn reseal(ports: &Ports, message: Resealed) -> bool {
    ports.intake.reseal(message).await.expect("an answer")
}

async fn open(ports: &Ports, message: &NewMessage) -> OpenMessage {
    let opened = ports
        .queue
        .open(message.id, &[message.recipients[0].id])
        .await;
    opened.expect("an answer").expect("the message")
}

pub async fn a_message_sealed_again_has_its_new_bytes_everywhere(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let (mut given, untouched) = (message(tenant), message(other));
    given.credential = Some(CredentialId::from_bytes([9; 16]));
    commit(ports, &given).await;
    commit(ports, &untouched).await;
    // What was just committed may lie in memory; it must not be given out any more.
    assert_eq!(open(ports, &given).await.body.as_ref(), Some(&given.body));
    let first = resealed(&given, given.sealed_until, "sealed a second time");
    assert!(reseal(ports, first.clone()).await);
    let second = resealed(&given, first.sealed_until, "sealed a third time, longer");
    for new in [&first, &second] {
        if new.was != given.sealed_until {
            assert!(reseal(ports, new.clone()).await);
        }
        let opened = open(ports, &given).await;
        assert_eq!(opened.body.as_ref(), Some(&new.body));
        assert_eq!(opened.selectors, new.selectors);
        assert_eq!(opened.sealed_until, new.sealed_until);
        assert_eq!(opened.recipients.len(), 1);
        assert_eq!(opened.credential, given.credential);
        let body = ports.mail.body(tenant, given.id).await;
        assert_eq!(body.expect("a body"), Some(new.body.clone()));
        let stored = email(ports, &given).await.expect("the message");
        assert_eq!(stored.size, new.body.len() as u64);
    }
    assert_eq!(open(ports, &untouched).await.body, Some(untouched.body));
}

pub async fn a_large_body_is_opened_apart(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let most = OpenMessage::SMALL_MOST;
    let mut was = given.sealed_until;
    // Sealed again, nothing of it lies in memory.
    for (size, comes) in [(most, true), (most + 1, false), (3 * most, false)] {
        let text = "x".repeat(usize::try_from(size).expect("a size"));
        let new = resealed(&given, was, &text);
        assert!(reseal(ports, new.clone()).await);
        was = new.sealed_until;
        let opened = open(ports, &given).await;
        assert_eq!(opened.size, new.body.len() as u64);
        assert_eq!(opened.body.is_some(), comes, "{size} bytes");
        assert_eq!(opened.recipients.len(), 1);
        let body = ports.queue.large_body(given.id).await.expect("an answer");
        assert!(body == Some(new.body), "{size} bytes");
    }
    let nobody = ports.queue.large_body(message_id()).await;
    assert_eq!(nobody.expect("an answer"), None);
}

pub async fn of_many_who_seal_a_message_again_one_does(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let new = resealed(&given, given.sealed_until, "sealed a second time");
    let all = join_all((0..20).map(|_| reseal(ports, new.clone()))).await;
    assert_eq!(all.iter().filter(|done| **done).count(), 1);
    assert!(!reseal(ports, new.clone()).await, "that seal is gone");
    assert_eq!(open(ports, &given).await.sealed_until, new.sealed_until);
}

pub async fn what_has_no_bytes_any_more_is_not_sealed_again(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    deliver(ports, &given, 5).await;
    let removed = ports.upkeep.retain(at(5).after(DAY), DAY, 30 * DAY).await;
    assert_eq!(removed.expect("a batch of retention").bodies, 1);
    let new = resealed(&given, given.sealed_until, "sealed a second time");
    assert!(!reseal(ports, new).await);
    let body = ports.mail.body(given.tenant, given.id).await;
    assert_eq!(body.expect("an answer"), None);
    let mut nothing = message(given.tenant);
    nothing.id = message_id();
    let new = resealed(&nothing, nothing.sealed_until, "of nothing");
    assert!(!reseal(ports, new).await);
}
