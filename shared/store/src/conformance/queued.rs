//! What waits, counted for operators.

use postrider_model::{Domain, EventKind, WaitCause};

use super::fixture::{
    add_tenant, at, commit, commit_all, credential_id, do_verb, later, message, message_to, settle,
    settlement,
};
use super::{Ports, vendors};
use crate::{Apart, ControlVerb, Outcome, Queued, QueuedQuery, Scope};

const ALL: [&str; 3] = ["a@one.example", "b@two.example", "c@one.example"];

async fn counted(ports: &Ports, query: &QueuedQuery) -> Vec<Queued> {
    let counted = ports.controls.queued(query).await;
    let mut counted = counted.expect("counts of what waits").lines;
    counted.sort_unstable();
    counted
}

/// How much was counted, and whether some was not looked at.
async fn looked(ports: &Ports, within: Option<Scope>, most: u32) -> (u64, bool) {
    let query = QueuedQuery {
        most,
        ..query(within)
    };
    let counted = ports.controls.queued(&query).await;
    let counted = counted.expect("counts of what waits");
    (sum(&counted.lines), counted.more)
}

fn query(within: Option<Scope>) -> QueuedQuery {
    QueuedQuery {
        within,
        apart: Apart::default(),
        now: at(10),
        most: 1_000,
    }
}

fn sum(counted: &[Queued]) -> u64 {
    counted.iter().map(|one| one.recipients).sum()
}

/// What each cause has, due and not.
fn by_cause(counted: &[Queued]) -> Vec<(WaitCause, bool, u64)> {
    let each = counted.iter();
    each.map(|one| (one.cause, one.is_due, one.recipients))
        .collect()
}

pub async fn what_waits_is_counted_by_tenant_and_cause(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    assert_eq!(counted(ports, &query(None)).await, []);
    let (fresh, tried, planned) = (message_to(one, &ALL), message(one), later(one, 900));
    let (others, held) = (message_to(two, &ALL), message_to(two, &ALL));
    commit_all(ports, &[fresh, tried.clone(), planned, others]).await;
    let again = Outcome::Retry {
        due_at: at(300),
        attempts: 1,
        cause: WaitCause::Retry,
    };
    settle(ports, settlement(&tried, 5, EventKind::Deferred, again)).await;
    commit(ports, &held).await;
    do_verb(ports, ControlVerb::Hold, Scope::Message(held.id), 7).await;
    let mine = counted(ports, &query(Some(Scope::Tenant(one)))).await;
    let want = [
        (WaitCause::Turn, true, 3),
        (WaitCause::Scheduled, false, 2),
        (WaitCause::Retry, false, 1),
    ];
    assert_eq!(by_cause(&mine), want);
    assert!(mine.iter().all(|line| line.tenant == one), "{mine:?}");
    let others = counted(ports, &query(Some(Scope::Tenant(two)))).await;
    let want = [(WaitCause::Turn, true, 3), (WaitCause::Held, false, 3)];
    assert_eq!(by_cause(&others), want);
    let all = counted(ports, &query(None)).await;
    assert_eq!(sum(&all), sum(&mine) + sum(&others));
    let later = QueuedQuery {
        now: at(300),
        ..query(Some(Scope::Tenant(one)))
    };
    let due = counted(ports, &later).await;
    assert!(
        due.iter()
            .any(|line| line.cause == WaitCause::Retry && line.is_due),
        "{due:?}"
    );
}

pub async fn what_waits_is_counted_within_a_scope(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let vendor = vendors::added(ports, "acme").await;
    let new = vendors::tenant_of(&vendor, "one");
    let shop = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a new tenant");
    let (first, held) = (message_to(one, &ALL), message_to(one, &ALL));
    let (other, shops) = (message_to(two, &ALL), message_to(shop, &ALL));
    commit_all(ports, &[first.clone(), held.clone(), other, shops]).await;
    do_verb(ports, ControlVerb::Hold, Scope::Message(held.id), 7).await;
    let domain = Domain::parse("one.example").expect("a domain");
    for (scope, want) in [
        (Scope::Tenant(one), 6),
        (Scope::Tenant(two), 3),
        (Scope::Vendor(vendor.id), 3),
        (Scope::Message(first.id), 3),
        (Scope::Message(held.id), 3),
        (Scope::Domain(domain), 8),
    ] {
        let found = counted(ports, &query(Some(scope.clone()))).await;
        assert_eq!(sum(&found), want, "{scope:?}: {found:?}");
    }
}

pub async fn what_may_be_stopped_alone_is_counted_apart(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (mut mine, other) = (message_to(tenant, &ALL), message_to(tenant, &ALL));
    mine.credential = Some(credential_id());
    commit_all(ports, &[mine.clone(), other]).await;
    let domain = Domain::parse("two.example").expect("a domain");
    let apart = |apart| QueuedQuery {
        apart,
        ..query(None)
    };
    let named = |of: &Queued| (of.message, of.domain.clone(), of.recipients);
    let messages = Apart {
        messages: vec![mine.id],
        ..Apart::default()
    };
    let found = counted(ports, &apart(messages)).await;
    let found: Vec<_> = found.iter().map(named).collect();
    assert_eq!(found, [(None, None, 3), (Some(mine.id), None, 3)]);
    let domains = Apart {
        domains: vec![domain.clone()],
        ..Apart::default()
    };
    let found = counted(ports, &apart(domains)).await;
    let found: Vec<_> = found.iter().map(named).collect();
    assert_eq!(found, [(None, None, 4), (None, Some(domain), 2)]);
    let keys = Apart {
        keys_of: vec![tenant],
        ..Apart::default()
    };
    let found = counted(ports, &apart(keys)).await;
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.credential, one.recipients))
        .collect();
    assert_eq!(found, [(None, 3), (mine.credential, 3)]);
}

pub async fn a_long_queue_is_looked_at_no_further_than_asked(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let held = message_to(tenant, &ALL);
    commit_all(ports, &[message_to(tenant, &ALL), held.clone()]).await;
    do_verb(ports, ControlVerb::Hold, Scope::Message(held.id), 7).await;
    let short = QueuedQuery {
        most: 2,
        ..query(None)
    };
    let found = counted(ports, &short).await;
    let want = [(WaitCause::Turn, true, 2), (WaitCause::Held, false, 2)];
    assert_eq!(by_cause(&found), want);
}

pub async fn what_is_sought_in_a_long_queue_ends_with_it_and_says_so(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let held = message_to(one, &ALL);
    commit_all(ports, &[message_to(one, &ALL), held.clone()]).await;
    do_verb(ports, ControlVerb::Hold, Scope::Message(held.id), 7).await;
    let nowhere = Scope::Domain(Domain::parse("nowhere.example").expect("a domain"));
    for (within, of_most, of_all) in [
        (None, 2 + 2, 6),
        (Some(nowhere.clone()), 0, 0),
        (Some(Scope::Tenant(one)), 2 + 2, 6),
        // Of three that were held no more than two are looked at, whosever they are.
        (Some(Scope::Tenant(two)), 0, 0),
    ] {
        assert_eq!(
            looked(ports, within.clone(), 2).await,
            (of_most, true),
            "{within:?}"
        );
        assert_eq!(
            looked(ports, within.clone(), 9).await,
            (of_all, false),
            "{within:?}"
        );
    }
}
