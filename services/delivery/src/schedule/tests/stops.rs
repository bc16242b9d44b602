use super::*;

fn message(n: u64) -> MessageId {
    MessageId::new(START, random(n))
}

#[test]
fn a_stopped_tenants_rows_are_kept_and_go_on_within_a_second_when_it_is_resumed() {
    let mut schedule = started();
    schedule.add(row(1, 1));
    schedule.add(row(2, 2));
    let pace = |one| {
        if one == tenant(1) {
            Pace::Stopped
        } else {
            Pace::At(FREE)
        }
    };
    assert_eq!(numbers(&schedule.next(START, &pace).unwrap()), [2]);
    assert!(schedule.next(START, &pace).is_none());
    assert_eq!(schedule.causes(START), causes([(WaitCause::Held, 1)]));
    assert_eq!(schedule.next_due(), Some(at(1)));
    let out = schedule.run(at(1), FREE).concat();
    assert_eq!(
        out[0].waits.iter().collect::<Vec<_>>(),
        [(WaitCause::Held, Duration::from_secs(1))]
    );
}

#[test]
fn what_is_suspended_waits_as_held_and_so_does_what_comes_later() {
    for scope in [
        Scope::Tenant(tenant(1)),
        Scope::Domain(domain(1)),
        Scope::Message(message(1)),
    ] {
        let mut schedule = started();
        let other = |n| QueueRow {
            tenant: tenant(2),
            ..to(row(n, 2), 2)
        };
        let later = QueueRow {
            message: message(1),
            ..row(3, 1)
        };
        schedule.add(row(1, 1));
        schedule.add(again(
            QueueRow {
                message: message(1),
                ..row(2, 1)
            },
            at(5),
            WaitCause::Retry,
        ));
        schedule.add(other(9));
        schedule.suspend(scope.clone(), START);
        assert_eq!(schedule.run(START, FREE).len(), 1, "{scope:?}");
        schedule.insert(
            QueueRow {
                since: at(2),
                ..later
            },
            Waits::default(),
            at(2),
        );
        for second in [5, 10] {
            assert_eq!(schedule.run(at(second), FREE).len(), 0, "{scope:?}");
        }
        assert_eq!(
            schedule.causes(at(10)),
            causes([(WaitCause::Held, 3)]),
            "{scope:?}"
        );
        schedule.resume(&scope, at(10));
        let mut out = schedule.run(at(10), FREE).concat();
        out.sort_by_key(|due| due.row.recipient);
        let held: Vec<_> = out
            .iter()
            .map(|due| due.waits.iter().collect::<Vec<_>>())
            .collect();
        let seconds = Duration::from_secs;
        assert_eq!(held[0], [(WaitCause::Held, seconds(10))], "{scope:?}");
        let retried = [
            (WaitCause::Retry, seconds(5)),
            (WaitCause::Held, seconds(5)),
        ];
        assert_eq!(held[1], retried, "{scope:?}");
        assert_eq!(held[2], [(WaitCause::Held, seconds(8))], "{scope:?}");
    }
}

#[test]
fn what_expires_while_its_tenant_is_suspended_stays_until_it_is_resumed() {
    let mut schedule = started();
    let scope = Scope::Tenant(tenant(1));
    let expires_at = at(10);
    schedule.suspend(scope.clone(), START);
    (0..5).for_each(|n| {
        schedule.add(QueueRow {
            expires_at,
            ..row(n, 1)
        });
    });
    assert!(schedule.free(at(20)).is_none());
    assert_eq!(schedule.len(), 5);
    schedule.resume(&scope, at(30));
    let out: Vec<_> = std::iter::from_fn(|| schedule.free(at(30))).collect();
    assert_eq!(out.len(), 5);
    assert!(out.iter().all(|group| group.ticket.slot.is_none()));
}

#[test]
fn what_is_let_go_leaves_and_its_lanes_are_told() {
    let mut schedule = started();
    let with = |n, of| QueueRow {
        message: message(7),
        ..row(n, of)
    };
    schedule.add(with(1, 1));
    schedule.add(again(with(2, 1), at(9), WaitCause::Retry));
    schedule.add(bulk(row(3, 1)));
    schedule.add(row(4, 2));
    let lane = |of, stream| LaneKey {
        tenant: tenant(of),
        stream,
    };
    let gone = schedule.let_go(&Scope::Message(message(7)));
    assert_eq!(gone, [lane(1, Stream::Transactional)]);
    assert_eq!((schedule.len(), schedule.lanes()), (2, 2));
    let gone = schedule.let_go(&Scope::Domain(domain(1)));
    assert_eq!(
        gone,
        [lane(1, Stream::Bulk), lane(2, Stream::Transactional)]
    );
    assert_eq!((schedule.len(), schedule.lanes()), (0, 0));
    assert!(schedule.free(at(10)).is_none());
}

#[test]
fn a_scheduled_message_goes_when_it_is_started_and_not_before() {
    let mut schedule = started();
    let scheduled = |n| QueueRow {
        cause: WaitCause::Scheduled,
        message: message(7),
        due_at: at(60),
        ..row(n, 1)
    };
    (1..=3).for_each(|n| schedule.add(scheduled(n)));
    assert!(schedule.free(at(59)).is_none());
    assert_eq!(schedule.scheduled(at(59), 10), []);
    assert!(schedule.free(at(60)).is_none());
    assert_eq!(schedule.scheduled(at(60), 10), [message(7)]);
    assert_eq!(schedule.scheduled(at(60), 10), []);
    schedule.ask_again(message(7));
    assert_eq!(schedule.scheduled(at(61), 10), [message(7)]);
    // Read again meanwhile, before the start is seen.
    schedule.insert(scheduled(1), Waits::default(), at(61));
    assert!(schedule.free(at(61)).is_none());
    assert_eq!(schedule.causes(at(61)), causes([(WaitCause::Scheduled, 3)]));
    schedule.start(message(7), at(62));
    schedule.insert(scheduled(2), Waits::default(), at(62));
    let out = schedule.run(at(63), FREE);
    assert_eq!(out.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
    let waits: Vec<_> = out[0][1].waits.iter().collect();
    let seconds = Duration::from_secs;
    let want = [
        (WaitCause::Turn, seconds(1)),
        (WaitCause::Scheduled, seconds(62)),
    ];
    assert_eq!(waits, want);
}

#[test]
fn a_scheduled_message_that_was_taken_back_is_forgotten() {
    let mut schedule = started();
    schedule.add(QueueRow {
        cause: WaitCause::Scheduled,
        ..row(1, 1)
    });
    assert_eq!(schedule.scheduled(START, 10), [message(1)]);
    schedule.drop_message(message(1));
    schedule.ask_again(message(1));
    assert_eq!(schedule.scheduled(START, 10), []);
    assert_eq!(schedule.len(), 0);
}

#[test]
fn a_message_that_got_another_time_while_it_was_asked_about_is_not_forgotten() {
    let scheduled = |recipient: u64, due_at: u64| QueueRow {
        cause: WaitCause::Scheduled,
        message: message(7),
        due_at: at(due_at),
        ..row(recipient, 1)
    };
    for (new, again) in [(90, 90), (59, 61)] {
        let mut schedule = started();
        for recipient in [1, 2] {
            schedule.add(scheduled(recipient, 60));
        }
        assert!(schedule.free(at(60)).is_none());
        assert_eq!(schedule.scheduled(at(60), 10), [message(7)]);
        // The changes tell of the new time before the old question is answered.
        for recipient in [1, 2] {
            schedule.insert(scheduled(recipient, new), Waits::default(), at(60));
        }
        schedule.drop_message(message(7));
        assert_eq!(schedule.len(), 2, "due at {new}");
        assert!(schedule.free(at(again - 1)).is_none());
        if again > 61 {
            assert_eq!(schedule.scheduled(at(again - 1), 10), []);
        }
        assert!(schedule.free(at(again)).is_none());
        assert_eq!(schedule.scheduled(at(again), 10), [message(7)]);
        schedule.start(message(7), at(again));
        let out = schedule.run(at(again), FREE);
        assert_eq!(out.iter().map(Vec::len).sum::<usize>(), 2);
    }
}

#[test]
fn limits_that_changed_hold_at_once_where_somebody_says_so() {
    let mut schedule = started();
    let slow = Limits {
        per_minute: 1,
        connections: 1,
        ..FREE
    };
    (0..3).for_each(|n| schedule.add(row(n, 1)));
    (3..6).for_each(|n| schedule.add(row(n, 2)));
    let pace = |one| {
        if one == tenant(1) {
            Pace::Stopped
        } else {
            Pace::At(slow)
        }
    };
    assert!(schedule.next(START, &pace).is_none());
    schedule.limits_changed(START);
    assert_eq!(schedule.run(START, FREE).len(), 6);
}
