//! Where a row stands: not due, to be started, in a line, held, behind the closed way out, or past
//! its expiry.

use std::collections::hash_map::Entry;

use postrider_model::WaitCause;

use super::Schedule;
use super::berth::{Berth, Standing};
use super::ledger::Spans;
use super::rows::{Chain, Place, Row, Timer};
use super::slab::Id;
use super::tenant::Tenant;
use super::way_out::waits_for_the_way_out;

impl Schedule {
    /// A row's time has come.
    pub(super) fn arrive(&mut self, id: Id<Row>) {
        let Some(row) = self.rows.get_mut(id) else {
            return;
        };
        row.entered = self.at.now;
        if row.cause == WaitCause::Scheduled {
            row.place = Place::Due;
            let message = row.message;
            if let Entry::Vacant(unasked) = self.asked.entry(message) {
                unasked.insert(false);
                self.to_ask.push_back(message);
            }
            return;
        }
        if self.is_shut && waits_for_the_way_out(row) && row.expires_at > self.at.now {
            return self.shut_in(id);
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
            || self.suspended.awaiting.contains(&row.message)
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
            Place::Later | Place::Shut => {
                let cause = row.cause;
                self.wheel.remove(&mut self.rows, id);
                self.uncount(cause);
            }
            Place::Due | Place::Asked => {
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
        let (standing, site) = (one.standing, one.site);
        let useless = standing == Standing::Called && one.is_empty();
        if standing == Standing::Parked {
            self.sites.sub_parked(site, 1);
        } else if let Some(one) = self.tenants.get_mut(tenant) {
            *one.open.of_mut(line) -= 1;
        }
        if useless {
            // Nobody will use the slot kept for it.
            self.uncall(berth);
        } else {
            self.drop_berth_if_idle(berth);
        }
    }

    pub(super) fn put(&mut self, id: Id<Row>, place: Place, mark: Spans) {
        if let Some(row) = self.rows.get_mut(id) {
            (row.place, row.mark) = (place, mark);
        }
    }

    pub(super) fn uncount(&mut self, cause: WaitCause) {
        if let Some(count) = self.counts.later.get_mut(&cause) {
            *count -= 1;
        }
    }
}
