//! What each verb does to recipients.

use postrider_model::{Domain, EventKind, RecipientState, WaitCause};

use super::fixture::{
    add_tenant, at, changed_since, commit, commit_all, cursor, deliver, do_verb, email, enact,
    kinds, later, live, message, message_to, owner, raise, settle, settlement,
};
use super::{Ports, vendors};
use crate::{ControlVerb, NewMessage, Outcome, Scope, StoredRecipient};

const ALL: [&str; 3] = ["a@one.example", "b@two.example", "c@one.example"];

async fn recipients(ports: &Ports, message: &NewMessage) -> Vec<StoredRecipient> {
    let stored = email(ports, message).await.expect("the message");
    stored.recipients
}

async fn states(ports: &Ports, message: &NewMessage) -> Vec<RecipientState> {
    let recipients = recipients(ports, message).await;
    recipients
        .into_iter()
        .map(|recipient| recipient.state)
        .collect()
}

fn one_example() -> Scope {
    Scope::Domain(Domain::parse("one.example").expect("a domain"))
}

/// Its first recipient was tried at `seconds`, and is due again much later.
async fn retry(ports: &Ports, message: &NewMessage, seconds: u64) {
    let outcome = Outcome::Retry {
        due_at: at(seconds + 295),
        attempts: 2,
        cause: WaitCause::Greylisting,
    };
    let result = settlement(message, seconds, EventKind::Deferred, outcome);
    settle(ports, result).await;
}

pub async fn hold_stops_what_waits_in_its_scope(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    for (scope_of, want_mine, want_others) in [
        (0, [true, true, true], [false; 3]),
        (1, [true, false, true], [true, false, true]),
        (2, [true, true, true], [false; 3]),
    ] {
        let (mine, others) = (message_to(tenant, &ALL), message_to(other, &ALL));
        commit(ports, &mine).await;
        commit(ports, &others).await;
        let scope = match scope_of {
            0 => Scope::Tenant(tenant),
            1 => one_example(),
            _ => Scope::Message(mine.id),
        };
        do_verb(ports, ControlVerb::Hold, scope, 7).await;
        for (message, want) in [(&mine, want_mine), (&others, want_others)] {
            let found = recipients(ports, message).await;
            for (recipient, held) in found.iter().zip(want) {
                let state = if held {
                    RecipientState::Held
                } else {
                    RecipientState::Queued
                };
                assert_eq!(recipient.state, state, "scope {scope_of}");
                assert_eq!(recipient.due_at.is_none(), held);
            }
        }
        let rows = live(ports).await;
        let stopped = want_mine.iter().chain(&want_others).filter(|held| **held);
        assert_eq!(rows.len(), 6 - stopped.count());
        let all = [Scope::Tenant(tenant), Scope::Tenant(other)];
        for scope in all {
            do_verb(ports, ControlVerb::Cancel, scope, 8).await;
        }
    }
}

pub async fn hold_tells_what_happened_and_who_did_it(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (fresh, tried, scheduled) = (message(tenant), message(tenant), later(tenant, 900));
    commit_all(ports, &[fresh.clone(), tried.clone(), scheduled.clone()]).await;
    retry(ports, &tried, 5).await;
    assert_eq!(
        do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await,
        4
    );
    assert_eq!(states(ports, &scheduled).await, [RecipientState::Held; 2]);
    let events = ports.mail.events(tenant, tried.id).await;
    let events = events.expect("events").expect("the message");
    let last = events.last().expect("an event");
    assert_eq!((last.seq, last.event.kind), (3, EventKind::Held));
    assert_eq!((last.event.at, last.event.attempt), (at(7), 2));
    assert_eq!(last.event.note.as_deref(), Some("by the office"));
    let stored = &recipients(ports, &tried).await[0];
    assert_eq!((stored.attempts, stored.updated_at), (2, at(7)));
    assert_eq!(stored.cause, None);
    // What was stopped cannot be opened for an attempt, in memory or not.
    let opened = ports.queue.open(fresh.id, &[fresh.recipients[0].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients, []);
    assert_eq!(
        do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 8).await,
        0
    );
    assert_eq!(kinds(ports, &fresh).await.len(), 2, "once");
}

pub async fn what_is_too_late_is_passed_over(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (node, _) = owner(ports, "a", tenant).await;
    for (verb, scope) in [
        (ControlVerb::Hold, Scope::Tenant(tenant)),
        (ControlVerb::Cancel, one_example()),
    ] {
        let given = message_to(tenant, &["a@one.example", "b@one.example"]);
        commit(ports, &given).await;
        let control = raise(ports, verb, scope).await;
        let late = [given.recipients[0].id];
        let said = ports.controls.acknowledge(control, node, &late).await;
        said.expect("a verb that stands");
        assert_eq!(enact(ports, control, 7).await, 1);
        let states = states(ports, &given).await;
        assert_eq!(states[0], RecipientState::Queued, "{verb:?}");
        assert_ne!(states[1], RecipientState::Queued, "{verb:?}");
        assert_eq!(live(ports).await.len(), 1);
        ports
            .controls
            .close(control)
            .await
            .expect("a verb that stands");
        do_verb(ports, ControlVerb::Cancel, Scope::Tenant(tenant), 8).await;
    }
}

pub async fn release_sends_on_what_is_held_in_its_scope(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let (mine, others) = (message_to(tenant, &ALL), message_to(other, &ALL));
    let never_held = message_to(tenant, &ALL);
    commit(ports, &mine).await;
    commit(ports, &others).await;
    for tenant in [tenant, other] {
        do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await;
    }
    commit(ports, &never_held).await;
    let before = cursor(ports).await;
    assert_eq!(
        do_verb(ports, ControlVerb::Release, one_example(), 20).await,
        4
    );
    let rows = changed_since(ports, &before).await;
    assert_eq!(rows.len(), 4, "its owner finds them");
    for row in &rows {
        assert_eq!(row.domain.as_str(), "one.example");
        assert_eq!((row.due_at, row.since), (at(20), at(20)));
        assert_eq!(
            (row.accepted_at, row.expires_at),
            (mine.accepted_at, mine.expires_at)
        );
        assert_eq!((row.attempts, row.cause), (0, WaitCause::Turn));
    }
    let queued = [
        RecipientState::Queued,
        RecipientState::Held,
        RecipientState::Queued,
    ];
    assert_eq!(states(ports, &mine).await, queued);
    assert_eq!(
        do_verb(ports, ControlVerb::Release, Scope::Message(mine.id), 21).await,
        1
    );
    assert_eq!(states(ports, &mine).await, [RecipientState::Queued; 3]);
    assert_eq!(states(ports, &others).await, queued);
    assert_eq!(
        do_verb(ports, ControlVerb::Release, Scope::Tenant(other), 22).await,
        1
    );
    assert_eq!(live(ports).await.len(), 9);
    let events = kinds(ports, &never_held).await;
    assert_eq!(events, [EventKind::Accepted; 3]);
    let stored = email(ports, &mine).await.expect("the message");
    assert_eq!(stored.last_event, EventKind::Released);
    let opened = ports.queue.open(mine.id, &[mine.recipients[1].id]).await;
    let opened = opened.expect("an answer").expect("the message");
    assert_eq!(opened.recipients.len(), 1);
}

pub async fn what_was_held_before_its_time_waits_for_it_again(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (early, late) = (later(tenant, 900), later(tenant, 10));
    commit_all(ports, &[early.clone(), late.clone()]).await;
    do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await;
    assert_eq!(
        do_verb(ports, ControlVerb::Release, Scope::Tenant(tenant), 20).await,
        4
    );
    assert_eq!(states(ports, &early).await, [RecipientState::Scheduled; 2]);
    assert_eq!(states(ports, &late).await, [RecipientState::Queued; 2]);
    for row in live(ports).await {
        let wanted = if row.message == early.id {
            (at(900), WaitCause::Scheduled)
        } else {
            (at(20), WaitCause::Turn)
        };
        assert_eq!((row.due_at, row.cause), wanted);
    }
}

pub async fn cancel_discards_what_waits_is_scheduled_or_held(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let (held, waits, scheduled) = (message(tenant), message(tenant), later(tenant, 900));
    let (ended, others) = (message(tenant), message(other));
    commit(ports, &held).await;
    do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await;
    commit_all(
        ports,
        &[
            waits.clone(),
            scheduled.clone(),
            ended.clone(),
            others.clone(),
        ],
    )
    .await;
    deliver(ports, &ended, 8).await;
    assert_eq!(
        do_verb(ports, ControlVerb::Cancel, Scope::Tenant(tenant), 20).await,
        4
    );
    for message in [&held, &waits, &scheduled] {
        for recipient in recipients(ports, message).await {
            assert_eq!(recipient.state, RecipientState::Cancelled);
            assert_eq!(
                recipient.waits.total(),
                at(20).since(at(0)),
                "its whole age"
            );
        }
        let stored = email(ports, message).await.expect("the message");
        assert_eq!(stored.last_event, EventKind::Cancelled);
    }
    assert_eq!(states(ports, &ended).await, [RecipientState::Delivered]);
    let rows = live(ports).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message, others.id);
}

pub async fn retry_now_makes_due_what_waits_for_another_attempt(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (fresh, tried, scheduled) = (message(tenant), message(tenant), later(tenant, 900));
    commit_all(ports, &[fresh.clone(), tried.clone(), scheduled.clone()]).await;
    retry(ports, &tried, 5).await;
    let scopes = [
        Scope::Tenant(tenant),
        Scope::Domain(tried.recipients[0].address.domain().clone()),
        Scope::Message(tried.id),
    ];
    for (step, scope) in (1..).zip(scopes) {
        let before = cursor(ports).await;
        assert_eq!(
            do_verb(ports, ControlVerb::RetryNow, scope, 20 * step).await,
            1
        );
        let rows = changed_since(ports, &before).await;
        assert_eq!(rows.len(), 1, "its owner finds it");
        assert_eq!(rows[0].recipient, tried.recipients[0].id);
        assert_eq!((rows[0].due_at, rows[0].attempts), (at(20 * step), 2));
        // It has waited for the same as before, since the same time.
        assert_eq!(
            (rows[0].cause, rows[0].since),
            (WaitCause::Greylisting, at(5 * step))
        );
        retry(ports, &tried, 5 * (step + 1)).await;
    }
    assert_eq!(
        states(ports, &scheduled).await,
        [RecipientState::Scheduled; 2]
    );
    let scheduled = live(ports)
        .await
        .into_iter()
        .filter(|row| row.due_at == at(900));
    assert_eq!(scheduled.count(), 2);
    assert_eq!(kinds(ports, &fresh).await, [EventKind::Accepted]);
}

pub async fn a_verb_about_a_vendor_is_about_all_its_tenants(ports: &Ports) {
    let vendor = vendors::added(ports, "acme").await;
    let mut mine = Vec::new();
    for licence in ["one", "two"] {
        let new = vendors::tenant_of(&vendor, licence);
        mine.push(message(new.tenant.id));
        let added = ports.directory.add_tenant(new).await;
        added.expect("a tenant");
    }
    let others = message(add_tenant(ports).await);
    commit_all(ports, &[mine[0].clone(), others.clone(), mine[1].clone()]).await;
    let scope = || Scope::Vendor(vendor.id);
    assert_eq!(do_verb(ports, ControlVerb::Hold, scope(), 7).await, 2);
    assert_eq!(live(ports).await.len(), 1);
    let held = ports.controls.held(&scope(), None, 10).await;
    let held = held.expect("an answer").into_iter();
    let held: Vec<_> = held.map(|held| held.tenant).collect();
    assert_eq!(held, [mine[0].tenant, mine[1].tenant]);
    assert_eq!(do_verb(ports, ControlVerb::Release, scope(), 8).await, 2);
    retry(ports, &mine[0], 9).await;
    retry(ports, &others, 9).await;
    assert_eq!(do_verb(ports, ControlVerb::RetryNow, scope(), 20).await, 1);
    assert_eq!(do_verb(ports, ControlVerb::Hold, scope(), 21).await, 2);
    assert_eq!(do_verb(ports, ControlVerb::Cancel, scope(), 22).await, 2);
    assert_eq!(states(ports, &others).await, [RecipientState::Queued]);
    // One suspension of it, which is another than one of a tenant.
    let first = raise(ports, ControlVerb::Suspend, scope()).await;
    let tenant = Scope::Tenant(mine[0].tenant);
    assert_ne!(raise(ports, ControlVerb::Suspend, tenant).await, first);
    assert_eq!(raise(ports, ControlVerb::Suspend, scope()).await, first);
    let standing = ports.controls.controls().await.expect("the verbs");
    assert!(standing.iter().any(|control| control.scope == scope()));
}
