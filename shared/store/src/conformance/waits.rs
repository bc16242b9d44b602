//! What a recipient has waited for adds up to its age.

use std::time::Duration;

use postrider_model::{EventKind, WaitCause, Waits};

use super::Ports;
use super::fixture::{
    add_tenant, at, commit, delivered, do_verb, email, live, message, settle, settlement,
};
use crate::{ControlVerb, NewMessage, Outcome, Scope, Settled, Settlement, StoredRecipient};

async fn recipient(ports: &Ports, message: &NewMessage) -> StoredRecipient {
    let stored = email(ports, message).await.expect("the message");
    stored.recipients[0].clone()
}

fn retry(seconds: u64, cause: WaitCause) -> Outcome {
    Outcome::Retry {
        due_at: at(seconds),
        attempts: 1,
        cause,
    }
}

/// With what was waited for, in seconds.
fn waited(mut settlement: Settlement, spans: &[(WaitCause, u64)]) -> Settlement {
    for (cause, seconds) in spans {
        settlement.waits.add(*cause, Duration::from_secs(*seconds));
    }
    settlement
}

fn seconds(waits: &Waits) -> Vec<(WaitCause, u64)> {
    waits
        .iter()
        .map(|(cause, span)| (cause, span.as_secs()))
        .collect()
}

pub async fn waits_of_all_settlements_add_up_to_the_age(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    assert!(recipient(ports, &given).await.waits.is_empty());
    let steps = [
        (
            settlement(
                &given,
                10,
                EventKind::Deferred,
                retry(70, WaitCause::Greylisting),
            ),
            vec![(WaitCause::Turn, 7), (WaitCause::Attempt, 3)],
        ),
        (
            settlement(
                &given,
                75,
                EventKind::Deferred,
                retry(300, WaitCause::Retry),
            ),
            vec![(WaitCause::Greylisting, 60), (WaitCause::Attempt, 5)],
        ),
        (
            settlement(&given, 302, EventKind::Delivered, delivered()),
            vec![(WaitCause::Retry, 225), (WaitCause::Attempt, 2)],
        ),
    ];
    for (step, spans) in steps {
        let step = waited(step, &spans);
        let time = step.at;
        assert_eq!(settle(ports, step).await, Settled::Recorded);
        let stored = recipient(ports, &given).await;
        assert_eq!(stored.updated_at, time);
        assert_eq!(stored.waits.total(), time.since(at(0)), "the whole age");
        if let [row] = &live(ports).await[..] {
            assert_eq!((row.since, Some(row.cause)), (time, stored.cause));
        }
    }
    let waits = recipient(ports, &given).await.waits;
    let mut found = seconds(&waits);
    found.sort_by_key(|(cause, _)| cause.as_str());
    let wanted = [
        (WaitCause::Attempt, 10),
        (WaitCause::Greylisting, 60),
        (WaitCause::Retry, 225),
        (WaitCause::Turn, 7),
    ];
    assert_eq!(found, wanted);
}

pub async fn what_comes_too_late_is_not_waited_for(ports: &Ports) {
    let given = message(add_tenant(ports).await);
    commit(ports, &given).await;
    let end = settlement(&given, 10, EventKind::Delivered, delivered());
    settle(ports, waited(end, &[(WaitCause::Turn, 10)])).await;
    let late = settlement(&given, 20, EventKind::Deferred, retry(70, WaitCause::Retry));
    let late = settle(ports, waited(late, &[(WaitCause::Turn, 20)])).await;
    assert_eq!(late, Settled::TooLate);
    let waits = recipient(ports, &given).await.waits;
    assert_eq!(seconds(&waits), [(WaitCause::Turn, 10)]);
}

pub async fn a_recipient_that_was_held_waited_for_that(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    let later = settlement(
        &given,
        10,
        EventKind::Deferred,
        retry(70, WaitCause::Greylisting),
    );
    settle(ports, waited(later, &[(WaitCause::Turn, 10)])).await;
    let scope = || Scope::Tenant(tenant);
    assert_eq!(do_verb(ports, ControlVerb::Hold, scope(), 80).await, 1);
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.updated_at, at(80));
    assert_eq!(
        stored.waits.total(),
        at(80).since(at(0)),
        "until it was held"
    );
    assert_eq!(do_verb(ports, ControlVerb::Release, scope(), 200).await, 1);
    let stored = recipient(ports, &given).await;
    let held = stored
        .waits
        .iter()
        .find(|(cause, _)| *cause == WaitCause::Held);
    assert_eq!(held, Some((WaitCause::Held, at(200).since(at(80)))));
    assert_eq!(live(ports).await[0].since, at(200));

    let end = settlement(&given, 205, EventKind::Delivered, delivered());
    settle(
        ports,
        waited(end, &[(WaitCause::Turn, 4), (WaitCause::Attempt, 1)]),
    )
    .await;
    let stored = recipient(ports, &given).await;
    assert_eq!(stored.waits.total(), at(205).since(at(0)), "the whole age");
}
