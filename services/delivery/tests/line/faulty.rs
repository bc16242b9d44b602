//! A queue whose answers the test may take away.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use postrider_model::{MessageId, RecipientId, Timestamp};
use postrider_store::{
    Changes, Cursor, LaneKey, LanePage, News, OpenMessage, Place, Queue, QueueRow, Settled,
    Settlement, Shard, StoreError,
};
use postrider_store_sqlite::SqliteStore;

/// The queue's port of a database that, while the test says so, tells of no change, or takes no
/// result.
#[derive(Clone)]
pub(crate) struct Faulty {
    store: SqliteStore,
    silent: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    fussy: Arc<AtomicBool>,
}

impl Faulty {
    pub(crate) fn of(store: &SqliteStore) -> Self {
        Self {
            store: store.clone(),
            silent: Arc::default(),
            full: Arc::default(),
            fussy: Arc::default(),
        }
    }

    /// What is committed is not told, neither by news nor by the order of changes.
    pub(crate) fn tell_nothing(&self, on: bool) {
        self.silent.store(on, Ordering::Relaxed);
    }

    /// Results with a remote's words are no good, and never will be.
    pub(crate) fn take_no_words(&self, on: bool) {
        self.fussy.store(on, Ordering::Relaxed);
    }

    /// Results are refused.
    pub(crate) fn take_nothing(&self, on: bool) {
        self.full.store(on, Ordering::Relaxed);
    }
}

#[async_trait]
impl Queue for Faulty {
    async fn load_changed(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, StoreError> {
        let mut changes = self.store.load_changed(shards, since, limit).await?;
        if self.silent.load(Ordering::Relaxed) {
            changes.rows.clear();
        }
        Ok(changes)
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        self.store.cursor().await
    }

    async fn large_body(&self, message: MessageId) -> Result<Option<Bytes>, StoreError> {
        self.store.large_body(message).await
    }

    async fn news(&self) -> News {
        match self.store.news().await {
            News::Rows(_) if self.silent.load(Ordering::Relaxed) => News::Look,
            news => news,
        }
    }

    async fn load_shards(
        &self,
        shards: &[Shard],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, StoreError> {
        self.store.load_shards(shards, until, limit).await
    }

    async fn load_lane(
        &self,
        lane: LaneKey,
        after: Place,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        self.store.load_lane(lane, after, until, limit).await
    }

    async fn load_due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, StoreError> {
        self.store.load_due(shards, span, after, limit).await
    }

    async fn start_scheduled(
        &self,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>, StoreError> {
        self.store.start_scheduled(messages, now).await
    }

    async fn open(
        &self,
        message: MessageId,
        recipients: &[RecipientId],
    ) -> Result<Option<OpenMessage>, StoreError> {
        self.store.open(message, recipients).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the test took it away".into()));
        }
        if self.fussy.load(Ordering::Relaxed) && settlement.reply.is_some() {
            let reason = "the test wants no words".into();
            return Err(StoreError::Rejected { reason });
        }
        self.store.settle(settlement).await
    }
}
