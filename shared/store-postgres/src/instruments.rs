//! What the store counts of itself.

use postrider_telemetry::{Counter, Histogram, Registry};

#[derive(Clone)]
pub(crate) struct Instruments {
    /// Messages or settlements that shared one transaction.
    pub(crate) batch_size: Histogram,
    /// From BEGIN to COMMIT's return, fsync and all.
    pub(crate) commit_seconds: Histogram,
    /// Batches that were taken apart because a row in them was refused.
    pub(crate) bisections: Counter,
    /// Transactions that were done again: a deadlock, a lost connection.
    pub(crate) repeats: Counter,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            batch_size: registry.histogram(
                "postrider_store_batch_items",
                "Messages and settlements per transaction",
                &[1., 2., 4., 8., 16., 32., 64., 128., 256., 512.],
            ),
            commit_seconds: registry.histogram(
                "postrider_store_commit_seconds",
                "Duration of a transaction with its fsync",
                &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.],
            ),
            bisections: registry.counter(
                "postrider_store_bisections_total",
                "Batches taken apart because of a refused row",
            ),
            repeats: registry.counter(
                "postrider_store_repeats_total",
                "Transactions done again after a deadlock or a lost connection",
            ),
        }
    }
}
