//! Retention, erasure, health.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_model::{EventKind, TenantId, Timestamp, WaitCause};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, at, claiming, commit, commit_all, deliver, email, later, live, message,
    message_to, scope, settle, settlement,
};
use crate::{Committed, NewMessage, Outcome, Removed};

const BODY_LIFE: Duration = DAY;
const MESSAGE_LIFE: Duration = Duration::from_hours(30 * 24);

/// Runs retention to its end; returns what it removed in all.
async fn retain(ports: &Ports, now: Timestamp) -> Removed {
    let mut sum = Removed::default();
    loop {
        let removed = ports.upkeep.retain(now, BODY_LIFE, MESSAGE_LIFE).await;
        let removed = removed.expect("a batch of retention");
        if removed.is_nothing() {
            return sum;
        }
        sum.bodies += removed.bodies;
        sum.messages += removed.messages;
        sum.claims += removed.claims;
    }
}

async fn has_body(ports: &Ports, message: &NewMessage) -> bool {
    let body = ports.mail.body(message.tenant, message.id).await;
    body.expect("a look at a body").is_some()
}

pub async fn a_store_that_works_says_so(ports: &Ports) {
    ports.upkeep.check().await.expect("a healthy store");
    let free = ports.upkeep.free_space().await;
    assert!(free.expect("free space") > 0);
}

async fn waiting(ports: &Ports) -> BTreeMap<WaitCause, u64> {
    let counts = ports.upkeep.waiting().await.expect("counts");
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

pub async fn all_that_waits_is_counted_by_its_cause(ports: &Ports) {
    assert_eq!(waiting(ports).await, BTreeMap::new());
    let (one, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let given: Vec<_> = [one, other, one, other, one].map(message).into();
    commit_all(ports, &given).await;
    // Two recipients, far beyond what owners have in memory.
    commit(ports, &later(one, 86_400)).await;
    deliver(ports, &given[0], 5).await;
    let retry = Outcome::Retry {
        due_at: at(90_000),
        attempts: 1,
        cause: WaitCause::Greylisting,
    };
    let held = Outcome::Held { attempts: 1 };
    settle(ports, settlement(&given[1], 5, EventKind::Deferred, retry)).await;
    settle(ports, settlement(&given[2], 5, EventKind::Held, held)).await;
    let wanted = [
        (WaitCause::Turn, 2),
        (WaitCause::Scheduled, 2),
        (WaitCause::Greylisting, 1),
        (WaitCause::Held, 1),
    ];
    assert_eq!(waiting(ports).await, wanted.into());
}

pub async fn a_body_is_dropped_after_its_life_and_not_before(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message_to(tenant, &["a@x.example", "b@x.example"]);
    let waiting = message(tenant);
    commit(ports, &given).await;
    commit(ports, &waiting).await;
    deliver(ports, &given, 5).await;
    let long_after = at(0).after(3 * DAY);
    assert!(retain(ports, long_after).await.is_nothing(), "one is live");

    let mut other = settlement(
        &given,
        7_000,
        EventKind::Bounced,
        super::fixture::delivered(),
    );
    other.recipient = given.recipients[1].id;
    other.events.clear();
    settle(ports, other).await;
    let last = at(7_000).after(BODY_LIFE);
    let before = retain(ports, last.before(Duration::from_micros(1))).await;
    assert!(before.is_nothing());
    assert!(has_body(ports, &given).await);
    assert_eq!(retain(ports, last).await.bodies, 1);
    assert!(!has_body(ports, &given).await);
    assert!(has_body(ports, &waiting).await);
    assert!(email(ports, &given).await.is_some(), "the rest stays");
    let opened = ports.queue.open(given.id, &[]).await;
    assert!(opened.expect("an answer").is_none());
}

pub async fn a_message_is_dropped_after_its_life_and_not_before(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..250).map(|_| message(tenant)).collect();
    commit_all(ports, &messages).await;
    for given in &messages[..240] {
        deliver(ports, given, 5).await;
    }
    let end = at(0).after(MESSAGE_LIFE);
    let before = retain(ports, end.before(Duration::from_micros(1))).await;
    assert_eq!((before.messages, before.bodies), (0, 240));
    // Where mail is dropped by whole days, it stays until its day is over.
    assert_eq!(retain(ports, end.after(DAY)).await.messages, 240);
    let dropped = &messages[0];
    assert_eq!(email(ports, dropped).await, None);
    let events = ports.mail.events(tenant, dropped.id).await;
    assert_eq!(events.expect("an answer"), None);
    assert_eq!(live(ports).await.len(), 10);
}

pub async fn a_message_with_a_live_recipient_is_never_dropped(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (queued, held) = (message(tenant), message(tenant));
    commit(ports, &queued).await;
    commit(ports, &held).await;
    let stop = settlement(&held, 5, EventKind::Held, Outcome::Held { attempts: 1 });
    settle(ports, stop).await;
    let removed = retain(ports, at(0).after(10 * MESSAGE_LIFE)).await;
    assert!(removed.is_nothing(), "{removed:?}");
    assert!(has_body(ports, &queued).await && has_body(ports, &held).await);
}

pub async fn claims_past_their_time_are_dropped(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    commit(ports, &claiming(tenant, "order-17")).await;
    let end = at(0).after(DAY);
    let before = retain(ports, end.before(Duration::from_micros(1))).await;
    assert_eq!(before.claims, 0);
    assert_eq!(retain(ports, end).await.claims, 1);
    let again = claiming(tenant, "order-17");
    assert_eq!(commit(ports, &again).await, Committed::Stored);
}

pub async fn an_erased_tenant_leaves_its_names_and_nothing_else(ports: &Ports) {
    let (gone, stays) = (add_tenant(ports).await, add_tenant(ports).await);
    let of_gone: Vec<_> = (0..150).map(|_| claiming(gone, &key())).collect();
    let of_stays = claiming(stays, "order-17");
    commit_all(ports, &of_gone).await;
    commit(ports, &of_stays).await;
    deliver(ports, &of_gone[0], 5).await;
    let generation = ports.directory.generation().await.expect("a generation");

    let mut sum = 0;
    loop {
        let removed = ports.upkeep.erase(gone).await.expect("a step");
        if removed.is_nothing() {
            break;
        }
        sum += removed.messages;
    }
    assert_eq!(sum, 150);
    for message in &of_gone {
        assert_eq!(email(ports, message).await, None);
    }
    let rows = live(ports).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].tenant, stays);
    let late = deliver(ports, &of_gone[1], 9).await;
    assert_eq!(late, crate::Settled::Gone);
    expect_only(ports, stays, generation).await;
    let answer = ports
        .intake
        .answered(&scope(stays, "order-17"), at(1))
        .await;
    assert!(answer.expect("an answer").is_some());
    let again = ports.upkeep.erase(gone).await;
    assert!(again.expect("nothing to do").is_nothing());
}

async fn expect_only(ports: &Ports, tenant: TenantId, generation: u64) {
    let found = ports.directory.snapshot().await.expect("the directory");
    assert!(found.generation > generation);
    assert!(found.tenants.iter().all(|t| t.id == tenant));
    assert!(found.credentials.iter().all(|c| c.tenant == tenant));
    assert!(found.reply_addresses.iter().all(|a| a.tenant == tenant));
}

fn key() -> String {
    format!("order-{}", super::fixture::number())
}

pub async fn a_checkpoint_changes_nothing_that_is_seen(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let before = email(ports, &given).await;
    ports.upkeep.checkpoint().await.expect("a checkpoint");
    assert_eq!(email(ports, &given).await, before);
    assert_eq!(live(ports).await.len(), 1);
}
