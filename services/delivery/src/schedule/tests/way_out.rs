use super::*;

fn turned_back(n: u64, of: u64) -> QueueRow {
    QueueRow {
        cause: WaitCause::NoRoute,
        ..row(n, of)
    }
}

#[test]
fn what_was_turned_back_waits_until_the_way_out_opens_and_goes_in_the_order_of_its_times() {
    let mut schedule = started();
    schedule.shut(START);
    schedule.add(QueueRow {
        due_at: at(5),
        ..turned_back(3, 1)
    });
    schedule.insert(turned_back(2, 1), Waits::default(), at(1));
    schedule.add(row(1, 1));
    // Nobody has told this one yet.
    assert_eq!(numbers(&schedule.free(at(1)).unwrap()), [1]);
    assert!(schedule.free(at(60)).is_none());
    let waiting = causes([(WaitCause::NoRoute, 2)]);
    assert_eq!(schedule.causes(at(60)), waiting);
    schedule.open(at(60));
    let out = schedule.run(at(60), FREE).concat();
    let waits: Vec<_> = out.iter().map(|due| &due.waits).collect();
    let minute = Duration::from_mins(1);
    for waits in waits {
        assert_eq!(
            waits.iter().collect::<Vec<_>>(),
            [(WaitCause::NoRoute, minute)]
        );
    }
    let ids: Vec<_> = out.iter().map(|due| due.row.recipient).collect();
    assert_eq!(ids, [row(2, 1).recipient, row(3, 1).recipient]);
    assert!(schedule.free(at(60)).is_none());
}

#[test]
fn behind_a_closed_way_out_a_row_still_expires_in_time() {
    let mut schedule = started();
    schedule.shut(START);
    let expires_at = at(90);
    schedule.add(QueueRow {
        expires_at,
        ..turned_back(1, 1)
    });
    assert!(schedule.free(at(89)).is_none());
    let late = schedule.free(at(90)).unwrap();
    assert!(late.ticket.slot.is_none());
    assert_eq!(numbers(&late), [1]);
}
