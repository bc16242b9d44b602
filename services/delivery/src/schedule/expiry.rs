//! Rows whose time has come, and rows whose time is over.

use postrider_model::TenantId;

use super::dispatch::{GROUP_MOST, are_one_group};
use super::rows::{Chain, Place, Row, Timer};
use super::slab::Id;
use super::tenant::Tenant;
use super::turn::STEPS_MOST;
use super::wheel::Popped;
use super::{Due, Group, Pace, Schedule, Ticket};

impl Schedule {
    /// Rows whose time has come, or is over.
    pub(super) fn promote(&mut self) {
        for _ in 0..STEPS_MOST {
            match self.wheel.pop(&mut self.rows, self.at.now) {
                Popped::Nothing => return,
                Popped::Moved => {}
                Popped::Row(id) => match self.rows.get(id).map(|row| row.place) {
                    Some(Place::Later | Place::Shut) => self.arrive(id),
                    Some(Place::Line(_)) => self.expire(id),
                    _ => {}
                },
            }
        }
    }

    fn expire(&mut self, id: Id<Row>) {
        let tenant = self.rows.get(id).map(|row| row.tenant);
        let Some(tenant) = tenant.and_then(|tenant| self.tenants.get_mut(tenant)) else {
            return;
        };
        if tenant.is_held() {
            self.rows.join(Chain::Timer, &mut tenant.overdue, id);
            if let Some(row) = self.rows.get_mut(id) {
                row.timer = Timer::Overdue;
            }
            return;
        }
        let carried = self.lift(id);
        self.settle_in(id, carried);
    }

    /// Rows that expired while their tenant was held come out now that it is not.
    pub(super) fn free_overdue(&mut self) {
        let mut steps = STEPS_MOST;
        while let Some(id) = self.resumed.front().copied() {
            let tenant = self.tenants.get(id).filter(|tenant| !tenant.is_held());
            let Some(row) = tenant.and_then(|tenant| tenant.overdue) else {
                self.resumed.pop_front();
                continue;
            };
            if steps == 0 {
                return;
            }
            steps -= 1;
            let carried = self.lift(row);
            self.settle_in(row, carried);
        }
    }

    /// The rows in front of those past their expiry that go together.
    pub(super) fn next_late(&mut self, pace: &dyn Fn(TenantId) -> Pace) -> Option<Group> {
        let mut rows = Vec::<Due>::new();
        while rows.len() < GROUP_MOST
            && let Some(id) = self.late
            && self.can_afford()
        {
            let due = self.due(id)?;
            if rows
                .first()
                .is_some_and(|first| !are_one_group(first, &due))
            {
                break;
            }
            if rows.is_empty() && self.is_stopped(due.row.tenant, pace) {
                let carried = self.lift(id);
                self.settle_in(id, carried);
                continue;
            }
            self.take_out(id);
            rows.push(due);
        }
        let ticket = Ticket { slot: None };
        (!rows.is_empty()).then_some(Group { rows, ticket })
    }

    /// Whether a tenant is held, now that somebody asks: for not all have a turn.
    fn is_stopped(&mut self, id: TenantId, pace: &dyn Fn(TenantId) -> Pace) -> bool {
        let Some(tenant) = self.tenants.find(id) else {
            return false;
        };
        let held = self.tenants.get(tenant).is_some_and(Tenant::is_held);
        if !held && pace(id) == Pace::Stopped {
            self.halt(tenant);
            return true;
        }
        held
    }
}
