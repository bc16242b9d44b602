//! Lanes that have more rows than their share of memory: the rest stays in the database.
//!
//! Of a spilled lane all rows up to its horizon are in memory or in flight; of those behind it
//! some may be. The horizon may be set back at any time: then rows are read that are here
//! already, and nothing comes of it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use postrider_model::{RecipientId, Timestamp};
use postrider_store::{LaneKey, Place, QueueRow, Shard};

use super::{PAGE, Work};
use crate::schedule::{LaneCount, Schedule};

/// A lane's share of memory is never less.
const SHARE_LEAST: usize = 16;

#[derive(Debug)]
pub(super) struct Lanes {
    rows_most: usize,
    spilled: HashMap<LaneKey, Spilled>,
    /// Spilled lanes that have room, to be read in turn.
    hungry: BTreeSet<LaneKey>,
    /// The one that was read last.
    last: Option<LaneKey>,
}

#[derive(Debug)]
struct Spilled {
    horizon: Place,
    /// The first row that was left in the database since the page under way was asked for.
    missed: Option<Place>,
    /// To be read although it has enough to do: what should be here may not be.
    again: bool,
}

impl Lanes {
    pub(super) fn new(rows_most: usize) -> Self {
        Self {
            rows_most: rows_most.max(SHARE_LEAST),
            spilled: HashMap::new(),
            hungry: BTreeSet::new(),
            last: None,
        }
    }

    pub(super) fn spilled(&self) -> usize {
        self.spilled.len()
    }

    /// Rows of this lane behind `horizon` stay in the database.
    pub(super) fn spill(&mut self, lane: LaneKey, horizon: Place) {
        let spilled = self.spilled.entry(lane).or_insert(Spilled {
            horizon,
            missed: None,
            again: false,
        });
        spilled.horizon = spilled.horizon.min(horizon);
    }

    /// All of it is to be read from its beginning.
    pub(super) fn read_again(&mut self, lane: LaneKey) {
        self.spill(lane, beginning());
        if let Some(spilled) = self.spilled.get_mut(&lane) {
            spilled.again = true;
            // A page that is under way was asked for before.
            spilled.missed = Some(beginning());
        }
        self.hungry.insert(lane);
    }

    /// Whether a row that was not in memory may come in; where not, its lane is spilled.
    pub(super) fn admits(&mut self, row: &QueueRow, schedule: &Schedule) -> bool {
        let (lane, place) = (row.lane(), row.place());
        if let Some(spilled) = self.spilled.get_mut(&lane) {
            let within = place <= spilled.horizon;
            if !within {
                let missed = spilled.missed.unwrap_or(place);
                spilled.missed = Some(missed.min(place));
            }
            return within;
        }
        let (all, here) = (schedule.len(), schedule.lane(lane).total);
        let full = all >= self.rows_most || here >= self.rows_most / 2;
        if full && here >= self.share(schedule) {
            self.spill(lane, before(place));
            return false;
        }
        true
    }

    /// Whether such a row should be in memory.
    pub(super) fn has_in_memory(&self, row: &QueueRow) -> bool {
        let spilled = self.spilled.get(&row.lane());
        spilled.is_none_or(|spilled| row.place() <= spilled.horizon)
    }

    /// Rows that a lane may have in memory when all is full.
    fn share(&self, schedule: &Schedule) -> usize {
        (self.rows_most / schedule.lanes().max(1)).max(SHARE_LEAST)
    }

    /// How many rows of a lane are read at once.
    pub(super) fn page(&self, schedule: &Schedule) -> u32 {
        u32::try_from(self.share(schedule)).map_or(PAGE, |share| share.min(PAGE))
    }

    fn is_hungry(&self, lane: LaneKey, schedule: &Schedule) -> bool {
        let Some(spilled) = self.spilled.get(&lane) else {
            return false;
        };
        let here = schedule.lane(lane);
        let page = self.page(schedule) as usize;
        self.has_room(here, schedule) && (spilled.again || here.runnable < page)
    }

    /// Whether a lane with so many rows here may have more. What cannot go now, for its site rests
    /// or is at its cap, does not stand in front of the rest while there is memory to spare.
    fn has_room(&self, here: LaneCount, schedule: &Schedule) -> bool {
        let page = self.page(schedule) as usize;
        let own = self.share(schedule).max(2 * page);
        let much_is_free = schedule.len() < self.rows_most / 2 && !here.held;
        here.total < own || (much_is_free && here.total < self.rows_most / 4)
    }

    pub(super) fn look_at(&mut self, lane: LaneKey, schedule: &Schedule) {
        if self.is_hungry(lane, schedule) {
            self.hungry.insert(lane);
        }
    }

    pub(super) fn find_hungry(&mut self, schedule: &Schedule) {
        let lanes: Vec<_> = self.spilled.keys().copied().collect();
        for lane in lanes {
            self.look_at(lane, schedule);
        }
    }

    /// The page to read next, in turn over the hungry lanes.
    pub(super) fn next(&mut self, until: Timestamp, schedule: &Schedule) -> Option<Work> {
        loop {
            let behind = self
                .last
                .map(|last| (Bound::Excluded(last), Bound::Unbounded));
            let behind = behind.and_then(|range| self.hungry.range(range).next());
            let lane = behind.or_else(|| self.hungry.first()).copied()?;
            self.hungry.remove(&lane);
            self.last = Some(lane);
            if !self.is_hungry(lane, schedule) {
                continue;
            }
            let limit = self.page(schedule);
            let Some(spilled) = self.spilled.get_mut(&lane) else {
                continue;
            };
            spilled.missed = None;
            return Some(Work::Lane {
                lane,
                after: spilled.horizon,
                until,
                limit,
            });
        }
    }

    /// A page of a lane was read up to `last` and is in memory; `full`: there may be more.
    pub(super) fn was_read(
        &mut self,
        lane: LaneKey,
        last: Option<Place>,
        full: bool,
        schedule: &Schedule,
    ) {
        let room = self.has_room(schedule.lane(lane), schedule);
        let Some(spilled) = self.spilled.get_mut(&lane) else {
            return;
        };
        spilled.again &= room;
        match spilled.missed.take() {
            // All of it is here, and nothing came meanwhile that is not.
            None if !full => {
                self.spilled.remove(&lane);
                return;
            }
            None => spilled.horizon = last.unwrap_or(spilled.horizon),
            // What came meanwhile may belong before the page's end, and was not on it.
            Some(missed) => {
                let read = last.unwrap_or(spilled.horizon);
                spilled.horizon = read.min(before(missed));
            }
        }
        self.look_at(lane, schedule);
    }

    pub(super) fn was_not_read(&mut self, lane: LaneKey) {
        self.hungry.insert(lane);
    }

    pub(super) fn forget(&mut self, shards: &BTreeSet<Shard>) {
        let gone = |lane: &LaneKey| shards.contains(&Shard::of(lane.tenant));
        self.spilled.retain(|lane, _| !gone(lane));
        let spilled = &self.spilled;
        self.hungry.retain(|lane| spilled.contains_key(lane));
    }
}

/// A place before this one, with none of its time between.
fn before(place: Place) -> Place {
    Place {
        due_at: place.due_at.before(Duration::from_micros(1)),
        recipient: RecipientId::from_bytes([0xff; 16]),
    }
}

/// Before all places.
fn beginning() -> Place {
    Place {
        due_at: Timestamp::from_micros(i64::MIN),
        recipient: RecipientId::from_bytes([0; 16]),
    }
}
