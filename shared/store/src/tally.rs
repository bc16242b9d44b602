//! What mail adds to the counts of `Reports`: summed up in memory, so that a row is written once for
//! many messages, beside the mail's own transactions (ADR 0022). Used by the dialects alone. Pure.

mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Provider, RecipientState, TenantId, Timestamp, VendorId, Waits};

use crate::{
    Counts, DAILY_LIFE, HOURLY_LIFE, NewMessage, Outcome, Settlement, Times, refusal_text,
};

pub use self::texts::RefusalTexts;

/// By what is counted: each fact once by its tenant, once by its tenant's vendor, and once by its
/// provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    Tenant(TenantId),
    Provider(Provider),
    /// `None` where the tenant is gone. Comes in when it is written (`Tally::with_vendors`).
    Vendor(Option<VendorId>),
}

impl Axis {
    /// The words of all.
    pub const WORDS: [&'static str; 3] = ["tenant", "provider", "vendor"];

    /// The word of the column `axis`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Provider(_) => "provider",
            Self::Vendor(_) => "vendor",
        }
    }

    /// What stands in the column `name`: an id, a provider's word, or nothing for no vendor.
    pub fn name(self) -> String {
        match self {
            Self::Tenant(id) => id.to_string(),
            Self::Provider(provider) => provider.as_str().to_owned(),
            Self::Vendor(id) => id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }
}

/// A row's key; hours are counted since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TallyKey {
    pub axis: Axis,
    pub hour: i64,
}

/// A refusal's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalKey {
    pub hour: i64,
    pub tenant: TenantId,
    pub provider: Provider,
    /// Empty for what is not told apart any more.
    pub text: String,
}

/// Rows to add, in the order of their keys: whoever writes them locks them in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub counts: BTreeMap<TallyKey, Counts>,
    pub times: BTreeMap<(TallyKey, Duration), u64>,
    pub refusals: BTreeMap<RefusalKey, u64>,
}

/// The hour in which a time lies, counted since 1970 UTC.
pub fn hour(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(3_600_000_000)
}

/// The hours and the days that a report covers, both ends among them; a day by its first hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    pub hours: (i64, i64),
    pub days: (i64, i64),
}

impl Periods {
    pub fn of(span: &Range<Timestamp>) -> Self {
        let hours = (hour(span.start), hour(span.end));
        // Nothing of an hour is there much longer than its life, however far back is asked.
        let oldest = |life: Duration| hour(span.end.before(life * 2)).max(hours.0);
        Self {
            hours: (oldest(HOURLY_LIFE), hours.1),
            days: (first_hour(oldest(DAILY_LIFE)), first_hour(hours.1)),
        }
    }

    /// Each by its grain and its hour.
    pub fn each(self) -> impl Iterator<Item = (&'static str, i64)> {
        let hours = (self.hours.0..=self.hours.1).map(|hour| ("hour", hour));
        let days = (self.days.0..=self.days.1).step_by(24);
        hours.chain(days.map(|day| ("day", day)))
    }
}

/// The first hour of an hour's UTC day.
pub fn first_hour(hour: i64) -> i64 {
    hour - hour.rem_euclid(24)
}

impl Tally {
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.times.is_empty() && self.refusals.is_empty()
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Self) {
        for (key, counts) in other.counts {
            self.counts.entry(key).or_default().merge(&counts);
        }
        for (key, count) in other.times {
            *self.times.entry(key).or_default() += count;
        }
        for (key, count) in other.refusals {
            *self.refusals.entry(key).or_default() += count;
        }
    }

    /// Takes out at most so many rows of each kind.
    fn take(&mut self, most: usize) -> Self {
        Self {
            counts: first(&mut self.counts, most),
            times: first(&mut self.times, most),
            refusals: first(&mut self.refusals, most),
        }
    }

    /// The tenants that something was counted of.
    pub fn tenants(&self) -> Vec<TenantId> {
        let counts = self.counts.keys();
        let times = self.times.keys().map(|(key, _)| key);
        let tenants = counts.chain(times).filter_map(|key| match key.axis {
            Axis::Tenant(id) => Some(id),
            Axis::Provider(_) | Axis::Vendor(_) => None,
        });
        let tenants: BTreeSet<_> = tenants.collect();
        tenants.into_iter().collect()
    }

    /// The same with the rows of vendors beside those of their tenants. Whoever writes counts knows
    /// whose tenants they are; a tenant never changes its vendor.
    #[must_use]
    pub fn with_vendors(&self, vendors: &HashMap<TenantId, VendorId>) -> Self {
        let vendor = |key: &TallyKey| match key.axis {
            Axis::Tenant(id) => Some(TallyKey {
                axis: Axis::Vendor(vendors.get(&id).copied()),
                hour: key.hour,
            }),
            Axis::Provider(_) | Axis::Vendor(_) => None,
        };
        let mut all = self.clone();
        for (key, counts) in &self.counts {
            if let Some(key) = vendor(key) {
                all.counts.entry(key).or_default().merge(counts);
            }
        }
        for ((key, bound), count) in &self.times {
            if let Some(key) = vendor(key) {
                *all.times.entry((key, *bound)).or_default() += count;
            }
        }
        all
    }

    /// What messages add that were stored.
    pub fn of_accepted(messages: &[&NewMessage]) -> Self {
        let mut tally = Self::default();
        for message in messages {
            tally.accept(message);
        }
        tally
    }

    fn accept(&mut self, message: &NewMessage) {
        let mut new = Counts::default();
        for recipient in message.recipients.iter().filter(|one| !one.simulated) {
            new.accepted += 1;
            new.suppressed += u64::from(recipient.suppressed);
        }
        if new == Counts::default() {
            return;
        }
        self.add(message.tenant, Provider::None, message.accepted_at, &new);
    }

    /// Counts a settlement that was recorded. `waits`: the recipient's ledger up to it.
    pub fn settle(
        &mut self,
        tenant: TenantId,
        settlement: &Settlement,
        waits: &Waits,
        texts: &RefusalTexts,
    ) {
        if settlement.simulated {
            return;
        }
        let mut new = Counts::default();
        match settlement.outcome {
            Outcome::Retry { .. } => new.deferred = 1,
            Outcome::Final { state, .. } => match state {
                RecipientState::Delivered => new.delivered = 1,
                RecipientState::Failed => new.bounced = 1,
                RecipientState::Expired => new.expired = 1,
                RecipientState::Suppressed => new.suppressed = 1,
                _ => return,
            },
            Outcome::Held { .. } | Outcome::Noted => return,
        }
        let (at, provider) = (settlement.at, settlement.provider);
        self.add(tenant, provider, at, &new);
        if new.delivered > 0 {
            self.add_time(tenant, settlement, waits);
        } else if new.suppressed == 0
            && let Some(text) = refusal_text(settlement)
        {
            let text = texts.admit(hour(at), tenant, provider, text);
            let key = RefusalKey {
                hour: hour(at),
                tenant,
                provider,
                text,
            };
            *self.refusals.entry(key).or_default() += 1;
        }
    }

    fn add(&mut self, tenant: TenantId, provider: Provider, at: Timestamp, new: &Counts) {
        for axis in [Axis::Tenant(tenant), Axis::Provider(provider)] {
            let key = TallyKey {
                axis,
                hour: hour(at),
            };
            self.counts.entry(key).or_default().merge(new);
        }
    }

    fn add_time(&mut self, tenant: TenantId, settlement: &Settlement, waits: &Waits) {
        let bound = Times::bound(waits.on_its_way());
        for axis in [Axis::Tenant(tenant), Axis::Provider(settlement.provider)] {
            let key = TallyKey {
                axis,
                hour: hour(settlement.at),
            };
            *self.times.entry((key, bound)).or_default() += 1;
        }
    }
}

fn first<K: Ord, V>(rows: &mut BTreeMap<K, V>, most: usize) -> BTreeMap<K, V> {
    let popped = std::iter::from_fn(|| rows.pop_first());
    popped.take(most).collect()
}

/// What was counted and is not written yet. Bounded: by tenants, providers and classes of time.
#[derive(Debug, Default)]
pub struct Pending {
    tally: Mutex<Tally>,
    texts: RefusalTexts,
}

impl Pending {
    /// How long counts wait in memory. What dies with the process is missing in reports, and nowhere
    /// else.
    pub const EVERY: Duration = Duration::from_secs(10);
    /// Rows of each kind that are written in one transaction: it holds the writer for milliseconds.
    pub const ROWS_MOST: usize = 500;

    /// Adds what a transaction came to, once it is committed.
    pub fn add(&self, tally: Tally) {
        if !tally.is_empty() {
            self.tally.lock().merge(tally);
        }
    }

    /// What is to be written next; empty where nothing is left. Who cannot write it adds it again.
    pub fn take(&self) -> Tally {
        self.tally.lock().take(Self::ROWS_MOST)
    }

    pub fn texts(&self) -> &RefusalTexts {
        &self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_far_back_is_asked_the_periods_are_bounded() {
        let now = Timestamp::of_day(20_000);
        let all = Periods::of(&(Timestamp::from_micros(0)..now)).each();
        assert!(all.count() < 3_000);
        let day = Duration::from_hours(24);
        let some = Periods::of(&(now.before(day)..now)).each();
        assert_eq!(some.count(), 25 + 2);
    }

    #[test]
    fn what_is_pending_is_taken_in_parts_and_sums_up() {
        let pending = Pending::default();
        let row = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let axis = Axis::Tenant(TenantId::from_bytes(id));
            let counts = Counts {
                accepted: 1,
                ..Counts::default()
            };
            Tally {
                counts: [(TallyKey { axis, hour: 1 }, counts)].into(),
                ..Tally::default()
            }
        };
        for number in (0..700).chain(0..700) {
            pending.add(row(number));
        }
        let (one, other) = (pending.take(), pending.take());
        assert_eq!((one.counts.len(), other.counts.len()), (500, 200));
        assert!(one.counts.values().all(|counts| counts.accepted == 2));
        pending.add(other.clone());
        assert_eq!(pending.take(), other);
        assert!(pending.take().is_empty());
    }

    #[test]
    fn vendors_have_the_sums_of_their_tenants() {
        let tenants = [1, 2, 3, 4].map(|number| TenantId::from_bytes([number; 16]));
        let vendor = VendorId::from_bytes([9; 16]);
        let owners = [(tenants[0], vendor), (tenants[1], vendor)].into();
        let mut tally = Tally::default();
        let counts = Counts {
            delivered: 2,
            ..Counts::default()
        };
        let bound = Duration::from_secs(1);
        for axis in tenants.map(Axis::Tenant) {
            let key = TallyKey { axis, hour: 7 };
            tally.counts.insert(key, counts);
            tally.times.insert((key, bound), 2);
        }
        assert_eq!(tally.tenants(), tenants);
        let all = tally.with_vendors(&owners);
        for axis in [Axis::Vendor(Some(vendor)), Axis::Vendor(None)] {
            let key = TallyKey { axis, hour: 7 };
            assert_eq!(all.counts[&key].delivered, 4);
            assert_eq!(all.times[&(key, bound)], 4);
        }
        assert_eq!((all.counts.len(), all.times.len()), (6, 6));
    }
}
