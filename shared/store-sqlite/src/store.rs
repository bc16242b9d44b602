//! The handle that implements the ports.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postrider_store::Fresh;
use sqlx::SqlitePool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::controls::Enacting;
use crate::counting::Counting;
use crate::news::Ticker;
use crate::spool::Segments;
use crate::suspects::Suspects;
use crate::writer::Writer;

/// The relay's database. Cheap to clone; clones share the writer and the readers.
#[derive(Clone)]
pub struct SqliteStore(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    pub(crate) checkpoints: SqlitePool,
    pub(crate) fresh: Fresh,
    pub(crate) suspects: Suspects,
    pub(crate) segments: Segments,
    pub(crate) ticker: Ticker,
    pub(crate) enacting: Enacting,
    pub(crate) failed: CancellationToken,
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) folder: PathBuf,
    pub(crate) counting: Counting,
    /// Held for as long as anything may write.
    pub(crate) lock: Arc<File>,
}

impl SqliteStore {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub(crate) fn of_parts(parts: Arc<Parts>) -> Self {
        Self(parts)
    }

    /// Returns once the disk or the file has failed such that only a restart can tell what is
    /// on it (an fsync error above all). The process has to end then; every call from here on
    /// is `Unavailable`. May be cancelled at any point.
    pub async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Does what waits, closes the database and gives the lock back. Calls on other clones are
    /// `Unavailable` from here on.
    pub async fn close(self) {
        if let Err(fault) = self.write_counts().await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "the last counts are missing in reports"
            );
        }
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.checkpoints.close().await;
        self.0.readers.close().await;
        if let Err(error) = self.0.lock.unlock() {
            tracing::warn!(%error, "the lock could not be given back");
        }
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.0.readers
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }

    pub(crate) fn enacting(&self) -> &Enacting {
        &self.0.enacting
    }

    pub(crate) fn fresh(&self) -> &Fresh {
        &self.0.fresh
    }

    pub(crate) fn suspects(&self) -> &Suspects {
        &self.0.suspects
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.0.segments
    }

    pub(crate) fn counting(&self) -> &Counting {
        &self.0.counting
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.0
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }
}
