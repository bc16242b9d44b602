//! The queue on the metrics page: what waits in the whole database, by state and cause. Counted when
//! somebody reads the page, and not too often.

use std::sync::Arc;
use std::time::Duration;

use postrider_model::WaitCause;
use postrider_runtime::Shutdown;
use postrider_store::Upkeep;
use postrider_telemetry::{Counter, FloatGauge, GaugeBy2, Registry, label};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// A count is as good as new for so long.
const FRESH: Duration = Duration::from_secs(10);
/// A count looks at the whole queue: of twenty seconds, one at most is spent on that.
const PAUSE_FACTOR: u32 = 19;
/// How long a page waits for a count; then it shows the one before.
const PATIENCE: Duration = Duration::from_secs(2);

label!(
    /// Where a live recipient stands.
    State is "state" {
        Scheduled = "scheduled",
        Queued = "queued",
        Held = "held",
    }
);

impl State {
    /// `None` of what no database knows of.
    fn of(cause: WaitCause) -> Option<Self> {
        match cause {
            WaitCause::Scheduled => Some(Self::Scheduled),
            WaitCause::Held => Some(Self::Held),
            WaitCause::Attempt => None,
            _ => Some(Self::Queued),
        }
    }
}

/// Asks for counts, for pages.
pub(crate) struct QueuePage {
    ask: mpsc::Sender<oneshot::Sender<()>>,
    /// Since when the figures are what they are.
    counted: watch::Receiver<Instant>,
    age: FloatGauge,
}

/// Counts the queue when it is asked to.
pub(crate) struct QueueCounter {
    upkeep: Arc<dyn Upkeep>,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    /// When the next count may begin.
    next: Instant,
    counted: watch::Sender<Instant>,
    recipients: GaugeBy2<State, WaitCause>,
    failures: Counter,
}

/// The two ends of a queue's counting.
pub(crate) fn queue_count(
    upkeep: Arc<dyn Upkeep>,
    metrics: &Registry,
) -> (QueuePage, QueueCounter) {
    let now = Instant::now();
    let (ask, asked) = mpsc::channel(16);
    let (tell, counted) = watch::channel(now);
    let recipients = metrics.gauge_by2(
        "postrider_store_queue_recipients",
        "Live recipients in the database, of all nodes, by state and cause of waiting.",
        |state, cause| State::of(cause) == Some(state),
    );
    let age = metrics.float_gauge(
        "postrider_store_queue_count_age_seconds",
        "How long ago the queue was counted; before the first count, since the start.",
    );
    let failures = metrics.counter(
        "postrider_store_queue_count_failures_total",
        "Counts of the queue that failed.",
    );
    let other = QueueCounter {
        upkeep,
        asked,
        next: now,
        counted: tell,
        recipients,
        failures,
    };
    (QueuePage { ask, counted, age }, other)
}

impl QueuePage {
    /// Sees to it that the figures are fresh. Does not wait for long: a late count is there for a
    /// later page.
    pub(crate) async fn freshen(&self) {
        let (done, counted) = oneshot::channel();
        // Where many wait, one count is for all of them.
        if self.ask.try_send(done).is_ok() {
            let _late = tokio::time::timeout(PATIENCE, counted).await;
        }
        self.age.span(self.counted.borrow().elapsed());
    }
}

impl QueueCounter {
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            biased;
            () = shutdown.begun() => {}
            () = self.count_when_asked() => {}
        }
    }

    async fn count_when_asked(&mut self) {
        while let Some(done) = self.asked.recv().await {
            let begun = Instant::now();
            if begun >= self.next {
                self.count().await;
                self.next = Instant::now() + FRESH.max(begun.elapsed() * PAUSE_FACTOR);
            }
            // Who asked may have left.
            let _gone = done.send(());
        }
        // Nobody can ask any more; the end is the shutdown's.
        std::future::pending::<()>().await;
    }

    async fn count(&self) {
        match self.upkeep.waiting().await {
            Ok(counts) => {
                for cause in WaitCause::ALL {
                    let found = counts.iter().find(|(counted, _)| counted == cause);
                    let count = found.map_or(0, |(_, count)| *count);
                    if let Some(state) = State::of(*cause) {
                        let count = usize::try_from(count).unwrap_or(usize::MAX);
                        self.recipients.count(state, *cause, count);
                    }
                }
                self.counted.send_replace(Instant::now());
            }
            Err(fault) => {
                self.failures.add(1);
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "the queue cannot be counted; the page shows the last count"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use postrider_model::{TenantId, Timestamp};
    use postrider_store::{Removed, StoreError};
    use tokio::task::JoinSet;
    use tokio::time::{advance, sleep};

    use super::*;

    /// A database in which one more waits at each count, which takes `takes`, and every fourth fails.
    struct Growing {
        counts: AtomicU64,
        takes: Duration,
    }

    #[async_trait]
    impl Upkeep for Growing {
        async fn waiting(&self) -> Result<Vec<(WaitCause, u64)>, StoreError> {
            sleep(self.takes).await;
            match self.counts.fetch_add(1, Ordering::Relaxed) + 1 {
                count if count.is_multiple_of(4) => Err(StoreError::Unavailable("away".into())),
                count => Ok(vec![(WaitCause::Retry, count), (WaitCause::Held, 7)]),
            }
        }

        async fn check(&self) -> Result<(), StoreError> {
            unreachable!()
        }

        async fn free_space(&self) -> Result<u64, StoreError> {
            unreachable!()
        }

        async fn retain(
            &self,
            _: Timestamp,
            _: Duration,
            _: Duration,
        ) -> Result<Removed, StoreError> {
            unreachable!()
        }

        async fn erase(&self, _: TenantId) -> Result<Removed, StoreError> {
            unreachable!()
        }

        async fn checkpoint(&self) -> Result<(), StoreError> {
            unreachable!()
        }
    }

    struct Page {
        queue: QueuePage,
        metrics: Registry,
        _counter: JoinSet<()>,
    }

    impl Page {
        fn of(takes: Duration) -> Self {
            let counts = AtomicU64::new(0);
            let metrics = Registry::new();
            let (queue, counter) = queue_count(Arc::new(Growing { counts, takes }), &metrics);
            let mut task = JoinSet::new();
            task.spawn(counter.run(Shutdown::new(Duration::ZERO)));
            Self {
                queue,
                metrics,
                _counter: task,
            }
        }

        async fn says(&self, sample: &str) -> bool {
            self.queue.freshen().await;
            self.metrics.page().lines().any(|line| line == sample)
        }
    }

    fn retrying(count: u64) -> String {
        format!("postrider_store_queue_recipients{{cause=\"retry\",state=\"queued\"}} {count}")
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_counted_for_a_page_and_not_again_for_ten_seconds() {
        let page = Page::of(Duration::ZERO);
        assert!(page.says(&retrying(1)).await);
        let held = "postrider_store_queue_recipients{cause=\"held\",state=\"held\"} 7";
        assert!(page.says(held).await);
        advance(Duration::from_secs(9)).await;
        assert!(page.says(&retrying(1)).await);
        let age = "postrider_store_queue_count_age_seconds";
        assert!(page.says(&format!("{age} 9")).await);
        advance(Duration::from_secs(1)).await;
        assert!(page.says(&retrying(2)).await);
        assert!(page.says(&format!("{age} 0")).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_that_fails_is_counted_and_leaves_the_one_before_with_its_age() {
        let page = Page::of(Duration::ZERO);
        for count in 1..=3 {
            assert!(page.says(&retrying(count)).await);
            advance(FRESH).await;
        }
        assert!(page.says(&retrying(3)).await);
        for sample in [
            "postrider_store_queue_count_failures_total 1",
            "postrider_store_queue_count_age_seconds 10",
        ] {
            assert!(page.says(sample).await, "{sample}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_does_not_wait_for_a_long_count_which_has_a_longer_pause_behind_it() {
        let page = Page::of(Duration::from_secs(5));
        let begun = Instant::now();
        assert!(page.says(&retrying(0)).await);
        assert_eq!(begun.elapsed(), PATIENCE);
        // While it counts, no other count begins.
        assert!(page.says(&retrying(0)).await);
        sleep(Duration::from_secs(5)).await;
        assert!(page.says(&retrying(1)).await);
        sleep(Duration::from_mins(1)).await;
        assert!(page.says(&retrying(1)).await);
        sleep(Duration::from_secs(40)).await;
        page.queue.freshen().await;
        sleep(Duration::from_secs(5)).await;
        assert!(page.says(&retrying(2)).await);
    }
}
