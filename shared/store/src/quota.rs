//! What a message is counted against as it is accepted, and what is said where that is too much. Pure.

use postrider_model::{Timestamp, VendorId};

use crate::{NewMessage, Usage};

/// How many recipients a tenant may have accepted; 0 is no limit. Days and months are UTC's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub per_day: u32,
    pub per_month: u32,
    /// Of a day as well, while the tenant is new: without the simulator's (`NewMessage::real`).
    pub ramp: u32,
    /// Under the message's key, per UTC day. What was accepted under a key is only counted with
    /// messages that have this: a quota that a key gets later on begins at nothing.
    pub key_per_day: u32,
    /// Recipients that the tenant had not written to before, within any hour. Whom it has written
    /// to is only noted with messages that have this, and forgotten after 30 days.
    pub new_per_hour: u32,
    /// Messages of a tenant that has not confirmed its reply address, over all time. Counted with
    /// messages that have this alone.
    pub unconfirmed: u32,
    /// Over all tenants of its vendor. Counted only with messages that have this.
    pub vendor: Option<VendorQuota>,
}

impl Quota {
    /// Of the two limits of a day the one of which less is left: what it counts of `used`, and the
    /// limit; 0 is none.
    pub fn daily(&self, used: &Usage) -> (u64, u32) {
        let (plan, ramp) = ((used.day, self.per_day), (used.real(), self.ramp));
        let left = |(used, limit): (u64, u32)| match limit {
            0 => u64::MAX,
            limit => u64::from(limit).saturating_sub(used),
        };
        if left(ramp) < left(plan) { ramp } else { plan }
    }
}

/// How many recipients all tenants of a vendor together may have accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorQuota {
    pub vendor: VendorId,
    /// Per UTC day; never 0.
    pub per_day: u32,
}

/// The quota that a message would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverQuota {
    pub period: Period,
    pub limit: u32,
    /// Recipients accepted in the period so far, of those that it counts; of `Unconfirmed`
    /// messages.
    pub used: u64,
    /// What the message would have added to that. More than the limit: it never fits.
    pub more: u64,
}

impl OverQuota {
    /// The same where `before`, counted ahead of `message`, is not stored after all.
    #[must_use]
    pub fn without(self, before: &[&NewMessage], message: &NewMessage) -> Self {
        let period = |at: Timestamp| match self.period {
            Period::Day | Period::RampDay | Period::KeyDay | Period::VendorDay => at.day(),
            Period::Month => at.month_begin(),
            Period::NewHour | Period::Unconfirmed => 0,
        };
        let same = before.iter().copied().filter(|other| {
            let key = self.period != Period::KeyDay || other.credential == message.credential;
            key && period(other.accepted_at) == period(message.accepted_at)
        });
        let counts = |other: &NewMessage| match self.period {
            Period::Unconfirmed => 1,
            Period::RampDay => other.real(),
            _ => other.recipients.len(),
        };
        let counted: usize = same.map(counts).sum();
        Self {
            used: match self.period {
                // Told as of before the batch from the start.
                Period::NewHour => self.used,
                _ => self.used.saturating_sub(counted as u64),
            },
            ..self
        }
    }
}

/// What a quota is counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Day,
    Month,
    /// `Quota::ramp`.
    RampDay,
    /// `Quota::key_per_day`.
    KeyDay,
    /// `Quota::new_per_hour`.
    NewHour,
    /// `Quota::unconfirmed`: for good.
    Unconfirmed,
    /// `Quota::vendor`.
    VendorDay,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_limits_of_a_day_the_nearer_is_told() {
        let used = Usage {
            day: 9,
            simulated: 5,
            ..Usage::default()
        };
        for (per_day, ramp, want) in [
            (0, 0, (9, 0)),
            (100, 0, (9, 100)),
            (0, 50, (4, 50)),
            (100, 50, (4, 50)),
            // Five were tried out: the plan's is nearer.
            (12, 10, (9, 12)),
            (9, 4, (9, 9)),
        ] {
            let quota = Quota {
                per_day,
                ramp,
                ..Quota::default()
            };
            assert_eq!(quota.daily(&used), want, "{per_day} {ramp}");
        }
    }
}
