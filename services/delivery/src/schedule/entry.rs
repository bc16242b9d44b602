//! How a row comes in, comes into its line, and leaves.

use std::collections::hash_map::Entry;

use postrider_model::{Domain, RecipientId, TenantId, Timestamp, WaitCause, Waits};
use postrider_store::QueueRow;

use super::berth::{Berth, Standing};
use super::ledger::{Beyond, Spans, Stop};
use super::line::{Kind, Line};
use super::rows::{Chain, Place, Row, Seed, Timer};
use super::site::Destination;
use super::slab::Id;
use super::tenant::Tenant;
use super::{Due, Schedule};

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
        self.sites.busy(domain);
        if let Some(one) = self.sites.destination_mut(domain) {
            self.rows.join(Chain::Domain, &mut one.rows, id);
        }
        if let Some(one) = self.tenants.get_mut(tenant) {
            self.rows.join(Chain::Tenant, &mut one.rows, id);
            let total = one.total.of_mut(row.stream);
            *total += 1;
            self.counts.lanes += usize::from(*total == 1);
        }
        *self.counts.later.entry(row.cause).or_default() += 1;
        if row.due_at <= now {
            self.arrive(id);
        } else {
            self.wheel.insert(&mut self.rows, id);
        }
    }

    /// Takes a row out: cancelled, held, gone. `None` where it does not wait here.
    pub(crate) fn remove(&mut self, recipient: RecipientId) -> Option<QueueRow> {
        let id = self.rows.find(recipient)?;
        let row = self.row(id)?;
        self.take_out(id);
        Some(row)
    }

    /// A row's time has come.
    pub(super) fn arrive(&mut self, id: Id<Row>) {
        let Some(row) = self.rows.get_mut(id) else {
            return;
        };
        row.entered = self.at.now;
        if row.cause == WaitCause::Scheduled {
            row.place = Place::Asked;
            let message = row.message;
            if let Entry::Vacant(unasked) = self.asked.entry(message) {
                unasked.insert(false);
                self.to_ask.push_back(message);
            }
            return;
        }
        let cause = row.cause;
        self.uncount(cause);
        self.settle_in(id, Spans::default());
    }

    /// Puts a due row that stands nowhere where it belongs. `carried` is what it waited for since
    /// it came.
    pub(super) fn settle_in(&mut self, id: Id<Row>, carried: Spans) {
        let Some(row) = self.rows.get(id) else { return };
        let suspended = self.suspended.messages.contains(&row.message)
            || self
                .sites
                .destination(row.domain)
                .is_some_and(|one| one.suspended);
        let held = self.tenants.get(row.tenant).is_some_and(Tenant::is_held);
        if suspended {
            self.put(id, Place::Held, Spans::held(self.at.ticks).minus(carried));
            self.counts.held += 1;
        } else if row.expires_at <= self.at.now && !held {
            self.put(id, Place::Late, Spans::turn(self.at.ticks).minus(carried));
            self.counts.late += 1;
            if let Some(row) = self.rows.get_mut(id) {
                row.timer = Timer::Late;
            }
            self.rows.join(Chain::Timer, &mut self.late, id);
        } else {
            self.line_up(id, carried);
        }
    }

    /// Takes a due row from where it stands; gives what it waited for since it came.
    pub(super) fn lift(&mut self, id: Id<Row>) -> Spans {
        let carried = self.carried(id);
        let Some(row) = self.rows.get(id) else {
            return carried;
        };
        match row.place {
            Place::Later => {
                let cause = row.cause;
                self.wheel.remove(&mut self.rows, id);
                self.uncount(cause);
            }
            Place::Asked => {
                let cause = row.cause;
                self.uncount(cause);
            }
            Place::Line(berth) => self.leave_line(id, berth),
            Place::Held => self.counts.held -= 1,
            Place::Late => {
                self.counts.late -= 1;
                self.rows.leave(Chain::Timer, &mut self.late, id);
                if let Some(row) = self.rows.get_mut(id) {
                    row.timer = Timer::None;
                }
            }
        }
        carried
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
            Place::Asked => (self.at.now, WaitCause::Scheduled),
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

    // A row that comes long after its due time was kept out of memory: behind its tenant's pace,
    // where it has one.
    fn late_cause(&self, tenant: Id<Tenant>, row: &QueueRow) -> WaitCause {
        let first = Kind::of(row.attempts, row.cause) == Kind::First;
        let paced = |one: &Tenant| one.is_paced(row.stream);
        if first && row.due_at <= self.at.now && self.tenants.get(tenant).is_some_and(paced) {
            WaitCause::TenantPace
        } else {
            WaitCause::Turn
        }
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
            Place::Later | Place::Asked => old.cause == new.cause && old.due_at == new.due_at,
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

    fn put(&mut self, id: Id<Row>, place: Place, mark: Spans) {
        if let Some(row) = self.rows.get_mut(id) {
            (row.place, row.mark) = (place, mark);
        }
    }

    fn uncount(&mut self, cause: WaitCause) {
        if let Some(count) = self.counts.later.get_mut(&cause) {
            *count -= 1;
        }
    }

    fn carried(&self, id: Id<Row>) -> Spans {
        let Some(row) = self.rows.get(id) else {
            return Spans::default();
        };
        let reading = match row.place {
            Place::Later | Place::Asked => return Spans::default(),
            Place::Held => Spans::held(self.at.ticks),
            Place::Late => Spans::turn(self.at.ticks),
            Place::Line(berth) => match self.berths.get(berth) {
                Some(one) => one.clocks.read(self.at.ticks, self.beyond(one), row.line()),
                None => row.mark,
            },
        };
        reading.minus(row.mark)
    }

    /// Puts a row at the end of its line: in its group, if there is one.
    fn line_up(&mut self, id: Id<Row>, carried: Spans) {
        let Some(row) = self.rows.get(id) else { return };
        let (line, tenant) = (row.line(), row.tenant);
        let Some(site) = self.sites.destination(row.domain).map(|one| one.site) else {
            return;
        };
        let leader = self.rows.group_of(id);
        let place = leader
            .and_then(|leader| self.rows.get(leader))
            .map(|row| row.place);
        let berth = match place {
            Some(Place::Line(berth)) => berth,
            _ => self.berth(tenant, site),
        };
        let Some(one) = self.berths.get(berth) else {
            return;
        };
        let reading = one.clocks.read(self.at.ticks, self.beyond(one), line);
        self.put(id, Place::Line(berth), reading.minus(carried));
        let Some(one) = self.berths.get_mut(berth) else {
            return;
        };
        let queue = one.queues.of_mut(line);
        queue.rows += 1;
        let mut group = leader;
        self.rows.join(Chain::Group, &mut group, id);
        if leader.is_none() {
            self.rows.join(Chain::Queue, &mut queue.groups, id);
            self.rows.lead(id);
        }
        let (parked, site) = (one.standing == Standing::Parked, one.site);
        if parked {
            self.sites.add_parked(site, 1);
        } else if let Some(one) = self.tenants.get_mut(tenant) {
            *one.open.of_mut(line) += 1;
        }
        self.wheel.insert(&mut self.rows, id);
        self.list(berth, line);
    }

    fn leave_line(&mut self, id: Id<Row>, berth: Id<Berth>) {
        let Some(row) = self.rows.get(id) else { return };
        let (timer, leads) = (row.timer, row.leads);
        let (line, tenant) = (row.line(), row.tenant);
        match timer {
            Timer::Overdue => {
                if let Some(one) = self.tenants.get_mut(tenant) {
                    self.rows.leave(Chain::Timer, &mut one.overdue, id);
                }
                if let Some(row) = self.rows.get_mut(id) {
                    row.timer = Timer::None;
                }
            }
            _ => self.wheel.remove(&mut self.rows, id),
        }
        let Some(one) = self.berths.get_mut(berth) else {
            return;
        };
        let queue = one.queues.of_mut(line);
        queue.rows -= 1;
        if leads {
            self.rows.abdicate(&mut queue.groups, id);
        } else {
            self.rows.leave(Chain::Group, &mut None, id);
        }
        let (parked, site) = (one.standing == Standing::Parked, one.site);
        if parked {
            self.sites.sub_parked(site, 1);
        } else if let Some(one) = self.tenants.get_mut(tenant) {
            *one.open.of_mut(line) -= 1;
        }
        self.drop_berth_if_idle(berth);
    }
}
