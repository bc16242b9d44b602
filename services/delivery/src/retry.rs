//! When a recipient is tried again, or that it is not. Pure.

use std::time::Duration;

use postrider_model::{Timestamp, WaitCause};
use postrider_runtime::Rng;

/// The waits after the first, second, … attempt. RFC 5321 §4.5.4.1 recommends 30 minutes; like
/// every relay in use we begin sooner and end later.
const USUAL: &[Duration] = &[
    Duration::from_mins(5),
    Duration::from_mins(10),
    Duration::from_mins(20),
    Duration::from_mins(40),
    Duration::from_mins(80),
    Duration::from_mins(160),
];
const USUAL_THEN: Duration = Duration::from_hours(4);

/// The waits after a greylisting answer (RFC 6647): few hosts ask for more than 15 minutes. Who
/// still says so after the fourth attempt means something else.
const GREYLISTED: &[Duration] = &[
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(15),
    Duration::from_mins(15),
];

/// Waits differ by this much either way, so that what failed together does not come together.
const JITTER_PERCENT: u32 = 10;

/// How long before its end a recipient's last try is placed: time enough to be dispatched.
const LAST_TRY_AHEAD: Duration = Duration::from_mins(1);

/// How waits are measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Every wait is divided by this; 1 in earnest, more to see a day's retries in minutes. 0
    /// counts as 1.
    pub(crate) divisor: u32,
}

/// What the attempt that just ended says about the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A temporary answer for this recipient.
    Usual,
    /// The remote wants the same again later.
    Greylist,
    /// No host could be talked to, or none wanted to talk to us.
    Destination,
    /// DNS gave no usable answer.
    NoRoute,
}

/// An attempt that ended without a final answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    /// Attempts made so far, this one among them: 1, 2, ….
    pub(crate) attempt: u32,
    pub(crate) wait: Wait,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Again {
        due_at: Timestamp,
        cause: WaitCause,
    },
    /// There is no time left for another try; the last reply is the reason.
    Expire,
}

/// Says when to try again.
///
/// Two laws meet at the end. A client was promised that nothing is delivered after
/// `expires_at`, so no try is ever begun past it. And nobody should be given up without a try
/// as late as that allows: where the usual wait leads past the end, one last try is placed just
/// before it, unless that is nearer than the shortest wait there is: then the try that was just
/// made was the last.
pub(crate) fn next(policy: &RetryPolicy, tried: &Tried, rng: &Rng) -> Next {
    let Tried {
        now, expires_at, ..
    } = *tried;
    let divisor = policy.divisor.max(1);
    let due_at = now.after(rng.jitter(usual(tried), JITTER_PERCENT) / divisor);
    let last = expires_at.before(LAST_TRY_AHEAD / divisor);
    let soonest = now.after(shortest() / divisor);
    let cause = cause(tried.wait);
    if due_at < expires_at {
        Next::Again { due_at, cause }
    } else if last >= soonest {
        Next::Again {
            due_at: last,
            cause,
        }
    } else {
        Next::Expire
    }
}

/// The wait before jitter and divisor.
fn usual(tried: &Tried) -> Duration {
    let at = usize::try_from(tried.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let greylisted = match tried.wait {
        Wait::Greylist => GREYLISTED.get(at),
        Wait::Usual | Wait::Destination | Wait::NoRoute => None,
    };
    *greylisted.or(USUAL.get(at)).unwrap_or(&USUAL_THEN)
}

fn shortest() -> Duration {
    USUAL.first().copied().unwrap_or(USUAL_THEN)
}

fn cause(wait: Wait) -> WaitCause {
    match wait {
        Wait::Usual => WaitCause::Retry,
        Wait::Greylist => WaitCause::Greylisting,
        Wait::Destination => WaitCause::DestinationBackoff,
        Wait::NoRoute => WaitCause::NoRoute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const EARNEST: RetryPolicy = RetryPolicy { divisor: 1 };
    const FAST: RetryPolicy = RetryPolicy { divisor: 60 };

    fn tried(attempt: u32, wait: Wait, left: Duration) -> Tried {
        Tried {
            attempt,
            wait,
            now: NOW,
            expires_at: NOW.after(left),
        }
    }

    fn wait_of(policy: &RetryPolicy, tried: &Tried, rng: &Rng) -> Option<(Duration, WaitCause)> {
        match next(policy, tried, rng) {
            Next::Again { due_at, cause } => Some((due_at.since(NOW), cause)),
            Next::Expire => None,
        }
    }

    #[test]
    fn waits_grow_and_differ_by_a_tenth() {
        let days = Duration::from_hours(72);
        for (attempt, wait, minutes, cause) in [
            (1, Wait::Usual, 5, WaitCause::Retry),
            (2, Wait::Usual, 10, WaitCause::Retry),
            (3, Wait::Destination, 20, WaitCause::DestinationBackoff),
            (4, Wait::NoRoute, 40, WaitCause::NoRoute),
            (5, Wait::Usual, 80, WaitCause::Retry),
            (6, Wait::Usual, 160, WaitCause::Retry),
            (7, Wait::Usual, 240, WaitCause::Retry),
            (8, Wait::Usual, 240, WaitCause::Retry),
            (u32::MAX, Wait::Usual, 240, WaitCause::Retry),
            (0, Wait::Usual, 5, WaitCause::Retry),
            (1, Wait::Greylist, 5, WaitCause::Greylisting),
            (2, Wait::Greylist, 15, WaitCause::Greylisting),
            (4, Wait::Greylist, 15, WaitCause::Greylisting),
            (5, Wait::Greylist, 80, WaitCause::Greylisting),
        ] {
            for (policy, seconds) in [(EARNEST, minutes * 60), (FAST, minutes)] {
                for seed in 0..50 {
                    let given = tried(attempt, wait, days);
                    let got = wait_of(&policy, &given, &Rng::seeded(seed)).unwrap();
                    let around = Duration::from_secs(seconds);
                    assert!(
                        got.0 >= around * 9 / 10 && got.0 <= around * 11 / 10,
                        "{got:?}"
                    );
                    assert_eq!(got.1, cause, "{given:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_due_past_its_end_and_the_last_try_is_just_before_it() {
        // Four hours would be the wait.
        for (left, want) in [
            (Duration::from_hours(10), Some(None)),
            (
                Duration::from_hours(3),
                Some(Some(Duration::from_mins(179))),
            ),
            (Duration::from_mins(6), Some(Some(Duration::from_mins(5)))),
            (Duration::from_mins(6) - Duration::from_micros(1), None),
            (Duration::from_secs(1), None),
            (Duration::ZERO, None),
        ] {
            let got = wait_of(&EARNEST, &tried(9, Wait::Usual, left), &Rng::seeded(1));
            match want {
                Some(Some(exactly)) => assert_eq!(got.unwrap().0, exactly, "{left:?}"),
                Some(None) => assert!(got.unwrap().0 < left, "{left:?}"),
                None => assert_eq!(got, None, "{left:?}"),
            }
        }
        let past = Tried {
            expires_at: NOW.before(Duration::from_secs(1)),
            ..tried(1, Wait::Usual, Duration::ZERO)
        };
        assert_eq!(next(&EARNEST, &past, &Rng::seeded(1)), Next::Expire);
    }

    proptest::proptest! {
        #[test]
        fn a_recipient_always_ends(left in 0_u64..400_000, divisor in 0_u32..100, seed: u64) {
            let (rng, expires_at) = (Rng::seeded(seed), NOW.after(Duration::from_secs(left)));
            let mut now = NOW;
            for attempt in 1..200 {
                let given = Tried { attempt, wait: Wait::Usual, now, expires_at };
                match next(&RetryPolicy { divisor }, &given, &rng) {
                    Next::Again { due_at, .. } => {
                        proptest::prop_assert!(due_at > now && due_at < expires_at);
                        now = due_at;
                    }
                    Next::Expire => return Ok(()),
                }
                if divisor > 1 { now = now.after(Duration::from_hours(1)); }
            }
            proptest::prop_assert!(false, "still trying");
        }
    }
}
