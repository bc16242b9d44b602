//! What the store counts of itself.

use std::time::Duration;

use postrider_telemetry::{Counter, CounterBy, Histogram, HistogramBy, Registry, label};
use sqlx::SqlitePool;

use crate::fault::{Fault, Meaning};

label!(
    /// What a transaction is for.
    pub(crate) Kind is "kind" {
        /// Messages come in (with results that were there at the same time).
        Intake = "intake",
        /// Results of attempts are recorded.
        Settle = "settle",
    }
);

label!(
    /// Why a write failed.
    pub(crate) Cause is "fault" {
        /// A row was refused: one message's or result's own fault.
        Row = "row",
        /// Another process holds the file.
        Busy = "busy",
        /// No space is left.
        Full = "full",
        /// The database is away.
        Away = "away",
        /// The file or its disk cannot be trusted any more: the process ends.
        Broken = "broken",
    }
);

label!(
    /// What a connection of the pool does.
    pub(crate) Use is "state" { InUse = "in_use", Idle = "idle" }
);

#[derive(Clone)]
pub(crate) struct Instruments {
    /// Messages and settlements that shared one transaction.
    batch_items: HistogramBy<Kind>,
    /// From BEGIN to COMMIT's return, fsync and all.
    commit_seconds: HistogramBy<Kind>,
    write_failures: CounterBy<Cause>,
    /// Batches that were taken apart because a row in them was refused.
    pub(crate) bisections: Counter,
    /// Pages of the log as each checkpoint found it.
    pub(crate) log_pages: Histogram,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            batch_items: registry.histogram_by(
                "postrider_store_batch_items",
                "Messages, or settlements, that shared a transaction.",
                &[1., 2., 4., 8., 16., 32., 64., 128., 256., 512.],
            ),
            commit_seconds: registry.histogram_by(
                "postrider_store_commit_seconds",
                "Duration of a transaction with its fsync.",
                &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.],
            ),
            write_failures: registry.counter_by(
                "postrider_store_write_failures_total",
                "Batches and other writes that the database did not take.",
            ),
            bisections: registry.counter(
                "postrider_store_bisections_total",
                "Batches taken apart because of a refused row.",
            ),
            log_pages: registry.histogram(
                "postrider_store_log_pages",
                "Pages in the write-ahead log at each checkpoint.",
                &[256., 1_024., 4_096., 16_384., 65_536.],
            ),
        }
    }

    /// A transaction of so many messages and settlements is on disk.
    pub(crate) fn committed(&self, messages: usize, settlements: usize, took: Duration) {
        let kind = if messages > 0 {
            Kind::Intake
        } else {
            Kind::Settle
        };
        self.commit_seconds.span(kind, took);
        for (kind, count) in [(Kind::Intake, messages), (Kind::Settle, settlements)] {
            if count > 0 {
                self.batch_items.observe(kind, small(count));
            }
        }
    }

    pub(crate) fn failed(&self, fault: &Fault) {
        let cause = match fault.meaning() {
            Meaning::Row => Cause::Row,
            Meaning::Busy => Cause::Busy,
            Meaning::Broken => Cause::Broken,
            Meaning::Full => Cause::Full,
            Meaning::Away => Cause::Away,
        };
        self.write_failures.add(cause, 1);
    }
}

/// Shows how many connections the pool for reading has.
pub(crate) fn show_pool(registry: &Registry, pool: &SqlitePool) {
    let shown = registry.gauge_by::<Use>(
        "postrider_store_connections",
        "Connections for reading that are open.",
    );
    let pool = pool.clone();
    registry.before_page(move || {
        let (open, idle) = (usize::try_from(pool.size()).unwrap_or(0), pool.num_idle());
        shown.count(Use::InUse, open.saturating_sub(idle));
        shown.count(Use::Idle, idle);
    });
}

fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
