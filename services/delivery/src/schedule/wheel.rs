//! A timer wheel: rows by the time at which something is due, to the microsecond.
//!
//! Eleven wheels of 64 slots each, the first in steps of a microsecond, each next one in steps of
//! the whole wheel below. A row stands in the wheel of the highest digit (base 64) in which its
//! time differs from the present, and comes down as that digit is reached: at most ten times.
//! Varghese and Lauck, «Hashed and Hierarchical Timing Wheels», scheme 6.

use std::collections::BTreeSet;

use postrider_model::Timestamp;

use super::rows::{Chain, Head, Row, Rows, Timer};
use super::slab::Id;

const BITS: u32 = 6;
const SLOTS: u16 = 1 << BITS;
const WHEELS: u16 = 11;

#[derive(Debug)]
pub(super) struct Wheel {
    /// All that rang before is out, or among `coming`.
    at: u64,
    slots: Vec<Head>,
    /// A bit for each slot with a row, a number for each wheel.
    taken: Vec<u64>,
    /// A slot whose time has come, being emptied.
    coming: Head,
    /// Rows put in for a time that is over for the wheel and not for the clock: it went back.
    early: BTreeSet<(u64, Id<Row>)>,
}

/// What `pop` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Popped {
    /// The time of this row has come; it has left the wheel.
    Row(Id<Row>),
    /// A row came down a wheel: there may be more.
    Moved,
    Nothing,
}

impl Wheel {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            at: micros(now),
            slots: vec![None; usize::from(SLOTS * WHEELS)],
            taken: vec![0; usize::from(WHEELS)],
            coming: None,
            early: BTreeSet::new(),
        }
    }

    /// Puts a row in that has no timer.
    pub(super) fn insert(&mut self, rows: &mut Rows, id: Id<Row>) {
        let Some(row) = rows.get_mut(id) else { return };
        let at = micros(row.rings_at());
        if at <= self.at {
            row.timer = Timer::Early;
            self.early.insert((at, id));
            return;
        }
        let (wheel, digit) = digit(at, self.at);
        let slot = wheel * SLOTS + digit;
        row.timer = Timer::Slot(slot);
        if let Some(head) = self.slots.get_mut(usize::from(slot)) {
            rows.join(Chain::Timer, head, id);
        }
        if let Some(taken) = self.taken.get_mut(usize::from(wheel)) {
            *taken |= 1 << digit;
        }
    }

    /// Takes a row out that stands here.
    pub(super) fn remove(&mut self, rows: &mut Rows, id: Id<Row>) {
        let Some(row) = rows.get_mut(id) else { return };
        match std::mem::replace(&mut row.timer, Timer::None) {
            Timer::Early => drop(self.early.remove(&(micros(row.rings_at()), id))),
            Timer::Slot(_) if self.coming == Some(id) => {
                rows.leave(Chain::Timer, &mut self.coming, id);
            }
            Timer::Slot(slot) => {
                let Some(head) = self.slots.get_mut(usize::from(slot)) else {
                    return;
                };
                // It may stand among `coming`, whose slot can be in use again: then it is no
                // head, and only heads need to be known.
                rows.leave(Chain::Timer, head, id);
                if head.is_none()
                    && let Some(taken) = self.taken.get_mut(usize::from(slot / SLOTS))
                {
                    *taken &= !(1 << (slot % SLOTS));
                }
            }
            Timer::None | Timer::Late | Timer::Overdue => {}
        }
    }

    /// One step towards `now`.
    pub(super) fn pop(&mut self, rows: &mut Rows, now: Timestamp) -> Popped {
        let now = micros(now);
        if let Some((at, id)) = self.early.first().copied()
            && at <= now
        {
            self.remove(rows, id);
            return Popped::Row(id);
        }
        if let Some(id) = self.coming {
            self.remove(rows, id);
            if rows
                .get(id)
                .is_some_and(|row| micros(row.rings_at()) <= now)
            {
                return Popped::Row(id);
            }
            self.insert(rows, id);
            return Popped::Moved;
        }
        match self.next_slot() {
            Some((at, slot)) if at <= now => {
                self.at = at;
                if let Some(head) = self.slots.get_mut(usize::from(slot)) {
                    self.coming = head.take();
                }
                if let Some(taken) = self.taken.get_mut(usize::from(slot / SLOTS)) {
                    *taken &= !(1 << (slot % SLOTS));
                }
                Popped::Moved
            }
            _ => Popped::Nothing,
        }
    }

    /// When there is something to do: a row's time, or the time at which rows come down.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let early = self.early.first().map(|(at, _)| *at);
        let slot = match self.coming {
            Some(_) => Some(self.at),
            None => self.next_slot().map(|(at, _)| at),
        };
        let at = early.into_iter().chain(slot).min()?;
        i64::try_from(at).ok().map(Timestamp::from_micros)
    }

    // The lowest wheel that is taken is the next one: what stands higher differs from the present
    // in a higher digit.
    fn next_slot(&self) -> Option<(u64, u16)> {
        for (wheel, taken) in (0..WHEELS).zip(&self.taken) {
            if *taken == 0 {
                continue;
            }
            let digit = u16::try_from(taken.trailing_zeros()).unwrap_or(0);
            let below = u32::from(wheel) * BITS;
            let upper = match self.at.checked_shr(below + BITS) {
                Some(upper) => upper.checked_shl(below + BITS).unwrap_or(0),
                None => 0,
            };
            return Some((upper | u64::from(digit) << below, wheel * SLOTS + digit));
        }
        None
    }
}

/// In which wheel, and in which slot of it, a time after the present one stands.
fn digit(at: u64, present: u64) -> (u16, u16) {
    let wheel = (at ^ present).checked_ilog2().unwrap_or(0) / BITS;
    let digit = (at >> (wheel * BITS)) & u64::from(SLOTS - 1);
    (
        u16::try_from(wheel).unwrap_or(0),
        u16::try_from(digit).unwrap_or(0),
    )
}

fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(0)
}
