//! Failure notices: what tenants are yet to be told of.

use std::time::Duration;

use futures_util::future::join_all;
use postrider_model::{EventKind, RecipientState, TenantId, Timestamp};

use super::Ports;
use super::fixture::{add_tenant, at, commit, message, settle, settlement};
use crate::{FAILURE_LIFE, Outcome, Settlement, Untold};

const FAILED: Outcome = Outcome::Final {
    state: RecipientState::Failed,
    attempts: 1,
};

/// A message of this tenant whose one recipient ended so.
async fn ended(
    ports: &Ports,
    tenant: TenantId,
    seconds: u64,
    outcome: Outcome,
    tell_tenant: bool,
) -> Settlement {
    let message = message(tenant);
    commit(ports, &message).await;
    let end = Settlement {
        tell_tenant,
        ..settlement(&message, seconds, EventKind::Bounced, outcome)
    };
    settle(ports, end.clone()).await;
    end
}

async fn untold(ports: &Ports, before: Timestamp, told_before: Timestamp) -> Vec<TenantId> {
    let tenants = ports.failures.untold(before, told_before, 10_000).await;
    tenants.expect("tenants to tell")
}

/// Of the turn that began then.
async fn failures(ports: &Ports, tenant: TenantId, turn: Timestamp, limit: u32) -> Untold {
    let failures = ports.failures.failures(tenant, turn, limit).await;
    failures.expect("failures")
}

/// Begins a turn, which is this tenant's only one now.
async fn begin(ports: &Ports, tenant: TenantId, now: Timestamp) {
    let turn = ports.failures.begin_telling(tenant, now, now).await;
    assert!(turn.expect("a turn"));
}

/// What this tenant is to be told of.
async fn all(ports: &Ports, tenant: TenantId, now: Timestamp) -> Untold {
    begin(ports, tenant, now).await;
    failures(ports, tenant, now, 10).await
}

pub async fn a_tenant_is_told_of_what_failed_once_it_is_old_enough(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let other = add_tenant(ports).await;
    let first = ended(ports, tenant, 10, FAILED, true).await;
    let second = ended(ports, tenant, 20, FAILED, true).await;
    ended(ports, other, 50, FAILED, true).await;
    // The same once more, as of a commit that was not heard of.
    settle(ports, first.clone()).await;
    let long_ago = at(0);
    assert!(!untold(ports, at(9), long_ago).await.contains(&tenant));
    let due = untold(ports, at(10), long_ago).await;
    assert!(due.contains(&tenant) && !due.contains(&other));
    assert_eq!(
        failures(ports, tenant, at(60), 10).await.total,
        0,
        "no turn"
    );
    let seen = all(ports, tenant, at(60)).await;
    assert_eq!(seen.total, 2);
    assert_eq!(seen.failures[0].message, first.message);
    assert_eq!(seen.failures[0].recipient, first.recipient);
    assert_eq!(seen.failures[0].at, at(10));
    assert_eq!(seen.failures[1].recipient, second.recipient);
    let one_of_two = failures(ports, tenant, at(60), 1).await;
    assert_eq!((one_of_two.failures.len(), one_of_two.total), (1, 2));
    let told = ports.failures.told(tenant, at(60)).await;
    told.expect("failures to be forgotten");
    assert_eq!(all(ports, tenant, at(90)).await.total, 0);
    assert_eq!(all(ports, other, at(90)).await.total, 1);
}

pub async fn what_is_entered_during_a_turn_is_told_in_the_next_however_old_it_is(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = ended(ports, tenant, 20, FAILED, true).await;
    begin(ports, tenant, at(60)).await;
    // A node that was cut off settles what it knew long before.
    let late = ended(ports, tenant, 10, FAILED, true).await;
    let seen = failures(ports, tenant, at(60), 10).await;
    assert_eq!(
        (seen.total, seen.failures[0].recipient),
        (1, first.recipient)
    );
    ports.failures.told(tenant, at(60)).await.expect("told");
    assert!(untold(ports, at(90), at(90)).await.contains(&tenant));
    let seen = all(ports, tenant, at(90)).await;
    assert_eq!(
        (seen.total, seen.failures[0].recipient),
        (1, late.recipient)
    );
    // Whoever had this turn did not come to tell it.
    let seen = all(ports, tenant, at(95)).await;
    assert_eq!(
        (seen.total, seen.failures[0].recipient),
        (1, late.recipient)
    );
    // Who comes too late with an earlier one forgets nothing of it.
    ports.failures.told(tenant, at(90)).await.expect("told");
    assert_eq!(failures(ports, tenant, at(95), 10).await.total, 1);
}

pub async fn a_failure_that_nobody_is_told_of_is_forgotten_after_days(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    ended(ports, tenant, 10, FAILED, true).await;
    ended(ports, tenant, 90, FAILED, true).await;
    let long = Duration::from_hours(10 * 365 * 24);
    loop {
        let removed = ports
            .upkeep
            .retain(at(50).after(FAILURE_LIFE), long, long)
            .await;
        if removed.expect("upkeep").is_nothing() {
            break;
        }
    }
    let left = all(ports, tenant, at(100)).await;
    assert_eq!((left.total, left.failures[0].at), (1, at(90)));
}

pub async fn of_many_who_would_tell_one_does_and_not_too_often(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    ended(ports, tenant, 10, FAILED, true).await;
    let pause = Duration::from_mins(15);
    let turns = async |now: Timestamp| {
        let turns = (0..8).map(|_| {
            let told_before = now.before(pause);
            ports.failures.begin_telling(tenant, now, told_before)
        });
        let turns = join_all(turns).await.into_iter();
        turns.filter(|turn| *turn.as_ref().expect("a turn")).count()
    };
    assert_eq!(turns(at(100)).await, 1);
    assert!(
        !untold(ports, at(200), at(200).before(pause))
            .await
            .contains(&tenant)
    );
    assert_eq!(turns(at(100).after(pause / 2)).await, 0);
    let later = at(100).after(pause);
    assert!(
        untold(ports, later, later.before(pause))
            .await
            .contains(&tenant)
    );
    assert_eq!(turns(later).await, 1);
}

pub async fn what_is_not_to_be_told_is_not_there(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    ended(ports, tenant, 10, FAILED, false).await;
    ended(ports, tenant, 10, Outcome::Noted, true).await;
    let held = Outcome::Held { attempts: 1 };
    ended(ports, tenant, 10, held, true).await;
    assert_eq!(all(ports, tenant, at(90)).await, Untold::default());
    assert!(!untold(ports, at(90), at(0)).await.contains(&tenant));
}

pub async fn a_tenants_failures_go_with_it(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    ended(ports, tenant, 10, FAILED, true).await;
    begin(ports, tenant, at(20)).await;
    while !ports
        .upkeep
        .erase(tenant)
        .await
        .expect("a step")
        .is_nothing()
    {}
    assert_eq!(failures(ports, tenant, at(20), 10).await.total, 0);
}
