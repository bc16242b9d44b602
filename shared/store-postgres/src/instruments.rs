//! What the store counts of itself.

use std::time::Duration;

use postrider_telemetry::{Counter, CounterBy, HistogramBy, Registry, label};
use sqlx::PgPool;

use crate::fault::{Fault, Meaning};
use crate::rows::small;

label!(
    /// What a transaction is for.
    pub(crate) Kind is "kind" {
        /// Messages come in.
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
        /// It met another transaction again and again.
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
    /// Transactions that were done again: a deadlock, a lost connection.
    pub(crate) repeats: Counter,
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
            repeats: registry.counter(
                "postrider_store_repeats_total",
                "Transactions done again after a deadlock or a lost connection.",
            ),
        }
    }

    /// A transaction with so many messages or settlements is on disk.
    pub(crate) fn committed(&self, kind: Kind, items: usize, took: Duration) {
        self.commit_seconds.span(kind, took);
        self.batch_items.observe(kind, small(items));
    }

    pub(crate) fn failed(&self, fault: &Fault) {
        let cause = match fault.meaning() {
            Meaning::Row => Cause::Row,
            // A part that is still missing after it was made: another transaction stood in the way.
            Meaning::Busy | Meaning::NoPart => Cause::Busy,
            Meaning::Full => Cause::Full,
            Meaning::Away => Cause::Away,
        };
        self.write_failures.add(cause, 1);
    }
}

/// Shows how many connections the pool for reading has.
pub(crate) fn show_pool(registry: &Registry, pool: &PgPool) {
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
