//! How counts grow old: hours become days, days end, and a tenant's go with it.

use std::time::Duration;

use postrider_model::{Event, TenantId, Timestamp};

use super::Ports;
use super::fixture::{DAY, add_tenant, at, commit, deliver, message_to, number, settle};
use super::reports::{HOUR, MINUTE, of_tenant, refused, span, total};
use crate::{DAILY_LIFE, HOURLY_LIFE, NewMessage, Traffic, Whose};

/// All batches of upkeep at this time.
async fn age(ports: &Ports, now: Timestamp) {
    let life = 30 * 24 * HOUR;
    let life = Duration::from_secs(life);
    for _ in 0..50 {
        let removed = ports.upkeep.retain(now, DAY, life).await;
        if removed.expect("upkeep").is_nothing() {
            return;
        }
    }
    panic!("upkeep finds no end");
}

pub async fn hours_become_days_and_days_end(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    for hours in [0, 1, 5, 30] {
        let message = message_at(tenant, at(hours * HOUR));
        commit(ports, &message).await;
        deliver(ports, &message, hours * HOUR + 3).await;
    }
    let all = span(40 * HOUR);
    let before = of_tenant(ports, &all, tenant).await;
    assert_eq!((before.counts.accepted, before.counts.delivered), (4, 4));
    age(ports, at(0).after(HOURLY_LIFE)).await;
    assert_eq!(of_tenant(ports, &all, tenant).await, before);
    let month_later = at(0).after(HOURLY_LIFE + 10 * DAY);
    age(ports, month_later).await;
    assert_eq!(of_tenant(ports, &all, tenant).await, before);
    assert_eq!(total(ports, 40 * HOUR).await, before);
    // An hour is not told from its day any more.
    let late = at(20 * HOUR)..at(20 * HOUR + MINUTE);
    let day = of_tenant(ports, &late, tenant).await.counts;
    let same_day = [0, 1, 5, 30].map(|hours| at(hours * HOUR).day() == at(20 * HOUR).day());
    let same_day = same_day.iter().filter(|same| **same).count();
    assert!(same_day > 0 && day.accepted == same_day as u64, "{day:?}");
    age(ports, at(0).after(DAILY_LIFE)).await;
    assert_eq!(of_tenant(ports, &all, tenant).await, before);
    age(ports, at(0).after(DAILY_LIFE + 3 * DAY)).await;
    assert_eq!(total(ports, 40 * HOUR).await, Traffic::default());
}

fn message_at(tenant: TenantId, at: Timestamp) -> NewMessage {
    let mut message = message_to(tenant, &[&format!("ann{}@example.org", number())]);
    (message.accepted_at, message.due_at) = (at, at);
    for event in &mut message.events {
        *event = Event::new(event.recipient, at, event.kind);
    }
    message
}

pub async fn refusals_go_with_the_messages_of_their_time(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    for (hours, words) in [(0, "early"), (72, "late")] {
        let message = message_at(tenant, at(hours * HOUR));
        commit(ports, &message).await;
        settle(ports, refused(&message, hours * HOUR, words)).await;
    }
    let heard = async || {
        let span = span(80 * HOUR);
        let heard = ports.reports.refusals(&span, &Whose::All, 9).await;
        let texts = heard.expect("refusals").into_iter().map(|r| r.text);
        texts.collect::<Vec<_>>()
    };
    // What is read is written: of that alone something can go.
    assert_eq!(heard().await.len(), 2);
    age(ports, at(0).after(32 * DAY)).await;
    assert_eq!(heard().await, ["550 5.1.1 late"]);
}

pub async fn an_erased_tenant_leaves_no_counts_under_its_name(ports: &Ports) {
    let (gone, stays) = (add_tenant(ports).await, add_tenant(ports).await);
    for tenant in [gone, stays] {
        for hours in [0, 1, 50] {
            let message = message_at(tenant, at(hours * HOUR));
            commit(ports, &message).await;
            deliver(ports, &message, hours * HOUR + 1).await;
            let refusal = message_at(tenant, at(hours * HOUR));
            commit(ports, &refusal).await;
            settle(ports, refused(&refusal, hours * HOUR + 1, "no")).await;
        }
    }
    age(ports, at(0).after(HOURLY_LIFE + DAY)).await;
    let all = span(60 * HOUR);
    let before = of_tenant(ports, &all, stays).await;
    let sum = total(ports, 60 * HOUR).await;
    for _ in 0..50 {
        let removed = ports.upkeep.erase(gone).await;
        if removed.expect("an erasure").is_nothing() {
            break;
        }
    }
    assert_eq!(of_tenant(ports, &all, gone).await, Traffic::default());
    assert_eq!(of_tenant(ports, &all, stays).await, before);
    assert_eq!(total(ports, 60 * HOUR).await, sum);
    let heard = ports.reports.refusals(&all, &Whose::All, 9).await;
    let heard: u64 = heard.expect("refusals").iter().map(|r| r.count).sum();
    assert_eq!(heard, 3);
}
