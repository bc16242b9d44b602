//! Which rows come into memory, and from where: handed over by who committed them, by change
//! order, when their shard is taken, when they come near their time, page by page where a lane
//! has more than its share, and by a slow sweep that should find nothing.
//!
//! A row is in at most one place: in the schedule, or in flight. What the database says of a row
//! in flight is not looked at: its attempt gives it back. One question is asked at a time, by a
//! task of its own; what it found is put in place by `Loader::found`.

mod lanes;
mod rows;
mod sweep;
mod work;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{RecipientId, Timestamp, Waits};
use postrider_store::{Cursor, LaneKey, Place, QueueRow, Shard, StoreError};

pub(crate) use self::work::{Found, Work, ask};

use self::lanes::Lanes;
use self::sweep::Sweep;
use crate::controls::Verbs;
use crate::flights::Flights;
use crate::instruments::Instruments;
use crate::schedule::Schedule;
use crate::shards::{Phase, Shards};

/// Rows read at once.
pub(crate) const PAGE: u32 = 1_000;
/// Rows that are due later than this from now on stay in the database for the time being.
const AHEAD: Duration = Duration::from_mins(10);
/// Shards read at once when they were taken.
const SHARDS_AT_ONCE: usize = 16;
/// Rows of each of their lanes that are read then.
const LANE_BEGIN: u32 = 250;

/// Everything a row can be in.
pub(crate) struct Memory {
    pub(crate) schedule: Schedule,
    pub(crate) flights: Flights,
    pub(crate) shards: Shards,
    pub(crate) verbs: Verbs,
}

impl Memory {
    /// A row whose attempt came to nothing, with its ledger. When it is due is known here only.
    pub(crate) fn back(&mut self, row: QueueRow, waits: Waits, now: Timestamp) {
        if !self.verbs.turns_away(&row) {
            self.schedule.insert(row, waits, now);
        }
    }
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// From memory: committed a moment ago.
    Hand,
    /// From the order of changes: what is known of it may be old.
    Changes,
    /// A page of its lane.
    Lane,
    /// Anything else in the database.
    Read,
}

pub(crate) struct Loader {
    instruments: Instruments,
    lanes: Lanes,
    sweep: Sweep,
    /// Rows due before this are in memory, but for those of spilled lanes.
    bound: Timestamp,
    moving: Option<Moving>,
    cursor: Option<Cursor>,
    ahead: Ahead,
    /// Which page of changes was asked for last.
    page: Ahead,
    /// There may be verbs that were not read.
    verbs: bool,
    /// Whose turn it was last: changes and lanes do not keep each other waiting.
    last_was_changes: bool,
    asking: Asking,
    /// Whose attempts ended since the question under way was asked: what its answer has from
    /// before so many attempts is older than what that left.
    ended: HashMap<RecipientId, u32>,
    away: bool,
}

/// What is known of the changes beyond those that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Nothing,
    /// There may be some.
    Look,
    /// The pass has another page.
    AnotherPage,
}

/// Whether a question may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Free,
    UnderWay,
    /// The last one failed: not before the next poll.
    Rests,
}

/// The bound has moved, and rows between the old one and the new are being read.
#[derive(Clone, Copy, Debug)]
struct Moving {
    from: Timestamp,
    after: Option<Place>,
}

impl Loader {
    /// `rows_most`: about how many rows may be in memory.
    pub(crate) fn new(instruments: Instruments, rows_most: usize, now: Timestamp) -> Self {
        Self {
            instruments,
            lanes: Lanes::new(rows_most),
            sweep: Sweep::default(),
            bound: now.after(AHEAD),
            moving: None,
            cursor: None,
            ahead: Ahead::Nothing,
            page: Ahead::Nothing,
            verbs: false,
            last_was_changes: false,
            asking: Asking::Free,
            ended: HashMap::new(),
            away: false,
        }
    }

    /// Whether the database answered last.
    pub(crate) fn is_away(&self) -> bool {
        self.away
    }

    /// Somebody changed something.
    pub(crate) fn look(&mut self) {
        if self.ahead == Ahead::Nothing {
            self.ahead = Ahead::Look;
        }
    }

    /// Somebody raised or closed a verb.
    pub(crate) fn look_at_verbs(&mut self) {
        self.verbs = true;
    }

    /// Four times a second: what nobody told is looked for.
    pub(crate) fn poll(&mut self, now: Timestamp, memory: &Memory) {
        if self.asking == Asking::Rests {
            self.asking = Asking::Free;
        }
        self.look();
        self.lanes.find_hungry(&memory.schedule);
        self.move_bound(now);
    }

    /// What is accepted now is due before the bound, always: of what lies beyond it only what was
    /// put off is read. A clock that was set ahead, or a machine that slept, has passed it by far;
    /// while the database is away, it moves on before all is read up to where it was.
    fn move_bound(&mut self, now: Timestamp) {
        if now.after(AHEAD / 2) > self.bound {
            let from = self.bound;
            self.moving.get_or_insert(Moving { from, after: None });
            self.bound = now.after(AHEAD);
        }
    }

    /// Once a second.
    pub(crate) fn second(&mut self, memory: &Memory) {
        self.verbs = true;
        self.sweep.second(memory.shards.count());
        let spilled = &self.instruments.owner.spilled_lanes;
        spilled.count(self.lanes.spilled());
    }

    /// What to ask next, if nothing is being asked.
    pub(crate) fn next(&mut self, memory: &mut Memory, now: Timestamp) -> Option<Work> {
        self.move_bound(now);
        if self.asking != Asking::Free {
            return None;
        }
        let work = self.choose(memory)?;
        self.asking = Asking::UnderWay;
        self.ended.clear();
        Some(work)
    }

    fn choose(&mut self, memory: &mut Memory) -> Option<Work> {
        let shards = memory.shards.survey();
        if !shards.new.is_empty() {
            return Some(Work::Begin {
                shards: shards.new.to_vec(),
                cursor: shards.working.is_empty() || self.cursor.is_none(),
            });
        }
        if std::mem::take(&mut self.verbs) {
            return Some(Work::Verbs);
        }
        if !shards.loading.is_empty() {
            return Some(Work::Shards {
                shards: shards
                    .loading
                    .iter()
                    .take(SHARDS_AT_ONCE)
                    .copied()
                    .collect(),
                until: self.bound,
                limit: LANE_BEGIN.min(self.lanes.page(&memory.schedule)),
            });
        }
        if shards.working.is_empty() {
            return None;
        }
        if std::mem::take(&mut self.last_was_changes)
            && let Some(work) = self.lanes.next(self.bound, &memory.schedule)
        {
            return Some(work);
        }
        if let Some(since) = self.cursor.clone().filter(|_| self.ahead != Ahead::Nothing) {
            let working = Arc::clone(&shards.working);
            return Some(self.changes(since, working, &mut memory.verbs));
        }
        if let Some(Moving { from, after }) = self.moving {
            return Some(Work::Near {
                shards: Arc::clone(&shards.working),
                span: from..self.bound,
                after,
            });
        }
        let lane = self.lanes.next(self.bound, &memory.schedule);
        lane.or_else(|| self.sweep.next(&shards.ready, self.bound))
    }

    fn changes(&mut self, since: Cursor, shards: Arc<[Shard]>, verbs: &mut Verbs) -> Work {
        self.last_was_changes = true;
        self.page = std::mem::replace(&mut self.ahead, Ahead::Nothing);
        if self.page == Ahead::Look {
            self.sweep.pass_begins();
            verbs.pass_begins();
        }
        Work::Changes { shards, since }
    }

    /// Puts in place what a question found. Verbs are the runner's.
    pub(crate) fn found(
        &mut self,
        work: Work,
        found: Result<Found, StoreError>,
        memory: &mut Memory,
        now: Timestamp,
    ) {
        self.move_bound(now);
        self.asking = Asking::Free;
        let found = match found {
            Ok(found) => found,
            Err(fault) => return self.failed(&work, &fault),
        };
        if std::mem::take(&mut self.away) {
            tracing::info!("the queue can be read again");
        }
        match (work, found) {
            (Work::Begin { shards, .. }, Found::Begun(cursor, _)) => {
                self.begun(&shards, cursor, memory);
            }
            (Work::Shards { shards, .. }, Found::Pages(pages)) => {
                self.put_pages(&pages, memory, now);
                for shard in shards {
                    if matches!(memory.shards.get(shard), Some(mine) if matches!(mine.phase, Phase::Loading))
                    {
                        memory.shards.set(shard, Phase::Ready);
                    }
                }
            }
            (Work::Changes { .. }, Found::Changes(changes)) => {
                self.put_changes(changes, memory, now);
            }
            (Work::Near { span, .. }, Found::Rows(rows)) => {
                self.put_near(span.end, rows, memory, now);
            }
            (Work::Lane { lane, limit, .. }, Found::Rows(rows)) => {
                self.instruments.owner.refills.add(1);
                let read = rows.len();
                let last = rows.last().map(QueueRow::place);
                for row in rows {
                    self.put(row, From::Lane, memory, now);
                }
                self.lanes
                    .was_read(lane, last, read >= limit as usize, &memory.schedule);
            }
            (Work::Sweep { shards, .. }, Found::Pages(pages)) => {
                self.swept(shards, pages, memory, now);
            }
            _ => {}
        }
    }

    fn failed(&mut self, work: &Work, fault: &StoreError) {
        if !std::mem::replace(&mut self.away, true) {
            tracing::error!(
                error = fault as &dyn std::error::Error,
                "the queue cannot be read; what is in memory goes on"
            );
        }
        self.asking = Asking::Rests;
        match work {
            // In the middle of a pass it is not a new one: what was committed after its beginning
            // is not on its pages.
            Work::Changes { .. } => self.ahead = self.page,
            Work::Verbs => self.verbs = true,
            Work::Lane { lane, .. } => self.lanes.was_not_read(*lane),
            // They are still to be done by what is kept of them.
            Work::Begin { .. } | Work::Shards { .. } | Work::Near { .. } | Work::Sweep { .. } => {}
        }
    }

    fn begun(&mut self, shards: &[Shard], cursor: Option<Cursor>, memory: &mut Memory) {
        if let Some(cursor) = cursor {
            self.cursor = Some(cursor);
            self.ahead = Ahead::Look;
        }
        // It was not asked for, and is forgotten since, with all shards that were worked on:
        // they are begun once more.
        if self.cursor.is_none() {
            return;
        }
        for shard in shards {
            if matches!(memory.shards.get(*shard), Some(mine) if matches!(mine.phase, Phase::New)) {
                memory.shards.set(*shard, Phase::Loading);
            }
        }
    }

    /// A row that this process committed a moment ago.
    pub(crate) fn hand(&mut self, row: QueueRow, memory: &mut Memory, now: Timestamp) {
        self.move_bound(now);
        self.put(row, From::Hand, memory, now);
    }

    /// This one's attempt is over: an answer that is under way may be older than its result.
    pub(crate) fn has_ended(&mut self, recipient: RecipientId) {
        if self.asking == Asking::UnderWay {
            self.ended.insert(recipient, u32::MAX);
        }
    }

    /// A row that its attempt rescheduled. The database has the same, or a verb moved it since.
    pub(crate) fn again(&mut self, row: QueueRow, memory: &mut Memory, now: Timestamp) {
        let row = memory.flights.told(row);
        if let Some(attempts) = self.ended.get_mut(&row.recipient) {
            *attempts = row.attempts;
        }
        let soon = row.due_at < self.bound;
        if soon && !memory.verbs.turns_away(&row) && self.lanes.admits(&row, &memory.schedule) {
            memory.schedule.insert(row, Waits::default(), now);
        }
    }

    /// Its rows in memory may not be all it should have there: they are read again.
    pub(crate) fn read_again(&mut self, lane: LaneKey) {
        self.lanes.read_again(lane);
    }

    /// An attempt of this lane ended: perhaps it has room for more.
    pub(crate) fn has_room(&mut self, lane: LaneKey, schedule: &Schedule) {
        self.lanes.look_at(lane, schedule);
    }

    /// These shards are not worked on any more.
    pub(crate) fn forget(&mut self, gone: &BTreeSet<Shard>, shards: &mut Shards) {
        self.lanes.forget(gone);
        if shards.survey().working.is_empty() {
            self.cursor = None;
        }
    }
}

#[cfg(test)]
mod tests;
