//! What the schedule hands out, and what it is told of it.

use postrider_model::{Limits, TenantId, Waits};
use postrider_store::QueueRow;

use super::sites::Visit;

/// How fast a tenant may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nothing starts: its mail is kept until it is resumed.
    Stopped,
    /// As its limits say: first attempts by its buckets, for later ones have waited enough, and
    /// as many attempts at once as it may have connections.
    At(Limits),
}

/// A recipient that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) row: QueueRow,
    /// What it waited for from `row.since` until now, to the microsecond.
    pub(crate) waits: Waits,
}

/// Recipients of one message at one domain, first attempts or later ones, at most 50.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) rows: Vec<Due>,
    /// To be given back by `ended`, once.
    pub(crate) ticket: Ticket,
}

/// The right to one attempt: a slot of its tenant and one of its site.
#[derive(Debug)]
#[must_use = "its slots are free again when it is given back"]
pub(crate) struct Ticket {
    /// `None` for rows past their expiry: they take nobody's slot.
    pub(super) slot: Option<Slot>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) tenant: TenantId,
    /// Tells its tenant from one that came under the same id after a hand-over.
    pub(super) born: u64,
    pub(super) visit: Visit,
}

/// What an attempt says of its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It talked to us, whatever it said.
    Served,
    /// Nobody there would talk to us.
    Unreachable,
    /// Nothing: the attempt did not come to it.
    Nothing,
}
