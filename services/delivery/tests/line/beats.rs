//! Heartbeats that the test can stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{NodeId, Timestamp};
use postrider_store::{
    Beat, Lease, Level, NewNode, NodeReport, NodeStanding, Nodes, StoreError, Taken,
};
use postrider_store_sqlite::SqliteStore;

/// The nodes' port of a database whose heartbeats get lost while the test says so.
#[derive(Clone)]
pub(crate) struct Beats {
    store: SqliteStore,
    lost: Arc<AtomicBool>,
    /// By how many seconds the database's clock is behind.
    behind: Arc<AtomicU64>,
}

impl Beats {
    pub(crate) fn of(store: &SqliteStore) -> Self {
        Self {
            store: store.clone(),
            lost: Arc::default(),
            behind: Arc::default(),
        }
    }

    pub(crate) fn stop(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn be_off(&self, span: Duration) {
        self.behind.store(span.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn go_on(&self) {
        self.lost.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Nodes for Beats {
    async fn join(&self, node: NewNode, now: Timestamp) -> Result<(), StoreError> {
        self.store.join(node, now).await
    }

    async fn beat(
        &self,
        node: NodeId,
        report: NodeReport,
        now: Timestamp,
    ) -> Result<Beat, StoreError> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the test lost it".into()));
        }
        let beat = self.store.beat(node, report, now).await?;
        let behind = Duration::from_secs(self.behind.load(Ordering::Relaxed));
        let now = beat.now.before(behind);
        Ok(Beat { now, ..beat })
    }

    async fn take(
        &self,
        node: NodeId,
        most: u16,
        now: Timestamp,
    ) -> Result<Vec<Taken>, StoreError> {
        self.store.take(node, most, now).await
    }

    async fn release(
        &self,
        node: NodeId,
        leases: &[Lease],
        levels: &[Level],
    ) -> Result<(), StoreError> {
        self.store.release(node, leases, levels).await
    }

    async fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.store.leave(node).await
    }

    async fn nodes(&self, now: Timestamp) -> Result<Vec<NodeStanding>, StoreError> {
        self.store.nodes(now).await
    }
}
