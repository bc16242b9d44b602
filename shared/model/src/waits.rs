//! The wait ledger: how long a recipient has waited for what.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::WaitCause;

/// Time by its cause, in microseconds. The causes of a recipient sum to its age: from its
/// acceptance to its end, every moment is one cause's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Waits(BTreeMap<WaitCause, u64>);

impl Waits {
    /// Adds a span of waiting for `cause`.
    pub fn add(&mut self, cause: WaitCause, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        if micros > 0 {
            let sum = self.0.entry(cause).or_default();
            *sum = sum.saturating_add(micros);
        }
    }

    /// Adds all of another ledger.
    pub fn merge(&mut self, other: &Self) {
        for (cause, span) in other.iter() {
            self.add(cause, span);
        }
    }

    /// What was waited for, and how long.
    pub fn iter(&self) -> impl Iterator<Item = (WaitCause, Duration)> {
        let each = self.0.iter();
        each.map(|(cause, micros)| (*cause, Duration::from_micros(*micros)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of it but the time in which the mail could not leave, whoever it was for: its client asked
    /// for a later one, somebody held it, our own address had sent what it may that day, or there was
    /// no way to its domain (the way out closed, no answer of DNS). This is what is told as the time
    /// that a delivery took.
    pub fn on_its_way(&self) -> Duration {
        let could_leave = |cause: WaitCause| {
            !matches!(
                cause,
                WaitCause::Scheduled | WaitCause::Held | WaitCause::WarmUp | WaitCause::NoRoute
            )
        };
        let spans = self.iter().filter(|(cause, _)| could_leave(*cause));
        spans.map(|(_, span)| span).sum()
    }

    /// All of it together.
    pub fn total(&self) -> Duration {
        self.iter().map(|(_, span)| span).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledgers_add_up_and_come_back_from_their_text() {
        let mut one = Waits::default();
        one.add(WaitCause::Turn, Duration::from_micros(7));
        one.add(WaitCause::Retry, Duration::ZERO);
        let mut other = Waits::default();
        other.add(WaitCause::Turn, Duration::from_secs(1));
        other.add(WaitCause::TenantPace, Duration::from_millis(2));
        one.merge(&other);
        assert_eq!(one.total(), Duration::from_micros(1_002_007));
        let text = one.iter().map(|(cause, _)| cause).collect::<Vec<_>>();
        assert_eq!(text, [WaitCause::Turn, WaitCause::TenantPace]);
    }

    #[test]
    fn what_could_not_leave_was_not_on_its_way() {
        for (cause, want) in [
            (WaitCause::Turn, 1),
            (WaitCause::TenantPace, 1),
            (WaitCause::DestinationCap, 1),
            (WaitCause::DestinationBackoff, 1),
            (WaitCause::Greylisting, 1),
            (WaitCause::Retry, 1),
            (WaitCause::Attempt, 1),
            (WaitCause::Scheduled, 0),
            (WaitCause::Held, 0),
            (WaitCause::WarmUp, 0),
            (WaitCause::NoRoute, 0),
        ] {
            let mut waits = Waits::default();
            waits.add(cause, Duration::from_secs(1));
            assert_eq!(waits.on_its_way(), Duration::from_secs(want), "{cause:?}");
        }
    }
}
