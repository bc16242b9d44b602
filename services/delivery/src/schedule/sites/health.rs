//! Whether a site answers: attempts that reach nobody put it to rest, and a probe ends the rest.

use std::time::Duration;

use postrider_model::Timestamp;

use super::super::Health;
use super::super::site::{Site, State};
use super::super::slab::Id;
use super::{Destination, Sites};

/// Attempts in a row that reach nobody before a site rests.
const FAILURES: u32 = 3;
/// The first rest of a site; doubled each time.
const REST: Duration = Duration::from_secs(30);
const REST_MOST: Duration = Duration::from_mins(10);

/// An attempt at a destination.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Visit {
    pub(in super::super) to: Id<Destination>,
    /// It tells whether a site answers again.
    pub(in super::super) probe: bool,
}

/// The time, and how much of it has passed for the ledgers: that never goes back.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct At {
    pub(in super::super) now: Timestamp,
    pub(in super::super) ticks: u64,
}

impl Sites {
    /// An attempt begins.
    pub(in super::super) fn begin(&mut self, to: Id<Destination>) -> Visit {
        let mut visit = Visit { to, probe: false };
        if let Some(one) = self.destinations.get_mut(to) {
            one.in_flight += 1;
            if let Some(site) = self.all.get_mut(one.site) {
                site.in_flight += 1;
                if let State::Probing { out, .. } = &mut site.state {
                    *out = true;
                    visit.probe = true;
                }
            }
        }
        visit
    }

    /// An attempt is over. Gives its destination's site of now.
    pub(in super::super) fn end(
        &mut self,
        visit: Visit,
        health: Health,
        at: At,
    ) -> Option<Id<Site>> {
        let one = self.destinations.get_mut(visit.to)?;
        one.in_flight = one.in_flight.saturating_sub(1);
        let id = one.site;
        let site = self.all.get_mut(id)?;
        site.in_flight = site.in_flight.saturating_sub(1);
        let state = match (health, site.state) {
            (Health::Served, _) => State::Open { failures: 0 },
            (Health::Unreachable, State::Open { failures }) if failures + 1 >= FAILURES => {
                rest(at.now, 0, self.divisor)
            }
            (Health::Unreachable, State::Open { failures }) => State::Open {
                failures: failures + 1,
            },
            (Health::Unreachable, State::Probing { rests, .. }) if visit.probe => {
                rest(at.now, rests + 1, self.divisor)
            }
            (Health::Nothing, State::Probing { rests, .. }) if visit.probe => {
                State::Probing { rests, out: false }
            }
            // What began before the rest says nothing new.
            (Health::Unreachable | Health::Nothing, state) => state,
        };
        self.turn_to(id, state, at.ticks);
        Some(id)
    }

    /// A site whose rest is over: it takes a probe.
    pub(in super::super) fn wake(&mut self, at: At) -> Option<Id<Site>> {
        let (until, id) = self.rests.first().copied()?;
        // Nobody rests longer than that, but by a clock that went back.
        if until > at.now && until <= at.now.after(REST_MOST) {
            return None;
        }
        self.rests.pop_first();
        if let State::Resting { rests, .. } = self.all.get(id)?.state {
            self.turn_to(id, State::Probing { rests, out: false }, at.ticks);
        }
        Some(id)
    }

    /// Somebody says that this site answers again: its rest is over, and a probe tells. Gives
    /// whether it rested; the rest after the next failure is as long as it would have been.
    pub(in super::super) fn end_rest(&mut self, id: Id<Site>, at: At) -> bool {
        let Some(State::Resting { rests, .. }) = self.all.get(id).map(|site| site.state) else {
            return false;
        };
        self.turn_to(id, State::Probing { rests, out: false }, at.ticks);
        true
    }

    /// The sites that rest now.
    pub(in super::super) fn resting(&self) -> impl Iterator<Item = Id<Site>> {
        self.rests.iter().map(|(_, id)| *id)
    }

    pub(in super::super) fn next_wake(&self) -> Option<Timestamp> {
        self.rests.first().map(|(until, _)| *until)
    }

    fn turn_to(&mut self, id: Id<Site>, state: State, ticks: u64) {
        let Some(site) = self.all.get_mut(id) else {
            return;
        };
        site.backoff = site.backoff(ticks);
        site.at = ticks;
        let (before, was_open) = (site.state, site.is_open());
        site.state = state;
        if was_open != site.is_open() {
            let rows = site.parked_rows;
            let sum = self.parked.of(was_open);
            *sum = sum.saturating_sub(rows);
            *self.parked.of(!was_open) += rows;
        }
        if let State::Resting { until, .. } = before
            && before != state
        {
            self.rests.remove(&(until, id));
        }
        if let State::Resting { until, .. } = state {
            self.rests.insert((until, id));
        }
    }
}

fn rest(now: Timestamp, rests: u32, divisor: u32) -> State {
    let span = REST.saturating_mul(1 << rests.min(10)).min(REST_MOST);
    let until = now.after(span / divisor);
    State::Resting { until, rests }
}
