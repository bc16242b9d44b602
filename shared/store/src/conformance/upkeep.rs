//! Retention, erasure, health.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_model::{
    EventKind, ReplyAddress, ReplySource, ReplyStatus, Session, SessionCode, SessionTls,
    Suppression, SuppressionReason, TenantId, Timestamp, WaitCause,
};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, address, at, claiming, commit, commit_all, credential_id, deliver, email,
    later, live, message, message_to, number, reply_address_id, scope, settle, settlement,
    suppression_id,
};
use crate::{AskCaps, Committed, NOTE_LIFE, NewMessage, Outcome, Quota, Removed, SESSION_LIFE};

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
        sum.sessions += removed.sessions;
        sum.suppressions += removed.suppressions;
        sum.notes += removed.notes;
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

fn session(tenant: Option<TenantId>, started_at: Timestamp) -> Session {
    let random = u32::try_from(number()).expect("a small number");
    Session {
        code: SessionCode::new(random.to_be_bytes()),
        started_at,
        ended_at: Some(started_at),
        tenant,
        credential: None,
        claimed: None,
        peer: "192.0.2.7:50123".parse().expect("a socket's address"),
        port: 465,
        verdict: "it never sent a password".to_owned(),
        tls: SessionTls::default(),
        dialogue: Vec::new(),
        emails: Vec::new(),
    }
}

fn suppression(tenant: TenantId, text: &str, until: Option<Timestamp>) -> Suppression {
    Suppression {
        id: suppression_id(),
        tenant,
        address: address(text),
        stream: None,
        reason: SuppressionReason::Manual,
        source: "the office".to_owned(),
        since: at(0),
        until,
    }
}

/// Two sessions, two suppressions of which one ends, two strangers, and one who is asked.
async fn fill(ports: &Ports, tenant: TenantId) -> [Session; 2] {
    let sessions = [session(Some(tenant), at(0)), session(Some(tenant), at(60))];
    let kept = ports.sessions.keep(sessions.to_vec()).await;
    kept.expect("sessions");
    let ends = suppression(tenant, "ends@x.example", Some(at(600)));
    let stands = suppression(tenant, "stands@x.example", None);
    let new = vec![ends, stands];
    let suppressed = ports.suppressions.suppress(tenant, new).await;
    suppressed.expect("suppressions");
    let mut sent = message_to(tenant, &["a@x.example", "b@x.example"]);
    sent.credential = Some(credential_id());
    sent.quota = Quota {
        key_per_day: 10,
        new_per_hour: 10,
        ..Quota::default()
    };
    commit(ports, &sent).await;
    let seen = ReplyAddress {
        id: reply_address_id(),
        tenant,
        address: address("zoe@example.org"),
        status: ReplyStatus::Unconfirmed,
        source: ReplySource::Observed,
        confirmed_at: None,
        attested_by: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        created_at: at(0),
    };
    let caps = AskCaps {
        per_day: 5,
        pause: 7 * DAY,
        letters_per_day: 0,
        letters_in_a_row: 0,
        rest: 7 * DAY,
    };
    let observed = ports.directory.observe_reply_address(seen, caps).await;
    assert!(observed.expect("an answer").ask);
    sessions
}

pub async fn what_was_noted_is_dropped_when_it_counts_no_more(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let [early, late] = fill(ports, tenant).await;
    assert_eq!(retain(ports, at(599)).await, Removed::default());
    let removed = retain(ports, at(600)).await;
    assert_eq!((removed.suppressions, removed.sessions), (1, 0));
    let removed = retain(ports, at(59).after(SESSION_LIFE)).await;
    assert_eq!((removed.sessions, removed.notes), (1, 0));
    for (session, want) in [(early, None), (late.clone(), Some(late))] {
        let found = ports.sessions.any_session(session.code).await;
        assert_eq!(found.expect("a look at a session"), want);
    }
    let removed = retain(ports, at(0).after(NOTE_LIFE)).await;
    assert_eq!((removed.sessions, removed.notes), (1, 3));
    let addresses = ["ends@x.example", "stands@x.example"].map(address);
    let stream = postrider_model::Stream::Bulk;
    let among = ports.suppressions.among(tenant, stream, &addresses, at(0));
    assert_eq!(among.await.expect("an answer"), addresses[1..]);
}

pub async fn an_erased_tenant_leaves_none_of_its_lists(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let mine = fill(ports, tenant).await;
    let others = session(Some(other), at(0));
    let kept = ports.sessions.keep(vec![others.clone()]).await;
    kept.expect("sessions");
    let new = vec![suppression(other, "stands@x.example", None)];
    ports
        .suppressions
        .suppress(other, new)
        .await
        .expect("suppressions");
    let mut sum = Removed::default();
    loop {
        let removed = ports.upkeep.erase(tenant).await.expect("a step");
        if removed.is_nothing() {
            break;
        }
        sum.sessions += removed.sessions;
        sum.suppressions += removed.suppressions;
        sum.notes += removed.notes;
    }
    assert_eq!((sum.sessions, sum.suppressions, sum.notes), (2, 2, 2));
    for session in mine {
        let found = ports.sessions.any_session(session.code).await;
        assert_eq!(found.expect("a look at a session"), None);
    }
    let found = ports.sessions.any_session(others.code).await;
    assert!(found.expect("a look at a session").is_some());
    let addresses = [address("stands@x.example")];
    let stream = postrider_model::Stream::Bulk;
    for (of, want) in [(tenant, 0), (other, 1)] {
        let among = ports.suppressions.among(of, stream, &addresses, at(0));
        assert_eq!(among.await.expect("an answer").len(), want);
    }
    let snapshot = ports.directory.snapshot().await.expect("the directory");
    assert_eq!(snapshot.tenants.len(), 1);
}

pub async fn a_checkpoint_changes_nothing_that_is_seen(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let before = email(ports, &given).await;
    ports.upkeep.checkpoint().await.expect("a checkpoint");
    assert_eq!(email(ports, &given).await, before);
    assert_eq!(live(ports).await.len(), 1);
}
