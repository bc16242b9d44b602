use postrider_model::{EmailAddress, RecipientId};

use super::*;

const ACCEPTED: i64 = 1_769_846_400_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(ACCEPTED + seconds * 1_000_000)
}

// Settled once after ten seconds, which are in its ledger.
fn recipient(state: RecipientState, due: Option<i64>, cause: Option<WaitCause>) -> StoredRecipient {
    let mut waits = Waits::default();
    waits.add(WaitCause::Turn, Duration::from_micros(1_500));
    waits.add(WaitCause::Attempt, Duration::from_micros(9_998_500));
    StoredRecipient {
        id: RecipientId::from_bytes([1; 16]),
        address: EmailAddress::parse("ann@example.org").unwrap(),
        state,
        attempts: 1,
        due_at: due.map(at),
        cause,
        last_reply: None,
        updated_at: at(10),
        waits,
    }
}

// `retry turn=1.5 retry=30000`: why it waits now, and the ledger.
fn told(recipient: &StoredRecipient, suspended: Option<i64>, now: i64) -> String {
    let object = RecipientObject::of(recipient, suspended.map(at), at(now));
    let object = serde_json::to_value(object).unwrap();
    assert_eq!(object["reason"].is_null(), object["cause"].is_null());
    let mut waited: Vec<_> = object["waited"].as_object().unwrap().iter().collect();
    waited.sort_by_key(|(cause, _)| WaitCause::parse(cause).unwrap());
    let mut words = vec![object["cause"].as_str().unwrap_or("-").to_owned()];
    words.extend(
        waited
            .iter()
            .map(|(cause, millis)| format!("{cause}={}", millis.as_f64().unwrap())),
    );
    words.join(" ")
}

#[test]
fn the_open_interval_is_its_causes_until_it_is_due_and_then_its_turns() {
    let retry = recipient(RecipientState::Queued, Some(70), Some(WaitCause::Retry));
    let fresh = recipient(RecipientState::Queued, Some(0), Some(WaitCause::Turn));
    let scheduled = Some(WaitCause::Scheduled);
    let scheduled = recipient(RecipientState::Scheduled, Some(70), scheduled);
    let held = recipient(RecipientState::Held, None, None);
    // Turned back where nothing may leave: it is due all the while.
    let shut = recipient(RecipientState::Queued, Some(0), Some(WaitCause::NoRoute));
    let delivered = recipient(RecipientState::Delivered, None, None);
    for (recipient, now, want) in [
        (&retry, 40, "retry turn=1.5 retry=30000 attempt=9998.5"),
        (&retry, 70, "turn turn=1.5 retry=60000 attempt=9998.5"),
        (&retry, 73, "turn turn=3001.5 retry=60000 attempt=9998.5"),
        // Another machine's clock is behind.
        (&retry, 9, "retry turn=1.5 attempt=9998.5"),
        (&fresh, 12, "turn turn=2001.5 attempt=9998.5"),
        (
            &scheduled,
            11,
            "scheduled turn=1.5 scheduled=1000 attempt=9998.5",
        ),
        (&shut, 12, "no_route turn=1.5 no_route=2000 attempt=9998.5"),
        (&held, 25, "held turn=1.5 held=15000 attempt=9998.5"),
        (&delivered, 99, "- turn=1.5 attempt=9998.5"),
    ] {
        assert_eq!(
            told(recipient, None, now),
            want,
            "{} at {now}",
            recipient.state
        );
    }
}

#[test]
fn once_due_it_waits_for_the_end_of_a_suspension_from_the_moment_that_began() {
    let retry = recipient(RecipientState::Queued, Some(70), Some(WaitCause::Retry));
    for (suspended, now, want) in [
        (20, 40, "retry turn=1.5 retry=30000 attempt=9998.5"),
        (20, 73, "held turn=1.5 retry=60000 held=3000 attempt=9998.5"),
        (
            72,
            73,
            "held turn=2001.5 retry=60000 held=1000 attempt=9998.5",
        ),
    ] {
        assert_eq!(
            told(&retry, Some(suspended), now),
            want,
            "{suspended} {now}"
        );
    }
}

#[test]
fn what_a_live_recipient_waited_for_sums_to_its_age() {
    for now in [10, 11, 69, 70, 71, 100_000] {
        let recipient = recipient(RecipientState::Queued, Some(70), Some(WaitCause::NoRoute));
        for suspended in [
            None,
            Some(at(0)),
            Some(at(20)),
            Some(at(75)),
            Some(at(999_999)),
        ] {
            let waited = waited(&recipient, suspended, at(now));
            assert_eq!(waited.total(), at(now).since(at(0)), "{suspended:?} {now}");
        }
    }
}

#[test]
fn every_cause_has_its_own_sentence() {
    let told: std::collections::HashSet<_> = WaitCause::ALL.iter().map(|c| reason(*c)).collect();
    assert_eq!(told.len(), WaitCause::ALL.len());
    assert!(told.iter().all(|sentence| sentence.ends_with('.')));
}
