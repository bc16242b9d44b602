//! What a journal tells after each way in which a process can end.

use super::*;
use postrider_model::Timestamp;
use serde_json::json;

fn ids(n: u8) -> (RecipientId, MessageId) {
    let at = Timestamp::from_micros(1_000_000);
    (RecipientId::new(at, [n; 10]), MessageId::new(at, [n; 10]))
}

fn begin(journal: &Journal, n: u8, attempt: u32) {
    let (recipient, message) = ids(n);
    journal.begin(recipient, message, attempt).unwrap();
}

fn open_entry(n: u8, attempt: u32, unclean_starts: u32, result: Option<Value>) -> OpenEntry {
    let (recipient, message) = ids(n);
    OpenEntry {
        recipient,
        message,
        attempt,
        unclean_starts,
        result,
    }
}

#[test]
fn what_was_open_is_told_and_what_was_closed_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, open) = Journal::open(&path).unwrap();
    assert_eq!(open, []);
    for n in 1..=3 {
        begin(&journal, n, n.into());
    }
    journal.close(ids(1).0).unwrap();
    journal
        .record(ids(3).0, json!({"delivered": "250 ok"}))
        .unwrap();
    journal.record(ids(9).0, json!("never begun")).unwrap();
    drop(journal); // as after kill -9: nothing is done at the end
    let (journal, open) = Journal::open(&path).unwrap();
    let result = Some(json!({"delivered": "250 ok"}));
    assert_eq!(
        open,
        [open_entry(2, 2, 1, None), open_entry(3, 3, 0, result)]
    );
    journal.close(ids(2).0).unwrap();
    journal.close(ids(3).0).unwrap();
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, []);
}

#[test]
fn a_process_that_did_not_send_it_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 1);
    // Each of these ends before it has noted the doubt.
    for _ in 0..3 {
        let (_, open) = Journal::open(&path).unwrap();
        assert_eq!(open, [open_entry(1, 1, 1, None)]);
    }
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 1);
    let (_, open) = Journal::open(&path).unwrap();
    assert_eq!(open, [open_entry(1, 1, 2, None)]);
}

#[test]
fn unclean_starts_are_counted_for_who_was_in_flight_at_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 1);
    begin(&journal, 2, 1);
    drop(journal);
    for start in 1..=3 {
        let (journal, open) = Journal::open(&path).unwrap();
        let poison = open_entry(1, start, start, None);
        if start == 1 {
            assert_eq!(open, [poison, open_entry(2, 1, 1, None)]);
        } else {
            // The bystander was noted and not tried since.
            assert_eq!(open, [poison]);
        }
        journal.noted(ids(1).0).unwrap();
        journal.noted(ids(2).0).unwrap();
        begin(&journal, 1, start + 1);
    }
    let (journal, _) = Journal::open(&path).unwrap();
    journal.close(ids(1).0).unwrap();
    begin(&journal, 1, 9);
    drop(journal);
    let (_, open) = Journal::open(&path).unwrap();
    assert_eq!(open, [open_entry(1, 9, 1, None)]);
}

#[test]
fn who_is_open_now_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(&folder.path().join("inflight")).unwrap();
    begin(&journal, 1, 1);
    begin(&journal, 2, 1);
    begin(&journal, 3, 1);
    journal.close(ids(2).0).unwrap();
    journal.noted(ids(3).0).unwrap();
    let all = [ids(1).0, ids(2).0, ids(3).0, ids(4).0];
    assert_eq!(journal.open_among(&all), [open_entry(1, 1, 0, None)]);
}

#[test]
fn a_torn_end_loses_that_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 1);
    begin(&journal, 2, 1);
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (journal, open) = Journal::open(&path).unwrap();
        let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
        // A line that lacks nothing but its end is read as well.
        assert!((lines..=lines + 1).contains(&open.len()), "{cut}: {open:?}");
        begin(&journal, 3, 1);
        drop(journal);
        let (_, again) = Journal::open(&path).unwrap();
        assert_eq!(again.len(), open.len() + 1, "{cut}");
    }
}

#[test]
fn garbage_between_lines_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 1);
    drop(journal);
    let mut bytes = b"\0\0\xff{\"begin\":[1]}\n\n{\"unknown\":1}\n".to_vec();
    bytes.extend(std::fs::read(&path).unwrap());
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(Journal::open(&path).unwrap().1, [open_entry(1, 1, 1, None)]);
}

#[test]
fn the_file_stays_small_and_keeps_what_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inflight");
    let (journal, _) = Journal::open(&path).unwrap();
    begin(&journal, 1, 7);
    for _ in 0..20_000 {
        begin(&journal, 2, 1);
        journal.close(ids(2).0).unwrap();
        journal.close(ids(2).0).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() <= COMPACT_FROM + 200);
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().1, [open_entry(1, 7, 1, None)]);
}
