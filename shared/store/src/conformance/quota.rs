//! How many recipients a tenant may have accepted.

use postrider_model::{TenantId, Timestamp};

use super::Ports;
use super::fixture::{
    DAY, add_tenant, at, claiming, commit, commit_all, email, live, message, message_to, scope,
};
use crate::{Committed, NewMessage, OverQuota, Period, Quota, Usage};

async fn usage(ports: &Ports, tenant: TenantId, at: Timestamp) -> Usage {
    ports.mail.usage(tenant, at).await.expect("the usage")
}

fn limited(mut message: NewMessage, per_day: u32, per_month: u32) -> NewMessage {
    message.quota = Quota {
        per_day,
        per_month,
        ..Quota::default()
    };
    message
}

fn accepted(day: u64, month: u64) -> Usage {
    Usage {
        day,
        month,
        ..Usage::default()
    }
}

fn on(mut message: NewMessage, accepted_at: Timestamp) -> NewMessage {
    message.accepted_at = accepted_at;
    message.due_at = accepted_at;
    message
}

fn over(period: Period, limit: u32, used: u64) -> Committed {
    Committed::OverQuota(OverQuota {
        period,
        limit,
        used,
        more: 1,
    })
}

pub async fn a_quota_is_exact_under_fifty_commits_at_once(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut messages: Vec<_> = (0..50).map(|_| limited(message(tenant), 20, 0)).collect();
    messages.extend((0..10).map(|_| message(other)));
    let outcomes = commit_all(ports, &messages).await;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|done| done.expect("a commit"))
        .collect();
    let stored = |done: &&Committed| **done == Committed::Stored;
    assert_eq!(outcomes[..50].iter().filter(stored).count(), 20);
    assert_eq!(
        outcomes[50..].iter().filter(stored).count(),
        10,
        "another's"
    );
    for (message, done) in messages.iter().zip(&outcomes) {
        match done {
            Committed::Stored => assert!(email(ports, message).await.is_some()),
            refused => {
                assert_eq!(*refused, over(Period::Day, 20, 20));
                assert_eq!(email(ports, message).await, None);
            }
        }
    }
    assert_eq!(live(ports).await.len(), 30);
    let used = usage(ports, tenant, at(0)).await;
    assert_eq!(used, accepted(20, 20));
    let again = commit(ports, &limited(message(tenant), 20, 0)).await;
    assert_eq!(again, over(Period::Day, 20, 20));
    // More was bought, and it counts at once.
    let more = commit(ports, &limited(message(tenant), 21, 0)).await;
    assert_eq!(more, Committed::Stored);
}

pub async fn a_message_that_does_not_fit_leaves_room_for_a_smaller_one(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let three = ["a@x.example", "b@x.example", "c@x.example"];
    let large = || limited(message_to(tenant, &three), 5, 100);
    let small = || limited(message_to(tenant, &three[..2]), 5, 100);
    assert_eq!(commit(ports, &large()).await, Committed::Stored);
    let refused = OverQuota {
        period: Period::Day,
        limit: 5,
        used: 3,
        more: 3,
    };
    assert_eq!(commit(ports, &large()).await, Committed::OverQuota(refused));
    assert_eq!(commit(ports, &small()).await, Committed::Stored);
    assert_eq!(
        commit(ports, &limited(message(tenant), 5, 100)).await,
        over(Period::Day, 5, 5)
    );
    assert_eq!(usage(ports, tenant, at(0)).await, accepted(5, 5));
    // In one batch as one after the other: what does not fit takes nothing away.
    let tenant = add_tenant(ports).await;
    let batch: Vec<_> = [3, 3, 2, 1]
        .map(|count| limited(message_to(tenant, &three[..count]), 5, 0))
        .into();
    let counts: u64 = commit_all(ports, &batch)
        .await
        .into_iter()
        .zip(&batch)
        .filter(|(done, _)| matches!(done, Ok(Committed::Stored)))
        .map(|(_, message)| message.recipients.len() as u64)
        .sum();
    assert!(counts <= 5, "{counts}");
    assert_eq!(usage(ports, tenant, at(0)).await.day, counts);
}

pub async fn quotas_begin_anew_with_the_day_and_the_month(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    // Cases begin in the first second of a year.
    let first = Timestamp::of_day(at(0).day());
    let eve = first.before(std::time::Duration::from_micros(1));
    let day = |number: u32| first.after(DAY * number);
    let steps = [
        (eve, Committed::Stored),
        (eve, over(Period::Day, 1, 1)),
        (day(0), Committed::Stored),
        (day(0), over(Period::Day, 1, 1)),
        (day(1), Committed::Stored),
        (day(2), over(Period::Month, 2, 2)),
        (day(30), over(Period::Month, 2, 2)),
        (day(31), Committed::Stored),
    ];
    for (time, want) in steps {
        let given = on(limited(message(tenant), 1, 2), time);
        assert_eq!(commit(ports, &given).await, want, "at {time}");
    }
    assert_eq!(usage(ports, tenant, eve).await, accepted(1, 1));
    assert_eq!(usage(ports, tenant, day(0)).await, accepted(1, 2));
    assert_eq!(usage(ports, tenant, day(5)).await, accepted(0, 2));
    assert_eq!(usage(ports, tenant, day(31)).await, accepted(1, 1));
}

pub async fn a_batch_that_meets_midnight_counts_for_both_days(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let next = at(0).after(DAY);
    let messages: Vec<_> = (0..40)
        .map(|number| {
            let time = if number % 2 == 0 { at(0) } else { next };
            on(limited(message(tenant), 7, 10), time)
        })
        .collect();
    let outcomes = commit_all(ports, &messages).await;
    let stored = |first: usize| {
        let mine = outcomes.iter().skip(first).step_by(2);
        mine.filter(|done| matches!(done, Ok(Committed::Stored)))
            .count() as u64
    };
    let (today, tomorrow) = (stored(0), stored(1));
    assert!(today <= 7 && tomorrow <= 7, "{today} {tomorrow}");
    assert_eq!(today + tomorrow, 10);
    let used = usage(ports, tenant, next).await;
    assert_eq!(used, accepted(tomorrow, 10));
}

pub async fn the_key_of_a_message_over_quota_stays_free(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    commit(ports, &message(tenant)).await;
    let refused = limited(claiming(tenant, "order-17"), 1, 0);
    assert_eq!(commit(ports, &refused).await, over(Period::Day, 1, 1));
    let found = ports
        .intake
        .answered(&scope(tenant, "order-17"), at(1))
        .await;
    assert_eq!(found.expect("a look at a key"), None);
    // The same again, when there is room; and at once, beside one that has none.
    let again = limited(refused, 2, 0);
    assert_eq!(commit(ports, &again).await, Committed::Stored);
    let (none, room) = (
        limited(claiming(tenant, "order-18"), 2, 0),
        limited(claiming(tenant, "order-18"), 3, 0),
    );
    let outcomes = commit_all(ports, &[none, room]).await;
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|done| done.expect("a commit"))
        .collect();
    assert_eq!(outcomes[1], Committed::Stored, "{outcomes:?}");
}

pub async fn a_repeated_commit_is_counted_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let once = limited(message(tenant), 1, 1);
    for done in commit_all(ports, &[once.clone(), once.clone()]).await {
        assert_eq!(done.expect("a commit"), Committed::Stored);
    }
    assert_eq!(commit(ports, &once).await, Committed::Stored);
    assert_eq!(usage(ports, tenant, at(0)).await, accepted(1, 1));
}
