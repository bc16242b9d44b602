//! Bulk mail and whom mail does not go to.

use postrider_gate::{AcceptError, Submission};
use postrider_model::{
    EventKind, RecipientState, SessionCode, Stream, Suppression, SuppressionId, SuppressionReason,
};
use postrider_store::Suppressions;

use crate::harness::{House, address, submission};

const TO: &[&str] = &["ann@example.org", "bob@example.org", "ANN@example.org"];
const BULK: &str =
    "X-Postrider-Stream: bulk\nTo: ann@example.org, bob@example.org\nSubject: Spring\n\ny\n";

fn token(text: &str) -> String {
    let unfolded = text.replace("\r\n ", " ");
    let (_, link) = unfolded
        .split_once("List-Unsubscribe: <https://relay.example/u/")
        .unwrap();
    link.split('>').next().unwrap().to_owned()
}

#[tokio::test]
async fn bulk_mail_is_one_message_for_each_recipient() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let accepted = house.send(&caller, TO, BULK).await.unwrap();
    let ids = house.ids(tenant.id).await;
    assert_eq!(ids.len(), 2);
    assert_eq!(accepted.id(), ids.first().copied());
    let mut tokens = Vec::new();
    for (id, to) in ids.iter().zip(TO) {
        let email = house.email(tenant.id, *id).await;
        assert_eq!(email.recipients.len(), 1);
        assert_eq!(email.recipients[0].address, address(to));
        assert_eq!(email.summary.group, Some(ids[0]));
        assert_eq!(email.summary.stream, Stream::Bulk);
        let text = house.text(tenant.id, *id).await;
        assert!(text.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
        let signed = text
            .to_lowercase()
            .replace("\r\n ", "")
            .replace("\r\n\t", "");
        assert!(signed.contains("list-unsubscribe-post"), "{text}");
        tokens.push(token(&text));
        let link = house.gate.unsubscribe_link(&token(&text)).await.unwrap();
        assert_eq!(link.address, address(to));
    }
    assert_ne!(tokens[0], tokens[1]);
    assert!(house.gate.unsubscribe_link("x").await.is_err());
}

#[tokio::test]
async fn who_leaves_the_list_still_gets_invoices() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let accepted = house.send(&caller, TO, BULK).await.unwrap();
    let text = house.text(tenant.id, accepted.id().unwrap()).await;
    for _ in 0..2 {
        house.gate.unsubscribe(&token(&text)).await.unwrap();
    }
    let next = house.send(&caller, TO, BULK).await.unwrap();
    let (ann, bob) = (house.ids(tenant.id).await[2], house.ids(tenant.id).await[3]);
    assert_eq!(next.id(), Some(ann));
    let states = |email: postrider_store::StoredEmail| email.recipients[0].state;
    assert_eq!(
        states(house.email(tenant.id, ann).await),
        RecipientState::Suppressed
    );
    assert_eq!(house.kinds(tenant.id, ann).await, [EventKind::Suppressed]);
    assert_eq!(
        states(house.email(tenant.id, bob).await),
        RecipientState::Queued
    );
    let invoice = house
        .send(&caller, &TO[..1], "Subject: Invoice\n\ny\n")
        .await;
    let invoice = house.email(tenant.id, invoice.unwrap().id().unwrap()).await;
    assert_eq!(states(invoice), RecipientState::Queued);
}

#[tokio::test]
async fn the_suppressed_are_left_out_and_the_others_get_it() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let now = house.clock.now();
    let suppression = Suppression {
        id: SuppressionId::new(now, [1; 10]),
        tenant: tenant.id,
        address: address("ann@example.org"),
        stream: None,
        reason: SuppressionReason::Manual,
        source: "a test".to_owned(),
        since: now,
        until: None,
    };
    let added = house.store.suppress(tenant.id, vec![suppression]).await;
    added.unwrap();
    let sent = house.send(&caller, TO, "Subject: x\n\ny\n").await.unwrap();
    let email = house.email(tenant.id, sent.id().unwrap()).await;
    let states: Vec<_> = email.recipients.iter().map(|one| one.state).collect();
    assert_eq!(states, [RecipientState::Suppressed, RecipientState::Queued]);
    let only = house.send(&caller, &TO[..1], "Subject: x\n\nz\n").await;
    assert!(only.unwrap().stored.is_some(), "accepted all the same");
}

#[tokio::test]
async fn the_timeline_names_the_session_also_of_whom_nothing_is_sent_to() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let suppression = Suppression {
        id: SuppressionId::new(house.clock.now(), [1; 10]),
        tenant: tenant.id,
        address: address("ann@example.org"),
        stream: None,
        reason: SuppressionReason::Manual,
        source: "a test".to_owned(),
        since: house.clock.now(),
        until: None,
    };
    let added = house.store.suppress(tenant.id, vec![suppression]).await;
    added.unwrap();
    let code = SessionCode::new([7; 4]);
    let envelope = TO.iter().map(|one| address(one)).collect();
    let submission = Submission {
        session: Some(code),
        ..submission(envelope, "Subject: x\n\ny\n")
    };
    let sent = house.gate.accept(&caller, submission).await.unwrap();
    let events = house.events(tenant.id, sent.id().unwrap()).await;
    assert_eq!(events.len(), 2);
    for event in events {
        let note = event.note.unwrap();
        assert!(note.contains(&format!("session {code}")), "{note}");
    }
}

#[tokio::test]
async fn more_copies_than_fit_in_memory_are_refused() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let raw = format!("{BULK}{}", format!("{}\n", "y".repeat(900)).repeat(38_000));
    let refused = house.send(&caller, TO, &raw).await;
    assert!(
        matches!(
            refused,
            Err(AcceptError::BulkTooLarge {
                recipients: 2,
                most: 1,
                ..
            })
        ),
        "{refused:?}"
    );
}
