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
//! half of a day's allowance, and begins later.

mod table;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Provider, Stream, Timestamp};
use postrider_store::{Allowance, StoreError, Warmups};
use tokio::sync::OnceCell;

pub use table::{WarmupClass, WarmupTable, WarmupTableError};

const DAY: Duration = Duration::from_hours(24);
/// What waited comes back within so long after midnight, in the order in which it was over.
const SPREAD: Duration = Duration::from_mins(20);
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
    /// Allowances that are used up.
    closed: Mutex<HashSet<(&'static str, Stream, i64)>>,
}

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
    /// So many recipients of today's allowance, perhaps none; to be given back where they are not
    /// sent to.
    Some(usize, Allowance),
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
        let allowance = Allowance {
            egress: line.egress.name.clone(),
            provider: wish.provider.as_str().to_owned(),
            day,
        };
        let key = (wish.provider.as_str(), wish.stream, day);
        if line.closed.lock().contains(&key) {
            return Ok(Grant::Some(0, allowance));
        }
        let want = u32::try_from(wish.recipients).unwrap_or(u32::MAX);
        let most = share(limit, wish.stream);
        let taken = self.store.take(&allowance, want, most).await?;
        if taken < want {
            let mut closed = line.closed.lock();
            closed.retain(|(_, _, of)| *of == day);
            closed.insert(key);
        }
        Ok(Grant::Some(usize::try_from(taken).unwrap_or(0), allowance))
    }

    /// Nobody was sent to after all. What the database does not take back is as good as sent.
    pub(crate) async fn give_back(&self, to: IpAddr, of: &Allowance, unused: usize) {
        let unused = u32::try_from(unused).unwrap_or(u32::MAX);
        if unused == 0 {
            return;
        }
        match self.store.give_back(of, unused).await {
            Ok(()) => self
                .line(to)
                .closed
                .lock()
                .retain(|(provider, _, _)| *provider != of.provider),
            Err(fault) => {
                tracing::warn!(%fault, provider = %of.provider, "what was not sent counts in the warm-up all the same");
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
        }
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
