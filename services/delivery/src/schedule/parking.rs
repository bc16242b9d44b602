//! What happens where a site takes no more: berths wait for it, and are called one by one.
//!
//! Invariant: a site with room has nobody parked. A called berth has a slot kept until its
//! tenant's turn; where its tenant cannot go then, the slot goes to the next one.

use postrider_model::{Domain, Timestamp, WaitCause};

use super::berth::{Berth, Standing};
use super::ledger::Stop;
use super::line::Line;
use super::site::Site;
use super::slab::Id;
use super::tenant::{Standing as Stand, Tenant};
use super::{Health, Schedule, Ticket};

impl Schedule {
    /// An attempt is over: its site and its tenant may begin another.
    pub(crate) fn ended(&mut self, ticket: Ticket, health: Health, now: Timestamp) {
        self.tick(now);
        let Some(slot) = ticket.slot else { return };
        if let Some(id) = self.tenants.find(slot.tenant)
            && let Some(tenant) = self.tenants.get_mut(id)
            && tenant.born == slot.born
        {
            tenant.in_flight = tenant.in_flight.saturating_sub(1);
            match tenant.standing {
                Stand::Full => {
                    tenant.clocks.stop(self.at.ticks, Stop::Nothing);
                    self.enlist(id);
                }
                // Perhaps it rests because its last connection is kept for another site.
                Stand::Resting(_) if !tenant.is_held() => self.enlist(id),
                Stand::Resting(_) | Stand::Idle | Stand::Turning => {}
            }
        }
        if let Some(site) = self.sites.end(slot.visit, health, self.at) {
            self.call_parked(site);
        }
        self.sites.rest_if_idle(slot.visit.to);
    }

    /// Routing found out who takes a domain's mail, and how many attempts at once it may be
    /// given. Of domains that nobody writes to now, the last 50,000 are remembered.
    pub(crate) fn learn(&mut self, domain: &Domain, site: &str, cap: usize, now: Timestamp) {
        self.tick(now);
        self.destination(domain);
        let (before, after) = self.sites.learn(domain, site, cap);
        // What is parked there may belong here by now: it is moved as its turn comes.
        self.call_parked(before);
        self.call_parked(after);
        self.sites.drop_site_if_idle(before);
    }

    /// Gives the slots that a site has left to those that wait for them.
    pub(super) fn call_parked(&mut self, site: Id<Site>) {
        while let Some(one) = self.sites.site_mut(site)
            && one.has_room()
            && let Some(berth) = one.parked.pop_front()
        {
            self.unpark(berth);
            if self.can_go(berth) {
                self.call(berth);
            } else {
                self.save_for(berth);
                self.list_all(berth);
                self.drop_berth_if_idle(berth);
            }
        }
    }

    /// Puts a berth into its site's queue: at its end, or in front where it was called before.
    pub(super) fn park(&mut self, id: Id<Berth>) {
        let Some(berth) = self.berths.get(id) else {
            return;
        };
        let beyond = self.beyond(berth);
        let (tenant, site) = (berth.tenant, berth.site);
        let Some(berth) = self.berths.get_mut(id) else {
            return;
        };
        berth.standing = Standing::Parked;
        berth.clocks.park(self.at.ticks, beyond);
        let mut rows = 0;
        let mut saved = false;
        if let Some(one) = self.tenants.get_mut(tenant) {
            saved = one.saving == Some(id);
            for line in Line::ALL {
                let waiting = rows_of(berth, line);
                *one.open.of_mut(line) -= waiting;
                rows += waiting;
            }
        }
        self.sites.add_parked(site, rows);
        if let Some(one) = self.sites.site_mut(site) {
            if saved {
                one.parked.push_front(id);
            } else {
                one.parked.push_back(id);
            }
        }
    }

    /// Takes back the slots kept for a tenant that cannot go now.
    pub(super) fn uncall_all(&mut self, tenant: Id<Tenant>) {
        while let Some(one) = self.tenants.get(tenant)
            && let Some(berth) = one.called.front().copied()
        {
            self.save_for(berth);
            self.uncall(berth);
        }
    }

    /// Takes back the slot kept for a berth.
    pub(super) fn uncall(&mut self, id: Id<Berth>) {
        let Some(site) = self.answer_call(id) else {
            return;
        };
        self.list_all(id);
        self.drop_berth_if_idle(id);
        self.call_parked(site);
    }

    /// A called berth is called no more; gives its site.
    pub(super) fn answer_call(&mut self, id: Id<Berth>) -> Option<Id<Site>> {
        let berth = self.berths.get_mut(id)?;
        berth.standing = Standing::Open;
        if let Some(tenant) = self.tenants.get_mut(berth.tenant) {
            // It is most often in front.
            if tenant.called.front() == Some(&id) {
                tenant.called.pop_front();
            } else {
                tenant.called.retain(|other| *other != id);
            }
        }
        if let Some(site) = self.sites.site_mut(berth.site) {
            site.called = site.called.saturating_sub(1);
        }
        Some(berth.site)
    }

    /// The berth of a tenant at a site.
    pub(super) fn berth(&mut self, tenant: Id<Tenant>, site: Id<Site>) -> Id<Berth> {
        if let Some(known) = self.berths.find(tenant, site) {
            return known;
        }
        if let Some(one) = self.sites.site_mut(site) {
            one.berths += 1;
        }
        self.berths.add(tenant, site)
    }

    pub(super) fn drop_berth_if_idle(&mut self, id: Id<Berth>) {
        let tenant = self.berths.get(id).map(|berth| berth.tenant);
        let Some(site) = self.berths.drop_if_idle(id) else {
            return;
        };
        if let Some(one) = tenant.and_then(|tenant| self.tenants.get_mut(tenant))
            && one.saving == Some(id)
        {
            one.saving = None;
        }
        if let Some(one) = self.sites.site_mut(site) {
            one.berths -= 1;
        }
        self.sites.drop_site_if_idle(site);
    }

    /// Puts a berth into the rings of all lines in which it has something.
    pub(super) fn list_all(&mut self, id: Id<Berth>) {
        for line in Line::ALL {
            self.list(id, line);
        }
    }

    /// Puts a berth into the ring of a line, if it belongs there and is not in it.
    pub(super) fn list(&mut self, id: Id<Berth>, line: Line) {
        let Some(berth) = self.berths.get_mut(id) else {
            return;
        };
        let queue = berth.queues.of_mut(line);
        if queue.rows == 0 || berth.standing == Standing::Parked {
            return;
        }
        let tenant = berth.tenant;
        if !std::mem::replace(&mut queue.listed, true)
            && let Some(one) = self.tenants.get_mut(tenant)
        {
            one.rings.of_mut(line).push_back(id);
        }
        self.rouse(tenant, line);
    }

    /// A tenant has something in this line: is there a turn to wait for?
    fn rouse(&mut self, id: Id<Tenant>, line: Line) {
        let Some(tenant) = self.tenants.get(id) else {
            return;
        };
        let idle = match tenant.standing {
            Stand::Idle => true,
            Stand::Resting(_) => tenant.clocks.cause(line) == WaitCause::Turn,
            Stand::Turning | Stand::Full => false,
        };
        if idle && !tenant.is_held() {
            self.enlist(id);
        }
    }

    fn unpark(&mut self, id: Id<Berth>) {
        let Some(berth) = self.berths.get(id) else {
            return;
        };
        let beyond = self.beyond(berth);
        let (tenant, site) = (berth.tenant, berth.site);
        let Some(berth) = self.berths.get_mut(id) else {
            return;
        };
        berth.standing = Standing::Open;
        berth.clocks.unpark(self.at.ticks, beyond);
        let mut rows = 0;
        if let Some(one) = self.tenants.get_mut(tenant) {
            for line in Line::ALL {
                let waiting = rows_of(berth, line);
                *one.open.of_mut(line) += waiting;
                rows += waiting;
            }
        }
        self.sites.sub_parked(site, rows);
    }

    fn call(&mut self, id: Id<Berth>) {
        let Some(berth) = self.berths.get_mut(id) else {
            return;
        };
        berth.standing = Standing::Called;
        let tenant = berth.tenant;
        if let Some(site) = self.sites.site_mut(berth.site) {
            site.called += 1;
        }
        if let Some(one) = self.tenants.get_mut(tenant) {
            one.called.push_back(id);
            if one.standing != Stand::Turning {
                one.clocks.stop(self.at.ticks, Stop::Nothing);
                self.enlist(tenant);
            }
        }
    }

    /// Whether a berth could use a slot at its tenant's next turn.
    fn can_go(&self, id: Id<Berth>) -> bool {
        let Some(berth) = self.berths.get(id) else {
            return false;
        };
        let Some(tenant) = self.tenants.get(berth.tenant) else {
            return false;
        };
        let saved = tenant.saving == Some(id);
        let may = match tenant.standing {
            Stand::Idle | Stand::Turning => true,
            Stand::Resting(_) => saved || self.is_ready(id),
            Stand::Full => saved && tenant.in_flight < tenant.most(self.settings.tenant_most),
        };
        may && !berth.is_empty() && !tenant.is_held()
    }

    /// A berth was called when its tenant could not go: the tenant's next token and connection
    /// are its own, or others of the tenant would always be there first.
    fn save_for(&mut self, id: Id<Berth>) {
        let Some(berth) = self.berths.get(id) else {
            return;
        };
        if berth.is_empty() {
            return;
        }
        let of = berth.tenant;
        let saving = self.tenants.get(of).and_then(|tenant| tenant.saving);
        if !saving.is_some_and(|berth| self.is_saved_for(berth))
            && let Some(tenant) = self.tenants.get_mut(of)
        {
            tenant.saving = Some(id);
        }
    }

    /// Whether something is kept back for a berth. At a site that rests it may wait for long:
    /// the others of its tenant go on meanwhile.
    pub(super) fn is_saved_for(&self, id: Id<Berth>) -> bool {
        let berth = self.berths.get(id).filter(|berth| !berth.is_empty());
        let site = berth.and_then(|berth| self.sites.site(berth.site));
        site.is_some_and(Site::is_open)
    }

    /// At the end of a turn: the called berth in front that is out of tokens, and was passed
    /// over for what is not, gives its slot to others.
    pub(super) fn review_call(&mut self, tenant: Id<Tenant>) {
        let called = self.tenants.get(tenant).and_then(|one| one.called.front());
        if let Some(berth) = called.copied()
            && !self.is_ready(berth)
        {
            self.save_for(berth);
            self.uncall(berth);
        }
    }

    /// Whether a berth has rows that wait for nothing of its tenant's but a turn.
    fn is_ready(&self, id: Id<Berth>) -> bool {
        let berth = self.berths.get(id);
        let tenant = berth.and_then(|berth| self.tenants.get(berth.tenant));
        let (Some(berth), Some(tenant)) = (berth, tenant) else {
            return false;
        };
        Line::ALL.iter().any(|line| {
            let waits = tenant.clocks.cause(*line);
            berth.queues.of(*line).rows > 0 && waits == WaitCause::Turn
        })
    }
}

fn rows_of(berth: &Berth, line: Line) -> usize {
    usize::try_from(berth.queues.of(line).rows).unwrap_or(usize::MAX)
}
