//! Keeping the write-ahead log short without standing in the committer's way.
//!
//! A passive checkpoint copies pages while commits go on, but as long as they do the log is
//! never copied to its end, and only then is it begun anew. So past a length the committer pauses
//! for a second, short one: it copies the little that was added during the first.

use sqlx::SqlitePool;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fault::{Fault, Meaning};
use crate::instruments::Instruments;

/// Bytes written between two checkpoints, roughly.
const INTERVAL: usize = 16 << 20;
/// Pages (16 KB) in the log past which the committer pauses for it: 64 MB.
const PAGES_MOST: i64 = 4_096;
/// What a transaction writes beside bodies, roughly: some pages of each table and index.
const COST: usize = 160 << 10;
/// What an item of a batch adds to it, roughly.
const COST_OF_ITEM: usize = 2 << 10;

/// The write-ahead log as the committer sees it.
pub(crate) struct Log {
    pub(crate) checkpointer: Checkpointer,
    pub(crate) tasks: TaskTracker,
    pub(crate) written: usize,
    pub(crate) running: Option<oneshot::Receiver<i64>>,
}

/// The connection that checkpoints.
#[derive(Clone)]
pub(crate) struct Checkpointer {
    pub(crate) connection: SqlitePool,
    pub(crate) failed: CancellationToken,
    pub(crate) instruments: Instruments,
}

impl Log {
    pub(crate) fn new(checkpointer: Checkpointer, tasks: TaskTracker) -> Self {
        Self {
            checkpointer,
            tasks,
            written: 0,
            running: None,
        }
    }

    /// Notes what a transaction wrote; begins or ends a checkpoint where it is time.
    pub(crate) async fn wrote(&mut self, items: usize, bytes: usize) {
        self.written += COST + COST_OF_ITEM * items + bytes;
        match self.running.as_mut().map(oneshot::Receiver::try_recv) {
            None if self.written >= INTERVAL => self.begin(),
            None | Some(Err(oneshot::error::TryRecvError::Empty)) => {}
            Some(found) => {
                self.running = None;
                if found.is_ok_and(|pages| pages > PAGES_MOST) {
                    self.checkpointer.run().await.unwrap_or_default();
                }
            }
        }
    }

    /// Copies the whole log; nothing is committed meanwhile.
    pub(crate) async fn copy_all(&mut self) -> Result<(), Fault> {
        self.written = 0;
        self.checkpointer.run().await.map(|_pages| ())
    }

    fn begin(&mut self) {
        self.written = 0;
        let (done, running) = oneshot::channel();
        self.running = Some(running);
        let checkpointer = self.checkpointer.clone();
        self.tasks.spawn(async move {
            if let Ok(pages) = checkpointer.run().await {
                // The committer may have ended; the checkpoint counts all the same.
                let _gone = done.send(pages);
            }
        });
    }
}

impl Checkpointer {
    /// One passive checkpoint. Returns how many pages the log has.
    pub(crate) async fn run(&self) -> Result<i64, Fault> {
        // Answers whether something stood in its way, the pages in the log, the pages copied.
        let found: Result<(i64, i64, i64), _> = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&self.connection)
            .await;
        match found {
            Ok((_, pages, _)) => {
                #[expect(clippy::cast_precision_loss, reason = "a count of pages, for a metric")]
                self.instruments.log_pages.observe(pages as f64);
                Ok(pages)
            }
            Err(error) => {
                let fault = Fault::from(error);
                // An fsync that failed here: what the log held may be lost with it.
                if fault.meaning() == Meaning::Broken {
                    tracing::error!(error = ?fault, "a checkpoint failed: the process has to end");
                    self.failed.cancel();
                } else {
                    tracing::warn!(error = ?fault, "a checkpoint failed; the log grows until one succeeds");
                }
                Err(fault)
            }
        }
    }
}
