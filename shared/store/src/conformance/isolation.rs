//! Tenant B sees nothing of A, for every method that faces a tenant.

use postrider_model::{CredentialStatus, EventKind, ReplyStatus, Timestamp};

use super::Ports;
use super::fixture::{
    add_tenant, at, cancel, claiming, commit, email, later, live, message, new_tenant, scope,
};
use crate::{
    Cancelled, Committed, MailFilter, MailPage, PageStart, Quota, Rescheduled, Rescheduling,
    Resealed, StoreError, Usage,
};

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
    let key_of_a = a.credentials[0].id;
    for refused in [
        directory
            .set_reply_status(b, &second.address, ReplyStatus::Confirmed, at(0))
            .await,
        directory.remove_reply_address(b, &second.address).await,
        directory.revoke_credential(b, key_of_a).await,
    ] {
        assert!(
            matches!(refused, Err(StoreError::NotFound { .. })),
            "{refused:?}"
        );
    }
    let snapshot = directory.snapshot().await.expect("the directory");
    assert!(snapshot.reply_addresses.contains(&second));
    let key = snapshot.credentials.iter().find(|key| key.id == key_of_a);
    assert_eq!(key.map(|key| key.status), Some(CredentialStatus::Active));
}

pub async fn a_tenant_cannot_take_anothers_mail_back(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_a = later(a, 60);
    commit(ports, &of_a).await;
    let cancelled = ports.mail.cancel(b, of_a.id, at(1)).await;
    assert_eq!(cancelled.expect("an answer"), Cancelled::NotFound);
    let stored = email(ports, &of_a).await.expect("the message of A");
    assert_eq!(stored.last_event, EventKind::Scheduled);
    assert_eq!(live(ports).await.len(), 2);
    assert_eq!(cancel(ports, &of_a, 1).await, Cancelled::Done);
}

pub async fn a_tenant_sees_nothing_of_anothers_usage(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    commit(ports, &message(a)).await;
    let usage = |tenant| ports.mail.usage(tenant, at(0));
    assert_eq!(usage(b).await.expect("an answer"), Usage::default());
    assert_eq!(
        usage(a).await.expect("an answer"),
        Usage {
            day: 1,
            month: 1,
            ..Usage::default()
        }
    );
    // Nor does it use up another's quota.
    let mut of_b = message(b);
    of_b.quota = Quota {
        per_day: 1,
        per_month: 1,
        ..Quota::default()
    };
    assert_eq!(commit(ports, &of_b).await, Committed::Stored);
}

pub async fn a_tenant_cannot_seal_anothers_mail(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_a = message(a);
    commit(ports, &of_a).await;
    let done = ports.intake.reseal(Resealed {
        id: of_a.id,
        tenant: b,
        body: bytes::Bytes::from_static(b"of B"),
        selectors: Vec::new(),
        sealed_until: at(9),
        was: of_a.sealed_until,
    });
    assert!(!done.await.expect("an answer"));
    let body = ports.mail.body(a, of_a.id).await.expect("an answer");
    assert_eq!(body, Some(of_a.body));
}

pub async fn a_tenant_sees_nothing_of_anothers_lists(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let tagged = |tenant| {
        let mut message = message(tenant);
        let (name, value) = ("kind".to_owned(), "invoice".to_owned());
        message
            .summary
            .tags
            .push(postrider_model::Tag { name, value });
        message
    };
    let (of_a, of_b) = (tagged(a), tagged(b));
    commit(ports, &of_a).await;
    commit(ports, &of_b).await;
    let filters = [
        MailFilter::default(),
        MailFilter {
            recipient: Some(of_a.recipients[0].address.clone()),
            ..MailFilter::default()
        },
        MailFilter {
            tag: of_a.summary.tags.first().cloned(),
            ..MailFilter::default()
        },
        MailFilter {
            stream: Some(of_a.summary.stream),
            ..MailFilter::default()
        },
    ];
    for filter in &filters {
        let list = |start| ports.mail.list(b, filter, MailPage { limit: 9, start });
        let page = list(PageStart::Newest).await.expect("an answer");
        let ids = page.map(|page| page.emails.iter().map(|e| e.id).collect::<Vec<_>>());
        assert_eq!(ids, Some(vec![of_b.id]), "{filter:?}");
        for start in [PageStart::After(of_a.id), PageStart::Before(of_a.id)] {
            assert_eq!(list(start).await.expect("an answer"), None);
        }
    }
}

pub async fn a_tenant_cannot_give_anothers_mail_another_time(ports: &Ports) {
    let (a, b) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_a = later(a, 60);
    commit(ports, &of_a).await;
    let (stored, rows) = (email(ports, &of_a).await, live(ports).await);
    let done = ports.intake.reschedule(Rescheduled {
        sealed: Resealed {
            id: of_a.id,
            tenant: b,
            body: bytes::Bytes::from_static(b"of B"),
            selectors: Vec::new(),
            sealed_until: at(9),
            was: of_a.sealed_until,
        },
        due_at: at(120),
        expires_at: at(200),
        at: at(1),
    });
    assert_eq!(done.await.expect("an answer"), Rescheduling::NotFound);
    assert_eq!(email(ports, &of_a).await, stored);
    assert_eq!(live(ports).await, rows);
}
