use super::*;

fn waited(due: &Due) -> Vec<(WaitCause, u64)> {
    let waits = due.waits.iter();
    waits.map(|(cause, span)| (cause, span.as_secs())).collect()
}

#[test]
fn a_wait_is_split_by_what_was_waited_for() {
    let mut schedule = schedule_with(1, 100);
    for n in 1..3 {
        schedule.add(row(n, 2));
        let group = schedule.free(START).unwrap();
        schedule.ended(group.ticket, Health::Unreachable, START);
    }
    // Due at 60, behind a full site until 70, which rests from then until 100.
    schedule.add(again(row(9, 1), at(60), WaitCause::Greylisting));
    schedule.insert(row(3, 2), Waits::default(), at(50));
    let ahead = schedule.free(at(50)).unwrap();
    assert!(schedule.free(at(60)).is_none());
    assert_eq!(
        schedule.causes(at(60)),
        causes([(WaitCause::DestinationCap, 1)])
    );
    schedule.ended(ahead.ticket, Health::Unreachable, at(70));
    assert!(schedule.free(at(99)).is_none());
    assert_eq!(
        schedule.causes(at(99)),
        causes([(WaitCause::DestinationBackoff, 1)])
    );
    let out = schedule.run(at(100), FREE).concat();
    let want = [
        (WaitCause::DestinationCap, 10),
        (WaitCause::DestinationBackoff, 30),
        (WaitCause::Greylisting, 60),
    ];
    assert_eq!(waited(&out[0]), want);
}

#[test]
fn the_pace_of_its_tenant_counts_from_when_it_stands_in_its_way() {
    let mut schedule = started();
    let limits = Limits {
        per_minute: 6,
        burst: 1,
        ..FREE
    };
    (0..4).for_each(|n| schedule.add(row(n, 1)));
    let mut out = Vec::new();
    for second in 0..=40 {
        let rows = schedule.run(at(second), limits).concat();
        out.extend(rows.into_iter().map(|due| (second, due)));
    }
    assert_eq!(out.len(), 4);
    for (second, due) in out {
        assert_eq!(waited(&due), [(WaitCause::TenantPace, second)]);
    }
}

#[test]
fn a_row_that_was_kept_out_of_memory_waited_behind_its_tenants_pace() {
    let mut schedule = started();
    let limits = Limits {
        per_minute: 60,
        ..FREE
    };
    schedule.add(row(1, 1));
    schedule.run(at(10), limits);
    // The first one showed that this tenant has a pace, another has none.
    for of in [1, 2] {
        schedule.insert(row(10 + of, of), Waits::default(), at(100));
    }
    let pace = |one| {
        if one == tenant(1) {
            Pace::At(limits)
        } else {
            Pace::At(FREE)
        }
    };
    for _ in 0..2 {
        let group = schedule.next(at(100), &pace).unwrap();
        let cause = if group.rows[0].row.tenant == tenant(1) {
            WaitCause::TenantPace
        } else {
            WaitCause::Turn
        };
        assert_eq!(waited(&group.rows[0]), [(cause, 100)]);
    }
}

#[test]
fn what_somebody_else_knew_is_kept() {
    let mut schedule = started();
    let mut waits = Waits::default();
    waits.add(WaitCause::Retry, Duration::from_secs(3));
    waits.add(WaitCause::Attempt, Duration::from_secs(4));
    schedule.insert(again(row(1, 1), at(10), WaitCause::NoRoute), waits, at(7));
    // The database gives it again: nothing changed.
    schedule.insert(
        again(row(1, 1), at(10), WaitCause::NoRoute),
        Waits::default(),
        at(8),
    );
    let out = schedule.run(at(12), FREE).concat();
    let want = [
        (WaitCause::Turn, 2),
        (WaitCause::Retry, 3),
        (WaitCause::NoRoute, 3),
        (WaitCause::Attempt, 4),
    ];
    assert_eq!(waited(&out[0]), want);
}
