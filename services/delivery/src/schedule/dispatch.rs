//! A group leaves its line for an attempt.

use postrider_model::{Limits, TenantId};

use super::berth::{Berth, Standing};
use super::choice::Choice;
use super::group::Slot;
use super::line::{Kind, Line};
use super::rows::{Chain, Row};
use super::slab::Id;
use super::tenant::Tenant;
use super::{Due, Group, Schedule, Ticket};

/// How many recipients are handed out at once: a transaction's most (RFC 5321 §4.5.3.1.8 has
/// every host take 100; others stay at 50, for some do not).
pub(super) const GROUP_MOST: usize = 50;

impl Schedule {
    /// The group in front of a berth's line. `None` where it may not go: then something moved.
    pub(super) fn take(&mut self, id: Id<Tenant>, choice: Choice, limits: Limits) -> Option<Group> {
        let Choice { berth, line, most } = choice;
        let one = self.berths.get(berth)?;
        let called = one.standing == Standing::Called;
        let leader = one.queues.of(line).groups?;
        let domain = self.rows.get(leader)?.domain;
        let site = self.sites.destination(domain)?.site;
        if site != one.site {
            if called {
                self.uncall(berth);
            }
            self.move_group(leader);
            return None;
        }
        if called {
            self.answer_call(berth);
        }
        if !self.sites.site(site)?.has_room() {
            self.park(berth);
            return None;
        }
        let visit = self.sites.begin(domain);
        self.unlist_front(id, berth, line);
        let most = usize::try_from(most).unwrap_or(GROUP_MOST).min(GROUP_MOST);
        let rows = self.cut(berth, line, most);
        // What is left of it, and what else a called berth has, stands at the end of the ring.
        self.list_all(berth);
        self.drop_berth_if_idle(berth);
        let (tenant, born) = self.charge(id, (choice, rows.len()), limits)?;
        let slot = Some(Slot {
            tenant,
            born,
            visit,
        });
        let ticket = Ticket { slot };
        Some(Group { rows, ticket })
    }

    /// What a tenant pays for a group: a connection, its turn, and tokens.
    fn charge(
        &mut self,
        id: Id<Tenant>,
        (choice, rows): (Choice, usize),
        limits: Limits,
    ) -> Option<(TenantId, u64)> {
        let Choice { berth, line, .. } = choice;
        let started = u64::try_from(rows).unwrap_or(u64::MAX);
        let tenant = self.tenants.get_mut(id)?;
        tenant.in_flight += 1;
        *tenant.last.of_mut(line.stream) = Some(line.kind);
        tenant.turn.credit -= i64::try_from(started).unwrap_or(i64::MAX);
        if line.kind == Kind::First {
            tenant.purse.spend(line.stream, started, limits);
        }
        if tenant.saving == Some(berth) {
            tenant.saving = None;
        }
        Some((tenant.id, tenant.born))
    }

    /// At most `most` rows of the group in front; what is left of it stays in front.
    fn cut(&mut self, berth: Id<Berth>, line: Line, most: usize) -> Vec<Due> {
        let mut rows = Vec::<Due>::new();
        while rows.len() < most {
            let front = self
                .berths
                .get(berth)
                .and_then(|one| one.queues.of(line).groups);
            let Some((id, due)) = front.and_then(|id| Some((id, self.due(id)?))) else {
                break;
            };
            if rows
                .first()
                .is_some_and(|first| !are_one_group(first, &due))
            {
                break;
            }
            self.take_out(id);
            rows.push(due);
        }
        rows
    }

    fn unlist_front(&mut self, id: Id<Tenant>, berth: Id<Berth>, line: Line) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        let ring = tenant.rings.of_mut(line);
        if ring.front() == Some(&berth) {
            ring.pop_front();
            if let Some(one) = self.berths.get_mut(berth) {
                one.queues.of_mut(line).listed = false;
            }
        }
    }

    /// Its destination belongs to another site by now: the group moves there.
    fn move_group(&mut self, leader: Id<Row>) {
        let group: Vec<_> = self.rows.ring(Chain::Group, Some(leader)).collect();
        let lifted = group.into_iter().map(|id| (id, self.lift(id)));
        let lifted: Vec<_> = lifted.collect();
        for (id, carried) in lifted {
            self.budget = self.budget.saturating_sub(1);
            self.settle_in(id, carried);
        }
    }
}

pub(super) fn are_one_group(one: &Due, other: &Due) -> bool {
    let of = |due: &Due| (due.row.message, Kind::of(due.row.attempts, due.row.cause));
    of(one) == of(other) && one.row.domain == other.row.domain
}
