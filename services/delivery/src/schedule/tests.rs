use postrider_model::{Domain, MessageId};
use postrider_store::ChangeSeq;
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const FREE: Pace = Pace::At {
    per_minute: 0,
    burst: 0,
};

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

fn random(n: u64) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn tenant(n: u64) -> TenantId {
    TenantId::new(START, random(n))
}

/// Recipient `n`, the only one of its message, due at the start.
fn row(n: u64, of: u64) -> QueueRow {
    QueueRow {
        recipient: RecipientId::new(START, random(n)),
        message: MessageId::new(START, random(n)),
        tenant: tenant(of),
        domain: Domain::parse("example.test").unwrap(),
        accepted_at: START,
        due_at: START,
        expires_at: at(300_000),
        attempts: 0,
        cause: WaitCause::Turn,
        seq: ChangeSeq(1),
    }
}

fn started(at: Timestamp) -> Schedule {
    let mut schedule = Schedule::default();
    assert_eq!(schedule.next(at, &|_| FREE), None);
    schedule
}

fn again(row: QueueRow, due_at: Timestamp, cause: WaitCause) -> QueueRow {
    QueueRow {
        attempts: 1,
        due_at,
        cause,
        ..row
    }
}

fn drain(schedule: &mut Schedule, now: Timestamp, pace: Pace) -> Vec<Vec<QueueRow>> {
    std::iter::from_fn(|| schedule.next(now, &|_| pace)).collect()
}

#[test]
fn a_group_is_the_due_recipients_of_one_message_at_one_domain() {
    let mut schedule = started(START);
    for n in 0..120 {
        let message = MessageId::new(START, random(1));
        schedule.insert(QueueRow {
            message,
            ..row(n, 1)
        });
    }
    let message = MessageId::new(START, random(1));
    let domain = Domain::parse("other.test").unwrap();
    schedule.insert(QueueRow {
        message,
        domain,
        ..row(200, 1)
    });
    schedule.insert(row(300, 1));
    let later = again(
        QueueRow {
            message,
            ..row(400, 1)
        },
        at(5),
        WaitCause::Retry,
    );
    schedule.insert(later);
    let sizes: Vec<_> = drain(&mut schedule, START, FREE)
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(sizes, [50, 50, 20, 1, 1]);
    assert_eq!((schedule.len(), schedule.next_due()), (1, Some(at(5))));
    assert_eq!(drain(&mut schedule, at(5), FREE).len(), 1);
    assert_eq!((schedule.len(), schedule.next_due()), (0, None));
}

#[test]
fn tenants_take_turns_whatever_the_length_of_their_lines() {
    let mut schedule = started(START);
    for n in 0..5_000 {
        schedule.insert(row(n, 1));
    }
    for of in 2..10 {
        schedule.insert(row(10_000 + of, of));
    }
    let mut firsts = BTreeSet::new();
    // All rows become ready in steps of `PROMOTED_MOST`; then a round serves everyone.
    for _ in 0..6 + 9 {
        for row in schedule.next(START, &|_| FREE).unwrap() {
            firsts.insert(row.tenant);
        }
    }
    assert_eq!(firsts.len(), 9);
}

#[test]
fn first_attempts_keep_the_pace_and_later_ones_pass() {
    let mut schedule = started(START.before(Duration::from_hours(1)));
    for n in 0..20 {
        schedule.insert(row(n, 1));
    }
    schedule.insert(again(row(50, 1), at(0), WaitCause::Retry));
    let pace = Pace::At {
        per_minute: 6,
        burst: 3,
    };
    assert_eq!(drain(&mut schedule, START, pace).len(), 4); // the burst and the retry
    assert_eq!(
        schedule.causes(START),
        BTreeMap::from([(WaitCause::TenantPace, 17)])
    );
    assert_eq!(schedule.next_due(), Some(at(1)));
    assert_eq!(drain(&mut schedule, at(9), pace).len(), 0);
    assert_eq!(schedule.next_due(), Some(at(10)));
    assert_eq!(drain(&mut schedule, at(10), pace).len(), 1);
    // A retry does not wait for the pace of first attempts.
    schedule.insert(again(row(51, 1), at(11), WaitCause::Retry));
    assert_eq!(drain(&mut schedule, at(11), pace)[0][0].attempts, 1);
    // After a long pause there is the burst and no more.
    assert_eq!(drain(&mut schedule, at(10_000), pace).len(), 3);
    // Limits that are lifted are seen within a second.
    assert_eq!(drain(&mut schedule, at(10_001), FREE).len(), 13);
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
        let mut schedule = started(START);
        (0..30).for_each(|n| schedule.insert(row(n, 1)));
        let got = drain(&mut schedule, at(after), Pace::At { per_minute, burst });
        assert_eq!(got.len(), want, "{per_minute} {burst} {after}");
    }
}

#[test]
fn a_suspended_tenants_rows_are_kept_and_go_on_when_it_is_resumed() {
    let mut schedule = started(START);
    schedule.insert(row(1, 1));
    schedule.insert(row(2, 2));
    let pace = |one| {
        if one == tenant(1) {
            Pace::Stopped
        } else {
            FREE
        }
    };
    assert_eq!(schedule.next(START, &pace).unwrap(), [row(2, 2)]);
    assert_eq!(schedule.next(START, &pace), None);
    assert_eq!(
        schedule.causes(START),
        BTreeMap::from([(WaitCause::Held, 1)])
    );
    assert_eq!(schedule.next(START, &|_| FREE).unwrap(), [row(1, 1)]);
}

#[test]
fn each_wait_has_its_cause() {
    let mut schedule = started(START);
    schedule.insert(row(1, 1));
    schedule.insert(again(row(2, 1), at(60), WaitCause::Greylisting));
    schedule.insert(again(row(3, 2), at(60), WaitCause::Retry));
    schedule.insert(again(row(4, 2), at(60), WaitCause::NoRoute));
    let want = [
        WaitCause::Turn,
        WaitCause::Greylisting,
        WaitCause::Retry,
        WaitCause::NoRoute,
    ];
    assert_eq!(schedule.causes(at(1)), want.map(|cause| (cause, 1)).into());
    assert_eq!(
        schedule.causes(at(60)),
        BTreeMap::from([(WaitCause::Turn, 4)])
    );
}

#[test]
fn a_row_put_in_again_is_there_once() {
    let mut schedule = started(START);
    schedule.insert(row(1, 1));
    assert!(schedule.remove(row(1, 1).recipient).is_some());
    assert_eq!(
        (schedule.remove(row(1, 1).recipient), schedule.len()),
        (None, 0)
    );
    for _ in 0..3 {
        schedule.insert(row(1, 1));
        assert_eq!(
            schedule.causes(START),
            BTreeMap::from([(WaitCause::Turn, 1)])
        );
    }
    schedule.insert(again(row(1, 1), at(9), WaitCause::Retry)); // from ready back to later
    assert_eq!(schedule.next(START, &|_| FREE), None);
    schedule.insert(row(1, 1));
    assert_eq!(drain(&mut schedule, at(9), FREE), [[row(1, 1)]]);
    assert_eq!((schedule.len(), schedule.next_due()), (0, None));
}

#[derive(Clone, Debug)]
enum Step {
    Insert {
        n: u64,
        of: u64,
        due: u64,
        attempts: u32,
    },
    Remove(u64),
    Next,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let insert = (0_u64..40, 0_u64..4, 0_u64..100, 0_u32..3).prop_map(|(n, of, due, attempts)| {
        // A recipient has one tenant for good.
        Step::Insert {
            n: n * 4 + of,
            of,
            due,
            attempts,
        }
    });
    let step = prop_oneof![
        4 => insert,
        1 => (0_u64..160).prop_map(Step::Remove),
        6 => Just(Step::Next),
        2 => (0_u64..10_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..400)
}

/// One tenant's first attempts so far, each with its time.
type Starts = HashMap<TenantId, Vec<Timestamp>>;

fn keeps_pace(starts: &[Timestamp], per_minute: u64, burst: u64) -> bool {
    let windows = (0..starts.len()).flat_map(|from| (from..starts.len()).map(move |to| (from, to)));
    windows.into_iter().all(|(from, to)| {
        let micros = u64::try_from(starts[to].since(starts[from]).as_micros()).unwrap();
        (to - from + 1) as u64 <= burst + (micros * per_minute).div_ceil(60_000_000)
    })
}

proptest! {
    #[test]
    fn no_row_is_lost_or_doubled_and_no_pace_is_exceeded(
        steps in steps(), per_minute in 1_u32..200, burst in 1_u32..10
    ) {
        let mut schedule = started(START);
        let (mut now, mut model) = (START, BTreeMap::new());
        let mut starts = Starts::new();
        let pace = Pace::At { per_minute, burst };
        // Tenant 3 is suspended until the end.
        let paces = |one| if one == tenant(3) { Pace::Stopped } else { pace };
        for step in steps {
            match step {
                Step::Insert { n, of, due, attempts } => {
                    let due_at = now.after(Duration::from_millis(due * 100)).before(Duration::from_secs(3));
                    let row = QueueRow { due_at, attempts, ..row(n, of) };
                    schedule.insert(row.clone());
                    model.insert(row.recipient, row);
                }
                Step::Remove(n) => {
                    let id = row(n, 0).recipient;
                    prop_assert_eq!(schedule.remove(id), model.remove(&id));
                }
                Step::Next => for row in schedule.next(now, &paces).unwrap_or_default() {
                    prop_assert!(row.due_at <= now && row.tenant != tenant(3));
                    if row.attempts == 0 {
                        starts.entry(row.tenant).or_default().push(now);
                    }
                    prop_assert_eq!(model.remove(&row.recipient), Some(row));
                },
                Step::Pass(millis) => now = now.after(Duration::from_millis(millis)),
            }
            prop_assert_eq!(schedule.len(), model.len());
            prop_assert_eq!(schedule.causes(now).values().sum::<usize>(), model.len());
        }
        for starts in starts.values() {
            prop_assert!(keeps_pace(starts, per_minute.into(), burst.into()));
        }
        // What is left comes out by itself: time is only moved to where `next_due` points.
        let resumed = |_| FREE;
        while schedule.len() > 0 {
            match schedule.next(now, &resumed) {
                Some(group) => for row in group {
                    prop_assert_eq!(model.remove(&row.recipient), Some(row));
                },
                None => now = schedule.next_due().expect("rows wait for nothing").max(now),
            }
        }
        prop_assert!(model.is_empty());
    }

    #[test]
    fn nobody_waits_longer_than_a_round(tenants in 1_u64..20, each in 1_u64..30) {
        let mut schedule = started(START);
        for n in 0..tenants * each {
            schedule.insert(row(n, n % tenants));
        }
        for round in 0..each {
            let mut served = BTreeSet::new();
            for _ in 0..tenants {
                let group = schedule.next(START, &|_| FREE);
                served.extend(group.unwrap_or_default().iter().map(|row| row.tenant));
            }
            prop_assert_eq!(served.len() as u64, tenants, "round {}", round);
        }
        prop_assert_eq!(schedule.len(), 0);
    }
}

#[test]
fn a_clock_that_goes_back_an_hour_stops_no_pace() {
    let pace = Pace::At {
        per_minute: 60,
        burst: 1,
    };
    let mut schedule = Schedule::default();
    for n in 1..=3 {
        schedule.insert(QueueRow {
            due_at: START,
            ..row(n, 1)
        });
    }
    assert_eq!(schedule.next(at(7_200), &|_| pace), None);
    assert!(schedule.next(at(7_201), &|_| pace).is_some());
    assert_eq!(schedule.next(at(7_201), &|_| pace), None);
    assert_eq!(schedule.next(at(3_600), &|_| pace), None);
    assert!(schedule.next(at(3_601), &|_| pace).is_some());
}

#[test]
fn who_came_back_from_a_destination_at_its_cap_pays_once() {
    let pace = Pace::At {
        per_minute: 1,
        burst: 1,
    };
    let mut schedule = started(START);
    schedule.insert(row(1, 1));
    let taken = schedule.next(at(60), &|_| pace).unwrap();
    let back = QueueRow {
        due_at: at(61),
        cause: WaitCause::DestinationCap,
        ..taken[0].clone()
    };
    schedule.insert(back);
    assert_eq!(schedule.waiting_for(WaitCause::DestinationCap), 1);
    assert!(schedule.next(at(61), &|_| pace).is_some());
}
