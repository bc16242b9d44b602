//! Slots of sites: nobody keeps one that it cannot use, and nobody waits behind a full site for
//! another.

use super::*;

const BULK_SLOW: Limits = Limits {
    bulk_per_minute: 1,
    ..FREE
};

/// Tenant 1 waits in front of the full site 1, tenant 2 behind it; gives the attempt there.
fn full(schedule: &mut Schedule, waiting: QueueRow) -> Ticket {
    schedule.add(row(1, 3));
    let ahead = schedule.free(START).unwrap();
    schedule.add(waiting);
    assert!(schedule.free(START).is_none());
    schedule.add(row(2, 2));
    assert!(schedule.free(START).is_none());
    ahead.ticket
}

/// Tenant 1 has always something for site 2; tells when somebody goes to site 1.
fn first_at_site_1(schedule: &mut Schedule, limits: Limits) -> Option<TenantId> {
    (0..100).find_map(|n| {
        schedule.add(to(row(1_000 + n, 1), 2));
        let group = schedule.next(START, &|_| Pace::At(limits))?;
        let first = group.rows[0].row.clone();
        schedule.ended(group.ticket, Health::Served, START);
        (first.domain == domain(1)).then_some(first.tenant)
    })
}

#[test]
fn a_slot_kept_for_rows_that_are_taken_back_goes_to_the_next_tenant() {
    let mut schedule = schedule_with(1, 100);
    let ahead = full(&mut schedule, row(9, 1));
    (100..200).for_each(|n| schedule.add(to(row(n, 1), 2)));
    schedule.ended(ahead, Health::Served, START);
    assert!(schedule.remove(row(9, 1).recipient).is_some());
    assert_eq!(first_at_site_1(&mut schedule, FREE), Some(tenant(2)));
}

#[test]
fn a_slot_is_not_kept_for_a_lane_without_a_token_while_the_other_goes_on() {
    let mut schedule = schedule_with(1, 100);
    let ahead = full(&mut schedule, bulk(row(9, 1)));
    (100..200).for_each(|n| schedule.add(to(row(n, 1), 2)));
    schedule.ended(ahead, Health::Served, START);
    // By now its bulk lane has a pace, and no token.
    assert_eq!(first_at_site_1(&mut schedule, BULK_SLOW), Some(tenant(2)));
}

#[test]
fn a_tenant_with_one_connection_goes_on_while_a_site_that_it_waits_for_rests() {
    let one = Limits {
        connections: 1,
        ..FREE
    };
    let pace = |of| Pace::At(if of == tenant(1) { one } else { FREE });
    let mut schedule = schedule_with(1, 100);
    let ahead = full(&mut schedule, row(9, 1));
    // Its only connection is in use when it is called.
    schedule.add(to(row(100, 1), 2));
    let own = schedule.next(START, &pace).unwrap();
    assert!(schedule.next(START, &pace).is_none());
    schedule.ended(ahead, Health::Served, START);
    for n in 3..6 {
        let behind = schedule.next(START, &pace).unwrap();
        assert_eq!(behind.rows[0].row.tenant, tenant(2));
        schedule.ended(behind.ticket, Health::Unreachable, START);
        schedule.add(row(n, 2));
    }
    assert!(schedule.next(START, &pace).is_none());
    schedule.ended(own.ticket, Health::Served, START);
    (200..210).for_each(|n| schedule.add(to(row(n, 1), 2)));
    let mut served = 0;
    while let Some(group) = schedule.next(at(1), &pace) {
        assert_eq!(group.rows[0].row.domain, domain(2));
        schedule.ended(group.ticket, Health::Served, at(1));
        served += 1;
    }
    assert_eq!(served, 10);
}

const ONE_CONNECTION: Limits = Limits {
    connections: 1,
    ..FREE
};

/// Tenant 1 has one connection, kept for row 9, which waits in front of the full site 1. Gives
/// what goes on there.
fn shut_in(schedule: &mut Schedule) -> Ticket {
    let ahead = full(schedule, row(9, 1));
    schedule.add(to(row(100, 1), 2));
    let own = schedule.next(START, &one_connection).unwrap();
    assert!(schedule.next(START, &one_connection).is_none());
    // It is called while its connection is in use.
    schedule.ended(ahead, Health::Nothing, START);
    let there = schedule.next(START, &one_connection).unwrap();
    assert_eq!(there.rows[0].row.tenant, tenant(2));
    schedule.ended(own.ticket, Health::Served, START);
    assert!(schedule.next(START, &one_connection).is_none());
    there.ticket
}

fn one_connection(of: TenantId) -> Pace {
    Pace::At(if of == tenant(1) {
        ONE_CONNECTION
    } else {
        FREE
    })
}

fn later(n: u64) -> QueueRow {
    again(to(row(n, 1), 2), START, WaitCause::Retry)
}

#[test]
fn who_keeps_its_last_connection_for_a_full_site_is_not_asked_without_end() {
    for waiting in [to(row(200, 1), 2), later(200)] {
        let mut schedule = schedule_with(1, 100);
        let there = shut_in(&mut schedule);
        schedule.add(waiting);
        assert!(schedule.next(START, &one_connection).is_none());
        let next = schedule.next_due().unwrap();
        assert!(next >= START.after(Duration::from_millis(500)), "{next:?}");
        // The site has room: it is its turn at once.
        schedule.ended(there, Health::Served, START);
        let group = schedule.next(START, &one_connection).unwrap();
        assert_eq!(group.rows[0].row.domain, domain(1));
        schedule.ended(group.ticket, Health::Served, START);
        assert!(schedule.next(START, &one_connection).is_some());
    }
}

#[test]
fn a_connection_kept_for_rows_that_are_taken_back_is_free_again() {
    let mut schedule = schedule_with(1, 100);
    let _there = shut_in(&mut schedule);
    schedule.add(later(200));
    assert!(schedule.next(START, &one_connection).is_none());
    assert!(schedule.remove(row(9, 1).recipient).is_some());
    let group = schedule.next(at(1), &one_connection).unwrap();
    assert_eq!(numbers(&group), [200]);
}

#[test]
fn a_connection_kept_for_a_site_that_comes_to_rest_is_free_again() {
    let mut schedule = schedule_with(1, 100);
    for n in 50..52 {
        schedule.add(row(n, 2));
        let failed = schedule.free(START).unwrap();
        schedule.ended(failed.ticket, Health::Unreachable, START);
    }
    let there = shut_in(&mut schedule);
    schedule.add(later(200));
    assert!(schedule.next(START, &one_connection).is_none());
    schedule.ended(there, Health::Unreachable, START);
    let group = schedule.next(at(1), &one_connection).unwrap();
    assert_eq!(numbers(&group), [200]);
}

#[test]
fn a_few_rows_for_others_do_not_wait_behind_very_many_for_a_full_site() {
    let mut schedule = schedule_with(3, 100);
    (0..5_000).for_each(|n| schedule.add(row(n, 1)));
    (0..10).for_each(|n| schedule.add(to(row(30_000 + n, 1), 2 + n)));
    let groups: Vec<_> = std::iter::from_fn(|| schedule.free(START)).collect();
    let others = groups
        .iter()
        .filter(|group| group.rows[0].row.domain != domain(1));
    assert_eq!((groups.len(), others.count()), (13, 10));
    assert!(schedule.unfinished || schedule.next_due().is_some());
}

#[test]
fn a_domain_that_moves_with_very_many_rows_does_not_keep_other_tenants_waiting() {
    let mut schedule = schedule_with(100, 100);
    schedule.learn(&domain(9), "mx.test", 100, START);
    (0..5_000).for_each(|n| schedule.add(row(n, 1)));
    schedule.learn(&domain(1), "mx.test", 100, START);
    (0..40).for_each(|n| schedule.add(to(row(30_000 + n, 2), 2)));
    let mut calls = 0;
    let mut served = 0;
    while served < 40 {
        calls += 1;
        if let Some(group) = schedule.free(START) {
            served += usize::from(group.rows[0].row.tenant == tenant(2));
            schedule.ended(group.ticket, Health::Served, START);
        }
    }
    // A quantum of four for each call that only moves.
    assert!(calls <= 60, "{calls}");
}

#[test]
fn domains_without_number_leave_no_more_behind_than_is_remembered() {
    let mut schedule = schedule_with(1, 100);
    schedule.sites.idle_most = 500;
    for n in 0..3_000 {
        schedule.add(to(row(n, 1 + n % 50), n));
        let group = schedule.free(START).unwrap();
        schedule.ended(group.ticket, Health::Unreachable, START);
    }
    assert!(schedule.free(START).is_none());
    assert_eq!(schedule.sites.len(), 500);
    assert_eq!(schedule.berths.len(), 0);
}
