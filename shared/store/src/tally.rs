//! What mail adds to the counts of `Reports`: summed up in memory, so that a row is written once for
//! many messages, beside the mail's own transactions (ADR 0022). Used by the dialects alone. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Provider, RecipientState, TenantId, Timestamp, Waits};

use crate::{
    Counts, DAILY_LIFE, HOURLY_LIFE, NewMessage, Outcome, Settlement, Times, refusal_text,
};

/// By what is counted: each fact once by its tenant, and once by its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    Tenant(TenantId),
    Provider(Provider),
}

impl Axis {
    /// The word of the column `axis`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Provider(_) => "provider",
        }
    }

    /// What stands in the column `name`: an id, or a provider's word.
    pub fn name(self) -> String {
        match self {
            Self::Tenant(id) => id.to_string(),
            Self::Provider(provider) => provider.as_str().to_owned(),
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

/// Which refusal texts are told apart. A remote that says something else each time, or a tenant that
/// meets many of them, must not fill the database: what is over the bound is counted without its words.
#[derive(Debug, Default)]
pub struct RefusalTexts(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hour: i64,
    texts: HashSet<(TenantId, Provider, String)>,
    tenants: HashMap<TenantId, u32>,
}

impl RefusalTexts {
    /// Texts of an hour in one process.
    pub const MOST: usize = 1_000;
    /// Texts of a tenant's hour in one process.
    pub const TENANT_MOST: u32 = 50;

    /// The text, or an empty one where there are too many others in this hour.
    fn admit(&self, hour: i64, tenant: TenantId, provider: Provider, text: String) -> String {
        let mut known = self.0.lock();
        if known.hour != hour {
            *known = Known {
                hour,
                ..Known::default()
            };
        }
        let key = (tenant, provider, text);
        if known.texts.contains(&key) {
            return key.2;
        }
        let all = known.texts.len();
        let its_own = known.tenants.entry(tenant).or_default();
        if all >= Self::MOST || *its_own >= Self::TENANT_MOST {
            return String::new();
        }
        *its_own += 1;
        let text = key.2.clone();
        known.texts.insert(key);
        text
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
    fn texts_beyond_the_bound_are_counted_without_their_words() {
        let texts = RefusalTexts::default();
        let (ann, bob) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let say = |hour, tenant, words: &str| {
            texts.admit(hour, tenant, Provider::Orange, words.to_owned())
        };
        for number in 0..RefusalTexts::TENANT_MOST {
            assert_ne!(say(7, ann, &format!("no {number}")), "");
        }
        assert_eq!(say(7, ann, "one more"), "");
        assert_eq!(say(7, ann, "no 3"), "no 3");
        assert_eq!(say(7, bob, "one more"), "one more");
        assert_eq!(say(8, ann, "one more"), "one more");
    }

    #[test]
    fn no_number_of_tenants_gets_past_the_bound_of_all() {
        let texts = RefusalTexts::default();
        let admitted = (0..3_000_u32).filter(|number| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let tenant = TenantId::from_bytes(id);
            !texts
                .admit(1, tenant, Provider::Other, "no".to_owned())
                .is_empty()
        });
        assert_eq!(admitted.count(), RefusalTexts::MOST);
    }
}
