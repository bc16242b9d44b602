//! A site: exchangers that share their connections. How many attempts it may be given, and
//! whether it answers.

use std::collections::VecDeque;

use postrider_model::Timestamp;

use super::berth::Berth;
use super::slab::Id;

/// Exchangers that share their connections.
#[derive(Debug)]
pub(super) struct Site {
    /// `None` for a domain whose site is not known yet.
    pub(super) name: Option<Box<str>>,
    pub(super) cap: u32,
    pub(super) in_flight: u32,
    /// Berths that have a slot kept for them.
    pub(super) called: u32,
    /// Berths that wait for a slot, each once.
    pub(super) parked: VecDeque<Id<Berth>>,
    /// Rows in parked berths.
    pub(super) parked_rows: usize,
    pub(super) state: State,
    /// How long it has not been open until `at`.
    pub(super) backoff: u64,
    pub(super) at: u64,
    pub(super) destinations: u32,
    pub(super) berths: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open {
        failures: u32,
    },
    Resting {
        until: Timestamp,
        rests: u32,
    },
    /// Its rest is over: one attempt tells whether it answers.
    Probing {
        rests: u32,
        out: bool,
    },
}

impl Site {
    pub(super) fn new(name: Option<Box<str>>, cap: u32) -> Self {
        Self {
            name,
            cap,
            in_flight: 0,
            called: 0,
            parked: VecDeque::new(),
            parked_rows: 0,
            backoff: 0,
            at: 0,
            state: State::Open { failures: 0 },
            destinations: 0,
            berths: 0,
        }
    }

    /// Whether an attempt more may begin, slots kept for others not counted in.
    pub(super) fn has_room(&self) -> bool {
        let below_cap = self.in_flight + self.called < self.cap;
        match self.state {
            State::Open { .. } => below_cap,
            State::Resting { .. } => false,
            State::Probing { out, .. } => below_cap && !out && self.called == 0,
        }
    }

    /// What its clock shows, which runs while it is not open.
    pub(super) fn backoff(&self, ticks: u64) -> u64 {
        let passed = ticks.saturating_sub(self.at);
        match self.state {
            State::Open { .. } => self.backoff,
            State::Resting { .. } | State::Probing { .. } => self.backoff + passed,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
}
