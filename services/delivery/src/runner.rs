//! The owner's loop: rows come into memory, attempts go out, what they leave comes back.
//!
//! It never waits for the database: questions and writes are tasks of their own, and what they
//! bring is put in place here. So nothing but this loop changes what is in memory.

mod holdings;
mod jobs;
mod suspended;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use postrider_model::{RecipientId, Tenant, TenantId, Timestamp, WaitCause};
use postrider_runtime::Shutdown;
use postrider_store::{Lease, News, QueueRow};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

use self::jobs::{Done, Jobs};
use self::suspended::Known;
use crate::attempt::{self, Ended, Left, Order};
use crate::controls::Verbs;
use crate::flights::{Flight, Flights};
use crate::halt::Halt;
use crate::instruments::Use;
use crate::loader::{Loader, Memory};
use crate::ownership::{LetGo, Strings};
use crate::schedule::{Due, Group, Health, Pace, Schedule, Settings};
use crate::shards::Shards;
use crate::standing::Standing;
use crate::way_out::WayOut;
use crate::{Shared, recover};

/// How often the database is asked although nobody said that it changed.
const POLL: Duration = Duration::from_millis(250);
/// How long the rows of an attempt that ended in a panic rest.
const AFTER_PANIC: Duration = Duration::from_mins(5);
/// How far apart rows come back that found all connections of an address in use: sites may share
/// their addresses, and all at once they would be opened and put back without end.
const CAP_SPACING: Duration = Duration::from_micros(250);
const CAP_REST_MOST: Duration = Duration::from_secs(10);
/// How often the gauges are set.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// The longest wait is looked for, and what is set aside counted, once in so many times: it takes a step
/// for each queue, and one for each message.
const OLDEST_EVERY: u32 = 5;
/// At so many results that wait for the database no new attempt is begun.
const UNSETTLED_MOST: usize = 10_000;

pub(crate) struct Runner {
    shared: Arc<Shared>,
    shutdown: Shutdown,
    memory: Memory,
    loader: Loader,
    standing: Standing,
    let_go: mpsc::Sender<LetGo>,
    attempts: JoinSet<Ended>,
    jobs: Jobs,
    /// When the last row comes back that found its destination's connections in use.
    capped_until: Timestamp,
    /// What of the roster the schedule has been told of.
    known: Known,
    way_out: WayOut,
    began: Instant,
    /// How often the gauges were set.
    counted: u32,
}

/// Why the loop goes on.
enum Wake {
    Stop,
    Ended(Result<(Id, Ended), JoinError>),
    Done(Result<Done, JoinError>),
    Holdings,
    WayOut,
    News(News),
    Due,
    Poll,
    Count,
}

impl Runner {
    pub(crate) fn new(shared: Arc<Shared>, strings: Strings, shutdown: Shutdown) -> Self {
        let now = shared.clock.now();
        let config = &shared.config;
        let settings = Settings {
            site_cap: config.site_connections.max(1),
            // Whoever has all it may have leaves a quarter to the others.
            tenant_most: (config.in_flight - config.in_flight / 4).max(1),
            retry_divisor: config.retry_divisor.max(1),
        };
        let instruments = shared.instruments.clone();
        Self {
            memory: Memory {
                schedule: Schedule::new(settings, now),
                flights: Flights::default(),
                shards: Shards::default(),
                verbs: Verbs::new(shared.roster.clone()),
            },
            loader: Loader::new(instruments, config.rows_in_memory, now),
            standing: Standing::new(strings.state, config.heartbeat.fresh),
            let_go: strings.let_go,
            attempts: JoinSet::new(),
            jobs: Jobs::default(),
            capped_until: now,
            known: Known::of(&shared.roster),
            way_out: shared.config.way_out.clone(),
            began: Instant::now(),
            counted: 0,
            shared,
            shutdown,
        }
    }

    /// Runs until shutdown begins, then waits for what is under way as long as shutdown allows.
    pub(crate) async fn run(mut self) {
        let mut count = tokio::time::interval(COUNT_EVERY);
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        count.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.begin_jobs();
            self.dispatch();
            let due = self.may_begin().then(|| self.memory.schedule.next_due());
            let listens = !self.loader.is_away();
            let wake = tokio::select! {
                biased;
                () = self.shutdown.begun() => Wake::Stop,
                () = self.standing.changed() => Wake::Holdings,
                () = self.way_out.changed() => Wake::WayOut,
                Some(ended) = self.attempts.join_next_with_id() => Wake::Ended(ended),
                Some(done) = self.jobs.next() => Wake::Done(done),
                // Not begun anew at each turn: on a busy node they would never end.
                _ = poll.tick() => Wake::Poll,
                _ = count.tick() => Wake::Count,
                news = self.shared.queue.news(), if listens => Wake::News(news),
                () = wait_until(&self.shared, due.flatten()) => Wake::Due,
            };
            let now = self.shared.clock.now();
            // Before what was turned back comes in again.
            self.look_at_way_out(now);
            match wake {
                Wake::Stop => break,
                Wake::Holdings => self.take_stock(now),
                Wake::Ended(ended) => self.take_back(ended, now),
                Wake::Done(done) => self.take_in(done, now),
                Wake::News(news) => self.hear(news, now),
                Wake::Poll => {
                    self.loader.poll(now, &self.memory);
                    self.try_again();
                    self.give_back_shards(now);
                }
                Wake::Count => self.count(now),
                Wake::WayOut | Wake::Due => {}
            }
        }
        self.drain().await;
    }

    fn hear(&mut self, news: News, now: Timestamp) {
        match news {
            News::Rows(rows) => {
                for row in rows {
                    self.loader.hand(row, &mut self.memory, now);
                }
            }
            News::Look => self.loader.look(),
            News::Control => self.loader.look_at_verbs(),
        }
    }

    /// Whether one more attempt may be begun now.
    fn may_begin(&self) -> bool {
        self.attempts.len() < self.shared.config.in_flight
            && self.standing.is_fresh()
            && self.shared.unsettled.load(Ordering::Relaxed) < UNSETTLED_MOST
    }

    /// Starts attempts while there is room and something is due.
    fn dispatch(&mut self) {
        let now = self.shared.clock.now();
        self.look_at_limits(now);
        while self.may_begin() {
            let roster = &self.shared.roster;
            let verbs = &self.memory.verbs;
            let may_leave =
                |tenant: &Tenant| roster.is_active(tenant) && !verbs.is_stopped(tenant.vendor);
            let pace = |tenant: TenantId| match roster.tenant(tenant) {
                Some(tenant) if may_leave(&tenant) => Pace::At(tenant.limits),
                // Suspended, it or its vendor, or not there any more: nothing of it leaves.
                _ => Pace::Stopped,
            };
            let Some(group) = self.memory.schedule.next(now, &pace) else {
                break;
            };
            self.begin(group, now);
        }
        let in_flight = &self.shared.instruments.in_flight;
        in_flight.count(self.attempts.len());
    }

    fn begin(&mut self, group: Group, now: Timestamp) {
        let Group { rows, ticket } = group;
        let tenant = rows.first().map(|due| due.row.tenant);
        let lease = tenant.and_then(|tenant| self.memory.shards.lease_for(tenant));
        // Its rows left memory with its shard, so that there always is one.
        let Some(lease) = lease else {
            return self.memory.schedule.ended(ticket, Health::Nothing, now);
        };
        let halt = Halt::new(self.shutdown.clone());
        let order = Order {
            rows: rows.clone(),
            lease,
            begun: now,
            halt: halt.clone(),
        };
        let work = attempt::run(Arc::clone(&self.shared), order);
        let task = self.attempts.spawn(work).id();
        let flight = Flight {
            rows,
            ticket,
            lease,
            halt,
            begun: now,
        };
        self.memory.flights.begin(task, flight);
    }

    fn take_back(&mut self, ended: Result<(Id, Ended), JoinError>, now: Timestamp) {
        let (task, ended) = match ended {
            Ok(ended) => ended,
            Err(fault) => return self.after_panic(&fault, now),
        };
        let Some(flight) = self.memory.flights.end(task) else {
            return;
        };
        let first = flight.rows.first().map(|due| &due.row);
        if let (Some(site), Some(row)) = (&ended.site, first) {
            let schedule = &mut self.memory.schedule;
            schedule.learn(&row.domain, &site.name, site.cap, now);
        }
        let lane = first.map(QueueRow::lane);
        let ours = self.is_ours(flight.lease);
        if let (Some(awaited), Some(row), true) = (ended.awaits, first, ours)
            && self.known.waits_for(awaited, row.message)
        {
            self.memory.schedule.await_word(row.message, now);
        }
        for due in &flight.rows {
            self.loader.has_ended(due.row.recipient);
        }
        for left in ended.left {
            self.put_back(left, &flight.rows, ours.then_some(flight.begun), now);
        }
        self.memory.flights.forget(&flight);
        let schedule = &mut self.memory.schedule;
        schedule.ended(flight.ticket, ended.health, now);
        if let Some(lane) = lane {
            self.loader.has_room(lane, &self.memory.schedule);
        }
    }

    fn is_ours(&mut self, lease: Lease) -> bool {
        use crate::shards::Phase;
        let mine = self.memory.shards.get(lease.shard);
        mine.is_some_and(|mine| {
            mine.epoch == lease.epoch && matches!(mine.phase, Phase::Loading | Phase::Ready)
        })
    }

    /// `begun`: when the attempt began, where its shard was ours all the time.
    fn put_back(&mut self, left: Left, rows: &[Due], begun: Option<Timestamp>, now: Timestamp) {
        let (loader, memory) = (&mut self.loader, &mut self.memory);
        match (left, begun) {
            (Left::Done, _) => {}
            (Left::Again(row), Some(_)) => loader.again(*row, memory, now),
            (Left::Back(mut row), Some(begun)) => {
                let was = rows.iter().find(|due| due.row.recipient == row.recipient);
                let mut waits = was.map(|due| due.waits.clone()).unwrap_or_default();
                waits.add(WaitCause::Attempt, now.since(begun));
                if row.cause == WaitCause::DestinationCap && row.due_at > now {
                    row.due_at = behind_the_cap(&mut self.capped_until, row.due_at, now);
                }
                memory.back(*row, waits, now);
            }
            // The shard may be ours again, and another node may have been at it meanwhile.
            (Left::Stale(row), _) | (Left::Again(row) | Left::Back(row), None) => {
                if memory.shards.lease_for(row.tenant).is_some() {
                    loader.read_again(row.lane());
                }
            }
        }
    }

    // A panic ends one attempt only. Its rows rest in memory: the database still has them as due.
    // Those past their dot are in doubt, and that is recorded first.
    fn after_panic(&mut self, fault: &JoinError, now: Timestamp) {
        tracing::error!(%fault, "an attempt ended in a panic; its recipients are tried again later");
        let Some(flight) = self.memory.flights.end(fault.id()) else {
            return;
        };
        let due_at = now.after(AFTER_PANIC);
        let rows: Vec<_> = flight.rows.iter().map(|due| due.row.clone()).collect();
        let ids: Vec<RecipientId> = rows.iter().map(|row| row.recipient).collect();
        let open = self.shared.journal.open_among(&ids);
        let (shared, shutdown) = (Arc::clone(&self.shared), self.shutdown.clone());
        let task = self.attempts.spawn(async move {
            recover::settle_open_entries(&shared, open, &shutdown).await;
            let again = rows.into_iter().map(|row| QueueRow { due_at, ..row });
            Ended {
                left: again.map(|row| Left::Back(Box::new(row))).collect(),
                health: Health::Nothing,
                site: None,
                awaits: None,
            }
        });
        // Whoever was past a dot is settled now.
        flight.halt.is_known(ids.into_iter());
        self.memory.flights.begin(task.id(), flight);
    }

    fn count(&mut self, now: Timestamp) {
        self.loader.second(&self.memory);
        let instruments = &self.shared.instruments;
        let waiting = self.memory.schedule.causes(now);
        // All of them: a cause that nobody waits for any more is 0, not what it was.
        for cause in WaitCause::ALL {
            let count = match cause {
                WaitCause::Attempt => self.memory.flights.recipients(),
                _ => waiting.get(cause).copied().unwrap_or(0),
            };
            instruments.waiting(*cause, count);
        }
        let unsettled = self.shared.unsettled.load(Ordering::Relaxed);
        instruments.unsettled.count(unsettled);
        instruments.owner.shards.count(self.memory.shards.count());
        let age = self.standing.beat_age();
        let age = age.unwrap_or_else(|| self.began.elapsed());
        instruments.owner.beat_age.span(age);
        let (in_use, idle) = self.shared.pool.open();
        instruments.connections.count(Use::InUse, in_use);
        instruments.connections.count(Use::Idle, idle);
        if self.counted.is_multiple_of(OLDEST_EVERY) {
            let oldest = self.memory.schedule.oldest_due();
            let age = oldest.map(|due| now.since(due)).unwrap_or_default();
            instruments.oldest_due.span(age);
            self.count_set_aside();
        }
        self.counted = self.counted.wrapping_add(1);
    }

    async fn drain(mut self) {
        self.leave_all(self.shared.clock.now());
        let patience = self.shutdown.drain();
        let ended = async {
            while let Some(ended) = self.attempts.join_next_with_id().await {
                // After a panic its shard stays until the doubt is told.
                if let Ok((task, _)) = ended
                    && let Some(flight) = self.memory.flights.end(task)
                {
                    self.give_back_if_idle(flight.lease.shard);
                }
            }
        };
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!(
                left = self.attempts.len(),
                "attempts were cut off by the stop"
            );
        }
        self.attempts.shutdown().await;
        self.jobs.shut_down().await;
        // Whoever has their shards next sends them again, and may be sooner than our next start:
        // so the doubt is told now. What the database does not take now, the journal keeps.
        let open = self.shared.journal.open_now();
        recover::settle_open_entries(&self.shared, open, &self.shutdown).await;
        self.let_go_of_all().await;
        self.shared.pool.close_all().await;
    }
}

// Rows behind an address's connections come back one by one.
fn behind_the_cap(until: &mut Timestamp, due_at: Timestamp, now: Timestamp) -> Timestamp {
    let most = now.after(CAP_REST_MOST);
    let at = due_at.max(until.after(CAP_SPACING)).min(most.max(due_at));
    *until = at;
    at
}

// Only waits: may be dropped at any time.
async fn wait_until(shared: &Shared, due: Option<Timestamp>) {
    match due {
        Some(at) => shared.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
