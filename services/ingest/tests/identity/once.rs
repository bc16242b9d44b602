//! Once over SMTP.

use std::time::Duration;

use postrider_gate::{AcceptError, KeyWishes};
use postrider_model::EventKind::{Accepted, Duplicate};

use crate::harness::House;

const TO: &[&str] = &["ann@example.org", "bob@example.org"];
const RAW: &str = "Message-ID: <1@till.example>\nSubject: Invoice 17\n\ny\n";

#[tokio::test]
async fn the_same_message_again_is_not_sent_twice() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let first = house.send(&caller, TO, RAW).await.unwrap();
    assert!(first.stored.is_some());
    house.clock.advance(Duration::from_mins(14));
    let again = house.send(&caller, &[TO[1], TO[0]], RAW).await.unwrap();
    assert_eq!((again.stored, again.id()), (None, first.id()));
    let kinds = house.kinds(tenant.id, first.id().unwrap()).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == Duplicate).count(), 2);
    assert_eq!(kinds.iter().filter(|kind| **kind == Accepted).count(), 2);
    house.clock.advance(Duration::from_mins(2));
    let later = house.send(&caller, TO, RAW).await.unwrap();
    assert!(later.stored.is_some(), "the window is over");
    assert_eq!(house.ids(tenant.id).await.len(), 2);
}

#[tokio::test]
async fn what_differs_is_another_message() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let other_key = house.caller(&tenant).await;
    assert!(house.send(&caller, TO, RAW).await.unwrap().stored.is_some());
    for (caller, to, raw) in [
        (&caller, &TO[..1], RAW.to_owned()),
        (&caller, TO, RAW.replace("<1@", "<2@")),
        (&caller, TO, RAW.replace("17", "18")),
        (&other_key, TO, RAW.to_owned()),
    ] {
        let other = house.send(caller, to, &raw).await.unwrap();
        assert!(other.stored.is_some(), "{raw}");
    }
    let nameless = "Subject: Invoice 17\n\ny\n";
    for _ in 0..2 {
        let sent = house.send(&caller, TO, nameless).await.unwrap();
        assert!(sent.stored.is_some(), "it says no id of its own");
    }
    let wishes = KeyWishes {
        skips_duplicates: false,
        ..KeyWishes::default()
    };
    let eager = house.caller_with(&tenant, wishes).await;
    for _ in 0..2 {
        let sent = house.send(&eager, TO, RAW).await.unwrap();
        assert!(sent.stored.is_some(), "its key does not look");
    }
}

#[tokio::test]
async fn a_key_in_the_header_stands_for_a_day() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let keyed = |id: &str, subject: &str| {
        format!(
            "X-Postrider-Idempotency-Key: order-17\nMessage-ID: <{id}@till.example>\nSubject: {subject}\n\ny\n"
        )
    };
    let first = house.send(&caller, TO, &keyed("1", "a")).await.unwrap();
    house.clock.advance(Duration::from_hours(23));
    let again = house.send(&caller, TO, &keyed("2", "a")).await.unwrap();
    assert_eq!((again.stored, again.id()), (None, first.id()));
    let other = house.send(&caller, TO, &keyed("1", "b")).await;
    assert!(matches!(other, Err(AcceptError::KeyOfOtherRequest)));
    let text = house.text(tenant.id, first.id().unwrap()).await;
    assert!(!text.contains("order-17"), "{text}");
    house.clock.advance(Duration::from_hours(2));
    let later = house.send(&caller, TO, &keyed("1", "b")).await.unwrap();
    assert!(later.stored.is_some());
}

#[tokio::test]
async fn a_wish_that_cannot_be_meant_is_refused_by_its_name() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let raw = "x-postrider-expires-at: soon\nSubject: x\n\ny\n";
    let refused = house.send(&caller, TO, raw).await;
    assert!(
        matches!(&refused, Err(AcceptError::BadOption { header, .. }) if header == "x-postrider-expires-at"),
        "{refused:?}"
    );
    assert!(house.ids(tenant.id).await.is_empty());
}

#[tokio::test]
async fn a_split_message_again_is_a_repetition_of_its_first() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let raw = format!("X-Postrider-Stream: bulk\n{RAW}");
    let first = house.send(&caller, TO, &raw).await.unwrap();
    let again = house.send(&caller, TO, &raw).await.unwrap();
    assert_eq!((again.stored, again.id()), (None, first.stored));
    assert_eq!(house.ids(tenant.id).await.len(), 2, "one for each");
}

#[tokio::test]
async fn of_equal_messages_at_the_same_time_one_is_stored() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let (a, b, c) = tokio::join!(
        house.send(&caller, TO, RAW),
        house.send(&caller, TO, RAW),
        house.send(&caller, TO, RAW)
    );
    let all = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert_eq!(all.iter().filter(|one| one.stored.is_some()).count(), 1);
    assert!(all.iter().all(|one| one.id() == all[0].id()), "{all:?}");
    assert_eq!(house.ids(tenant.id).await.len(), 1);
}
