//! Another time for a scheduled message: it leaves then, and not before; or nothing was changed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use postrider_model::{EventKind, MessageId, RecipientState, Timestamp, WaitCause};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, at, cancel, changed_since, commit, commit_all, cursor, deliver, do_verb,
    email, kinds, later, live, message, message_id,
};
use crate::{
    Cancelled, ControlVerb, NewMessage, News, Rescheduled, Rescheduling, Resealed, Scope,
    StoredEmail,
};

/// The wish for another time, `seconds` after the case began, said at `said`.
fn wish(message: &NewMessage, seconds: u64, said: u64) -> Rescheduled {
    Rescheduled {
        sealed: Resealed {
            id: message.id,
            tenant: message.tenant,
            body: Bytes::from(format!("sealed for {seconds}")),
            selectors: vec!["r2".to_owned()],
            sealed_until: at(seconds).after(4 * DAY),
            was: message.sealed_until,
        },
        due_at: at(seconds),
        expires_at: at(seconds).after(2 * DAY),
        at: at(said),
    }
}

async fn reschedule(ports: &Ports, wish: &Rescheduled) -> Rescheduling {
    let done = ports.intake.reschedule(wish.clone()).await;
    done.expect("an answer")
}

async fn start(ports: &Ports, messages: &[MessageId], seconds: u64) -> Vec<MessageId> {
    let started = ports.queue.start_scheduled(messages, at(seconds)).await;
    let mut started = started.expect("an answer");
    started.sort();
    started
}

async fn look(ports: &Ports, message: &NewMessage) -> StoredEmail {
    email(ports, message).await.expect("the message")
}

async fn body(ports: &Ports, message: &NewMessage) -> Option<Bytes> {
    let body = ports.mail.body(message.tenant, message.id).await;
    body.expect("an answer")
}

pub async fn a_message_that_was_moved_leaves_at_its_new_time(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (given, other) = (later(tenant, 60), later(tenant, 60));
    commit_all(ports, &[given.clone(), other.clone()]).await;
    let before = cursor(ports).await;
    let new = wish(&given, 120, 10);
    assert_eq!(reschedule(ports, &new).await, Rescheduling::Done);
    expect_moved(ports, &given, &new).await;
    let rows = changed_since(ports, &before).await;
    assert_eq!(rows.len(), 2, "its owner finds both");
    for row in rows {
        assert_eq!(row.message, given.id);
        assert_eq!((row.due_at, row.expires_at), (new.due_at, new.expires_at));
        assert_eq!(row.cause, WaitCause::Scheduled);
    }
    // A node that has them in memory with their old time asks for both.
    let both = [given.id, other.id];
    assert_eq!(start(ports, &both, 60).await, [other.id]);
    assert_eq!(start(ports, &both, 119).await, [other.id]);
    let states = |stored: StoredEmail| stored.recipients.iter().map(|r| r.state).collect();
    let found: Vec<_> = states(look(ports, &given).await);
    assert_eq!(found, [RecipientState::Scheduled; 2]);
    assert_eq!(start(ports, &both, 120).await, both);
    let opened = ports.queue.open(given.id, &[given.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(
        (opened.body, opened.expires_at),
        (Some(new.sealed.body), new.expires_at)
    );
    assert_eq!(opened.sealed_until, new.sealed.sealed_until);
    assert_eq!(opened.selectors, new.sealed.selectors);
}

async fn expect_moved(ports: &Ports, given: &NewMessage, new: &Rescheduled) {
    let stored = look(ports, given).await;
    assert_eq!(stored.summary.scheduled_at, Some(new.due_at));
    assert_eq!(stored.summary.subject, given.summary.subject);
    assert_eq!(stored.expires_at, new.expires_at);
    assert_eq!(stored.size, new.sealed.body.len() as u64);
    assert_eq!(stored.last_event, EventKind::Rescheduled);
    for recipient in &stored.recipients {
        assert_eq!(recipient.state, RecipientState::Scheduled);
        assert_eq!(recipient.due_at, Some(new.due_at));
        assert_eq!(recipient.cause, Some(WaitCause::Scheduled));
    }
    assert_eq!(body(ports, given).await, Some(new.sealed.body.clone()));
    let events = ports.mail.events(given.tenant, given.id).await;
    let events = events.expect("an answer").expect("the message");
    let mut told = events
        .iter()
        .filter(|stored| stored.event.kind == EventKind::Rescheduled);
    for _ in &given.recipients {
        let stored = told.next().expect("an event for each recipient");
        assert_eq!((stored.seq, stored.event.at), (2, new.at));
        assert_eq!(stored.event.note, Some(new.due_at.to_string()));
    }
    assert!(told.next().is_none(), "once");
}

pub async fn a_message_may_be_moved_to_an_earlier_time_and_again(ports: &Ports) {
    let given = later(add_tenant(ports).await, 3_600);
    commit(ports, &given).await;
    let first = wish(&given, 30, 10);
    assert_eq!(reschedule(ports, &first).await, Rescheduling::Done);
    let mut second = wish(&given, 20, 11);
    second.sealed.was = first.sealed.sealed_until;
    assert_eq!(reschedule(ports, &second).await, Rescheduling::Done);
    assert_eq!(start(ports, &[given.id], 19).await, []);
    assert_eq!(start(ports, &[given.id], 20).await, [given.id]);
    let told = kinds(ports, &given).await;
    let moved = told.iter().filter(|kind| **kind == EventKind::Rescheduled);
    assert_eq!((told.len(), moved.count()), (6, 4));
}

pub async fn only_what_is_scheduled_can_be_moved(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (started, back) = (later(tenant, 60), later(tenant, 60));
    let (immediate, delivered) = (message(tenant), message(tenant));
    let all = [started, back, immediate, delivered];
    commit_all(ports, &all).await;
    let [started, back, _, delivered] = &all;
    assert_eq!(start(ports, &[started.id], 60).await, [started.id]);
    assert_eq!(cancel(ports, back, 30).await, Cancelled::Done);
    deliver(ports, delivered, 5).await;
    let rows = live(ports).await;
    for given in &all {
        let (stored, told) = (look(ports, given).await, kinds(ports, given).await);
        let done = reschedule(ports, &wish(given, 120, 61)).await;
        assert_eq!(done, Rescheduling::NotScheduled);
        assert_eq!(look(ports, given).await, stored);
        assert_eq!(kinds(ports, given).await, told);
        assert_eq!(body(ports, given).await, Some(given.body.clone()));
    }
    assert_eq!(live(ports).await, rows);
    let mut nothing = later(tenant, 60);
    nothing.id = message_id();
    let done = reschedule(ports, &wish(&nothing, 120, 61)).await;
    assert_eq!(done, Rescheduling::NotFound);
}

pub async fn a_message_that_another_sealed_is_not_moved(ports: &Ports) {
    let given = later(add_tenant(ports).await, 60);
    commit(ports, &given).await;
    let (stored, rows) = (look(ports, &given).await, live(ports).await);
    let mut new = wish(&given, 120, 10);
    new.sealed.was = given.sealed_until.after(Duration::from_secs(1));
    assert_eq!(reschedule(ports, &new).await, Rescheduling::SealedByAnother);
    assert_eq!(look(ports, &given).await, stored);
    assert_eq!(live(ports).await, rows);
    assert_eq!(body(ports, &given).await, Some(given.body.clone()));
    assert_eq!(start(ports, &[given.id], 60).await, [given.id]);
}

pub async fn of_start_and_another_time_exactly_one_wins(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..200).map(|_| later(tenant, 60)).collect();
    commit_all(ports, &messages).await;
    // Each in a race of its own, many at once, now one side ahead and now the other.
    let mut ended = Vec::new();
    for wave in messages.chunks(20) {
        let races = wave.iter().enumerate().map(async |(at, message)| {
            let (ids, new) = ([message.id], wish(message, 120, 60));
            let (start, moved) = (start(ports, &ids, 60), reschedule(ports, &new));
            if at % 2 == 0 {
                join(start, moved).await
            } else {
                let (moved, start) = join(moved, start).await;
                (start, moved)
            }
        });
        ended.extend(join_all(races).await);
    }
    for (message, (started, moved)) in messages.iter().zip(ended) {
        let stored = look(ports, message).await;
        let (want, state, due_at) = if started.is_empty() {
            (Rescheduling::Done, RecipientState::Scheduled, at(120))
        } else {
            (Rescheduling::NotScheduled, RecipientState::Queued, at(60))
        };
        assert_eq!(moved, want);
        assert_eq!(stored.summary.scheduled_at, Some(due_at));
        for recipient in &stored.recipients {
            assert_eq!((recipient.state, recipient.due_at), (state, Some(due_at)));
        }
    }
}

pub async fn of_cancel_and_another_time_the_later_sees_the_earlier(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..200).map(|_| later(tenant, 60)).collect();
    commit_all(ports, &messages).await;
    let mut ended = Vec::new();
    for wave in messages.chunks(20) {
        let races = wave.iter().enumerate().map(async |(at, message)| {
            let new = wish(message, 120, 30);
            let (cancel, moved) = (cancel(ports, message, 30), reschedule(ports, &new));
            if at % 2 == 0 {
                join(cancel, moved).await
            } else {
                let (moved, cancelled) = join(moved, cancel).await;
                (cancelled, moved)
            }
        });
        ended.extend(join_all(races).await);
    }
    for (message, (cancelled, moved)) in messages.iter().zip(ended) {
        assert_eq!(cancelled, Cancelled::Done);
        let (events, time) = match moved {
            Rescheduling::Done => (6, at(120)),
            Rescheduling::NotScheduled => (4, at(60)),
            other => panic!("{other:?}"),
        };
        assert_eq!(kinds(ports, message).await.len(), events);
        let stored = look(ports, message).await;
        assert_eq!(stored.summary.scheduled_at, Some(time));
        let mut states = stored.recipients.iter().map(|recipient| recipient.state);
        assert!(states.all(|state| state == RecipientState::Cancelled));
    }
    assert_eq!(live(ports).await, []);
}

pub async fn of_many_wishes_at_once_one_comes_true(ports: &Ports) {
    let given = later(add_tenant(ports).await, 60);
    commit(ports, &given).await;
    let wishes: Vec<_> = (0..20).map(|n| wish(&given, 100 + n, 10)).collect();
    let done = join_all(wishes.iter().map(|wish| reschedule(ports, wish))).await;
    let true_ones: Vec<_> = wishes
        .iter()
        .zip(&done)
        .filter(|(_, done)| **done == Rescheduling::Done)
        .collect();
    let [(won, _)] = true_ones[..] else {
        panic!("one of them: {done:?}")
    };
    let others = done
        .iter()
        .filter(|done| **done == Rescheduling::SealedByAnother);
    assert_eq!(others.count(), 19);
    expect_moved(ports, &given, won).await;
}

pub async fn owners_hear_of_another_time(ports: &Ports) {
    let given = later(add_tenant(ports).await, 3_600);
    commit(ports, &given).await;
    let before = cursor(ports).await;
    let new = wish(&given, 30, 10);
    assert_eq!(reschedule(ports, &new).await, Rescheduling::Done);
    loop {
        match ports.queue.news().await {
            News::Look => break,
            News::Rows(rows) if rows.iter().any(|row| row.due_at == at(30)) => break,
            News::Rows(_) | News::Control => {}
        }
    }
    assert_eq!(changed_since(ports, &before).await.len(), 2);
}

pub async fn what_a_moved_message_waited_for_adds_up_to_its_age(ports: &Ports) {
    let given = later(add_tenant(ports).await, 60);
    commit(ports, &given).await;
    let new = wish(&given, 120, 10);
    assert_eq!(reschedule(ports, &new).await, Rescheduling::Done);
    let age = |stored: &StoredEmail, time: Timestamp| {
        for recipient in &stored.recipients {
            assert_eq!(recipient.updated_at, time);
            assert_eq!(recipient.waits.total(), time.since(at(0)));
        }
    };
    let stored = look(ports, &given).await;
    age(&stored, stored.recipients[0].updated_at);
    // What its owner counts from when it settles it is where the ledger ends.
    for row in live(ports).await {
        assert_eq!(row.since, stored.recipients[0].updated_at);
    }
    assert_eq!(cancel(ports, &given, 130).await, Cancelled::Done);
    let stored = look(ports, &given).await;
    age(&stored, at(130));
    let waits: Vec<_> = stored.recipients[0].waits.iter().collect();
    let wanted = [
        (WaitCause::Scheduled, at(120).since(at(0))),
        (WaitCause::Turn, at(130).since(at(120))),
    ];
    assert!(wanted.iter().all(|wait| waits.contains(wait)), "{waits:?}");
}

pub async fn what_is_held_before_its_time_waits_for_the_new_one(ports: &Ports) {
    let given = later(add_tenant(ports).await, 60);
    commit(ports, &given).await;
    let scope = || Scope::Domain(given.recipients[1].address.domain().clone());
    assert_eq!(do_verb(ports, ControlVerb::Hold, scope(), 5).await, 1);
    let new = wish(&given, 120, 10);
    assert_eq!(reschedule(ports, &new).await, Rescheduling::Done);
    assert_eq!(live(ports).await.len(), 1);
    assert_eq!(do_verb(ports, ControlVerb::Release, scope(), 20).await, 1);
    for row in live(ports).await {
        assert_eq!((row.due_at, row.expires_at), (at(120), new.expires_at));
    }
    assert_eq!(start(ports, &[given.id], 60).await, []);
    assert_eq!(start(ports, &[given.id], 120).await, [given.id]);
    // Where all of it is held, nothing of it waits for its time.
    let held = later(given.tenant, 60);
    commit(ports, &held).await;
    do_verb(ports, ControlVerb::Hold, Scope::Message(held.id), 5).await;
    let done = reschedule(ports, &wish(&held, 120, 10)).await;
    assert_eq!(done, Rescheduling::NotScheduled);
}
