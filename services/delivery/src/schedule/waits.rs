//! What a row has waited for: the clocks' readings, and what was known before.

use postrider_model::{WaitCause, Waits};
use postrider_store::QueueRow;

use super::berth::Berth;
use super::ledger::{Beyond, Spans};
use super::line::Kind;
use super::rows::{Place, Row};
use super::slab::Id;
use super::tenant::Tenant;
use super::{Due, Schedule};

impl Schedule {
    /// The row, with its ledger.
    pub(super) fn due(&self, id: Id<Row>) -> Option<Due> {
        let (row, waits) = (self.row(id)?, self.waits(id));
        Some(Due { row, waits })
    }

    /// What a row waited for from its `since` until now.
    pub(super) fn waits(&self, id: Id<Row>) -> Waits {
        let raw = self.spent(id);
        let Some(row) = self.rows.get(id) else {
            return raw;
        };
        // Only a clock that jumped makes a difference.
        let mut left = self.at.now.since(row.since);
        let mut waits = Waits::default();
        for (cause, span) in raw.iter() {
            waits.add(cause, span.min(left));
            left = left.saturating_sub(span);
        }
        waits.add(WaitCause::Turn, left);
        waits
    }

    /// What the clocks say that a row waited for.
    pub(super) fn spent(&self, id: Id<Row>) -> Waits {
        let Some(row) = self.rows.get(id) else {
            return Waits::default();
        };
        let mut waits = row.known.as_deref().cloned().unwrap_or_default();
        let from = row.since.after(waits.total());
        let (until, behind) = match row.place {
            Place::Later => (self.at.now, WaitCause::Turn),
            Place::Due | Place::Asked => (self.at.now, WaitCause::Scheduled),
            Place::Shut => (self.at.now, row.cause),
            Place::Line(_) | Place::Held | Place::Late => (row.entered, row.late),
        };
        let due_at = row.due_at.min(until);
        waits.add(row.cause, due_at.since(from));
        waits.add(behind, until.since(due_at.max(from)));
        self.carried(id).add_to(&mut waits);
        waits
    }

    /// Closes a row's books: all until now is known from here on.
    pub(super) fn close_books(&mut self, id: Id<Row>) {
        let waits = self.waits(id);
        let now = self.at.now;
        if let Some(row) = self.rows.get_mut(id) {
            row.known = Some(Box::new(waits));
            row.entered = now;
        }
    }

    /// What the clocks beyond a berth show.
    pub(super) fn beyond(&self, berth: &Berth) -> Beyond {
        let tenant = self.tenants.get(berth.tenant);
        let site = self.sites.site(berth.site);
        Beyond {
            tenant: tenant
                .map(|one| one.clocks.show(self.at.ticks))
                .unwrap_or_default(),
            backoff: site.map_or(0, |one| one.backoff(self.at.ticks)),
        }
    }

    pub(super) fn carried(&self, id: Id<Row>) -> Spans {
        let Some(row) = self.rows.get(id) else {
            return Spans::default();
        };
        let reading = match row.place {
            Place::Later | Place::Due | Place::Asked | Place::Shut => return Spans::default(),
            Place::Held => Spans::held(self.at.ticks),
            Place::Late => Spans::turn(self.at.ticks),
            Place::Line(berth) => match self.berths.get(berth) {
                Some(one) => one.clocks.read(self.at.ticks, self.beyond(one), row.line()),
                None => row.mark,
            },
        };
        reading.minus(row.mark)
    }

    // A row that comes long after its due time was kept out of memory: behind its tenant's pace,
    // where it has one.
    pub(super) fn late_cause(&self, tenant: Id<Tenant>, row: &QueueRow) -> WaitCause {
        let first = Kind::of(row.attempts, row.cause) == Kind::First;
        let paced = |one: &Tenant| one.is_paced(row.stream);
        if first && row.due_at <= self.at.now && self.tenants.get(tenant).is_some_and(paced) {
            WaitCause::TenantPace
        } else {
            WaitCause::Turn
        }
    }
}
