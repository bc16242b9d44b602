//! What is accepted and does not go out: suppressed recipients, messages held from the start; and
//! what is noted of a message later.

use postrider_model::{Event, EventKind, MessageId, RecipientState};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, at, cancel, changed_since, commit, cursor, deliver, delivered, do_verb, email,
    kinds, later, live, message, message_id, message_to, settle, settlement,
};
use crate::{Cancelled, Committed, ControlVerb, NewMessage, News, Note, Scope};

/// Suppressed at these places.
fn suppressed(mut message: NewMessage, places: &[usize]) -> NewMessage {
    for place in places {
        let recipient = &mut message.recipients[*place];
        recipient.suppressed = true;
        let event = Event::new(recipient.id, message.accepted_at, EventKind::Suppressed);
        message.events.push(event);
    }
    message
}

async fn states(ports: &Ports, message: &NewMessage) -> Vec<RecipientState> {
    let stored = email(ports, message).await.expect("the message");
    stored.recipients.iter().map(|r| r.state).collect()
}

pub async fn a_suppressed_recipient_is_accepted_and_never_attempted(ports: &Ports) {
    use RecipientState::{Delivered, Queued, Suppressed};
    let tenant = add_tenant(ports).await;
    let since = cursor(ports).await;
    let two = message_to(tenant, &["a@x.example", "b@x.example"]);
    let sent = suppressed(two, &[0]);
    assert_eq!(commit(ports, &sent).await, Committed::Stored);
    assert_eq!(states(ports, &sent).await, [Suppressed, Queued]);
    let stored = email(ports, &sent).await.expect("the message");
    assert_eq!(stored.last_event, EventKind::Suppressed);
    let [first, second] = [0, 1].map(|at| sent.recipients[at].id);
    let rows = changed_since(ports, &since).await;
    assert_eq!(
        rows.iter().map(|r| r.recipient).collect::<Vec<_>>(),
        [second]
    );
    let opened = ports.queue.open(sent.id, &[first, second]).await;
    let opened = opened.expect("a look").expect("the message");
    let open: Vec<_> = opened.recipients.iter().map(|r| r.id).collect();
    assert_eq!(open, [second]);
    let usage = ports.mail.usage(tenant, at(0)).await.expect("an answer");
    assert_eq!(usage.day, 2, "it was accepted");
    let mut ended = settlement(&sent, 5, EventKind::Delivered, delivered());
    ended.recipient = second;
    ended.events[0].recipient = second;
    settle(ports, ended).await;
    assert_eq!(states(ports, &sent).await, [Suppressed, Delivered]);
}

pub async fn a_message_to_nobody_but_suppressed_ends_as_it_begins(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let sent = suppressed(message(tenant), &[0]);
    let other = message(tenant);
    // Word of the other one comes alone.
    let heard = async {
        loop {
            match ports.queue.news().await {
                News::Rows(rows) if !rows.is_empty() => break rows,
                _ => {}
            }
        }
    };
    let commits = async {
        commit(ports, &sent).await;
        commit(ports, &other).await;
    };
    let (heard, ()) = futures_util::join!(heard, commits);
    assert!(heard.iter().all(|row| row.message == other.id));
    assert_eq!(states(ports, &sent).await, [RecipientState::Suppressed]);
    assert_eq!(live(ports).await.len(), 1);
    deliver(ports, &other, 1).await;
    // Its bytes go as those of any that has ended.
    let removed = ports
        .upkeep
        .retain(at(0).after(2 * DAY), DAY, 30 * DAY)
        .await;
    assert_eq!(removed.expect("a batch of retention").bodies, 2);
}

pub async fn a_scheduled_message_starts_for_those_who_are_not_suppressed(ports: &Ports) {
    use RecipientState::{Cancelled as Gone, Queued, Suppressed};
    let tenant = add_tenant(ports).await;
    let (started, taken_back) = (
        suppressed(later(tenant, 60), &[1]),
        suppressed(later(tenant, 60), &[1]),
    );
    commit(ports, &started).await;
    commit(ports, &taken_back).await;
    let now = ports.queue.start_scheduled(&[started.id], at(60)).await;
    assert_eq!(now.expect("an answer"), [started.id]);
    assert_eq!(states(ports, &started).await, [Queued, Suppressed]);
    assert_eq!(cancel(ports, &taken_back, 5).await, Cancelled::Done);
    assert_eq!(states(ports, &taken_back).await, [Gone, Suppressed]);
}

/// Held, and its first events say so.
fn held(mut message: NewMessage) -> NewMessage {
    message.held = true;
    for recipient in &message.recipients {
        let event = Event::new(recipient.id, message.accepted_at, EventKind::Held);
        message.events.push(event);
    }
    message
}

pub async fn a_message_held_from_the_start_goes_out_when_it_is_released(ports: &Ports) {
    use RecipientState::{Held, Queued, Scheduled, Suppressed};
    let tenant = add_tenant(ports).await;
    let two = message_to(tenant, &["a@x.example", "b@x.example"]);
    let (sent, waits) = (suppressed(held(two), &[1]), held(later(tenant, 60)));
    commit(ports, &sent).await;
    commit(ports, &waits).await;
    assert_eq!(states(ports, &sent).await, [Held, Suppressed]);
    assert_eq!(states(ports, &waits).await, [Held, Held]);
    assert_eq!(live(ports).await, []);
    let opened = ports.queue.open(sent.id, &[sent.recipients[0].id]).await;
    let opened = opened.expect("a look");
    assert!(opened.is_none_or(|opened| opened.recipients.is_empty()));
    let scope = Scope::Tenant(tenant);
    let listed = ports.controls.held(&scope, None, 10).await;
    let listed = listed.expect("a list");
    let ids: Vec<MessageId> = listed.iter().map(|held| held.id).collect();
    assert!(ids.contains(&sent.id) && ids.contains(&waits.id));
    assert_eq!(do_verb(ports, ControlVerb::Release, scope, 30).await, 3);
    assert_eq!(states(ports, &sent).await, [Queued, Suppressed]);
    assert_eq!(states(ports, &waits).await, [Scheduled, Scheduled]);
    let rows = live(ports).await;
    let due = |of: MessageId| rows.iter().find(|row| row.message == of).map(|r| r.due_at);
    assert_eq!((due(sent.id), due(waits.id)), (Some(at(30)), Some(at(60))));
    // It waited for that from its acceptance on.
    deliver(ports, &sent, 40).await;
    let stored = email(ports, &sent).await.expect("the message");
    let waited = stored.recipients[0].waits.iter();
    let waited: Vec<_> = waited.map(|(cause, _)| cause.as_str()).collect();
    assert_eq!(waited, ["held"]);
}

pub async fn what_is_noted_of_a_message_is_told_with_each_recipient(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let sent = message_to(tenant, &["a@x.example", "b@x.example"]);
    commit(ports, &sent).await;
    let before = live(ports).await;
    let note = |seconds| Note {
        kind: EventKind::Duplicate,
        at: at(seconds),
        note: Some("the same again, 7F3K-Q2".to_owned()),
    };
    let noted = |tenant, id, seconds| ports.mail.note(tenant, id, note(seconds));
    assert!(noted(tenant, sent.id, 5).await.expect("an answer"));
    assert!(!noted(other, sent.id, 6).await.expect("an answer"));
    let nothing = message_id();
    assert!(!noted(tenant, nothing, 6).await.expect("an answer"));
    deliver(ports, &sent, 7).await;
    assert!(noted(tenant, sent.id, 8).await.expect("an answer"));
    let events = ports.mail.events(tenant, sent.id).await;
    let events = events.expect("a look").expect("the message");
    let told: Vec<_> = events
        .iter()
        .filter(|told| told.event.recipient == sent.recipients[0].id)
        .map(|told| (told.seq, told.event.kind, told.event.attempt))
        .collect();
    let wanted = [
        (1, EventKind::Accepted, 0),
        (2, EventKind::Duplicate, 0),
        (3, EventKind::Delivered, 0),
        (4, EventKind::Duplicate, 1),
    ];
    assert_eq!(told, wanted);
    assert_eq!(kinds(ports, &sent).await.len(), 7);
    let noted = events.iter().find(|e| e.event.kind == EventKind::Duplicate);
    let noted = noted.expect("the note");
    assert_eq!(noted.event.note.as_deref(), Some("the same again, 7F3K-Q2"));
    let stored = email(ports, &sent).await.expect("the message");
    assert_eq!(stored.last_event, EventKind::Delivered);
    // The queue is as it was.
    let rows = live(ports).await;
    let [second] = &rows[..] else {
        panic!("one row: {rows:?}");
    };
    assert!(before.contains(second));
}
