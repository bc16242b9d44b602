use super::*;

#[test]
fn a_group_is_the_due_recipients_of_one_message_at_one_domain() {
    let mut schedule = started();
    let message = MessageId::new(START, random(1));
    let of_one = |n| QueueRow {
        message,
        ..row(n, 1)
    };
    for n in 0..120 {
        schedule.add(of_one(n));
    }
    schedule.add(to(of_one(200), 2));
    schedule.add(row(300, 1));
    schedule.add(again(of_one(400), at(5), WaitCause::Retry));
    let groups = schedule.run(START, FREE);
    let mut sizes: Vec<_> = groups.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 20, 50, 50]);
    for group in groups {
        let first = &group[0].row;
        let all = group.iter().map(|due| &due.row);
        assert!(
            all.clone()
                .all(|row| row.message == first.message && row.domain == first.domain)
        );
    }
    assert_eq!(schedule.len(), 1);
    assert_eq!(schedule.run(at(5), FREE).len(), 1);
    assert_eq!((schedule.len(), schedule.next_due()), (0, None));
}

#[test]
fn a_row_comes_out_at_its_microsecond_wherever_the_clock_stops_before() {
    let mut schedule = started();
    let micros = Duration::from_micros;
    let waits = [
        1,
        63,
        64,
        65,
        4_095,
        4_096,
        1_000_000,
        86_400_000_001,
        40_000_000_000_000,
    ];
    for (n, wait) in (1..).zip(waits) {
        let due_at = START.after(micros(wait));
        let expires_at = due_at.after(Duration::from_secs(1));
        schedule.add(QueueRow {
            due_at,
            expires_at,
            ..row(n, 1)
        });
    }
    let mut stops = 0;
    for wait in waits {
        assert!(
            schedule.free(START.after(micros(wait - 1))).is_none(),
            "{wait}"
        );
        // Told when to look, and in few steps, somebody who only sleeps comes at the time.
        let mut now = START.after(micros(wait - 1));
        while let Some(next) = schedule.next_due()
            && schedule.free(now).is_none()
        {
            assert!(next > now || schedule.next_due() > Some(now));
            now = schedule.next_due().unwrap();
            stops += 1;
        }
        assert_eq!(now, START.after(micros(wait)));
    }
    assert!(stops < 100, "{stops}");
}

#[test]
fn the_transactional_lane_goes_before_the_bulk_lane() {
    let mut schedule = started();
    for n in 0..50 {
        schedule.add(bulk(to(row(n, 1), n % 7)));
    }
    for n in 50..100 {
        schedule.add(to(row(n, 1), n % 7));
    }
    let order = schedule.run(START, FREE).concat();
    let lanes: Vec<_> = order.iter().map(|due| due.row.stream).collect();
    assert_eq!(lanes[..50], [Stream::Transactional; 50]);
    assert_eq!(lanes[50..], [Stream::Bulk; 50]);
}

#[test]
fn inside_a_lane_sites_go_in_turn_and_rows_of_one_in_their_order() {
    let mut schedule = started();
    for n in 0..30 {
        schedule.add(to(row(n, 1), 1));
    }
    for n in 30..32 {
        schedule.add(to(row(n, 1), 2));
    }
    let groups: Vec<_> = std::iter::from_fn(|| schedule.free(START)).collect();
    let order: Vec<_> = groups.iter().flat_map(numbers).collect();
    assert_eq!(order[..5], [0, 30, 1, 31, 2]);
    assert_eq!(order[5..], (3..30).collect::<Vec<_>>());
}

#[test]
fn first_attempts_and_later_ones_go_in_turn() {
    let mut schedule = started();
    for n in 0..10 {
        schedule.add(row(n, 1));
        schedule.add(again(row(100 + n, 1), START, WaitCause::Retry));
    }
    let groups = schedule.run(START, FREE).concat();
    let attempts: Vec<_> = groups.iter().map(|due| due.row.attempts).collect();
    assert_eq!(attempts, [0, 1].repeat(10));
}

#[test]
fn a_row_put_in_again_is_there_once_and_keeps_its_place() {
    let mut schedule = started();
    schedule.add(row(1, 1));
    assert!(schedule.remove(row(1, 1).recipient).is_some());
    assert_eq!(schedule.remove(row(1, 1).recipient), None);
    for _ in 0..3 {
        schedule.add(row(1, 1));
        schedule.add(row(2, 1));
        assert_eq!(schedule.causes(START), causes([(WaitCause::Turn, 2)]));
    }
    schedule.add(again(row(3, 1), at(9), WaitCause::Retry));
    schedule.add(again(row(3, 1), at(9), WaitCause::Retry));
    let groups: Vec<_> = std::iter::from_fn(|| schedule.free(START)).collect();
    assert_eq!(groups.iter().flat_map(numbers).collect::<Vec<_>>(), [1, 2]);
    // Another settlement has put it off.
    let since = at(1);
    schedule.add(QueueRow {
        since,
        ..again(row(3, 1), at(20), WaitCause::Greylisting)
    });
    assert_eq!(
        schedule.causes(at(1)),
        causes([(WaitCause::Greylisting, 1)])
    );
    assert_eq!(schedule.run(at(19), FREE).len(), 0);
    let out = schedule.run(at(20), FREE).concat();
    assert_eq!(out[0].waits.total(), Duration::from_secs(19));
    assert_eq!(
        (schedule.len(), schedule.lanes(), schedule.next_due()),
        (0, 0, None)
    );
}

#[test]
fn rows_past_their_expiry_come_out_without_a_slot_or_a_token() {
    let mut schedule = schedule_with(1, 1);
    let dying = |n| QueueRow {
        expires_at: at(10),
        ..row(n, 1)
    };
    (1..=3).for_each(|n| schedule.add(dying(n)));
    let slow = Limits {
        per_minute: 1,
        burst: 1,
        ..FREE
    };
    // The first one's attempt does not end, and there is no token for others.
    let first = schedule.next(at(0), &|_| Pace::At(slow));
    assert!(first.is_none());
    assert!(schedule.next(at(9), &|_| Pace::At(slow)).is_none());
    let late: Vec<_> = std::iter::from_fn(|| schedule.next(at(10), &|_| Pace::At(slow))).collect();
    assert_eq!(late.iter().flat_map(numbers).collect::<Vec<_>>(), [1, 2, 3]);
    for group in late {
        assert_eq!(group.rows[0].waits.total(), Duration::from_secs(10));
        schedule.ended(group.ticket, Health::Nothing, at(10));
    }
    assert_eq!((schedule.len(), schedule.next_due()), (0, None));
}
