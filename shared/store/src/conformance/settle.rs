//! What became of recipients.

use std::time::Duration;

use futures_util::future::join_all;
use postrider_model::{
    EnhancedCode, Event, EventKind, MxHost, RecipientState, Reply, TlsFacts, WaitCause,
};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, commit_all, deliver, delivered, email, in_another_shard, kinds, live,
    message, message_to, owner, recipient_id, settle, settlement,
};
use crate::{
    Epoch, Lease, NewMessage, Outcome, Settled, Settlement, Shard, StoreError, StoredRecipient,
};

async fn recipient(ports: &Ports, message: &NewMessage) -> StoredRecipient {
    let stored = email(ports, message).await.expect("the message");
    stored.recipients[0].clone()
}

fn retry(seconds: u64) -> Outcome {
    Outcome::Retry {
        due_at: at(seconds),
        attempts: 1,
        cause: WaitCause::Retry,
    }
}

pub async fn an_end_is_recorded_once(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let mut end = settlement(&given, 5, EventKind::Delivered, delivered());
    end.reply = Some(Reply::new(250, None, b"queued as 17"));
    assert_eq!(settle(ports, end.clone()).await, Settled::Recorded);

    let expired = Outcome::Final {
        state: RecipientState::Expired,
        attempts: 9,
    };
    for late in [
        expired,
        retry(99),
        Outcome::Held { attempts: 9 },
        Outcome::Noted,
    ] {
        let mut late = settlement(&given, 9, EventKind::Ambiguous, late);
        late.reply = Some(Reply::new(451, None, b"late"));
        assert_eq!(settle(ports, late).await, Settled::TooLate);
    }
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.state, RecipientState::Delivered);
    assert_eq!((stored.attempts, stored.due_at), (1, None));
    assert_eq!(stored.last_reply, end.reply);
    assert_eq!(stored.updated_at, at(5));
    assert_eq!(live(ports).await, []);
    let kinds = kinds(ports, &given).await;
    assert_eq!(kinds[..2], [EventKind::Accepted, EventKind::Delivered]);
    assert_eq!(kinds.len(), 6, "what came late is kept");
}

pub async fn a_settlement_that_is_repeated_is_recorded_once(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let outcomes = [(1, retry(99)), (99, delivered())];
    for (at, (seconds, outcome)) in (2..).zip(outcomes) {
        let kind = if at == 2 {
            EventKind::Deferred
        } else {
            EventKind::Delivered
        };
        let mut told = settlement(&given, seconds, kind, outcome);
        told.waits.add(WaitCause::Attempt, Duration::from_secs(1));
        for _ in 0..3 {
            assert_eq!(settle(ports, told.clone()).await, Settled::Recorded);
        }
        assert_eq!(kinds(ports, &given).await.len(), at);
        let stored = recipient(ports, &given).await;
        assert_eq!(stored.waits.total(), Duration::from_secs(at as u64 - 1));
    }
    assert_eq!(
        recipient(ports, &given).await.state,
        RecipientState::Delivered
    );
    assert_eq!(live(ports).await, []);
}

/// A clock may stand still between two of them.
pub async fn two_results_of_one_moment_are_told_apart(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let results = [
        (EventKind::Deferred, retry(0)),
        (EventKind::Delivered, delivered()),
        (EventKind::Complained, Outcome::Noted),
        (EventKind::Complained, Outcome::Noted),
    ];
    for (kind, outcome) in results {
        settle(ports, settlement(&given, 0, kind, outcome)).await;
    }
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.state, RecipientState::Delivered);
    assert_eq!(kinds(ports, &given).await.len(), 5);
}

pub async fn a_retry_shows_when_and_why(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let mut later = settlement(&given, 5, EventKind::Deferred, retry(305));
    let busy = Reply::new(451, Some(EnhancedCode(4, 3, 0)), "später\n🚲".as_bytes());
    later.reply = Some(busy.clone());
    assert_eq!(settle(ports, later).await, Settled::Recorded);
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.state, RecipientState::Queued);
    assert_eq!((stored.attempts, stored.due_at), (1, Some(at(305))));
    assert_eq!(stored.last_reply, Some(busy.clone()));
    assert_eq!(stored.updated_at, at(5));

    // No connection this time: the remote's last words stay, codes and all.
    settle(
        ports,
        settlement(&given, 305, EventKind::Deferred, retry(905)),
    )
    .await;
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.last_reply, Some(busy));
    assert_eq!(stored.due_at, Some(at(905)));
    // Then one without an enhanced code: the old one does not stick to it.
    let mut plain = settlement(&given, 905, EventKind::Deferred, retry(1_000));
    plain.reply = Some(Reply::new(421, None, b"bye"));
    settle(ports, plain.clone()).await;
    assert_eq!(recipient(ports, &given).await.last_reply, plain.reply);
}

pub async fn a_held_recipient_leaves_the_queue_and_is_not_attempted(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let held = settlement(&given, 5, EventKind::Held, Outcome::Held { attempts: 3 });
    assert_eq!(settle(ports, held).await, Settled::Recorded);
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.state, RecipientState::Held);
    assert_eq!((stored.attempts, stored.due_at), (3, None));
    assert_eq!(live(ports).await, []);
    let opened = ports.queue.open(given.id, &[given.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients, []);

    // A result that was on its way is kept, and only an end moves it.
    settle(ports, settlement(&given, 6, EventKind::Deferred, retry(99))).await;
    assert_eq!(recipient(ports, &given).await.state, RecipientState::Held);
    assert_eq!(live(ports).await, []);
    assert_eq!(deliver(ports, &given, 7).await, Settled::Recorded);
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.state, RecipientState::Delivered);
}

pub async fn a_note_adds_its_events_and_changes_nothing_else(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let (row, before) = (live(ports).await, recipient(ports, &given).await);
    let note = settlement(&given, 5, EventKind::Ambiguous, Outcome::Noted);
    assert_eq!(settle(ports, note).await, Settled::Recorded);
    assert_eq!(live(ports).await, row);
    assert_eq!(recipient(ports, &given).await, before);
    assert_eq!(
        kinds(ports, &given).await,
        [EventKind::Accepted, EventKind::Ambiguous]
    );
}

pub async fn a_recipient_that_is_gone_is_reported(ports: &Ports) {
    let mut given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    given.recipients[0].id = recipient_id();
    assert_eq!(deliver(ports, &given, 5).await, Settled::Gone);
    assert_eq!(kinds(ports, &given).await, [EventKind::Accepted]);
}

pub async fn events_are_numbered_for_each_recipient_and_keep_every_fact(ports: &Ports) {
    let given = message_to(add_tenant(ports).await, &["a@x.example", "b@x.example"]);
    commit(ports, &given).await;
    let mut end = settlement(&given, 5, EventKind::Attempted, delivered());
    end.events.push(telling_event(&given));
    settle(ports, end.clone()).await;

    let events = ports.mail.events(given.tenant, given.id).await;
    let events = events.expect("events").expect("the message");
    let found: Vec<_> = events
        .iter()
        .map(|stored| (stored.seq, stored.address.to_string(), stored.event.kind))
        .collect();
    let (a, b) = ("a@x.example".to_owned(), "b@x.example".to_owned());
    let wanted = [
        (1, a.clone(), EventKind::Accepted),
        (1, b, EventKind::Accepted),
        (2, a.clone(), EventKind::Attempted),
        (3, a, EventKind::Delivered),
    ];
    assert_eq!(found, wanted, "oldest first");
    assert_eq!(events[2].event, end.events[0]);
    assert_eq!(events[3].event, end.events[1]);
}

fn telling_event(message: &NewMessage) -> Event {
    Event {
        attempt: 1,
        reply: Some(Reply::new(
            250,
            Some(EnhancedCode(2, 0, 0)),
            "Ok: \"queued\"\nas \\ 17 é".as_bytes(),
        )),
        mx: Some(MxHost {
            host: "mx.x.example".to_owned(),
            address: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        }),
        tls: Some(TlsFacts {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            verdict: "unverified".to_owned(),
        }),
        duration: Some(Duration::from_micros(123_457)),
        cause: Some(WaitCause::DestinationCap),
        note: Some("näher betrachtet".to_owned()),
        ..Event::new(message.recipients[0].id, at(6), EventKind::Delivered)
    }
}

pub async fn the_last_event_is_the_newest_that_has_a_word(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let steps = [
        (EventKind::Attempted, EventKind::Attempted),
        (EventKind::Ambiguous, EventKind::Attempted),
        (EventKind::Deferred, EventKind::Deferred),
        (EventKind::ReplyToReplaced, EventKind::Deferred),
        (EventKind::Held, EventKind::Held),
        (EventKind::Released, EventKind::Released),
        (EventKind::Delivered, EventKind::Delivered),
        (EventKind::AutoReply, EventKind::Delivered),
        (EventKind::Duplicate, EventKind::Delivered),
        (EventKind::Complained, EventKind::Complained),
    ];
    for (seconds, (kind, want)) in (1..).zip(steps) {
        settle(ports, settlement(&given, seconds, kind, Outcome::Noted)).await;
        let stored = email(ports, &given).await.expect("the message");
        assert_eq!(stored.last_event, want, "after {kind}");
    }
}

pub async fn a_settlement_that_contradicts_itself_is_refused(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let no_end = Outcome::Final {
        state: RecipientState::Queued,
        attempts: 1,
    };
    let mut about_another = settlement(&given, 5, EventKind::Delivered, delivered());
    about_another.events[0].recipient = recipient_id();
    for wrong in [
        settlement(&given, 5, EventKind::Delivered, no_end),
        about_another,
    ] {
        let refused = ports.queue.settle(wrong).await;
        assert!(
            matches!(refused, Err(StoreError::Rejected { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(live(ports).await.len(), 1);
}

pub async fn many_settlements_at_once_are_all_recorded(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..700).map(|_| message(tenant)).collect();
    commit_all(ports, &messages).await;
    // Two results for each recipient, one after the other; all recipients at once.
    let all = join_all(messages.iter().enumerate().map(async |(at, given)| {
        let last = match at % 3 {
            0 => delivered(),
            1 => retry(900),
            _ => Outcome::Held { attempts: 2 },
        };
        let first = settlement(given, 5, EventKind::Deferred, retry(300));
        assert_eq!(settle(ports, first).await, Settled::Recorded);
        settle(ports, settlement(given, 6, EventKind::Attempted, last)).await
    }));
    assert!(all.await.iter().all(|done| *done == Settled::Recorded));
    let rows = live(ports).await;
    assert_eq!(rows.len(), 233);
    assert!(rows.iter().all(|row| row.due_at == at(900)));
}

fn under(lease: Lease, mut settlement: Settlement) -> Settlement {
    settlement.lease = Some(lease);
    settlement
}

pub async fn a_retry_under_a_lost_lease_adds_its_events_and_nothing_else(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    let (first, old) = owner(ports, "first", tenant).await;
    let mine = under(old, settlement(&given, 5, EventKind::Deferred, retry(300)));
    assert_eq!(settle(ports, mine).await, Settled::Recorded);
    let (row, before) = (live(ports).await, recipient(ports, &given).await);
    assert_eq!(row[0].due_at, at(300));

    ports.nodes.leave(first).await.expect("a farewell");
    let (_, new) = owner(ports, "second", tenant).await;
    let mut late = under(old, settlement(&given, 9, EventKind::Ambiguous, retry(900)));
    late.reply = Some(Reply::new(451, None, b"late"));
    late.waits.add(WaitCause::Attempt, Duration::from_secs(4));
    assert_eq!(settle(ports, late).await, Settled::NotOwner);
    assert_eq!(live(ports).await, row);
    assert_eq!(recipient(ports, &given).await, before);
    let kinds = kinds(ports, &given).await;
    assert_eq!(kinds[1..], [EventKind::Deferred, EventKind::Ambiguous]);

    let next = under(
        new,
        settlement(&given, 300, EventKind::Deferred, retry(600)),
    );
    assert_eq!(settle(ports, next).await, Settled::Recorded);
    assert_eq!(live(ports).await[0].due_at, at(600));
}

pub async fn an_end_is_recorded_whoever_owns_the_shard(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    let (first, old) = owner(ports, "first", tenant).await;
    ports.nodes.leave(first).await.expect("a farewell");
    let (_, new) = owner(ports, "second", tenant).await;
    let end = under(
        old,
        settlement(&given, 5, EventKind::Delivered, delivered()),
    );
    assert_eq!(settle(ports, end).await, Settled::Recorded);
    let state = recipient(ports, &given).await.state;
    assert_eq!(state, RecipientState::Delivered);
    // Who owns it now has sent it again; what it finds out is kept, and changes nothing.
    let again = under(new, settlement(&given, 6, EventKind::Deferred, retry(300)));
    assert_eq!(settle(ports, again).await, Settled::TooLate);
    assert_eq!(live(ports).await, []);
}

pub async fn leases_are_told_apart_within_one_batch(ports: &Ports) {
    let one = add_tenant(ports).await;
    let two = in_another_shard(ports, one).await;
    let (of_one, of_two) = (message(one), message(two));
    commit(ports, &of_one).await;
    commit(ports, &of_two).await;
    let (node, good) = owner(ports, "a", one).await;
    let lost = Lease {
        shard: Shard::of(two),
        epoch: Epoch(good.epoch.0 - 1),
    };
    let both = [
        under(
            good,
            settlement(&of_one, 5, EventKind::Deferred, retry(300)),
        ),
        under(
            lost,
            settlement(&of_two, 5, EventKind::Deferred, retry(300)),
        ),
    ];
    let settled = join_all(both.map(|settlement| settle(ports, settlement))).await;
    assert_eq!(settled, [Settled::Recorded, Settled::NotOwner]);
    ports.nodes.leave(node).await.expect("a farewell");
}
