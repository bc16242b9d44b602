use proptest::prelude::*;

use super::*;

fn at_most(per_minute: u32, burst: u32) -> Limits {
    Limits {
        per_minute,
        burst,
        ..FREE
    }
}

#[test]
fn first_attempts_keep_the_pace_and_later_ones_pass() {
    let mut schedule = started();
    let now = at(3_600);
    for n in 0..20 {
        schedule.add(row(n, 1));
    }
    schedule.add(again(row(50, 1), START, WaitCause::Retry));
    let pace = at_most(6, 3);
    assert_eq!(schedule.run(now, pace).len(), 4); // the burst and the retry
    assert_eq!(schedule.causes(now), causes([(WaitCause::TenantPace, 17)]));
    // Looked at within a second, should the limits change.
    let second = Duration::from_secs(1);
    assert_eq!(schedule.next_due(), Some(now.after(second)));
    assert_eq!(schedule.run(now.after(second * 9), pace).len(), 0);
    assert_eq!(schedule.next_due(), Some(now.after(second * 10)));
    assert_eq!(schedule.run(now.after(second * 10), pace).len(), 1);
    // A retry does not wait for the pace of first attempts.
    schedule.add(again(row(51, 1), now.after(second * 11), WaitCause::Retry));
    let retried = schedule.run(now.after(second * 11), pace).concat();
    assert_eq!(retried[0].row.attempts, 1);
    // After a long pause there is the burst and no more.
    assert_eq!(schedule.run(at(20_000), pace).len(), 3);
    // Limits that are lifted are seen within a second.
    assert_eq!(schedule.run(at(20_001), FREE).len(), 13);
}

#[test]
fn a_bucket_is_empty_at_the_start_and_a_burst_of_0_is_ten_seconds_worth() {
    for (per_minute, burst, after, want) in [
        (60, 5, 0, 0),
        (60, 5, 3, 3),
        (60, 5, 100, 5),
        (60, 0, 100, 10),
        (3, 0, 100, 1),
        (0, 0, 0, 30),
    ] {
        let mut schedule = started();
        (0..30).for_each(|n| schedule.add(row(n, 1)));
        let got = schedule.run(at(after), at_most(per_minute, burst));
        assert_eq!(got.len(), want, "{per_minute} {burst} {after}");
    }
}

#[test]
fn the_bulk_lane_has_a_pace_of_its_own_inside_that_of_the_tenant() {
    let mut schedule = started();
    (0..40).for_each(|n| schedule.add(bulk(row(n, 1))));
    let limits = Limits {
        bulk_per_minute: 6,
        ..at_most(60, 10)
    };
    assert_eq!(schedule.run(at(600), limits).len(), 1);
    (40..80).for_each(|n| schedule.add(row(n, 1)));
    assert_eq!(schedule.run(at(600), limits).len(), 9);
    let seen = schedule.run(at(610), limits).concat();
    let bulk = seen.iter().filter(|due| due.row.stream == Stream::Bulk);
    assert_eq!((seen.len(), bulk.count()), (10, 0));
}

#[test]
fn a_tenant_has_no_more_attempts_under_way_than_connections() {
    let mut schedule = started();
    (0..10).for_each(|n| schedule.add(to(row(n, 1), n)));
    let limits = Limits {
        connections: 3,
        ..FREE
    };
    let pace = |_| Pace::At(limits);
    let mut under_way: Vec<_> = std::iter::from_fn(|| schedule.next(START, &pace)).collect();
    assert_eq!(under_way.len(), 3);
    assert_eq!(schedule.causes(START), causes([(WaitCause::TenantPace, 7)]));
    let one = under_way.pop().unwrap();
    schedule.ended(one.ticket, Health::Served, at(1));
    assert!(schedule.next(at(1), &pace).is_some());
    assert!(schedule.next(at(1), &pace).is_none());
}

#[test]
fn levels_are_handed_over_and_without_them_a_bucket_starts_empty() {
    let limits = at_most(60, 10);
    let shard = Shard::of(tenant(1));
    let mut before = started();
    (0..30).for_each(|n| before.add(row(n, 1)));
    assert_eq!(before.run(at(100), limits).len(), 10);
    let levels = before.let_go_shard(shard, at(103));
    assert_eq!((before.len(), before.lanes()), (0, 0));
    assert_eq!(
        levels.iter().map(|level| level.all).collect::<Vec<_>>(),
        [180_000_000]
    );
    for (levels, want) in [(levels, 5), (Vec::new(), 2)] {
        let mut after = schedule_with(100, 100);
        after.let_go_shard(shard, START);
        after.take_shard(shard, at(200));
        for level in levels {
            after.set_level(level, at(200));
        }
        (0..30).for_each(|n| after.add(row(n, 1)));
        assert_eq!(after.run(at(202), limits).len(), want);
    }
}

#[test]
fn a_clock_that_goes_back_an_hour_stops_no_pace() {
    let pace = |_| Pace::At(at_most(60, 1));
    let mut schedule = started();
    (1..=3).for_each(|n| schedule.add(row(n, 1)));
    schedule.run(at(7_200), at_most(60, 1));
    assert!(schedule.next(at(7_201), &pace).is_some());
    assert!(schedule.next(at(7_201), &pace).is_none());
    assert!(schedule.next(at(3_600), &pace).is_none());
    assert!(schedule.next(at(3_601), &pace).is_some());
}

#[test]
fn who_came_back_from_a_destination_at_its_cap_pays_once() {
    let pace = |_| Pace::At(at_most(1, 1));
    let mut schedule = started();
    schedule.add(row(1, 1));
    let taken = schedule.next(at(60), &pace).unwrap();
    let Due { row, waits } = taken.rows.into_iter().next().unwrap();
    schedule.ended(taken.ticket, Health::Nothing, at(60));
    let back = QueueRow {
        due_at: at(61),
        cause: WaitCause::DestinationCap,
        ..row
    };
    schedule.insert(back, waits, at(60));
    assert_eq!(
        schedule.causes(at(60)),
        causes([(WaitCause::DestinationCap, 1)])
    );
    assert!(schedule.next(at(61), &pace).is_some());
}

#[test]
fn a_level_is_handed_on_even_where_no_turn_came_meanwhile() {
    let mut schedule = started();
    let level = Level {
        tenant: tenant(1),
        all: 7_000_000,
        bulk: 0,
    };
    schedule.set_level(level, START);
    let shard = Shard::of(tenant(1));
    assert_eq!(schedule.let_go_shard(shard, at(1)), [level]);
    // A tenant without a pace has none.
    schedule.take_shard(shard, at(2));
    schedule.add(row(1, 1));
    assert_eq!(schedule.run(at(2), FREE).len(), 1);
    assert_eq!(schedule.let_go_shard(shard, at(3)), []);
}

#[test]
fn a_rate_that_changes_holds_from_its_next_turn_in_both_directions() {
    let mut schedule = started();
    (0..2_000).for_each(|n| schedule.add(row(n, 1)));
    let mut run = |second, per_minute, burst| {
        let rows = schedule.run(at(second), at_most(per_minute, burst));
        rows.len()
    };
    assert_eq!(run(60, 600, 10), 10);
    assert_eq!(run(61, 600, 10), 10);
    // Slower: what had come since then counts at the slower rate, and no more is kept.
    assert_eq!(run(62, 60, 2), 1);
    assert_eq!(run(100, 60, 2), 2);
    // Faster: at once.
    assert_eq!(run(101, 6_000, 100), 100);
    assert_eq!(run(102, 6_000, 100), 100);
    // Ten seconds of one a minute are less than one: one is kept.
    assert_eq!(run(200, 1, 0), 1);
    assert_eq!(run(259, 1, 0), 0);
    assert_eq!(run(260, 1, 0), 1);
    // No limit.
    assert_eq!(run(261, 0, 0), 1_775);
}

#[test]
fn a_clock_that_jumps_gives_the_burst_and_no_more() {
    let mut schedule = started();
    (0..200).for_each(|n| schedule.add(row(n, 1)));
    let pace = at_most(60, 5);
    assert_eq!(schedule.run(at(10_000), pace).len(), 5);
    // An hour back: time counts on from there.
    assert_eq!(schedule.run(at(6_400), pace).len(), 0);
    assert_eq!(schedule.run(at(6_402), pace).len(), 2);
    // And an hour on.
    assert_eq!(schedule.run(at(10_002), pace).len(), 5);
    assert_eq!(schedule.run(at(10_003), pace).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn in_any_window_no_more_start_than_its_rate_and_the_burst(
        per_minute in 1_u32..2_000, burst in 1_u32..50, bulk_per_minute in 1_u32..500,
        waits in proptest::collection::vec(0_u64..3_000, 1..80)
    ) {
        let mut schedule = started();
        let limits = Limits { bulk_per_minute, ..at_most(per_minute, burst) };
        let bulk_burst = (bulk_per_minute / 6).max(1);
        let mut starts = Vec::new();
        let (mut now, mut n) = (START, 0);
        for wait in waits {
            now = now.after(Duration::from_millis(wait));
            for _ in 0..20 {
                n += 1;
                let one = QueueRow { message: MessageId::new(START, random(n / 5)), ..row(n, 1) };
                schedule.insert(if n / 5 % 2 == 0 { bulk(one) } else { one }, Waits::default(), now);
            }
            let out = schedule.run(now, limits).concat();
            starts.extend(out.into_iter().map(|due| (now, due.row.stream)));
        }
        let both: Vec<_> = starts.iter().map(|(at, _)| *at).collect();
        prop_assert!(keeps_pace(&both, per_minute, burst));
        let bulk = starts.iter().filter(|(_, stream)| *stream == Stream::Bulk);
        prop_assert!(keeps_pace(&bulk.map(|(at, _)| *at).collect::<Vec<_>>(), bulk_per_minute, bulk_burst));
        // And no fewer: what could start by the rate has started, or there was nothing.
        prop_assert!(!both.is_empty() || now < START.after(Duration::from_mins(1)) );
    }
}
