//! What its client wants sent later: started once, or taken back, never both.

use futures_util::future::{join, join_all};
use postrider_model::{EventKind, MessageId, RecipientState, WaitCause};

use super::Ports;
use super::fixture::{
    add_tenant, at, cancel, commit, commit_all, deliver, email, kinds, later, live, message,
    message_id, recipient_id,
};
use crate::{Cancelled, NewMessage, Settled};

/// Messages that are raced for at the same time.
const WAVE: usize = 20;

async fn start(ports: &Ports, messages: &[MessageId], seconds: u64) -> Vec<MessageId> {
    let started = ports.queue.start_scheduled(messages, at(seconds)).await;
    let mut started = started.expect("an answer");
    started.sort();
    started
}

async fn states(ports: &Ports, message: &NewMessage) -> Vec<RecipientState> {
    let stored = email(ports, message).await.expect("the message");
    stored.recipients.iter().map(|r| r.state).collect()
}

pub async fn what_is_due_is_started_and_stays_so(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (first, second) = (later(tenant, 60), later(tenant, 60));
    commit_all(ports, &[first.clone(), second.clone()]).await;
    let both = [first.id, second.id];
    assert_eq!(start(ports, &both, 59).await, [], "nothing is due");
    assert_eq!(states(ports, &first).await, [RecipientState::Scheduled; 2]);
    assert_eq!(start(ports, &[], 60).await, []);

    assert_eq!(start(ports, &both, 60).await, both);
    assert_eq!(states(ports, &first).await, [RecipientState::Queued; 2]);
    assert_eq!(kinds(ports, &first).await, [EventKind::Scheduled; 2]);
    // A node that died between the start and the attempt asks again at its next start.
    assert_eq!(start(ports, &both, 61).await, both);
    assert_eq!(live(ports).await.len(), 4);
    let opened = ports.queue.open(first.id, &[first.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients.len(), 1);
    assert_eq!(deliver(ports, &first, 62).await, Settled::Recorded);
    assert_eq!(
        start(ports, &both, 63).await,
        both,
        "one of them has another recipient"
    );
}

pub async fn what_was_taken_back_never_leaves(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (given, other) = (later(tenant, 60), later(tenant, 60));
    commit_all(ports, &[given.clone(), other.clone()]).await;
    assert_eq!(cancel(ports, &given, 30).await, Cancelled::Done);
    assert_eq!(start(ports, &[given.id, other.id], 60).await, [other.id]);
    let stored = email(ports, &given).await.expect("the message");
    for recipient in &stored.recipients {
        assert_eq!(recipient.state, RecipientState::Cancelled);
        assert_eq!((recipient.due_at, recipient.updated_at), (None, at(30)));
        let waits: Vec<_> = recipient.waits.iter().collect();
        assert_eq!(waits, [(WaitCause::Scheduled, at(30).since(at(0)))]);
    }
    assert_eq!(stored.last_event, EventKind::Cancelled);
    assert_eq!(kinds(ports, &given).await.len(), 4);
    assert!(live(ports).await.iter().all(|row| row.message == other.id));
    assert_eq!(cancel(ports, &given, 31).await, Cancelled::NotScheduled);
    assert_eq!(kinds(ports, &given).await.len(), 4, "once");
    let opened = ports.queue.open(given.id, &[given.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients, []);
}

pub async fn only_what_is_scheduled_can_be_taken_back(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (started, immediate) = (later(tenant, 60), message(tenant));
    commit_all(ports, &[started.clone(), immediate.clone()]).await;
    assert_eq!(start(ports, &[started.id], 60).await, [started.id]);
    assert_eq!(cancel(ports, &started, 60).await, Cancelled::NotScheduled);
    assert_eq!(cancel(ports, &immediate, 60).await, Cancelled::NotScheduled);
    deliver(ports, &immediate, 61).await;
    assert_eq!(cancel(ports, &immediate, 62).await, Cancelled::NotScheduled);
    assert_eq!(live(ports).await.len(), 2);
    let mut nothing = message(tenant);
    nothing.id = message_id();
    nothing.recipients[0].id = recipient_id();
    assert_eq!(cancel(ports, &nothing, 60).await, Cancelled::NotFound);
}

pub async fn of_start_and_cancel_exactly_one_wins(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..200).map(|_| later(tenant, 60)).collect();
    commit_all(ports, &messages).await;
    // Each in a race of its own, many at once, now one side ahead and now the other. Not all at once:
    // a call waits for its connection for some seconds only.
    let mut ended = Vec::new();
    for wave in messages.chunks(WAVE) {
        let races = wave.iter().enumerate().map(async |(at, message)| {
            let ids = [message.id];
            let (start, cancel) = (start(ports, &ids, 60), cancel(ports, message, 60));
            if at % 2 == 0 {
                join(start, cancel).await
            } else {
                let (cancel, start) = join(cancel, start).await;
                (start, cancel)
            }
        });
        ended.extend(join_all(races).await);
    }
    for (message, (started, cancelled)) in messages.iter().zip(ended) {
        let (want, state) = if started.is_empty() {
            (Cancelled::Done, RecipientState::Cancelled)
        } else {
            (Cancelled::NotScheduled, RecipientState::Queued)
        };
        assert_eq!(cancelled, want);
        assert_eq!(states(ports, message).await, [state; 2]);
    }
}

pub async fn a_batch_of_starts_and_many_cancels_agree(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..100).map(|_| later(tenant, 60)).collect();
    commit_all(ports, &messages).await;
    for wave in messages.chunks(WAVE) {
        let ids: Vec<_> = wave.iter().map(|message| message.id).collect();
        let (first, second) = ids.split_at(WAVE / 2);
        let starts = join(start(ports, first, 60), start(ports, second, 60));
        let cancels = join_all(wave.iter().map(|message| cancel(ports, message, 60)));
        let ((first, second), cancelled) = join(starts, cancels).await;
        for (message, cancelled) in wave.iter().zip(cancelled) {
            let started = first.contains(&message.id) || second.contains(&message.id);
            assert_eq!(cancelled == Cancelled::Done, !started, "{cancelled:?}");
        }
    }
}

pub async fn a_scheduled_message_is_committed_once_with_its_time(ports: &Ports) {
    let given = later(add_tenant(ports).await, 60);
    commit(ports, &given).await;
    commit(ports, &given).await;
    let rows = live(ports).await;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row.due_at, row.since), (at(60), at(0)));
        assert_eq!(row.cause, WaitCause::Scheduled);
    }
}
