//! Tenant B sees nothing of A, for every method that faces a tenant.

use postrider_model::{EventKind, KeyStatus, ReplyStatus, Timestamp};

use super::Ports;
use super::fixture::{add_tenant, at, claiming, commit, email, message, new_tenant, scope};
use crate::StoreError;

pub async fn a_tenant_sees_nothing_of_anothers_mail(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_a = message(a);
    commit(ports, &of_a).await;
    let mail = &ports.mail;
    assert_eq!(mail.email(b, of_a.id).await.expect("an answer"), None);
    assert_eq!(mail.events(b, of_a.id).await.expect("an answer"), None);
    assert_eq!(mail.body(b, of_a.id).await.expect("an answer"), None);
    assert!(mail.email(a, of_a.id).await.expect("an answer").is_some());
    assert!(mail.events(a, of_a.id).await.expect("an answer").is_some());
    assert!(mail.body(a, of_a.id).await.expect("an answer").is_some());
}

pub async fn a_tenant_sees_nothing_of_anothers_answers(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    commit(ports, &claiming(a, "order-17")).await;
    let answered = |tenant, now: Timestamp| async move {
        let found = ports.intake.answered(&scope(tenant, "order-17"), now).await;
        found.expect("an answer")
    };
    assert_eq!(answered(b, at(1)).await, None);
    assert!(answered(a, at(1)).await.is_some());
}

pub async fn a_tenant_cannot_take_anothers_message_id(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_a = message(a);
    commit(ports, &of_a).await;
    let mut of_b = message(b);
    of_b.id = of_a.id;
    let refused = ports.intake.commit(of_b.clone()).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    assert_eq!(email(ports, &of_b).await, None);
    let stored = email(ports, &of_a).await.expect("the message of A");
    assert_eq!(stored.recipients.len(), 1);
    assert_eq!(stored.last_event, EventKind::Accepted);
}

pub async fn a_tenant_cannot_change_anothers_directory(ports: &Ports) {
    let a = new_tenant();
    ports.directory.add_tenant(a.clone()).await.expect("A");
    let mut second = a.reply_address.clone();
    second.id = postrider_model::ReplyAddressId::new(at(0), [1; 10]);
    second.address = super::fixture::address("second@joesgarage.example");
    second.status = ReplyStatus::Unconfirmed;
    let directory = &ports.directory;
    directory
        .add_reply_address(second.clone())
        .await
        .expect("a second address");
    let b = add_tenant(ports).await;
    for refused in [
        directory.confirm_reply_address(b, &second.address).await,
        directory.remove_reply_address(b, &second.address).await,
        directory.revoke_credential(b, a.credential.id).await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::NotFound { .. })),
            "{refused:?}"
        );
    }
    let snapshot = directory.snapshot().await.expect("the directory");
    assert!(snapshot.reply_addresses.contains(&second));
    let key = snapshot
        .credentials
        .iter()
        .find(|key| key.id == a.credential.id);
    assert_eq!(key.map(|key| key.status), Some(KeyStatus::Active));
}
