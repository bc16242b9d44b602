//! What operators, and the clock of scheduled mail, have a say in. A verb takes some steps for
//! each row it is about, and none for others.

use std::collections::BTreeSet;

use postrider_model::{MessageId, Timestamp, WaitCause};
use postrider_store::{LaneKey, Level, Shard};

use super::ledger::Stop;
use super::rows::{Chain, Place, Row};
use super::site::Site;
use super::slab::Id;
use super::tenant::Standing;
use super::{Schedule, Scope};

impl Schedule {
    /// Stops what waits here and what comes later, until `resume`. Rows that are not due yet
    /// wait for that first.
    pub(crate) fn suspend(&mut self, scope: Scope, now: Timestamp) {
        self.tick(now);
        let rows = self.within(&scope);
        match scope {
            Scope::Tenant(tenant) => {
                self.suspended.tenants.insert(tenant);
                let Some(id) = self.tenants.find(tenant) else {
                    return;
                };
                self.stand(id, Standing::Idle);
                if let Some(one) = self.tenants.get_mut(id) {
                    one.suspended = true;
                    one.clocks.stop(self.at.ticks, Stop::Held);
                }
                self.uncall_all(id);
                return;
            }
            Scope::Domain(domain) => {
                if let Some(id) = self.sites.find(&domain)
                    && let Some(one) = self.sites.destination_mut(id)
                {
                    one.suspended = true;
                }
                self.suspended.domains.insert(domain);
            }
            Scope::Message(message) => {
                self.suspended.messages.insert(message);
            }
        }
        self.place_again(&rows);
    }

    /// What was suspended goes on.
    pub(crate) fn resume(&mut self, scope: &Scope, now: Timestamp) {
        self.tick(now);
        match scope {
            Scope::Tenant(tenant) => {
                self.suspended.tenants.remove(tenant);
                let Some(id) = self.tenants.find(*tenant) else {
                    return;
                };
                let Some(one) = self.tenants.get_mut(id) else {
                    return;
                };
                if std::mem::take(&mut one.suspended) {
                    // Where its pace is «stopped», its turn tells.
                    one.stopped = false;
                    one.clocks.stop(self.at.ticks, Stop::Nothing);
                    if one.overdue.is_some() {
                        self.resumed.push_back(id);
                    }
                    self.enlist(id);
                }
                return;
            }
            Scope::Domain(domain) => {
                self.suspended.domains.remove(domain);
                if let Some(id) = self.sites.find(domain)
                    && let Some(one) = self.sites.destination_mut(id)
                {
                    one.suspended = false;
                }
            }
            Scope::Message(message) => {
                self.suspended.messages.remove(message);
            }
        }
        let rows = self.within(scope);
        self.place_again(&rows);
    }

    /// This message waits for somebody's word: its rows wait until `word_came`.
    pub(crate) fn await_word(&mut self, message: MessageId, now: Timestamp) {
        self.tick(now);
        self.suspended.awaiting.insert(message);
        let rows = self.within(&Scope::Message(message));
        self.place_again(&rows);
    }

    /// Whether it waits for somebody's word.
    pub(crate) fn awaits_word(&self, message: MessageId) -> bool {
        self.suspended.awaiting.contains(&message)
    }

    /// The word that it waited for is there.
    pub(crate) fn word_came(&mut self, message: MessageId, now: Timestamp) {
        self.tick(now);
        self.suspended.awaiting.remove(&message);
        let rows = self.within(&Scope::Message(message));
        self.place_again(&rows);
    }

    /// An operator says that what kept these rows waiting is mended: the rests of their sites are
    /// over, and each site takes a probe at once. Sites that do not rest stay as they are, so
    /// that this may be called again as more rows come.
    pub(crate) fn end_rests(&mut self, scope: &Scope, now: Timestamp) {
        self.tick(now);
        let resting: BTreeSet<_> = self.sites.resting().collect();
        if resting.is_empty() {
            return;
        }
        for site in resting.intersection(&self.sites_of(scope, &resting)) {
            if self.sites.end_rest(*site, self.at) {
                self.call_parked(*site);
            }
        }
    }

    /// Rows that are held or cancelled leave; gives the lanes they were in.
    pub(crate) fn let_go(&mut self, scope: &Scope) -> Vec<LaneKey> {
        let rows = self.within(scope);
        let lane = |row: &Row| {
            let tenant = self.tenants.get(row.tenant)?.id;
            let stream = row.stream;
            Some(LaneKey { tenant, stream })
        };
        let gone = rows.iter().filter_map(|id| self.rows.get(*id));
        let lanes: BTreeSet<_> = gone.filter_map(lane).collect();
        for id in rows {
            self.take_out_for_good(id);
        }
        lanes.into_iter().collect()
    }

    /// A row that does not come back by itself: what its message waits for is forgotten with the last one.
    fn take_out_for_good(&mut self, id: Id<Row>) {
        let message = self.rows.get(id).map(|row| row.message);
        self.take_out(id);
        if let Some(message) = message.filter(|message| self.rows.of_message(*message).is_none()) {
            self.suspended.awaiting.remove(&message);
        }
    }

    /// This shard is another's: its rows leave, and what its tenants' buckets hold comes out.
    pub(crate) fn let_go_shard(&mut self, shard: Shard, now: Timestamp) -> Vec<Level> {
        self.tick(now);
        let mut levels = Vec::new();
        for id in self.tenants.let_go_shard(shard) {
            let rows = self.tenants.get(id).and_then(|one| one.rows);
            let rows: Vec<_> = self.rows.ring(Chain::Tenant, rows).collect();
            for row in rows {
                self.take_out_for_good(row);
            }
            self.stand(id, Standing::Idle);
            self.uncall_all(id);
            self.clear_rings(id);
            self.resumed.retain(|other| *other != id);
            levels.extend(self.tenants.forget(id, now));
        }
        levels
    }

    /// Messages whose scheduled time has come, at most `most`. Each is given once: then it is
    /// started, dropped, or given again after `ask_again`.
    pub(crate) fn scheduled(&mut self, now: Timestamp, most: usize) -> Vec<MessageId> {
        self.tick(now);
        let mut due = Vec::new();
        while due.len() < most
            && let Some(message) = self.to_ask.pop_front()
        {
            if let Some(given) = self.asked.get_mut(&message)
                && !std::mem::replace(given, true)
            {
                due.push(message);
                self.mark_asked(message);
            }
        }
        due
    }

    fn mark_asked(&mut self, message: MessageId) {
        for id in self.within(&Scope::Message(message)) {
            if let Some(row) = self.rows.get_mut(id)
                && row.place == Place::Due
            {
                row.place = Place::Asked;
            }
        }
    }

    /// Whether a scheduled message may start could not be found out: `scheduled` gives it again.
    pub(crate) fn ask_again(&mut self, message: MessageId) {
        if let Some(given) = self.asked.get_mut(&message)
            && std::mem::replace(given, false)
        {
            self.to_ask.push_back(message);
        }
    }

    /// A scheduled message may go.
    pub(crate) fn start(&mut self, message: MessageId, now: Timestamp) {
        self.tick(now);
        self.asked.remove(&message);
        for id in self.within(&Scope::Message(message)) {
            if self
                .rows
                .get(id)
                .is_some_and(|row| matches!(row.place, Place::Due | Place::Asked))
            {
                self.close_books(id);
                let carried = self.lift(id);
                if let Some(row) = self.rows.get_mut(id) {
                    row.cause = WaitCause::Turn;
                }
                self.settle_in(id, carried);
            }
        }
    }

    /// A scheduled message may not go: what was asked about is forgotten. What has come in since
    /// then the answer is not about: it stays for its own time, and is asked about then.
    pub(crate) fn drop_message(&mut self, message: MessageId) {
        self.asked.remove(&message);
        let mut is_due = false;
        for id in self.within(&Scope::Message(message)) {
            match self.rows.get(id).map(|row| row.place) {
                Some(Place::Asked) => self.take_out(id),
                Some(Place::Due) => is_due = true,
                _ => {}
            }
        }
        if is_due {
            self.asked.insert(message, false);
            self.to_ask.push_back(message);
        }
    }

    /// Those of some sites that rows of this scope wait for. A tenant's are found by its berths,
    /// for it may have many more rows than sites rest.
    fn sites_of(&self, scope: &Scope, some: &BTreeSet<Id<Site>>) -> BTreeSet<Id<Site>> {
        match scope {
            Scope::Tenant(tenant) => {
                let tenant = self.tenants.find(*tenant);
                let waits = |site: &Id<Site>| {
                    tenant.is_some_and(|tenant| self.berths.find(tenant, *site).is_some())
                };
                some.iter().copied().filter(waits).collect()
            }
            Scope::Domain(domain) => {
                let id = self.sites.find(domain);
                let one = id.and_then(|id| self.sites.destination(id));
                let own = one.map(|one| one.site);
                let moved = one.filter(|one| one.has_moved);
                let rows = self
                    .rows
                    .ring(Chain::Domain, moved.and_then(|one| one.rows));
                let berths = rows.filter_map(|id| self.site_of_berth(id));
                own.into_iter().chain(berths).collect()
            }
            Scope::Message(_) => {
                let rows = self.within(scope);
                let own = rows.iter().filter_map(|id| self.site_of_domain(*id));
                let berths = rows.iter().filter_map(|id| self.site_of_berth(*id));
                own.chain(berths).collect()
            }
        }
    }

    fn site_of_domain(&self, id: Id<Row>) -> Option<Id<Site>> {
        let domain = self.rows.get(id)?.domain;
        Some(self.sites.destination(domain)?.site)
    }

    /// Where a row stands in line: perhaps at the site that its domain left.
    fn site_of_berth(&self, id: Id<Row>) -> Option<Id<Site>> {
        match self.rows.get(id)?.place {
            Place::Line(berth) => Some(self.berths.get(berth)?.site),
            _ => None,
        }
    }

    fn within(&self, scope: &Scope) -> Vec<Id<Row>> {
        let (chain, head) = match scope {
            Scope::Tenant(tenant) => {
                let tenant = self.tenants.find(*tenant);
                let tenant = tenant.and_then(|id| self.tenants.get(id));
                (Chain::Tenant, tenant.and_then(|one| one.rows))
            }
            Scope::Domain(domain) => {
                let domain = self.sites.find(domain);
                let domain = domain.and_then(|id| self.sites.destination(id));
                (Chain::Domain, domain.and_then(|one| one.rows))
            }
            Scope::Message(message) => (Chain::Message, self.rows.of_message(*message)),
        };
        self.rows.ring(chain, head).collect()
    }

    /// Rows whose suspension began or ended.
    fn place_again(&mut self, rows: &[Id<Row>]) {
        for id in rows {
            let place = self.rows.get(*id).map(|row| row.place);
            if let Some(Place::Line(_) | Place::Late | Place::Held) = place {
                let carried = self.lift(*id);
                self.settle_in(*id, carried);
            }
        }
    }

    fn clear_rings(&mut self, id: Id<super::tenant::Tenant>) {
        for line in super::line::Line::ALL {
            while let Some(tenant) = self.tenants.get_mut(id)
                && let Some(berth) = tenant.rings.of_mut(line).pop_front()
            {
                if let Some(one) = self.berths.get_mut(berth) {
                    one.queues.of_mut(line).listed = false;
                }
                self.drop_berth_if_idle(berth);
            }
        }
    }
}
