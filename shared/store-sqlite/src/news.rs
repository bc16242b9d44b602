//! What the queue's owner is told without asking: rows that were just committed, straight from
//! memory, and word of everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use postrider_store::{News, QueueRow};
use tokio::sync::Notify;

/// Rows that wait at most. Past it they are forgotten and their owner is told to look.
const ROWS_MOST: usize = 10_000;

/// Shared by the committer and the verbs, which tell, and the queue's owner, who listens.
#[derive(Clone, Default)]
pub(crate) struct Ticker(Arc<Parts>);

#[derive(Default)]
struct Parts {
    /// The newest change that is committed.
    newest: AtomicI64,
    waiting: Mutex<Waiting>,
    told: Notify,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<QueueRow>,
    look: bool,
    control: bool,
}

impl Ticker {
    pub(crate) fn new(newest: i64) -> Self {
        let ticker = Self::default();
        ticker.reached(newest);
        ticker
    }

    /// The newest change that is committed.
    pub(crate) fn newest(&self) -> i64 {
        self.0.newest.load(Ordering::Acquire)
    }

    /// After a commit that numbered changes up to `seq`.
    pub(crate) fn reached(&self, seq: i64) {
        self.0.newest.fetch_max(seq, Ordering::AcqRel);
    }

    /// After their commit.
    pub(crate) fn rows(&self, mut rows: Vec<QueueRow>) {
        if rows.is_empty() {
            return;
        }
        self.tell(|waiting| {
            if waiting.look || waiting.rows.len() + rows.len() > ROWS_MOST {
                waiting.rows = Vec::new();
                waiting.look = true;
            } else {
                waiting.rows.append(&mut rows);
            }
        });
    }

    pub(crate) fn look(&self) {
        self.tell(|waiting| {
            // Whoever looks finds the rows too.
            waiting.rows = Vec::new();
            waiting.look = true;
        });
    }

    pub(crate) fn control(&self) {
        self.tell(|waiting| waiting.control = true);
    }

    fn tell(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.0.waiting.lock());
        self.0.told.notify_one();
    }

    /// The next news: of verbs first, so that they act on rows that come with them. May be
    /// cancelled: nothing is taken before it returns.
    pub(crate) async fn next(&self) -> News {
        loop {
            if let Some(news) = self.0.waiting.lock().take() {
                return news;
            }
            self.0.told.notified().await;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<News> {
        if std::mem::take(&mut self.control) {
            return Some(News::Control);
        }
        if std::mem::take(&mut self.look) {
            return Some(News::Look);
        }
        let rows = std::mem::take(&mut self.rows);
        (!rows.is_empty()).then_some(News::Rows(rows))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use postrider_model::TenantId;
    use postrider_store::conformance::fixture::message;

    use super::*;
    use crate::arrival;

    fn row() -> QueueRow {
        let given = message(TenantId::from_bytes([1; 16]));
        arrival::queue_rows(&[&given]).remove(0)
    }

    #[test]
    fn too_many_rows_become_a_wish_to_look() {
        let ticker = Ticker::default();
        assert!(ticker.next().now_or_never().is_none());
        ticker.rows(vec![row(); ROWS_MOST]);
        let told = ticker.next().now_or_never();
        assert!(matches!(told, Some(News::Rows(rows)) if rows.len() == ROWS_MOST));
        ticker.rows(vec![row(); ROWS_MOST]);
        ticker.rows(vec![row()]);
        ticker.rows(vec![row()]);
        assert!(matches!(ticker.next().now_or_never(), Some(News::Look)));
        assert!(ticker.next().now_or_never().is_none());
        ticker.rows(vec![row()]);
        assert!(matches!(ticker.next().now_or_never(), Some(News::Rows(_))));
    }

    #[test]
    fn a_verb_is_told_before_the_rows_it_may_be_about() {
        let ticker = Ticker::default();
        ticker.rows(vec![row()]);
        ticker.control();
        assert!(matches!(ticker.next().now_or_never(), Some(News::Control)));
        assert!(matches!(ticker.next().now_or_never(), Some(News::Rows(_))));
    }
}
