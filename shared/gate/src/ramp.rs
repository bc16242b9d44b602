//! The ramp: how much a new tenant may send while nobody knows it yet. On top of its quotas.

use std::time::Duration;

use postrider_model::{Ramp, Tenant, Timestamp};
use postrider_store::Usage;

/// The operator's rules for new tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RampConfig {
    /// Recipients on the first UTC day; it doubles with each day without trouble.
    pub first_day: u32,
    /// Recipients that the tenant writes to for the first time, in any hour; 0 is no limit.
    pub new_per_hour: u32,
    /// How long `new_per_hour` holds.
    pub new_for: Duration,
    /// Where the ramp ends for a tenant without a daily quota.
    pub plan: u32,
}

impl Default for RampConfig {
    fn default() -> Self {
        Self {
            first_day: 50,
            new_per_hour: 25,
            new_for: Duration::from_hours(7 * 24),
            plan: 10_000,
        }
    }
}

/// Below so many recipients a day says nothing about a tenant's list.
const SAMPLE: u64 = 20;
/// Hard bounces of a hundred recipients that are trouble.
const BOUNCES_MOST: u64 = 5;

impl RampConfig {
    /// The ramp of a tenant that begins now; of nobody where the first day has no bound.
    pub fn begin(&self, now: Timestamp) -> Ramp {
        Ramp {
            since: now,
            per_day: self.first_day,
            decided: now.day(),
        }
    }

    /// First-time recipients that a tenant may write to in any hour; 0 is no limit.
    pub(crate) fn new_per_hour(&self, tenant: &Tenant, now: Timestamp) -> u32 {
        // Also where a small plan was reached before that.
        let is_new = now < tenant.ramp.since.after(self.new_for);
        if is_new { self.new_per_hour } else { 0 }
    }

    /// The ramp for today, after `yesterday`, the day up to which it was decided. Doubles where
    /// that was a day on which the tenant sent and nobody minded; stands still else. Past where
    /// it reaches the plan.
    pub(crate) fn next(&self, tenant: &Tenant, yesterday: &Usage, today: i64) -> Ramp {
        let ramp = Ramp {
            decided: today,
            ..tenant.ramp
        };
        if ramp.is_past() || yesterday.real() == 0 || is_trouble(yesterday) {
            return ramp;
        }
        let plan = match tenant.limits.per_day {
            0 => self.plan,
            per_day => per_day,
        };
        let doubled = ramp.per_day.saturating_mul(2);
        Ramp {
            per_day: if doubled >= plan { 0 } else { doubled },
            ..ramp
        }
    }

    /// What the ramp allows tomorrow if today is a good day; 0 is no limit of the ramp's.
    pub(crate) fn after_a_good_day(&self, tenant: &Tenant) -> u32 {
        let good = Usage {
            day: 1,
            ..Usage::default()
        };
        self.next(tenant, &good, tenant.ramp.decided + 1).per_day
    }
}

fn is_trouble(day: &Usage) -> bool {
    let (real, bounces) = (day.real(), day.hard_bounces);
    day.complaints > 0 || real >= SAMPLE && bounces * 100 >= real * BOUNCES_MOST
}

#[cfg(test)]
mod tests;
