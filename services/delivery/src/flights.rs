//! The attempts that are under way, and the rows they have.

use std::collections::HashMap;

use postrider_model::{RecipientId, TenantId, Timestamp, VendorId};
use postrider_store::{Lease, QueueRow, Roster, Scope, Shard};
use tokio::task::Id;

use crate::halt::Halt;
use crate::schedule::{Due, Ticket};

/// One attempt.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) rows: Vec<Due>,
    pub(crate) ticket: Ticket,
    /// Under which it was begun.
    pub(crate) lease: Lease,
    pub(crate) halt: Halt,
    pub(crate) begun: Timestamp,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    by_task: HashMap<Id, Flight>,
    tasks: HashMap<RecipientId, Id>,
    /// What the order of changes told last of those under way.
    told: HashMap<RecipientId, QueueRow>,
}

impl Flights {
    pub(crate) fn begin(&mut self, task: Id, flight: Flight) {
        let ids = flight.rows.iter().map(|due| due.row.recipient);
        self.tasks.extend(ids.map(|id| (id, task)));
        self.by_task.insert(task, flight);
    }

    pub(crate) fn end(&mut self, task: Id) -> Option<Flight> {
        let flight = self.by_task.remove(&task)?;
        for due in &flight.rows {
            self.tasks.remove(&due.row.recipient);
        }
        Some(flight)
    }

    /// How many recipients are under way.
    pub(crate) fn recipients(&self) -> usize {
        self.tasks.len()
    }

    /// The database says this of a recipient that is under way. Kept until `forget`.
    pub(crate) fn tell(&mut self, row: QueueRow) {
        self.told.insert(row.recipient, row);
    }

    /// A row as its attempt, which is over, rescheduled it: or as a verb moved it after that,
    /// while others of the attempt were still under way.
    pub(crate) fn told(&self, row: QueueRow) -> QueueRow {
        let told = self.told.get(&row.recipient);
        let told = told.filter(|told| told.attempts == row.attempts);
        told.cloned().unwrap_or(row)
    }

    /// What was told of an attempt's recipients is used.
    pub(crate) fn forget(&mut self, flight: &Flight) {
        if !self.told.is_empty() {
            for due in &flight.rows {
                self.told.remove(&due.row.recipient);
            }
        }
    }

    pub(crate) fn has(&self, recipient: RecipientId) -> bool {
        self.tasks.contains_key(&recipient)
    }

    pub(crate) fn of_shard(&self, shard: Shard) -> impl Iterator<Item = &Flight> {
        let all = self.by_task.values();
        all.filter(move |flight| flight.lease.shard == shard)
    }

    /// Attempts for tenants of whom this is true.
    pub(crate) fn of_tenants(
        &self,
        is_meant: impl Fn(TenantId) -> bool,
    ) -> impl Iterator<Item = &Flight> {
        let all = self.by_task.values();
        all.filter(move |flight| {
            let first = flight.rows.first();
            first.is_some_and(|due| is_meant(due.row.tenant))
        })
    }

    /// Attempts of what a verb is about. The rows of one have their message, domain and tenant in
    /// common.
    pub(crate) fn within<'a>(
        &'a self,
        scope: &'a Scope,
        roster: &'a Roster,
    ) -> impl Iterator<Item = &'a Flight> {
        let first = |flight: &'a Flight| flight.rows.first().map(|due| &due.row);
        let all = self.by_task.values();
        all.filter(move |flight| first(flight).is_some_and(|row| is_within(row, scope, roster)))
    }
}

/// Whether a verb with this scope is about this row.
pub(crate) fn is_within(row: &QueueRow, scope: &Scope, roster: &Roster) -> bool {
    match scope {
        Scope::Tenant(tenant) => row.tenant == *tenant,
        Scope::Vendor(vendor) => may_be_of(row.tenant, *vendor, roster),
        Scope::Domain(domain) => row.domain == *domain,
        Scope::Message(message) => row.message == *message,
    }
}

/// Whether a tenant is of this vendor. One that was added a moment ago, and is not in the roster yet,
/// may be: nothing of it leaves before it is.
pub(crate) fn may_be_of(tenant: TenantId, vendor: VendorId, roster: &Roster) -> bool {
    roster
        .tenant(tenant)
        .is_none_or(|tenant| tenant.vendor == vendor)
}
