//! Accepting.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use postrider_model::{
    Attachment, Event, EventKind, RecipientState, Stream, Tag, TenantId, WaitCause,
};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, commit_all, email, kinds, live, message, message_to, recipient_id,
};
use crate::{Committed, NewMessage, StoreError};

pub async fn a_message_comes_back_as_it_was_stored(ports: &Ports) {
    let given = telling_message(add_tenant(ports).await);
    assert_eq!(commit(ports, &given).await, Committed::Stored);

    let stored = email(ports, &given).await.expect("the message");
    assert_eq!(stored.id, given.id);
    assert_eq!(stored.tenant, given.tenant);
    assert_eq!(stored.accepted_at, given.accepted_at);
    assert_eq!(stored.expires_at, given.expires_at);
    assert_eq!(stored.size, given.body.len() as u64);
    assert_eq!(stored.summary, given.summary);
    assert_eq!(stored.last_event, EventKind::Accepted);
    let wanted: Vec<_> = given
        .recipients
        .iter()
        .map(|r| (r.id, &r.address))
        .collect();
    let found: Vec<_> = stored
        .recipients
        .iter()
        .map(|r| (r.id, &r.address))
        .collect();
    assert_eq!(found, wanted, "recipients in the order they were given");
    for recipient in &stored.recipients {
        assert_eq!(recipient.state, RecipientState::Queued);
        assert_eq!(recipient.attempts, 0);
        assert_eq!(recipient.due_at, Some(given.due_at));
        assert_eq!(recipient.last_reply, None);
        assert_eq!(recipient.updated_at, given.accepted_at);
    }
    let body = ports.mail.body(given.tenant, given.id).await;
    assert_eq!(body.expect("a body"), Some(given.body.clone()));
    let events = ports.mail.events(given.tenant, given.id).await;
    let events = events.expect("events").expect("the message");
    let found: Vec<_> = events.iter().map(|stored| &stored.event).collect();
    assert_eq!(found, given.events.iter().collect::<Vec<_>>());
}

/// One with something in every field, and nothing in ASCII that need not be.
fn telling_message(tenant: TenantId) -> NewMessage {
    let to = [
        "zoë@bücher.example",
        "\"a b\"@example.org",
        "Ann.B+tag@example.org",
    ];
    let mut given = message_to(tenant, &to);
    given.smtputf8 = true;
    given.body = Bytes::from_static(b"\x00\xff not text\r\n");
    let summary = &mut given.summary;
    summary
        .subject
        .push_str(" «Grüße» 🚲 \"quoted\" \\ back\tslash");
    summary.original_from = Some("Joe <joe@elsewhere.example>".to_owned());
    summary.cc = vec!["Doe, John <a@b.example>".to_owned()];
    summary.bcc = vec!["c@d.example".to_owned()];
    summary.stream = Stream::Bulk;
    summary.tags = vec![Tag {
        name: "kind".to_owned(),
        value: "invoice".to_owned(),
    }];
    summary.attachments = vec![Attachment {
        filename: "räkning.pdf".to_owned(),
        size: 204_800,
        content_type: "application/pdf".to_owned(),
        content_id: Some("logo".to_owned()),
    }];
    summary.scheduled_at = Some(at(1));
    given
}

pub async fn a_scheduled_message_waits_as_scheduled(ports: &Ports) {
    let mut later = message(add_tenant(ports).await);
    later.due_at = at(3_600);
    later.events[0].kind = EventKind::Scheduled;
    commit(ports, &later).await;

    let stored = email(ports, &later).await.expect("the message");
    assert_eq!(stored.last_event, EventKind::Scheduled);
    assert_eq!(stored.recipients[0].state, RecipientState::Scheduled);
    assert_eq!(stored.recipients[0].due_at, Some(at(3_600)));
    let rows = live(ports).await;
    assert_eq!(rows[0].due_at, at(3_600));
    assert_eq!(rows[0].cause, WaitCause::Scheduled);
}

pub async fn a_large_body_comes_back_whole(ports: &Ports) {
    let mut large = message(add_tenant(ports).await);
    let bytes = (0..10_000_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]);
    large.body = bytes.collect();
    commit(ports, &large).await;
    let body = ports.mail.body(large.tenant, large.id).await;
    assert!(body.expect("a body") == Some(large.body.clone()));
}

pub async fn a_repeated_commit_stores_one_message(ports: &Ports) {
    let once = message(add_tenant(ports).await);
    assert_eq!(commit(ports, &once).await, Committed::Stored);
    assert_eq!(commit(ports, &once).await, Committed::Stored);
    assert_eq!(live(ports).await.len(), 1);
    assert_eq!(kinds(ports, &once).await, [EventKind::Accepted]);
}

pub async fn the_same_message_twice_at_once_is_stored_once(ports: &Ports) {
    let once = message(add_tenant(ports).await);
    let twice = [once.clone(), once.clone()];
    for done in commit_all(ports, &twice).await {
        assert_eq!(done.expect("a commit"), Committed::Stored);
    }
    assert_eq!(live(ports).await.len(), 1);
    assert_eq!(kinds(ports, &once).await, [EventKind::Accepted]);
}

pub async fn one_bad_message_does_not_fail_the_others_of_its_batch(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let nobody = TenantId::new(at(9), [9; 10]);
    let mut messages: Vec<_> = (0..40).map(|_| message(tenant)).collect();
    for bad in [3, 17, 39] {
        messages[bad] = message(nobody);
    }
    for (at, done) in commit_all(ports, &messages).await.into_iter().enumerate() {
        match done {
            Ok(done) => assert_eq!(done, Committed::Stored),
            Err(StoreError::Rejected { .. }) => assert!([3, 17, 39].contains(&at), "{at}"),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(live(ports).await.len(), 37);
}

pub async fn a_message_that_contradicts_itself_is_refused(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut foreign_event = message(tenant);
    let stranger = Event::new(recipient_id(), at(0), EventKind::Accepted);
    foreign_event.events.push(stranger);
    let mut twice = message(tenant);
    twice.recipients.push(twice.recipients[0].clone());
    let nobody = message_to(tenant, &[]);
    for wrong in [foreign_event, twice, nobody] {
        let refused = ports.intake.commit(wrong).await;
        assert!(
            matches!(refused, Err(StoreError::Rejected { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(live(ports).await, []);
}

pub async fn a_commit_whose_caller_went_away_is_whole_or_not_there(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let left = message(tenant);
    // Polled once, so that it is under way, and dropped.
    assert!(ports.intake.commit(left.clone()).now_or_never().is_none());
    let after = message(tenant);
    commit(ports, &after).await;
    let rows = live(ports).await;
    match email(ports, &left).await {
        Some(stored) => assert_eq!((stored.recipients.len(), rows.len()), (1, 2)),
        None => assert_eq!(rows.len(), 1),
    }
}

pub async fn many_commits_at_once_are_all_stored(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let mut messages: Vec<_> = (0..600).map(|_| message(tenant)).collect();
    // Some that fill a batch by their size.
    for large in messages.iter_mut().step_by(97) {
        large.body = vec![b'x'; 3 << 20].into();
        large.expires_at = at(0).after(Duration::from_hours(1));
    }
    for done in commit_all(ports, &messages).await {
        assert_eq!(done.expect("a commit"), Committed::Stored);
    }
    let mut loaded: Vec<_> = live(ports).await.iter().map(|row| row.message).collect();
    let mut wanted: Vec<_> = messages.iter().map(|message| message.id).collect();
    loaded.sort();
    wanted.sort();
    assert_eq!(loaded, wanted);
}
