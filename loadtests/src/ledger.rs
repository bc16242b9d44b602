//! Who was promised what, and what came: one entry per recipient, found by the number in its
//! address. What is acknowledged and never arrives is LOST, what arrives twice is a double.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postrider_model::MessageId;

use crate::figures::Spread;

/// A moment of this run: microseconds since the ledger was opened, at least 1. 0 stands for never.
pub(crate) type Moment = u64;

/// Keeps the entries of one relay's life. Clones share them.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Inner>);

struct Inner {
    opened: Instant,
    book: Mutex<Book>,
    strangers: AtomicU64,
    unsigned: AtomicU64,
}

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    /// How many of each phase are acknowledged and have not arrived: asked often, so never counted
    /// anew.
    missing: BTreeMap<u16, u64>,
}

/// One recipient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The tenant's number in the stock.
    pub(crate) tenant: u32,
    /// What it was sent for: phases are told apart by it.
    pub(crate) phase: u16,
    /// How often its final dot was answered 250.
    pub(crate) copies: u16,
    pub(crate) message: Option<MessageId>,
    pub(crate) posted: Moment,
    pub(crate) acknowledged: Moment,
    /// When the sink first heard of it.
    pub(crate) started: Moment,
    pub(crate) arrived: Moment,
}

/// What is counted over some entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Count {
    pub(crate) posted: u64,
    pub(crate) acknowledged: u64,
    pub(crate) arrived: u64,
    /// Acknowledged and not arrived.
    pub(crate) missing: u64,
    /// Arrived more than once.
    pub(crate) doubled: u64,
}

impl Entry {
    fn is_missing(&self) -> bool {
        self.acknowledged != 0 && self.arrived == 0
    }
}

impl Ledger {
    pub(crate) fn open() -> Self {
        Self(Arc::new(Inner {
            opened: Instant::now(),
            book: Mutex::default(),
            strangers: AtomicU64::new(0),
            unsigned: AtomicU64::new(0),
        }))
    }

    pub(crate) fn now(&self) -> Moment {
        u64::try_from(self.0.opened.elapsed().as_micros()).map_or(u64::MAX, |now| now + 1)
    }

    /// A new entry; its number goes into the recipient's address.
    pub(crate) fn posted(&self, tenant: u32, phase: u16) -> u64 {
        let posted = self.now();
        let mut book = self.0.book.lock();
        book.entries.push(Entry {
            tenant,
            phase,
            copies: 0,
            message: None,
            posted,
            acknowledged: 0,
            started: 0,
            arrived: 0,
        });
        book.entries.len() as u64 - 1
    }

    /// The relay has promised it; a peer names no message.
    pub(crate) fn acknowledged(&self, number: u64, message: Option<MessageId>) {
        let now = self.now();
        self.change(number, |entry| {
            entry.message = message;
            entry.acknowledged = now;
        });
    }

    /// The sink heard its RCPT. True where it did for the first time.
    pub(crate) fn started(&self, number: u64) -> bool {
        let now = self.now();
        let mut is_first = false;
        self.change(number, |entry| {
            if entry.started == 0 {
                entry.started = now;
                is_first = true;
            }
        });
        is_first
    }

    /// The sink answers its final dot with 250.
    pub(crate) fn arrived(&self, number: u64, is_signed: bool) {
        let now = self.now();
        if !is_signed {
            self.0.unsigned.fetch_add(1, Ordering::Relaxed);
        }
        self.change(number, |entry| {
            entry.copies = entry.copies.saturating_add(1);
            if entry.arrived == 0 {
                entry.arrived = now;
            }
        });
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let mut book = self.0.book.lock();
        let Book { entries, missing } = &mut *book;
        let Some(entry) = entries.get_mut(at) else {
            return self.stranger();
        };
        let was_missing = entry.is_missing();
        change(entry);
        if was_missing != entry.is_missing() {
            let missing = missing.entry(entry.phase).or_default();
            *missing = if was_missing {
                missing.saturating_sub(1)
            } else {
                *missing + 1
            };
        }
    }

    /// Mail came that nobody sent.
    pub(crate) fn stranger(&self) {
        self.0.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages that arrived without a DKIM signature.
    pub(crate) fn unsigned(&self) -> u64 {
        self.0.unsigned.load(Ordering::Relaxed)
    }

    pub(crate) fn strangers(&self) -> u64 {
        self.0.strangers.load(Ordering::Relaxed)
    }

    /// Those that this holds of.
    pub(crate) fn entries(&self, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let book = self.0.book.lock();
        book.entries
            .iter()
            .filter(|entry| which(entry))
            .copied()
            .collect()
    }

    /// Counts those that this holds of.
    pub(crate) fn count(&self, which: impl Fn(&Entry) -> bool) -> Count {
        let mut count = Count::default();
        for entry in self
            .0
            .book
            .lock()
            .entries
            .iter()
            .filter(|entry| which(entry))
        {
            count.posted += 1;
            count.acknowledged += u64::from(entry.acknowledged != 0);
            count.arrived += u64::from(entry.arrived != 0);
            count.missing += u64::from(entry.is_missing());
            count.doubled += u64::from(entry.copies > 1);
        }
        count
    }

    /// How many of a phase are acknowledged and have not arrived.
    pub(crate) fn missing(&self, phase: u16) -> u64 {
        self.0.book.lock().missing.get(&phase).copied().unwrap_or(0)
    }

    /// Waits until all that were acknowledged of a phase have arrived. False where nothing of it
    /// came for as long as `patience`.
    pub(crate) async fn drained(&self, phase: u16, patience: Duration) -> bool {
        let mut last = (u64::MAX, Instant::now());
        loop {
            let missing = self.missing(phase);
            if missing == 0 {
                return true;
            }
            if missing != last.0 {
                last = (missing, Instant::now());
            } else if last.1.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// From the acknowledgement to the sink's first word about each, of those that started. What
/// started before its sender had read the answer started at once.
pub(crate) fn start_spread(entries: &[Entry]) -> Spread {
    let started = entries.iter().filter(|entry| entry.started != 0);
    Spread::of(
        started
            .map(|entry| entry.started.saturating_sub(entry.acknowledged))
            .collect(),
    )
}

/// From the request to the sink's first word about it, of those that started.
pub(crate) fn whole_spread(entries: &[Entry]) -> Spread {
    let started = entries.iter().filter(|entry| entry.started != 0);
    Spread::of(
        started
            .map(|entry| entry.started.saturating_sub(entry.posted))
            .collect(),
    )
}

/// From the request to the answer to its final dot, of those that arrived.
pub(crate) fn arrival_spread(entries: &[Entry]) -> Spread {
    let arrived = entries.iter().filter(|entry| entry.arrived != 0);
    Spread::of(
        arrived
            .map(|entry| entry.arrived.saturating_sub(entry.posted))
            .collect(),
    )
}

/// From the request to its answer.
pub(crate) fn answer_spread(entries: &[Entry]) -> Spread {
    let answered = entries.iter().filter(|entry| entry.acknowledged != 0);
    Spread::of(
        answered
            .map(|entry| entry.acknowledged.saturating_sub(entry.posted))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_promised_and_never_came_is_missing_and_what_came_twice_is_a_double() {
        let ledger = Ledger::open();
        let id = MessageId::from_bytes([1; 16]);
        let numbers: Vec<u64> = (0..4).map(|tenant| ledger.posted(tenant, 0)).collect();
        for number in &numbers[..3] {
            ledger.acknowledged(*number, Some(id));
        }
        for number in [0, 0, 1, 3] {
            ledger.started(number);
            ledger.arrived(number, number != 3);
        }
        ledger.arrived(4, true);
        let want = Count {
            posted: 4,
            acknowledged: 3,
            arrived: 3,
            missing: 1,
            doubled: 1,
        };
        assert_eq!(ledger.count(|_| true), want);
        assert_eq!((ledger.strangers(), ledger.unsigned()), (1, 1));
        assert_eq!(ledger.count(|entry| entry.tenant == 2).missing, 1);
    }

    #[tokio::test]
    async fn a_phase_is_drained_when_its_own_mail_is_there() {
        let ledger = Ledger::open();
        let id = MessageId::from_bytes([1; 16]);
        let other = ledger.posted(0, 1);
        ledger.acknowledged(other, Some(id));
        assert!(ledger.drained(0, Duration::ZERO).await);
        assert!(!ledger.drained(1, Duration::ZERO).await);
        ledger.arrived(other, true);
        assert!(ledger.drained(1, Duration::ZERO).await);
    }
}
