//! New tenants: their ramp, and how many strangers they may write to.

use std::time::Duration;

use postrider_model::{Language, Ramp, TenantId, Timestamp};

use super::Ports;
use super::fixture::{DAY, add_tenant, at, commit, commit_all, email, message_to, new_tenant};
use crate::{Committed, NewMessage, OverQuota, Period, Quota, StoreError, TenantChange};

const HOUR: Duration = Duration::from_hours(1);

async fn tenant(ports: &Ports, id: TenantId) -> postrider_model::Tenant {
    let snapshot = ports.directory.snapshot().await.expect("the directory");
    let mut tenants = snapshot.tenants.into_iter();
    tenants.find(|tenant| tenant.id == id).expect("the tenant")
}

pub async fn a_tenant_gets_another_language_and_way_with_its_domain(ports: &Ports) {
    let (id, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let french = TenantChange {
        language: Some(Language::Fr),
        ..TenantChange::default()
    };
    let own = TenantChange {
        own_domain: Some(true),
        ..TenantChange::default()
    };
    for change in [french, own] {
        let before = ports.directory.generation().await.expect("a generation");
        let changed = ports.directory.change_tenant(id, change).await;
        changed.expect("a change");
        assert!(ports.directory.generation().await.expect("a generation") > before);
    }
    let found = tenant(ports, id).await;
    assert_eq!((found.language, found.own_domain), (Language::Fr, true));
    let found = tenant(ports, other).await;
    assert_eq!((found.language, found.own_domain), (Language::En, false));
    let nobody = TenantId::new(at(9), [9; 10]);
    let refused = ports.directory.change_tenant(nobody, own).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
}

pub async fn a_day_of_a_ramp_is_decided_once(ports: &Ports) {
    let mut new = new_tenant();
    let first = Ramp {
        since: at(0),
        per_day: 50,
        decided: at(0).day(),
    };
    new.tenant.ramp = first;
    let id = new.tenant.id;
    ports.directory.add_tenant(new).await.expect("a tenant");
    assert_eq!(tenant(ports, id).await.ramp, first);
    let second = Ramp {
        per_day: 100,
        decided: first.decided + 1,
        ..first
    };
    let change = || ports.directory.change_ramp(id, first, second);
    let (a, b, c) = futures_util::join!(change(), change(), change());
    let won = [a, b, c].map(|done| done.expect("an answer"));
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    assert_eq!(tenant(ports, id).await.ramp, second);
    let before = ports.directory.generation().await.expect("a generation");
    assert!(
        !change().await.expect("an answer"),
        "it is not that any more"
    );
    let after = ports.directory.generation().await.expect("a generation");
    assert_eq!(after, before);
    let past = ports.directory.change_ramp(id, second, Ramp::PAST).await;
    assert!(past.expect("an answer"));
    assert!(tenant(ports, id).await.ramp.is_past());
    let nobody = TenantId::new(at(9), [9; 10]);
    let refused = ports.directory.change_ramp(nobody, first, second).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));
}

pub async fn there_is_one_house(ports: &Ports) {
    let house = || {
        let mut new = new_tenant();
        new.tenant.is_house = true;
        new.credentials.clear();
        new
    };
    let (first, second) = (house(), house());
    let id = first.tenant.id;
    ports.directory.add_tenant(first).await.expect("the house");
    let refused = ports.directory.add_tenant(second).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { .. })),
        "{refused:?}"
    );
    assert!(tenant(ports, id).await.is_house);
    let roster = crate::Roster::new();
    let read = roster.refresh(ports.directory.as_ref()).await;
    assert!(read.expect("the directory"));
    assert_eq!(roster.house().map(|house| house.id), Some(id));
}

fn to(tenant: TenantId, limit: u32, accepted_at: Timestamp, to: &[&str]) -> NewMessage {
    let mut message = message_to(tenant, to);
    message.quota = Quota {
        new_per_hour: limit,
        ..Quota::default()
    };
    message.accepted_at = accepted_at;
    message.due_at = accepted_at;
    message
}

fn over(limit: u32, used: u64) -> Committed {
    Committed::OverQuota(OverQuota {
        period: Period::NewHour,
        limit,
        used,
        more: 1,
    })
}

async fn new_in_hour(ports: &Ports, tenant: TenantId, at: Timestamp) -> u64 {
    let usage = ports.mail.usage(tenant, at).await;
    usage.expect("an answer").new_in_hour
}

pub async fn who_was_written_to_before_is_no_stranger(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (first, second) = (
        ["a@x.example", "b@x.example"],
        ["A@x.example", "c@x.example"],
    );
    let known = to(tenant, 3, at(0), &first);
    assert_eq!(commit(ports, &known).await, Committed::Stored);
    // The same again, a mailbox in another case, and one new.
    assert_eq!(
        commit(ports, &to(tenant, 3, at(1), &first)).await,
        Committed::Stored
    );
    assert_eq!(
        commit(ports, &to(tenant, 3, at(2), &second)).await,
        Committed::Stored
    );
    assert_eq!(new_in_hour(ports, tenant, at(2)).await, 3);
    let refused = to(tenant, 3, at(3), &["d@x.example", "a@x.example"]);
    assert_eq!(commit(ports, &refused).await, over(3, 3));
    assert_eq!(email(ports, &refused).await, None);
    // Those who are known may be written to as ever; and nobody is a stranger to another tenant's.
    assert_eq!(
        commit(ports, &to(tenant, 3, at(4), &second)).await,
        Committed::Stored
    );
    let other = add_tenant(ports).await;
    let others = to(other, 3, at(4), &["a@x.example", "d@x.example"]);
    assert_eq!(commit(ports, &others).await, Committed::Stored);
    // When the hour is over there is room again; who is known stays known.
    let later = at(0).after(HOUR);
    assert_eq!(new_in_hour(ports, tenant, later).await, 1);
    let both = to(
        tenant,
        3,
        later,
        &["d@x.example", "e@x.example", "b@x.example"],
    );
    assert_eq!(commit(ports, &both).await, Committed::Stored);
    assert_eq!(new_in_hour(ports, tenant, later).await, 3);
}

/// To the simulator alone, so many recipients.
fn try_out(tenant: TenantId, quota: Quota, count: usize) -> NewMessage {
    let names: Vec<String> = (0..count).map(|n| format!("s{n}@sim.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut message = to(tenant, 0, at(0), &names);
    message.quota = quota;
    for recipient in &mut message.recipients {
        recipient.simulated = true;
    }
    message
}

pub async fn mail_to_the_simulator_is_no_part_of_a_ramp(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let quota = Quota {
        ramp: 2,
        new_per_hour: 2,
        ..Quota::default()
    };
    let mut mixed = try_out(tenant, quota, 4);
    mixed.recipients[0].simulated = false;
    let usage = async || ports.mail.usage(tenant, at(0)).await.expect("an answer");
    for (message, all, real) in [(try_out(tenant, quota, 5), 5, 0), (mixed, 9, 1)] {
        assert_eq!(commit(ports, &message).await, Committed::Stored);
        let used = usage().await;
        assert_eq!((used.day, used.month), (all, all));
        assert_eq!((used.real(), used.new_in_hour), (real, real));
    }
    let real = |name| NewMessage {
        quota,
        ..to(tenant, 0, at(0), &[name])
    };
    assert_eq!(commit(ports, &real("a@x.example")).await, Committed::Stored);
    let refused = OverQuota {
        period: Period::RampDay,
        limit: 2,
        used: 2,
        more: 1,
    };
    let over = commit(ports, &real("b@x.example")).await;
    assert_eq!(over, Committed::OverQuota(refused));
    // Where nothing is left, or the limit fell below what was used, it may be tried out all the same.
    let less = Quota { ramp: 1, ..quota };
    for quota in [quota, less] {
        let message = try_out(tenant, quota, 3);
        assert_eq!(commit(ports, &message).await, Committed::Stored);
    }
    assert_eq!(usage().await.real(), 2);
}

pub async fn a_tenants_own_limits_bound_mail_to_the_simulator_too(ports: &Ports) {
    let limits = [
        (
            Period::Day,
            Quota {
                per_day: 4,
                ..Quota::default()
            },
        ),
        (
            Period::Month,
            Quota {
                per_month: 4,
                ..Quota::default()
            },
        ),
    ];
    for (period, quota) in limits {
        let tenant = add_tenant(ports).await;
        let quota = Quota { ramp: 1, ..quota };
        let first = try_out(tenant, quota, 3);
        assert_eq!(commit(ports, &first).await, Committed::Stored);
        let refused = OverQuota {
            period,
            limit: 4,
            used: 3,
            more: 2,
        };
        // One batch, one after the other, or a group: all count the same.
        let over = try_out(tenant, quota, 2);
        assert_eq!(commit(ports, &over).await, Committed::OverQuota(refused));
        let group = vec![try_out(tenant, quota, 1), try_out(tenant, quota, 1)];
        let refused = OverQuota { more: 1, ..refused };
        let over = ports.intake.commit_all(group).await;
        assert_eq!(over.expect("an answer"), Committed::OverQuota(refused));
        let last = NewMessage {
            quota,
            ..to(tenant, 0, at(0), &["a@x.example"])
        };
        assert_eq!(commit(ports, &last).await, Committed::Stored);
        let used = ports.mail.usage(tenant, at(0)).await.expect("an answer");
        assert_eq!((used.day, used.month, used.real()), (4, 4, 1));
    }
}

pub async fn strangers_are_counted_exactly_under_many_commits_at_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let addresses: Vec<String> = (0..40).map(|n| format!("n{}@x.example", n / 2)).collect();
    let messages: Vec<_> = addresses
        .iter()
        .map(|address| to(tenant, 8, at(0), &[address]))
        .collect();
    let outcomes = commit_all(ports, &messages).await;
    let stored = outcomes
        .iter()
        .filter(|done| matches!(done, Ok(Committed::Stored)));
    // Each of eight twice.
    assert_eq!(stored.count(), 16);
    assert_eq!(new_in_hour(ports, tenant, at(1)).await, 8);
}

pub async fn a_group_of_too_many_strangers_is_refused_whole(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    commit(ports, &to(tenant, 3, at(0), &["a@x.example"])).await;
    let group: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| to(tenant, 3, at(0), &[&format!("{name}@x.example")]))
        .collect();
    let refused = ports.intake.commit_all(group.clone()).await;
    assert_eq!(refused.expect("an answer"), over(3, 1));
    assert_eq!(new_in_hour(ports, tenant, at(1)).await, 1);
    let fits = ports.intake.commit_all(group[..3].to_vec()).await;
    assert_eq!(fits.expect("an answer"), Committed::Stored);
    assert_eq!(new_in_hour(ports, tenant, at(1)).await, 3);
}

fn unconfirmed(mut message: NewMessage, limit: u32, accepted_at: Timestamp) -> NewMessage {
    message.quota = Quota {
        unconfirmed: limit,
        ..Quota::default()
    };
    message.accepted_at = accepted_at;
    message.due_at = accepted_at;
    message
}

fn used_up(limit: u32, used: u64) -> Committed {
    Committed::OverQuota(OverQuota {
        period: Period::Unconfirmed,
        limit,
        used,
        more: 1,
    })
}

pub async fn a_newcomer_has_so_many_messages_for_good(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let used = |tenant| {
        let usage = ports.mail.usage(tenant, at(0));
        async move { usage.await.expect("an answer").unconfirmed }
    };
    let mut messages: Vec<_> = (0..30)
        .map(|_| unconfirmed(message_to(tenant, &["a@x.example"]), 20, at(0)))
        .collect();
    messages.extend((0..5).map(|_| unconfirmed(message_to(other, &["a@x.example"]), 20, at(0))));
    let outcomes = commit_all(ports, &messages).await;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|done| done.expect("a commit"))
        .collect();
    let stored = |done: &&Committed| **done == Committed::Stored;
    assert_eq!(outcomes[..30].iter().filter(stored).count(), 20);
    assert_eq!(outcomes[30..].iter().filter(stored).count(), 5);
    assert_eq!((used(tenant).await, used(other).await), (20, 5));
    // Nothing begins anew, in whatever month.
    let late = at(0).after(40 * DAY);
    let message = || message_to(tenant, &["a@x.example", "b@x.example"]);
    let refused = commit(ports, &unconfirmed(message(), 20, late)).await;
    assert_eq!(refused, used_up(20, 20));
    let group = vec![
        unconfirmed(message(), 21, late),
        unconfirmed(message(), 21, late),
    ];
    let refused = ports.intake.commit_all(group.clone()).await;
    assert_eq!(refused.expect("an answer"), used_up(21, 20));
    // Messages are counted, not recipients, and of each the first time.
    for _ in 0..2 {
        assert_eq!(commit(ports, &group[0]).await, Committed::Stored);
    }
    assert_eq!(used(tenant).await, 21);
    // What is sent later on is not counted, and finds no limit.
    assert_eq!(commit(ports, &message()).await, Committed::Stored);
    assert_eq!(used(tenant).await, 21);
}
