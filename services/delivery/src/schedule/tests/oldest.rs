use super::*;

const PACED: Limits = Limits {
    per_minute: 1,
    burst: 1,
    ..FREE
};

#[test]
fn the_longest_wait_is_that_of_what_could_leave_and_does_not() {
    let mut schedule = started();
    assert_eq!(schedule.oldest_due(), None);
    // Not due before a time that lies ahead.
    schedule.add(again(row(1, 1), at(100), WaitCause::Retry));
    assert_eq!(schedule.oldest_due(), None);
    schedule.add(to(again(row(2, 1), at(0), WaitCause::Retry), 2));
    schedule.add(row(3, 2));
    schedule.add(row(4, 2));
    // Two of them go; a row is left that its tenant's pace keeps.
    let out = schedule.run(at(60), PACED).concat();
    assert_eq!(out.len(), 2);
    assert_eq!(schedule.oldest_due(), Some(START));
    assert_eq!(schedule.run(at(120), FREE).concat().len(), 2);
    assert_eq!(schedule.oldest_due(), None);
}

#[test]
fn what_an_operator_holds_is_not_late() {
    let mut schedule = started();
    schedule.add(row(1, 1));
    assert!(schedule.next(START, &|_| Pace::Stopped).is_none());
    assert_eq!(schedule.oldest_due(), None);
}
