//! The ring: tenants take turns, by recipients (deficit round robin).
//!
//! A tenant at the front gets a quantum and starts groups until it has used it up. Then it goes to
//! the end of the ring, or out of it: where it has nothing that may start, has no token, or has
//! all its attempts under way.
//!
//! Shreedhar and Varghese, «Efficient Fair Queuing Using Deficit Round-Robin», with the surplus
//! taken from later turns.

use std::time::Duration;

use postrider_model::{Limits, TenantId, Timestamp};

use super::choice::Means;
use super::ledger::Stop;
use super::line::{Kind, Line};
use super::slab::Id;
use super::tenant::{QUANTUM, Standing as Stand, Tenant};
use super::{Group, Pace, Schedule};

/// How many steps one call takes at most, so that no call is long.
pub(super) const STEPS_MOST: usize = 1_000;
/// How long a tenant without a token, or stopped, rests at most before its limits are read again.
const REST_MOST: Duration = Duration::from_secs(1);

impl Schedule {
    /// The next group to attempt. `pace` is asked for each tenant whose turn comes. `None` where
    /// nothing may start now: ask again at `next_due`, and after any other call that changes
    /// something.
    pub(crate) fn next(
        &mut self,
        now: Timestamp,
        pace: &dyn Fn(TenantId) -> Pace,
    ) -> Option<Group> {
        self.tick(now);
        self.unfinished = false;
        self.promote();
        self.wake();
        self.free_overdue();
        self.budget = STEPS_MOST;
        let group = if self.late_goes {
            self.next_late(pace).or_else(|| self.next_turn(pace))
        } else {
            self.next_turn(pace).or_else(|| self.next_late(pace))
        }?;
        self.late_goes = group.ticket.slot.is_some();
        Some(group)
    }

    fn next_turn(&mut self, pace: &dyn Fn(TenantId) -> Pace) -> Option<Group> {
        while let Some(id) = self.ring.front().copied() {
            if !self.can_afford() {
                return None;
            }
            let Some(tenant) = self.tenants.get_mut(id) else {
                self.ring.pop_front();
                continue;
            };
            if !std::mem::replace(&mut tenant.turn.begun, true) {
                self.round = self.round.max(tenant.turn.round + 1);
                tenant.turn.round = self.round;
                tenant.turn.credit += QUANTUM;
            }
            if tenant.turn.credit <= 0 {
                self.review_call(id);
                self.pass_on(id);
                continue;
            }
            let pace = pace(tenant.id);
            if let Some(group) = self.serve(id, pace) {
                return Some(group);
            }
        }
        None
    }

    /// A group of the tenant whose turn it is. `None` where it has none: then it has left the
    /// ring, or the call is at the end of its steps.
    fn serve(&mut self, id: Id<Tenant>, pace: Pace) -> Option<Group> {
        let Pace::At(limits) = pace else {
            self.halt(id);
            return None;
        };
        self.go_on(id, limits);
        loop {
            if !self.can_afford() {
                return None;
            }
            let means = self.means(id, limits)?;
            let Some(choice) = self.choose(id, &means) else {
                self.sit_out(id, &means);
                return None;
            };
            if let Some(group) = self.take(id, choice, limits) {
                return Some(group);
            }
            if self.budget == 0 {
                // Very many groups of it move to another site: others go on meanwhile.
                self.unfinished = true;
                self.forfeit(id);
                return None;
            }
        }
    }

    /// The turn of the tenant in front is over: it goes to the end of the ring.
    fn pass_on(&mut self, id: Id<Tenant>) {
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.turn.begun = false;
        }
        self.ring.rotate_left(1);
    }

    fn forfeit(&mut self, id: Id<Tenant>) {
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.turn.credit = tenant.turn.credit.min(0);
        }
        self.pass_on(id);
    }

    /// A tenant whose pace is «stopped»: asked again in a while.
    pub(super) fn halt(&mut self, id: Id<Tenant>) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        tenant.stopped = true;
        tenant.clocks.stop(self.at.ticks, Stop::Held);
        self.stand(id, Stand::Resting(self.at.now.after(REST_MOST)));
        self.uncall_all(id);
    }

    /// A tenant that may go, perhaps after it might not.
    fn go_on(&mut self, id: Id<Tenant>, limits: Limits) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        tenant.limits = limits;
        tenant.clocks.stop(self.at.ticks, Stop::Nothing);
        if std::mem::take(&mut tenant.stopped) && tenant.overdue.is_some() {
            self.resumed.push_back(id);
        }
    }

    pub(super) fn fill(&mut self, id: Id<Tenant>) {
        if let Some(tenant) = self.tenants.get_mut(id) {
            let own = usize::try_from(tenant.limits.connections).unwrap_or(usize::MAX);
            // Where all may have no more, it is its turn that it waits for.
            if own > 0 && own <= self.settings.tenant_most {
                tenant.clocks.stop(self.at.ticks, Stop::Connections);
            }
        }
        self.stand(id, Stand::Full);
        self.uncall_all(id);
    }

    /// A tenant that has nothing to start now leaves the ring.
    fn sit_out(&mut self, id: Id<Tenant>, means: &Means) {
        let now = self.at.now;
        let asked_again = now.after(REST_MOST);
        let mut until = None;
        for line in Line::ALL {
            if self.front(id, line).is_none() {
                continue;
            }
            // A connection is kept for one that waits for its site. How that ends, nobody tells:
            // it is called, or its site rests, or its rows are taken back.
            let when = if means.shuts_out(line) {
                Some(asked_again)
            } else if line.kind == Kind::First {
                let want = means.whole(line).saturating_add(1);
                let tenant = self.tenants.get(id);
                let limits = means.limits;
                tenant.map(|tenant| tenant.purse.when(line.stream, want, (now, limits)))
            } else {
                None
            };
            until = until.into_iter().chain(when).min();
        }
        let soonest = now.after(Duration::from_micros(1));
        let standing = until.map_or(Stand::Idle, |until: Timestamp| {
            Stand::Resting(until.max(soonest).min(asked_again))
        });
        self.stand(id, standing);
        self.uncall_all(id);
    }

    /// Puts a tenant at the end of the ring.
    pub(super) fn enlist(&mut self, id: Id<Tenant>) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        match tenant.standing {
            Stand::Turning => return,
            Stand::Resting(until) => drop(self.resting.remove(&(until, id))),
            Stand::Idle | Stand::Full => {}
        }
        tenant.standing = Stand::Turning;
        // What it started too many is forgiven as if it had stood in the ring.
        let rounds = i64::try_from(self.round.saturating_sub(tenant.turn.round));
        let credit = rounds.unwrap_or(i64::MAX).saturating_mul(QUANTUM);
        tenant.turn.credit = tenant.turn.credit.saturating_add(credit).min(0);
        tenant.turn.begun = false;
        self.ring.push_back(id);
    }

    /// Takes a tenant out of the ring, or from where it rests.
    pub(super) fn stand(&mut self, id: Id<Tenant>, standing: Stand) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        match tenant.standing {
            Stand::Turning if self.ring.front() == Some(&id) => drop(self.ring.pop_front()),
            Stand::Turning => self.ring.retain(|other| *other != id),
            Stand::Resting(until) => drop(self.resting.remove(&(until, id))),
            Stand::Idle | Stand::Full => {}
        }
        tenant.turn.credit = tenant.turn.credit.min(0);
        tenant.standing = standing;
        if let Stand::Resting(until) = standing {
            self.resting.insert((until, id));
        }
    }

    /// Tenants and sites whose rest is over.
    fn wake(&mut self) {
        while let Some((until, id)) = self.resting.first().copied() {
            // Nobody rests longer than `REST_MOST`, but by a clock that went back.
            if until > self.at.now && until <= self.at.now.after(REST_MOST) {
                break;
            }
            self.enlist(id);
        }
        while let Some(site) = self.sites.wake(self.at) {
            self.call_parked(site);
        }
    }
}
