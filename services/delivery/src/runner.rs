//! The queue's owner in this process: loads what is live, keeps it in memory, starts attempts.
//!
//! A row is in exactly one place: in the schedule, or in flight. What the database says of a row
//! in flight is not looked at: its attempt gives it back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{RecipientId, TenantStatus, Timestamp, WaitCause};
use postrider_runtime::Shutdown;
use postrider_store::{ChangeSeq, QueueRow};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

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
/// How far apart rows come back to a destination whose connections were all in use.
const CAP_SPACING: Duration = Duration::from_micros(250);
const CAP_REST_MOST: Duration = Duration::from_secs(10);
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
    ahead: Ahead,
}

/// What is known of the queue beyond what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    /// Nothing; a change can be waited for.
    Nothing,
    /// Perhaps a change that no row shows. The next poll tells.
    Unseen,
    AnotherPage,
    /// Its changes cannot be waited for. The next poll tells.
    DatabaseAway,
}

/// Why the loop goes on.
enum Wake {
    Stop,
    Ended(Result<(Id, Vec<Left>), JoinError>),
    Look,
    Changed,
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
            ahead: Ahead::Nothing,
        }
    }

    /// Runs until shutdown begins, then waits for what is under way as long as shutdown allows.
    pub(crate) async fn run(mut self, open: Vec<OpenEntry>, shutdown: Shutdown) {
        recover::settle_open_entries(&self.shared, open, &shutdown).await;
        self.load().await;
        let mut count = tokio::time::interval(COUNT_EVERY);
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.dispatch(&shutdown);
            let may_start = self.attempts.len() < self.shared.config.in_flight;
            let due = if may_start {
                self.schedule.next_due()
            } else {
                None
            };
            let since = (self.ahead == Ahead::Nothing).then_some(self.seen);
            let wake = tokio::select! {
                biased;
                () = shutdown.begun() => Wake::Stop,
                Some(ended) = self.attempts.join_next_with_id() => Wake::Ended(ended),
                () = std::future::ready(()), if self.ahead == Ahead::AnotherPage => Wake::Look,
                wake = next_wake(&self.shared, due, since) => wake,
                // Not begun anew at each turn: on a busy node it would never end.
                _ = poll.tick() => Wake::Look,
                _ = count.tick() => Wake::Count,
            };
            match wake {
                Wake::Stop => break,
                Wake::Ended(ended) => self.take_back(ended, &shutdown),
                Wake::Look => self.load().await,
                Wake::Changed => self.load_told().await,
                Wake::Count => self.count(),
                Wake::Due => {}
            }
        }
        self.drain(&shutdown).await;
    }

    fn has_room(&self) -> bool {
        self.attempts.len() < self.shared.config.in_flight
    }

    /// Reads a page of what was added or rescheduled since the last time.
    async fn load(&mut self) {
        let rows = match self.shared.queue.load_changed(self.seen, PAGE).await {
            Ok(rows) => rows,
            Err(fault) => {
                if self.ahead != Ahead::DatabaseAway {
                    tracing::error!(%fault, "the queue cannot be read; what is in memory goes on");
                }
                self.ahead = Ahead::DatabaseAway;
                return;
            }
        };
        if self.ahead == Ahead::DatabaseAway {
            tracing::info!("the queue can be read again");
        }
        self.ahead = match rows.len() {
            read if read == PAGE as usize => Ahead::AnotherPage,
            _ => Ahead::Nothing,
        };
        for row in rows {
            self.seen = self.seen.max(row.seq);
            if !self.flying.contains_key(&row.recipient) {
                self.schedule.insert(row);
            }
        }
    }

    /// The same on word of a change. Where its row is gone again (erased), asking at once would
    /// give the same.
    async fn load_told(&mut self) {
        let before = self.seen;
        self.load().await;
        if self.ahead == Ahead::Nothing && self.seen == before {
            self.ahead = Ahead::Unseen;
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

    fn take_back(&mut self, ended: Result<(Id, Vec<Left>), JoinError>, shutdown: &Shutdown) {
        let (task, left) = match ended {
            Ok(ended) => ended,
            Err(fault) => return self.after_panic(&fault, shutdown),
        };
        for row in self.in_flight.remove(&task).unwrap_or_default() {
            self.flying.remove(&row.recipient);
        }
        for left in left {
            if let Left::Again(mut row) = left {
                if row.cause == WaitCause::DestinationCap {
                    row.due_at = row.due_at.max(self.behind_the_cap());
                }
                self.schedule.insert(*row);
            }
        }
    }

    // Rows behind a destination's cap come back one by one: all at once they would be opened and
    // put back without end.
    fn behind_the_cap(&self) -> Timestamp {
        let waiting = self.schedule.waiting_for(WaitCause::DestinationCap);
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let wait = CAP_SPACING.saturating_mul(waiting).min(CAP_REST_MOST);
        self.shared.clock.now().after(wait)
    }

    // A panic ends one attempt only. Its rows rest in memory: the database still has them as due.
    // Those past their dot are in doubt, and that is recorded first.
    fn after_panic(&mut self, fault: &JoinError, shutdown: &Shutdown) {
        tracing::error!(%fault, "an attempt ended in a panic; its recipients are tried again later");
        let due_at = self.shared.clock.now().after(AFTER_PANIC);
        let rows = self.in_flight.remove(&fault.id()).unwrap_or_default();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| QueueRow { due_at, ..row })
            .collect();
        let ids: Vec<_> = rows.iter().map(|row| row.recipient).collect();
        let open = self.shared.journal.open_among(&ids);
        let (shared, shutdown) = (Arc::clone(&self.shared), shutdown.clone());
        let again = rows.clone();
        let task = self.attempts.spawn(async move {
            recover::settle_open_entries(&shared, open, &shutdown).await;
            let again = again.into_iter();
            again.map(|row| Left::Again(Box::new(row))).collect()
        });
        self.flying
            .extend(ids.into_iter().map(|id| (id, task.id())));
        self.in_flight.insert(task.id(), rows);
    }

    fn count(&mut self) {
        let now = self.shared.clock.now();
        let waiting = self.schedule.causes(now);
        // All of them: a cause that nobody waits for any more is 0, not what it was.
        for cause in WaitCause::ALL {
            let count = waiting.get(cause).copied().unwrap_or(0);
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
        () = changed => Wake::Changed,
        () = due => Wake::Due,
    }
}
