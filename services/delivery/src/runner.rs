//! The queue's owner in this process: loads what is live, keeps it in memory, starts attempts.
//!
//! A row is in exactly one place: in the schedule, or in flight. What the database says of a row
//! in flight is not looked at: its attempt gives it back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{RecipientId, TenantStatus, Timestamp};
use postrider_runtime::Shutdown;
use postrider_store::{ChangeSeq, QueueRow};
use tokio::task::{Id, JoinError, JoinSet};

use crate::attempt::{self, Left};
use crate::journal::OpenEntry;
use crate::schedule::{Pace, Schedule};
use crate::{Shared, recover};

/// How often the database is asked although nobody said that it changed.
const POLL: Duration = Duration::from_millis(250);
/// Rows read at once.
const PAGE: u32 = 1_000;
/// How long the rows of an attempt that ended in a panic rest.
const AFTER_PANIC: Duration = Duration::from_mins(5);
/// How often the gauges are set.
const COUNT_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Runner {
    shared: Arc<Shared>,
    schedule: Schedule,
    seen: ChangeSeq,
    attempts: JoinSet<Vec<Left>>,
    /// The rows of each attempt, should it end in a panic.
    in_flight: HashMap<Id, Vec<QueueRow>>,
    flying: HashMap<RecipientId, Id>,
    database_is_away: bool,
}

/// Why the loop goes on.
enum Wake {
    Stop,
    Ended(Result<(Id, Vec<Left>), JoinError>),
    Look,
    Due,
    Count,
}

impl Runner {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            schedule: Schedule::default(),
            seen: ChangeSeq::START,
            attempts: JoinSet::new(),
            in_flight: HashMap::new(),
            flying: HashMap::new(),
            database_is_away: false,
        }
    }

    /// Runs until shutdown begins, then waits for what is under way as long as shutdown allows.
    pub(crate) async fn run(mut self, open: Vec<OpenEntry>, shutdown: Shutdown) {
        recover::settle_open_entries(&self.shared, open, &shutdown).await;
        self.load().await;
        let mut count = tokio::time::interval(COUNT_EVERY);
        loop {
            self.dispatch(&shutdown);
            let may_start = self.attempts.len() < self.shared.config.in_flight;
            let due = if may_start {
                self.schedule.next_due()
            } else {
                None
            };
            // While the database is away its changes cannot be waited for.
            let since = (!self.database_is_away).then_some(self.seen);
            let wake = tokio::select! {
                biased;
                () = shutdown.begun() => Wake::Stop,
                Some(ended) = self.attempts.join_next_with_id() => Wake::Ended(ended),
                wake = next_wake(&self.shared, due, since) => wake,
                _ = count.tick() => Wake::Count,
            };
            match wake {
                Wake::Stop => break,
                Wake::Ended(ended) => self.take_back(ended),
                Wake::Look => self.load().await,
                Wake::Count => self.count(),
                Wake::Due => {}
            }
        }
        self.drain(&shutdown).await;
    }

    fn has_room(&self) -> bool {
        self.attempts.len() < self.shared.config.in_flight
    }

    /// Reads what was added or rescheduled since the last time.
    async fn load(&mut self) {
        loop {
            let rows = match self.shared.queue.load_changed(self.seen, PAGE).await {
                Ok(rows) => rows,
                Err(fault) => {
                    if !std::mem::replace(&mut self.database_is_away, true) {
                        tracing::error!(%fault, "the queue cannot be read; what is in memory goes on");
                    }
                    return;
                }
            };
            if std::mem::take(&mut self.database_is_away) {
                tracing::info!("the queue can be read again");
            }
            let whole_page = rows.len() == PAGE as usize;
            for row in rows {
                self.seen = self.seen.max(row.seq);
                if !self.flying.contains_key(&row.recipient) {
                    self.schedule.insert(row);
                }
            }
            if !whole_page {
                return;
            }
        }
    }

    /// Starts attempts while there is room and something is due.
    fn dispatch(&mut self, shutdown: &Shutdown) {
        let now = self.shared.clock.now();
        while self.has_room() {
            let roster = &self.shared.roster;
            let pace = |tenant| match roster.tenant(tenant) {
                Some(tenant) if tenant.status == TenantStatus::Active => Pace::of(tenant.limits),
                // Suspended, or not there any more: nothing of it leaves.
                _ => Pace::Stopped,
            };
            let Some(rows) = self.schedule.next(now, &pace) else {
                break;
            };
            let ids: Vec<_> = rows.iter().map(|row| row.recipient).collect();
            let work = attempt::run(Arc::clone(&self.shared), rows.clone(), shutdown.clone());
            let task = self.attempts.spawn(work).id();
            self.flying.extend(ids.into_iter().map(|id| (id, task)));
            self.in_flight.insert(task, rows);
        }
        self.shared
            .instruments
            .in_flight
            .set(i64::try_from(self.attempts.len()).unwrap_or(i64::MAX));
    }

    fn take_back(&mut self, ended: Result<(Id, Vec<Left>), JoinError>) {
        let (task, left) = match ended {
            Ok((task, left)) => (task, left),
            Err(fault) => (fault.id(), self.after_panic(&fault)),
        };
        for row in self.in_flight.remove(&task).unwrap_or_default() {
            self.flying.remove(&row.recipient);
        }
        for left in left {
            if let Left::Again(row) = left {
                self.schedule.insert(*row);
            }
        }
    }

    // A panic ends one attempt only. Its rows rest in memory: the database still has them as due.
    fn after_panic(&mut self, fault: &JoinError) -> Vec<Left> {
        tracing::error!(%fault, "an attempt ended in a panic; its recipients are tried again later");
        let due_at = self.shared.clock.now().after(AFTER_PANIC);
        let rows = self.in_flight.get(&fault.id()).cloned().unwrap_or_default();
        rows.into_iter()
            .map(|row| Left::Again(Box::new(QueueRow { due_at, ..row })))
            .collect()
    }

    fn count(&mut self) {
        let now = self.shared.clock.now();
        for (cause, count) in self.schedule.causes(now) {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.shared.instruments.waiting.set(cause.as_str(), count);
        }
    }

    async fn drain(mut self, shutdown: &Shutdown) {
        let ended = async { while self.attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(shutdown.drain(), ended).await.is_err() {
            // What is past its dot has an entry in the journal, which the next start reads.
            tracing::warn!(
                left = self.attempts.len(),
                "attempts were cut off by the stop"
            );
        }
        self.attempts.shutdown().await;
        self.shared.pool.close_all().await;
    }
}

// Only waits: may be dropped at any time.
async fn next_wake(shared: &Shared, due: Option<Timestamp>, since: Option<ChangeSeq>) -> Wake {
    let due = async {
        match due {
            Some(at) => shared.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let changed = async {
        match since {
            Some(since) => shared.queue.changed(since).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = changed => Wake::Look,
        () = due => Wake::Due,
        () = tokio::time::sleep(POLL) => Wake::Look,
    }
}
