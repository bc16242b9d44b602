//! Reading the queue lane by lane, and by the time at which it is due.

use std::ops::Range;

use postrider_model::{EventKind, Stream, TenantId, Timestamp, WaitCause};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, commit_all, in_another_shard, later, live, message, message_to, settle,
    settlement,
};
use crate::{LaneKey, LanePage, NewMessage, Outcome, Place, QueueRow, Shard};

/// Accepted, and due, at this second.
fn on(mut message: NewMessage, seconds: u64) -> NewMessage {
    message.accepted_at = at(seconds);
    message.due_at = at(seconds);
    message
}

fn bulk(mut message: NewMessage) -> NewMessage {
    message.summary.stream = Stream::Bulk;
    message
}

fn lane(tenant: TenantId, stream: Stream) -> LaneKey {
    LaneKey { tenant, stream }
}

async fn lanes(ports: &Ports, shards: &[Shard], until: u64, limit: u32) -> Vec<LanePage> {
    let pages = ports.queue.load_shards(shards, at(until), limit).await;
    let mut pages = pages.expect("lanes");
    pages.sort_by_key(|page| page.lane);
    pages
}

async fn load_lane(
    ports: &Ports,
    lane: LaneKey,
    after: Place,
    until: u64,
    limit: u32,
) -> Vec<QueueRow> {
    let rows = ports.queue.load_lane(lane, after, at(until), limit).await;
    rows.expect("a page of a lane")
}

async fn load_due(
    ports: &Ports,
    shards: &[Shard],
    span: Range<u64>,
    after: Option<Place>,
    limit: u32,
) -> Vec<QueueRow> {
    let span = at(span.start)..at(span.end);
    let rows = ports.queue.load_due(shards, span, after, limit).await;
    rows.expect("what is due")
}

fn due(rows: &[QueueRow]) -> Vec<Timestamp> {
    rows.iter().map(|row| row.due_at).collect()
}

fn places(rows: &[QueueRow]) -> Vec<Place> {
    rows.iter().map(QueueRow::place).collect()
}

async fn retry(ports: &Ports, message: &NewMessage, seconds: u64) {
    let outcome = Outcome::Retry {
        due_at: at(seconds),
        attempts: 1,
        cause: WaitCause::Retry,
    };
    settle(ports, settlement(message, 5, EventKind::Deferred, outcome)).await;
}

pub async fn shards_are_read_lane_by_lane(ports: &Ports) {
    let one = add_tenant(ports).await;
    let two = in_another_shard(ports, one).await;
    // Not in the order in which they are due.
    let mut messages: Vec<_> = [4, 0, 3, 1, 2].map(|s| on(message(one), s)).into();
    messages.push(bulk(on(message(one), 9)));
    messages.push(on(message_to(two, &["a@x.example", "b@y.example"]), 1));
    for message in &messages {
        commit(ports, message).await;
    }
    let all: Vec<Shard> = Shard::all().collect();
    let pages = lanes(ports, &all, 10, 3).await;
    let mut wanted = [
        (lane(one, Stream::Transactional), 3, true),
        (lane(one, Stream::Bulk), 1, false),
        (lane(two, Stream::Transactional), 2, false),
    ];
    wanted.sort();
    let found: Vec<_> = pages
        .iter()
        .map(|p| (p.lane, p.rows.len(), p.more))
        .collect();
    assert_eq!(found, wanted);
    let whole = live(ports).await;
    for page in &pages {
        let places = places(&page.rows);
        assert!(places.is_sorted(), "in the order in which they are due");
        for row in &page.rows {
            assert_eq!(row.lane(), page.lane);
            assert!(whole.contains(row), "as `load_changed` gives it");
        }
    }
    // Only what is due before the time asked for, and only of the shards asked for.
    let pages = lanes(ports, &[Shard::of(one)], 4, 4).await;
    assert_eq!(pages.len(), 1);
    assert_eq!(due(&pages[0].rows), [at(0), at(1), at(2), at(3)]);
    assert!(!pages[0].more, "what is due later does not count");
    assert_eq!(lanes(ports, &[], 10, 3).await.len(), 0);
    assert_eq!(lanes(ports, &all, 0, 3).await.len(), 0);
}

pub async fn a_lane_is_read_on_from_where_a_page_ended(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let other = add_tenant(ports).await;
    // Several are due at one moment: none is left out at the border of a page.
    let mut messages: Vec<_> = (0..20).map(|n| on(message(tenant), n / 8)).collect();
    messages.push(bulk(message(tenant)));
    messages.push(message(other));
    commit_all(ports, &messages).await;
    let shards = [Shard::of(tenant)];
    let first = lanes(ports, &shards, 100, 7).await;
    let first = first
        .into_iter()
        .find(|page| page.more)
        .expect("the long lane");
    let mut rows = first.rows;
    loop {
        let after = rows.last().expect("rows").place();
        let page = load_lane(ports, first.lane, after, 100, 7).await;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 7);
        rows.extend(page);
    }
    let places = places(&rows);
    assert_eq!(places.len(), 20);
    assert!(places.is_sorted_by(|a, b| a < b), "each once, in order");
    assert!(rows.iter().all(|row| row.lane() == first.lane));
    let soon = load_lane(ports, first.lane, places[0], 2, 100).await;
    assert_eq!(soon.len(), 15, "what is due later is not read");
}

pub async fn what_is_due_later_is_read_when_its_time_comes_near(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let other = in_another_shard(ports, tenant).await;
    let fresh = message(tenant);
    let mut scheduled = later(tenant, 700);
    scheduled.recipients.pop();
    scheduled.events.pop();
    commit(ports, &fresh).await;
    commit(ports, &scheduled).await;
    for (tenant, seconds) in [(tenant, 650), (tenant, 600), (tenant, 1_200), (other, 660)] {
        let given = message(tenant);
        commit(ports, &given).await;
        retry(ports, &given, seconds).await;
    }
    let mine = [Shard::of(tenant)];
    let rows = load_due(ports, &mine, 600..1_200, None, 100).await;
    assert_eq!(
        due(&rows),
        [at(600), at(650), at(700)],
        "from the first moment, without the end"
    );
    let whole = live(ports).await;
    assert!(rows.iter().all(|row| whole.contains(row)));
    let from_start = load_due(ports, &mine, 0..600, None, 100).await;
    assert_eq!(from_start, [], "fresh mail is not among them");

    let both = [Shard::of(tenant), Shard::of(other)];
    let all = load_due(ports, &both, 600..1_200, None, 100).await;
    assert_eq!(due(&all), [at(600), at(650), at(660), at(700)]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = load_due(ports, &both, 600..1_200, after, 1).await;
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

pub async fn many_that_are_due_at_one_moment_are_read_page_by_page(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let messages: Vec<_> = (0..40)
        .map(|n| later(if n % 2 == 0 { one } else { two }, 600))
        .collect();
    commit_all(ports, &messages).await;
    let shards: Vec<Shard> = Shard::all().collect();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = load_due(ports, &shards, 0..601, after, 9).await;
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        found.extend(places(&page));
    }
    assert_eq!(found.len(), 80);
    assert!(found.is_sorted_by(|a, b| a < b), "each once, in order");
}
