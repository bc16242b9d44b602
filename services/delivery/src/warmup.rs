//! Warm-up: an address that nobody knows yet sends a little more to each provider from day to day.
//!
//! ```text
//!   egress    an address of ours and its birthday, of each family one
//!   table     provider, day of its life → most recipients of that day; past the last: no limit (pure)
//!   count     (egress, provider, UTC day) → recipients, in the database: a restart forgets nothing,
//!             nodes behind one address share it
//! ```
//!
//! It is asked before a host is visited, for the family of the address that is dialled. What is
//! over waits until the next day (`next_day`), transactional mail before bulk: bulk has at most
//! half of a day's allowance, and begins later. As long as attempts that are under way hold what is
//! missing, and may give it back (`held`), what is over waits for a moment only.

mod held;
mod table;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Provider, Stream, Timestamp};
use postrider_store::{Allowance, StoreError, Warmups};
use tokio::sync::OnceCell;

pub(crate) use self::held::Shortage;
use self::held::{Held, Holds};
pub use table::{WarmupClass, WarmupTable, WarmupTableError};

const DAY: Duration = Duration::from_hours(24);
/// What waited comes back within so long after midnight, in the order in which it was over.
const SPREAD: Duration = Duration::from_mins(20);
/// So long an allowance that is used up is not asked for again. Another node behind the same address
/// may give back of it, and nobody here hears that.
const CLOSED_FOR: Duration = Duration::from_mins(1);
/// Bulk begins after the transactional mail of the day before.
const BULK_AFTER: Duration = Duration::from_hours(1);

/// Which addresses are warmed up, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmupConfig {
    pub table: WarmupTable,
    pub v4: Egress,
    pub v6: Egress,
}

/// An address of ours as the outside sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Under which it counts: the address, or the node's name where nobody said it.
    pub name: String,
    /// The UTC day on which it began to send; `None`: the day on which it is first seen here.
    pub since: Option<i64>,
    /// It is known already.
    pub skip: bool,
}

/// What a node knows of its addresses.
pub(crate) struct Warmup {
    store: Arc<dyn Warmups>,
    table: WarmupTable,
    v4: Line,
    v6: Line,
}

struct Line {
    egress: Egress,
    since: OnceCell<i64>,
    /// Allowances that are used up, as they were found and when.
    closed: Mutex<HashMap<Key, (Shortage, Timestamp)>>,
    holds: Holds,
}

type Key = (&'static str, Stream, i64);

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) to: IpAddr,
    pub(crate) provider: Provider,
    pub(crate) stream: Stream,
    pub(crate) recipients: usize,
    pub(crate) now: Timestamp,
}

/// What was given.
#[derive(Debug)]
pub(crate) enum Grant {
    /// Everything: the address is warm.
    Warm,
    /// A part of today's allowance, and how it stood with that.
    Some(Part, Shortage),
}

/// So many recipients of an allowance, perhaps none; to be given back where they are not sent to.
/// Until it is dropped they may be.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) recipients: usize,
    of: Allowance,
    provider: &'static str,
    /// `None` where nothing was asked for.
    held: Option<Held>,
}

impl Warmup {
    pub(crate) fn new(store: Arc<dyn Warmups>, config: WarmupConfig) -> Self {
        Self {
            store,
            table: config.table,
            v4: Line::new(config.v4),
            v6: Line::new(config.v6),
        }
    }

    /// Takes of today's allowance. Not to be cancelled: what is taken then stays taken.
    pub(crate) async fn take(&self, wish: &Wish) -> Result<Grant, StoreError> {
        let line = self.line(wish.to);
        if line.egress.skip {
            return Ok(Grant::Warm);
        }
        let day = wish.now.day();
        let age = day - line.since(&*self.store, day).await?;
        let Some(limit) = self.table.limit(wish.provider, age) else {
            return Ok(Grant::Warm);
        };
        let provider = wish.provider.as_str();
        let of = Allowance {
            egress: line.egress.name.clone(),
            provider: provider.to_owned(),
            day,
        };
        let mut part = Part {
            recipients: 0,
            of,
            provider,
            held: None,
        };
        let key = (provider, wish.stream, day);
        if let Some(shortage) = line.closed(key, wish.now) {
            return Ok(Grant::Some(part, shortage));
        }
        let mut shortage = line.holds.shortage(provider);
        let want = u32::try_from(wish.recipients).unwrap_or(u32::MAX);
        // From before it is taken: nobody finds nothing left and nobody who holds it.
        let held = line.holds.hold(provider, want);
        let most = share(limit, wish.stream);
        let taken = self.store.take(&part.of, want, most).await?;
        let held = held.only(taken.now);
        if taken.now < want {
            shortage.is_found(taken.in_all, most);
            line.close(key, shortage.clone(), wish.now);
        }
        part.recipients = usize::try_from(taken.now).unwrap_or(0);
        part.held = Some(held);
        Ok(Grant::Some(part, shortage))
    }

    /// So many of a part were not sent to after all. What the database does not take back is as good
    /// as sent.
    pub(crate) async fn give_back(&self, to: IpAddr, part: Part, unused: usize) {
        let unused = u32::try_from(unused).unwrap_or(u32::MAX);
        if unused == 0 {
            return;
        }
        match self.store.give_back(&part.of, unused).await {
            Ok(()) => self.line(to).holds.returned(part.provider),
            Err(fault) => {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    provider = part.provider,
                    "what was not sent counts in the warm-up all the same"
                );
            }
        }
    }

    fn line(&self, to: IpAddr) -> &Line {
        if to.to_canonical().is_ipv4() {
            &self.v4
        } else {
            &self.v6
        }
    }
}

impl Line {
    fn new(egress: Egress) -> Self {
        Self {
            egress,
            since: OnceCell::new(),
            closed: Mutex::default(),
            holds: Holds::default(),
        }
    }

    fn close(&self, key: Key, shortage: Shortage, now: Timestamp) {
        let mut closed = self.closed.lock();
        closed.retain(|(_, _, of), _| *of == key.2);
        closed.insert(key, (shortage, now));
    }

    /// How an allowance was found used up, where that still holds.
    fn closed(&self, key: Key, now: Timestamp) -> Option<Shortage> {
        let closed = self.closed.lock();
        let (shortage, since) = closed.get(&key)?;
        let holds = !shortage.has_passed() && now.since(*since) < CLOSED_FOR;
        holds.then(|| shortage.clone())
    }

    async fn since(&self, store: &dyn Warmups, today: i64) -> Result<i64, StoreError> {
        if let Some(since) = self.egress.since {
            return Ok(since);
        }
        let ask = || store.sends_since(&self.egress.name, today);
        self.since.get_or_try_init(ask).await.copied()
    }
}

/// What of a day's limit this stream may have used up, together with the other.
fn share(limit: u32, stream: Stream) -> u32 {
    match stream {
        Stream::Transactional => limit,
        Stream::Bulk => (limit / 2).max(1),
    }
}

/// When mail goes on that is over today's allowance: on the next UTC day, the later the later it
/// was over today, and bulk after transactional.
pub(crate) fn next_day(now: Timestamp, stream: Stream) -> Timestamp {
    let tomorrow = now.next_day();
    let passed = DAY.saturating_sub(tomorrow.since(now));
    let place = SPREAD.mul_f64(passed.as_secs_f64() / DAY.as_secs_f64());
    match stream {
        Stream::Transactional => tomorrow.after(place),
        Stream::Bulk => tomorrow.after(BULK_AFTER + place),
    }
}

#[cfg(test)]
mod tests;
