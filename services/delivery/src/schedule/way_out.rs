//! Rows that found the way out of this machine closed: they are due, and wait until it opens. No
//! row is written for it, and a node that begins while it is closed lets them wait as well.
//!
//! They count in what their lane may have in memory. What lies behind that in a long lane is not
//! read while the way out is closed: it is not asked about, and its expiry waits as well.

use postrider_model::{Timestamp, WaitCause};

use super::Schedule;
use super::ledger::Spans;
use super::rows::{Place, Row};
use super::slab::Id;

/// Whether a due row stands where nothing may leave: it was turned back, or DNS gave it no route,
/// and then there is nothing to ask after either.
pub(super) fn waits_for_the_way_out(row: &Row) -> bool {
    row.cause == WaitCause::NoRoute
}

impl Schedule {
    /// Nothing may leave this machine. What is in line has not been told yet: its attempt is.
    pub(crate) fn shut(&mut self, now: Timestamp) {
        self.tick(now);
        self.is_shut = true;
    }

    /// What waited for it goes, in the order of its times. A step for each row.
    pub(crate) fn open(&mut self, now: Timestamp) {
        self.tick(now);
        if !std::mem::take(&mut self.is_shut) {
            return;
        }
        let shut = self.rows.iter().filter(|row| row.place == Place::Shut);
        let mut rows: Vec<_> = shut.map(|row| (row.due_at, row.recipient)).collect();
        rows.sort_unstable();
        for (_, recipient) in rows {
            if let Some(id) = self.rows.find(recipient) {
                self.wheel.remove(&mut self.rows, id);
                self.arrive(id);
            }
        }
    }

    /// A row waits here until `open` or its expiry.
    pub(super) fn shut_in(&mut self, id: Id<Row>) {
        if let Some(row) = self.rows.get_mut(id) {
            row.late = row.cause;
        }
        self.put(id, Place::Shut, Spans::default());
        self.wheel.insert(&mut self.rows, id);
    }
}
