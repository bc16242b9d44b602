//! How a row comes in, and how it leaves.

use postrider_model::{Domain, RecipientId, TenantId, Timestamp, WaitCause, Waits};
use postrider_store::QueueRow;

use super::Schedule;
use super::ledger::Stop;
use super::line::{Kind, Line};
use super::rows::{Chain, Place, Row, Seed, Timer};
use super::sites::Destination;
use super::slab::Id;
use super::tenant::Tenant;

impl Schedule {
    /// Puts a row in, in place of what was there for its recipient. `waits` is what is known of
    /// its waiting since `row.since`: empty for rows from the database. A row that is there, due,
    /// with the same `since`, keeps its place in the line and its ledger.
    pub(crate) fn insert(&mut self, row: QueueRow, mut waits: Waits, now: Timestamp) {
        self.tick(now);
        if let Some(id) = self.rows.find(row.recipient) {
            if self.stays(id, &row) {
                self.refresh(id, row);
                return;
            }
            if self.rows.get(id).is_some_and(|old| old.since == row.since) {
                waits = self.waits(id);
            }
            self.take_out(id);
        }
        let tenant = self.tenant(row.tenant);
        let domain = self.destination(&row.domain);
        let seed = Seed {
            recipient: row.recipient,
            message: row.message,
            stream: row.stream,
            tenant,
            domain,
            late: self.late_cause(tenant, &row),
        };
        let id = self.rows.add(Row::new(seed, now));
        self.write(id, &row);
        if let Some(new) = self.rows.get_mut(id) {
            new.known = (!waits.is_empty()).then(|| Box::new(waits));
        }
        self.join_rings(id, seed);
        *self.counts.later.entry(row.cause).or_default() += 1;
        if row.due_at <= now {
            self.arrive(id);
        } else {
            self.wheel.insert(&mut self.rows, id);
        }
    }

    fn join_rings(&mut self, id: Id<Row>, seed: Seed) {
        self.sites.busy(seed.domain);
        if let Some(one) = self.sites.destination_mut(seed.domain) {
            self.rows.join(Chain::Domain, &mut one.rows, id);
        }
        if let Some(one) = self.tenants.get_mut(seed.tenant) {
            self.rows.join(Chain::Tenant, &mut one.rows, id);
            let total = one.total.of_mut(seed.stream);
            *total += 1;
            self.counts.lanes += usize::from(*total == 1);
        }
    }

    /// Takes a row out: cancelled, held, gone. `None` where it does not wait here.
    pub(crate) fn remove(&mut self, recipient: RecipientId) -> Option<QueueRow> {
        let id = self.rows.find(recipient)?;
        let row = self.row(id)?;
        self.take_out(id);
        Some(row)
    }

    /// A row leaves.
    pub(super) fn take_out(&mut self, id: Id<Row>) {
        self.lift(id);
        let Some(row) = self.rows.get(id) else { return };
        let (tenant, domain, stream) = (row.tenant, row.domain, row.stream);
        let message = row.message;
        if let Some(one) = self.tenants.get_mut(tenant) {
            self.rows.leave(Chain::Tenant, &mut one.rows, id);
            let total = one.total.of_mut(stream);
            *total -= 1;
            self.counts.lanes -= usize::from(*total == 0);
        }
        if let Some(one) = self.sites.destination_mut(domain) {
            self.rows.leave(Chain::Domain, &mut one.rows, id);
        }
        self.rows.drop_row(id);
        self.sites.rest_if_idle(domain);
        if !self.asked.is_empty() && self.rows.of_message(message).is_none() {
            self.asked.remove(&message);
        }
    }

    /// The row as the database has it.
    pub(super) fn row(&self, id: Id<Row>) -> Option<QueueRow> {
        let row = self.rows.get(id)?;
        Some(QueueRow {
            recipient: row.recipient,
            message: row.message,
            tenant: self.tenants.get(row.tenant)?.id,
            stream: row.stream,
            domain: self.sites.destination(row.domain)?.name.clone(),
            accepted_at: row.accepted_at,
            since: row.since,
            due_at: row.due_at,
            expires_at: row.expires_at,
            attempts: row.attempts,
            cause: row.cause,
        })
    }

    /// A tenant, with the suspension that stands.
    pub(super) fn tenant(&mut self, id: TenantId) -> Id<Tenant> {
        if let Some(known) = self.tenants.find(id) {
            return known;
        }
        let tenant = self.tenants.intern(id, self.at.now);
        if self.suspended.tenants.contains(&id)
            && let Some(one) = self.tenants.get_mut(tenant)
        {
            one.suspended = true;
            one.clocks.stop(self.at.ticks, Stop::Held);
        }
        tenant
    }

    /// A destination, with the suspension that stands.
    pub(super) fn destination(&mut self, name: &Domain) -> Id<Destination> {
        let id = self.sites.intern(name);
        if !self.suspended.domains.is_empty() {
            let suspended = self.suspended.domains.contains(name);
            if let Some(one) = self.sites.destination_mut(id) {
                one.suspended = suspended;
            }
        }
        id
    }

    fn stays(&self, id: Id<Row>, new: &QueueRow) -> bool {
        let Some(old) = self.rows.get(id) else {
            return false;
        };
        let domain = self.sites.destination(old.domain);
        let same = old.message == new.message
            && old.stream == new.stream
            && old.since == new.since
            && domain.is_some_and(|one| one.name == new.domain);
        let kind = Kind::of(new.attempts, new.cause);
        same && match old.place {
            Place::Later | Place::Due | Place::Asked | Place::Shut => {
                old.cause == new.cause && old.due_at == new.due_at
            }
            Place::Line(_) | Place::Held | Place::Late => {
                new.due_at <= self.at.now && old.line() == Line::new(new.stream, kind)
            }
        }
    }

    fn refresh(&mut self, id: Id<Row>, new: QueueRow) {
        let Some(old) = self.rows.get(id) else { return };
        // Read before it was started, given after.
        let cause = match new.cause {
            WaitCause::Scheduled => old.cause,
            cause => cause,
        };
        let due_at = old.due_at;
        let timed = matches!(old.timer, Timer::Slot(_) | Timer::Early);
        if timed {
            self.wheel.remove(&mut self.rows, id);
        }
        let new = QueueRow {
            cause,
            due_at,
            ..new
        };
        self.write(id, &new);
        if timed {
            self.wheel.insert(&mut self.rows, id);
        }
    }

    fn write(&mut self, id: Id<Row>, new: &QueueRow) {
        if let Some(row) = self.rows.get_mut(id) {
            row.accepted_at = new.accepted_at;
            row.since = new.since;
            row.due_at = new.due_at;
            row.expires_at = new.expires_at;
            row.attempts = new.attempts;
            row.cause = new.cause;
        }
    }
}
