//! Counts on their way into the database: every few seconds, and before anybody reads them. Mail never
//! waits for it.

use std::sync::{Arc, Weak};

use postrider_store::{Pending, StoreError};
use tokio_util::sync::CancellationToken;

use crate::store::Parts;
use crate::{SqliteStore, tally};

/// What was counted, and whose turn it is to write it.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) pending: Arc<Pending>,
    turn: tokio::sync::Mutex<()>,
}

impl Counting {
    pub(crate) fn of(pending: Arc<Pending>) -> Self {
        Self {
            pending,
            ..Self::default()
        }
    }
}

impl SqliteStore {
    /// Writes all that was counted until now. May be cancelled at any point: it is done all the same.
    pub(crate) async fn write_counts(&self) -> Result<(), StoreError> {
        let store = self.clone();
        let written = self.parts().tasks.spawn(async move { store.write().await });
        match written.await {
            Ok(written) => written,
            Err(panic) => Err(StoreError::Unavailable(Box::new(panic))),
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let counting = self.counting();
        let _turn = counting.turn.lock().await;
        loop {
            let taken = Arc::new(counting.pending.take());
            if taken.is_empty() {
                return Ok(());
            }
            let rows = Arc::clone(&taken);
            let written = self
                .writer()
                .alone(move |connection| {
                    Box::pin(async move { tally::add(connection, &rows).await })
                })
                .await;
            if let Err(fault) = written {
                counting.pending.add((*taken).clone());
                return Err(fault);
            }
        }
    }
}

/// Writes what was counted every few seconds, until the store is closed or its last handle dropped.
pub(crate) async fn keep(parts: Weak<Parts>, closing: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = tokio::time::sleep(Pending::EVERY) => {}
        }
        let Some(parts) = parts.upgrade() else {
            return;
        };
        if let Err(fault) = SqliteStore::of_parts(parts).write_counts().await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "counts for reports wait for the database"
            );
        }
    }
}
