//! The port of reports: what became of the mail of an hour, a day, a year, from counts that are kept
//! as it happens. Serves operators; a vendor asks about its own tenants (`Whose::Vendor`).
//!
//! Counts are kept by the hour for `HOURLY_LIFE` and by the UTC day for `DAILY_LIFE`; refusal texts by
//! the hour, as long as messages are. A report covers whole periods: those in which its time begins and
//! ends, and all between them.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{Provider, TenantId, Timestamp, VendorId};

use crate::StoreError;

/// How long counts are told apart by the hour.
pub const HOURLY_LIFE: Duration = Duration::from_hours(32 * 24);
/// How long counts are kept, by the day.
pub const DAILY_LIFE: Duration = Duration::from_hours(400 * 24);

/// What was counted.
#[async_trait]
pub trait Reports: Send + Sync {
    /// All of it in that time, in one line.
    async fn total(&self, span: &Range<Timestamp>, whose: &Whose) -> Result<Traffic, StoreError>;

    /// The `most` tenants with the most mail in that time, the busiest first; and how many there are
    /// beside them.
    async fn by_tenant(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(TenantId, Traffic)>, u64), StoreError>;

    /// The same by vendor. `None` is nobody: of tenants that were erased before they were counted.
    async fn by_vendor(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<(Vec<(Option<VendorId>, Traffic)>, u64), StoreError>;

    /// By whose exchangers were asked, the busiest first. Nothing is `accepted` there but what is
    /// counted with `Provider::None`: whom a recipient's mail goes to is not known before it leaves.
    async fn by_provider(
        &self,
        span: &Range<Timestamp>,
    ) -> Result<Vec<(Provider, Traffic)>, StoreError>;

    /// The refusals that were heard most often in that time, over all tenants meant, at most `most`.
    async fn refusals(
        &self,
        span: &Range<Timestamp>,
        whose: &Whose,
        most: u32,
    ) -> Result<Vec<Refused>, StoreError>;
}

/// Whose mail a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    All,
    /// Of the tenants of this vendor, erased ones in its sums among them.
    Vendor(VendorId),
}

/// What was counted, in recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub counts: Counts,
    /// How long deliveries took.
    pub times: Times,
}

/// Recipients. What was accepted and is none of the others yet, waits; or was taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub accepted: u64,
    pub delivered: u64,
    /// Attempts that ended with «later»: one recipient may be counted several times.
    pub deferred: u64,
    /// Refused for good.
    pub bounced: u64,
    pub expired: u64,
    /// On the suppression list, when it was accepted or before an attempt.
    pub suppressed: u64,
}

/// How long deliveries took, from acceptance, without the time in which they could not leave
/// (`Waits::on_its_way`): how many took up to which bound of `BOUNDS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times(pub(crate) std::collections::BTreeMap<Duration, u64>);

impl Times {
    /// Bounds of the classes that times are counted in: a percentile is told as the bound of the class
    /// it lies in, which is at most two and a half times too much (up to eight days). Stored by their value, so that
    /// others may take their place.
    pub const BOUNDS: [Duration; 24] = [
        Duration::from_millis(100),
        Duration::from_millis(200),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(20),
        Duration::from_secs(30),
        Duration::from_mins(1),
        Duration::from_mins(2),
        Duration::from_mins(5),
        Duration::from_mins(10),
        Duration::from_mins(20),
        Duration::from_mins(30),
        Duration::from_hours(1),
        Duration::from_hours(2),
        Duration::from_hours(4),
        Duration::from_hours(8),
        Duration::from_hours(16),
        Duration::from_hours(24),
        Duration::from_hours(48),
        Duration::from_hours(4 * 24),
        Duration::from_hours(8 * 24),
    ];
    /// The class of what took longer: as long as a message is known.
    pub const LONGER: Duration = Duration::from_hours(30 * 24);

    /// The bound of the class that a time is counted in.
    pub fn bound(time: Duration) -> Duration {
        let fits = |bound: &&Duration| time <= **bound;
        Self::BOUNDS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or(Self::LONGER)
    }

    /// Adds `count` deliveries of the class with this bound.
    pub fn add(&mut self, bound: Duration, count: u64) {
        *self.0.entry(bound).or_default() += count;
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            self.add(*bound, *count);
        }
    }

    /// What so many percent took at most; `None` where nothing was delivered.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.0.values().sum();
        // The nearest rank: the smallest of which so many percent are not larger.
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(bound, count)| {
            seen += count;
            (seen >= rank).then_some(*bound)
        })
    }
}

impl Counts {
    /// How much there was to do: the order in which lines stand.
    pub fn weight(&self) -> u64 {
        self.accepted + self.delivered + self.deferred + self.bounced
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.deferred += other.deferred;
        self.bounced += other.bounced;
        self.expired += other.expired;
        self.suppressed += other.suppressed;
    }
}

impl Traffic {
    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.times.merge(&other.times);
    }
}

/// A refusal, and how often it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub provider: Provider,
    /// Codes and words, as `refusal_text` folds them; empty for all those that were not told apart.
    pub text: String,
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_bound_of_the_class_it_lies_in() {
        let mut times = Times::default();
        assert_eq!(times.percentile(50), None);
        for (millis, count) in [(40, 10), (700, 80), (90_000, 6), (800_000_000, 4)] {
            times.add(Times::bound(Duration::from_millis(millis)), count);
        }
        for (percent, want) in [
            (10, Duration::from_millis(100)),
            (50, Duration::from_secs(1)),
            (90, Duration::from_secs(1)),
            (95, Duration::from_mins(2)),
            (99, Times::LONGER),
        ] {
            assert_eq!(times.percentile(percent), Some(want), "{percent}");
        }
    }

    #[test]
    fn no_class_is_wider_than_two_and_a_half_times() {
        for pair in Times::BOUNDS.windows(2) {
            assert!(pair[1] > pair[0] && pair[1] <= pair[0] * 5 / 2, "{pair:?}");
            assert_eq!(Times::bound(pair[1]), pair[1]);
            assert_eq!(Times::bound(pair[0] + Duration::from_micros(1)), pair[1]);
        }
    }
}
