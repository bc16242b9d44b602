//! Quotas: what a tenant may have accepted in a UTC day and month. The commit counts and decides;
//! what it refused is remembered, so that a tenant whose quota is used up costs no signatures.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Tenant, TenantId, Timestamp};
use postrider_store::{OverQuota, Period, Quota};

use crate::accept::Gate;
use crate::config::IdentityConfig;
use crate::reply::{Book, Trust};

/// Above this many tenants those whose period has ended are dropped.
const TENANTS_MOST: usize = 10_000;

/// What a message is counted against: the tenant's plan, or less while it is new or unconfirmed,
/// and the key it came with.
pub(crate) fn of(book: &Book<'_>, config: &IdentityConfig, now: Timestamp) -> Quota {
    let tenant = book.tenant;
    if tenant.is_house {
        return Quota::default();
    }
    let unconfirmed = if book.is_confirmed() {
        0
    } else {
        config.replies.unconfirmed_most
    };
    Quota {
        per_day: lower(tenant.limits.per_day, tenant.ramp.per_day),
        per_month: lower(tenant.limits.per_month, unconfirmed),
        key_per_day: book.key.map_or(0, |key| key.per_day),
        new_per_hour: config.ramp.new_per_hour(tenant, now),
    }
}

// Of two limits the one that binds; 0 is none.
fn lower(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, limit) | (limit, 0) => limit,
        (one, other) => one.min(other),
    }
}

/// A tenant's limits as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveQuota {
    pub quota: Quota,
    /// Whether its default reply address was confirmed; else it may write to that alone.
    pub is_confirmed: bool,
}

impl Gate {
    /// What a tenant's mail is counted against now, over all its keys: what it may have accepted
    /// in a day and a month, and strangers in an hour; 0 is no limit. Less than its plan while it
    /// is new or has not confirmed its reply address.
    pub fn quota_of(&self, tenant: &Tenant) -> EffectiveQuota {
        let book = Book {
            roster: &self.roster,
            tenant,
            key: None,
            trust: Trust::Confirmed,
        };
        EffectiveQuota {
            quota: of(&book, &self.rules.identity, self.clock.now()),
            is_confirmed: book.is_confirmed(),
        }
    }
}

/// Which limit a quota comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaOf {
    /// The tenant's own quota.
    Plan,
    /// It is new: its day grows by itself.
    Ramp,
    /// The key that the message came with.
    Key,
    /// Recipients that it writes to for the first time.
    NewRecipients,
    /// It has not confirmed its reply address.
    Unconfirmed,
}

impl QuotaOf {
    /// Where a tenant's limit of this period is from.
    pub(crate) fn of(tenant: &Tenant, over: &OverQuota) -> Self {
        let is_plan = |limit: u32| limit > 0 && limit <= over.limit;
        match over.period {
            Period::Day if is_plan(tenant.limits.per_day) => Self::Plan,
            Period::Day => Self::Ramp,
            Period::Month if is_plan(tenant.limits.per_month) => Self::Plan,
            Period::Month => Self::Unconfirmed,
            Period::KeyDay => Self::Key,
            Period::NewHour => Self::NewRecipients,
        }
    }
}

/// A refusal for want of quota. All numbers are recipients, after removing doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{used} of {limit} recipients of the {} are used up, {recipients} more are too many until {resets_at}",
    word(*period)
)]
pub struct QuotaExceeded {
    pub by: QuotaOf,
    pub period: Period,
    pub limit: u32,
    /// Accepted in the period so far, of those that it counts.
    pub used: u64,
    /// Of the message that was refused.
    pub recipients: usize,
    /// Of first-time recipients: when it is as if nothing had been sent, at the latest.
    pub resets_at: Timestamp,
    /// From the refusal until then.
    pub retry_after: Duration,
}

impl QuotaExceeded {
    pub(crate) fn new(
        tenant: &Tenant,
        over: &OverQuota,
        recipients: usize,
        now: Timestamp,
    ) -> Self {
        let resets_at = resets_at(over.period, now);
        Self {
            by: QuotaOf::of(tenant, over),
            period: over.period,
            limit: over.limit,
            used: over.used,
            recipients,
            resets_at,
            retry_after: resets_at.since(now),
        }
    }
}

fn word(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::Month => "month",
        Period::KeyDay => "day under this key",
        Period::NewHour => "hour that were not written to before",
    }
}

/// When a quota begins anew.
fn resets_at(period: Period, now: Timestamp) -> Timestamp {
    match period {
        Period::Day | Period::KeyDay => now.next_day(),
        Period::Month => now.next_month(),
        Period::NewHour => now.after(Duration::from_hours(1)),
    }
}

/// How much tenants had used at least, as their last refusals told. Within a period it only rises.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<HashMap<TenantId, Used>>);

#[derive(Clone, Copy, Default)]
struct Used {
    day: Counted,
    month: Counted,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    recipients: u64,
    /// The end of the period it was counted in.
    until: Option<Timestamp>,
}

impl Quotas {
    /// Remembers a refusal of the commit.
    pub(crate) fn learn(&self, tenant: TenantId, over: &OverQuota, now: Timestamp) {
        // A key's day is another's to use, and an hour passes by itself.
        if matches!(over.period, Period::KeyDay | Period::NewHour) {
            return;
        }
        let counted = Counted {
            recipients: over.used,
            until: Some(resets_at(over.period, now)),
        };
        let mut known = self.0.lock();
        if known.len() >= TENANTS_MOST {
            known.retain(|_, used| used.is_of_now(now));
        }
        if known.len() >= TENANTS_MOST {
            return;
        }
        let used = known.entry(tenant).or_default();
        match over.period {
            Period::Day => used.day = counted,
            Period::Month => used.month = counted,
            Period::KeyDay | Period::NewHour => {}
        }
    }

    /// The quota of which nothing is left, as far as is known. `None` says nothing: the commit
    /// decides.
    pub(crate) fn used_up(
        &self,
        tenant: TenantId,
        quota: Quota,
        now: Timestamp,
    ) -> Option<OverQuota> {
        if (quota.per_day, quota.per_month) == (0, 0) {
            return None;
        }
        let known = self.0.lock().get(&tenant).copied()?;
        // The month first: it is the one that lasts longer.
        let periods = [
            (Period::Month, quota.per_month, known.month),
            (Period::Day, quota.per_day, known.day),
        ];
        let counted = periods.map(|(period, limit, counted)| OverQuota {
            period,
            limit,
            used: counted.in_period(period, now),
        });
        let is_used_up = |over: &OverQuota| over.limit > 0 && over.used >= u64::from(over.limit);
        counted.into_iter().find(is_used_up)
    }
}

impl Used {
    fn is_of_now(&self, now: Timestamp) -> bool {
        self.day.in_period(Period::Day, now) + self.month.in_period(Period::Month, now) > 0
    }
}

impl Counted {
    fn in_period(self, period: Period, now: Timestamp) -> u64 {
        let is_of_now = self.until == Some(resets_at(period, now));
        if is_of_now { self.recipients } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(period: Period, limit: u32, used: u64) -> OverQuota {
        OverQuota {
            period,
            limit,
            used,
        }
    }

    #[test]
    fn what_was_refused_is_refused_again_until_the_period_ends_or_the_limit_rises() {
        let (quotas, tenant) = (Quotas::default(), TenantId::from_bytes([1; 16]));
        let now = Timestamp::parse("2026-01-31T23:59:00Z").unwrap();
        let tomorrow = now.next_day();
        let quota = |per_day, per_month| Quota {
            per_day,
            per_month,
            ..Quota::default()
        };
        let used_up = |quota, now| quotas.used_up(tenant, quota, now);
        assert_eq!(used_up(quota(10, 0), now), None, "nothing is known yet");
        quotas.learn(tenant, &over(Period::Day, 10, 9), now);
        assert_eq!(used_up(quota(10, 0), now), None, "one is left");
        quotas.learn(tenant, &over(Period::Day, 10, 10), now);
        for (quota, now, want) in [
            (quota(10, 0), now, Some(over(Period::Day, 10, 10))),
            (quota(10, 5), now, Some(over(Period::Day, 10, 10))),
            (quota(11, 0), now, None),
            (quota(0, 0), now, None),
            (quota(10, 0), tomorrow, None),
        ] {
            assert_eq!(used_up(quota, now), want, "{quota:?}");
        }
        quotas.learn(tenant, &over(Period::Month, 20, 20), now);
        assert_eq!(
            used_up(quota(10, 20), now),
            Some(over(Period::Month, 20, 20))
        );
        assert_eq!(used_up(quota(10, 20), tomorrow), None, "February");
        let other = TenantId::from_bytes([2; 16]);
        assert_eq!(quotas.used_up(other, quota(10, 20), now), None);
    }
}
