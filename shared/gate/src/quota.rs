//! Quotas: what a tenant may have accepted in a UTC day and month. The commit counts and decides;
//! what it refused is remembered, so that a tenant whose quota is used up costs no signatures.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{EmailAddress, Tenant, TenantId, Timestamp, Vendor};
use postrider_store::{OverQuota, Period, Quota, VendorQuota};

use crate::accept::Gate;
use crate::config::IdentityConfig;
use crate::ramp::RampConfig;
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
        per_day: tenant.limits.per_day,
        per_month: tenant.limits.per_month,
        ramp: tenant.ramp.per_day,
        key_per_day: book.key.map_or(0, |key| key.per_day),
        new_per_hour: config.ramp.new_per_hour(tenant, now),
        unconfirmed,
        vendor: of_vendor(book),
    }
}

fn of_vendor(book: &Book<'_>) -> Option<VendorQuota> {
    let vendor = book.roster.vendor(book.tenant.vendor)?;
    (vendor.per_day > 0).then_some(VendorQuota {
        vendor: vendor.id,
        per_day: vendor.per_day,
    })
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
    /// in a day and a month, strangers in an hour, and messages before it has confirmed its reply
    /// address; 0 is no limit. Less than its plan while it is new.
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
    /// All tenants of its vendor together.
    Vendor,
}

impl QuotaOf {
    /// Where a tenant's limit of this period is from.
    pub(crate) fn of(period: Period) -> Self {
        match period {
            Period::Day | Period::Month => Self::Plan,
            Period::RampDay => Self::Ramp,
            Period::Unconfirmed => Self::Unconfirmed,
            Period::KeyDay => Self::Key,
            Period::NewHour => Self::NewRecipients,
            Period::VendorDay => Self::Vendor,
        }
    }
}

/// A refusal for want of quota. All numbers are recipients, after removing doubles; of
/// `Unconfirmed` messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{used} of {limit} recipients of the {} are used up, {recipients} more are too many until {resets_at}",
    word(*period)
)]
pub struct QuotaExceeded {
    pub by: QuotaOf,
    /// Whose volume it is, where it is a vendor's.
    pub vendor: Option<Arc<Vendor>>,
    /// The tenant's own: where it may write before that is confirmed.
    pub reply_to: EmailAddress,
    pub period: Period,
    pub limit: u32,
    /// Accepted in the period so far, of those that it counts.
    pub used: u64,
    /// Of the message that was refused, of those that the period counts.
    pub recipients: usize,
    /// More of those that count than the limit, for a ramp than tomorrow's: waiting does not help,
    /// it has to be split.
    pub never_fits: bool,
    /// Of first-time recipients: when it is as if nothing had been sent, at the latest. Of
    /// `Unconfirmed` nothing begins anew.
    pub resets_at: Timestamp,
    /// From the refusal until then.
    pub retry_after: Duration,
}

impl QuotaExceeded {
    pub(crate) fn new(
        (tenant, ramp): (&Tenant, &RampConfig),
        over: &OverQuota,
        recipients: usize,
        now: Timestamp,
    ) -> Self {
        let resets_at = resets_at(over.period, now);
        let by = QuotaOf::of(over.period);
        let at_best = match by {
            QuotaOf::Ramp => lower(tenant.limits.per_day, ramp.after_a_good_day(tenant)),
            _ => over.limit,
        };
        Self {
            by,
            vendor: None,
            reply_to: tenant.reply_to.clone(),
            period: over.period,
            limit: over.limit,
            used: over.used,
            recipients,
            never_fits: never_fits(by, over, recipients, at_best),
            resets_at,
            retry_after: resets_at.since(now),
        }
    }
}

// `at_best` is the limit that a later try finds; 0 is none.
fn never_fits(by: QuotaOf, over: &OverQuota, recipients: usize, at_best: u32) -> bool {
    let (recipients, limit) = (recipients as u64, u64::from(at_best));
    match by {
        // A matter of a button behind a link.
        QuotaOf::Unconfirmed => false,
        // Those it knows do not count. A message that was split counts one by one: of those that
        // come together nothing is told before.
        QuotaOf::NewRecipients => over.more > limit || over.used == 0 && recipients > limit,
        QuotaOf::Plan | QuotaOf::Ramp | QuotaOf::Key | QuotaOf::Vendor => {
            limit > 0 && recipients > limit
        }
    }
}

fn word(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::RampDay => "day of a new tenant",
        Period::Month => "month",
        Period::KeyDay => "day under this key",
        Period::NewHour => "hour that were not written to before",
        Period::Unconfirmed => "time before the reply address is confirmed",
        Period::VendorDay => "day of all tenants of the vendor",
    }
}

/// When a quota begins anew.
fn resets_at(period: Period, now: Timestamp) -> Timestamp {
    match period {
        Period::Day
        | Period::RampDay
        | Period::KeyDay
        | Period::Unconfirmed
        | Period::VendorDay => now.next_day(),
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
    ramp: Counted,
    month: Counted,
    /// Learnt anew each day.
    unconfirmed: Counted,
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
        // A key's or a vendor's day is others' to use, and an hour passes by itself.
        let others = matches!(
            over.period,
            Period::KeyDay | Period::NewHour | Period::VendorDay
        );
        if others {
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
            Period::RampDay => used.ramp = counted,
            Period::Month => used.month = counted,
            Period::Unconfirmed => used.unconfirmed = counted,
            Period::KeyDay | Period::NewHour | Period::VendorDay => {}
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
        let limits = [
            quota.per_day,
            quota.ramp,
            quota.per_month,
            quota.unconfirmed,
        ];
        if limits == [0; 4] {
            return None;
        }
        let known = self.0.lock().get(&tenant).copied()?;
        // Those that last longer first.
        let periods = [
            (Period::Unconfirmed, quota.unconfirmed, known.unconfirmed),
            (Period::Month, quota.per_month, known.month),
            (Period::Day, quota.per_day, known.day),
            (Period::RampDay, quota.ramp, known.ramp),
        ];
        let counted = periods.map(|(period, limit, counted)| OverQuota {
            period,
            limit,
            used: counted.in_period(period, now),
            more: 0,
        });
        let is_used_up = |over: &OverQuota| over.limit > 0 && over.used >= u64::from(over.limit);
        counted.into_iter().find(is_used_up)
    }
}

impl Used {
    fn is_of_now(&self, now: Timestamp) -> bool {
        let known = [
            (self.day, Period::Day),
            (self.ramp, Period::RampDay),
            (self.month, Period::Month),
            (self.unconfirmed, Period::Unconfirmed),
        ];
        let is_of_now = |(counted, period): (Counted, Period)| counted.in_period(period, now) > 0;
        known.into_iter().any(is_of_now)
    }
}

impl Counted {
    fn in_period(self, period: Period, now: Timestamp) -> u64 {
        let is_of_now = self.until == Some(resets_at(period, now));
        if is_of_now { self.recipients } else { 0 }
    }
}

#[cfg(test)]
mod tests;
