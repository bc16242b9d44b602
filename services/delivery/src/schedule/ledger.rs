//! What a row in a line waits for, added up without touching the row.
//!
//! Each tenant has clocks that run while something of its own keeps it waiting, each berth has
//! clocks that run while its site does. A row keeps what they showed when it came (its mark); when
//! it leaves, the differences are its waits. So a change of state costs the same whether one row
//! waits behind it or a million.

use postrider_model::{Stream, WaitCause, Waits};
use std::time::Duration;

use super::line::{Kind, Line};

/// Microseconds by what is waited for. Only differences count, so all sums wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) turn: u64,
    pub(super) pace: u64,
    pub(super) cap: u64,
    pub(super) backoff: u64,
    pub(super) held: u64,
}

impl Spans {
    /// For rows that wait for their turn and nothing else.
    pub(super) fn turn(ticks: u64) -> Self {
        Self {
            turn: ticks,
            ..Self::default()
        }
    }

    /// For rows that are held.
    pub(super) fn held(ticks: u64) -> Self {
        Self {
            held: ticks,
            ..Self::default()
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            turn: self.turn.wrapping_sub(other.turn),
            pace: self.pace.wrapping_sub(other.pace),
            cap: self.cap.wrapping_sub(other.cap),
            backoff: self.backoff.wrapping_sub(other.backoff),
            held: self.held.wrapping_sub(other.held),
        }
    }

    pub(super) fn add_to(self, waits: &mut Waits) {
        for (cause, micros) in [
            (WaitCause::Turn, self.turn),
            (WaitCause::TenantPace, self.pace),
            (WaitCause::DestinationCap, self.cap),
            (WaitCause::DestinationBackoff, self.backoff),
            (WaitCause::Held, self.held),
        ] {
            waits.add(cause, Duration::from_micros(micros));
        }
    }
}

/// What keeps all of a tenant waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stop {
    #[default]
    Nothing,
    /// All the connections that its limits allow are in use.
    Connections,
    /// It is suspended.
    Held,
}

/// What a tenant's clocks show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    held: u64,
    connections: u64,
    /// No token for a first attempt in the transactional lane, or in the bulk lane.
    unpaid: u64,
    unpaid_bulk: u64,
}

impl Shown {
    fn plus(self, other: Self) -> Self {
        Self {
            held: self.held.wrapping_add(other.held),
            connections: self.connections.wrapping_add(other.connections),
            unpaid: self.unpaid.wrapping_add(other.unpaid),
            unpaid_bulk: self.unpaid_bulk.wrapping_add(other.unpaid_bulk),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            held: self.held.wrapping_sub(other.held),
            connections: self.connections.wrapping_sub(other.connections),
            unpaid: self.unpaid.wrapping_sub(other.unpaid),
            unpaid_bulk: self.unpaid_bulk.wrapping_sub(other.unpaid_bulk),
        }
    }

    fn pace(self, line: Line) -> u64 {
        let unpaid = match (line.kind, line.stream) {
            (Kind::Again, _) => 0,
            (Kind::First, Stream::Transactional) => self.unpaid,
            (Kind::First, Stream::Bulk) => self.unpaid_bulk,
        };
        self.connections.wrapping_add(unpaid)
    }
}

/// A tenant's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TenantClocks {
    shown: Shown,
    at: u64,
    stop: Stop,
    unpaid: bool,
    unpaid_bulk: bool,
}

impl TenantClocks {
    pub(super) fn show(&self, ticks: u64) -> Shown {
        let passed = ticks.saturating_sub(self.at);
        let mut shown = self.shown;
        match self.stop {
            Stop::Held => shown.held += passed,
            Stop::Connections => shown.connections += passed,
            Stop::Nothing => {
                shown.unpaid += passed * u64::from(self.unpaid);
                shown.unpaid_bulk += passed * u64::from(self.unpaid_bulk);
            }
        }
        shown
    }

    pub(super) fn stop(&mut self, ticks: u64, stop: Stop) {
        self.wind(ticks);
        self.stop = stop;
    }

    /// Whether a first attempt has no token now, in the transactional lane and in the bulk lane.
    pub(super) fn unpaid(&mut self, ticks: u64, (unpaid, unpaid_bulk): (bool, bool)) {
        self.wind(ticks);
        (self.unpaid, self.unpaid_bulk) = (unpaid, unpaid_bulk);
    }

    /// What keeps open rows of this line waiting now.
    pub(super) fn cause(&self, line: Line) -> WaitCause {
        let unpaid = match line.stream {
            Stream::Transactional => self.unpaid,
            Stream::Bulk => self.unpaid_bulk,
        };
        match self.stop {
            Stop::Held => WaitCause::Held,
            Stop::Connections => WaitCause::TenantPace,
            Stop::Nothing if unpaid && line.kind == Kind::First => WaitCause::TenantPace,
            Stop::Nothing => WaitCause::Turn,
        }
    }

    fn wind(&mut self, ticks: u64) {
        self.shown = self.show(ticks);
        self.at = ticks;
    }
}

/// What the clocks beyond a berth show: its tenant's, and its site's, which runs while that rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Beyond {
    pub(super) tenant: Shown,
    pub(super) backoff: u64,
}

/// A berth's clocks: they run while it is parked, and meanwhile its tenant's do not count.
///
/// While it is parked, the reading at its beginning is subtracted already and the present one is
/// not added yet: `read` adds it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BerthClocks {
    passed_over: Shown,
    cap: u64,
    backoff: u64,
    parked: bool,
}

impl BerthClocks {
    pub(super) fn park(&mut self, ticks: u64, beyond: Beyond) {
        self.unpark(ticks, beyond);
        let cap = ticks.wrapping_sub(beyond.backoff);
        self.passed_over = self.passed_over.minus(beyond.tenant);
        self.cap = self.cap.wrapping_sub(cap);
        self.backoff = self.backoff.wrapping_sub(beyond.backoff);
        self.parked = true;
    }

    pub(super) fn unpark(&mut self, ticks: u64, beyond: Beyond) {
        if std::mem::take(&mut self.parked) {
            let cap = ticks.wrapping_sub(beyond.backoff);
            self.passed_over = self.passed_over.plus(beyond.tenant);
            self.cap = self.cap.wrapping_add(cap);
            self.backoff = self.backoff.wrapping_add(beyond.backoff);
        }
    }

    pub(super) fn read(mut self, ticks: u64, beyond: Beyond, line: Line) -> Spans {
        self.unpark(ticks, beyond);
        let own = beyond.tenant.minus(self.passed_over);
        let (held, pace) = (own.held, own.pace(line));
        let (cap, backoff) = (self.cap, self.backoff);
        let named = [held, pace, cap, backoff].into_iter();
        let turn = named.fold(ticks, u64::wrapping_sub);
        Spans {
            turn,
            pace,
            cap,
            backoff,
            held,
        }
    }
}
