//! Destinations (mail domains) and sites (who takes their mail): how many attempts a site may
//! be given, and whether it answers.
//!
//! Until routing tells, a domain is a site of its own. What is known of domains nobody writes to
//! now is kept for the last `IDLE_MOST` of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use hashbrown::HashTable;
use postrider_model::{Domain, Timestamp};

use super::Health;
use super::berth::Berth;
use super::rows::Head;
use super::slab::{Id, Slab};

/// How many idle domains are remembered.
const IDLE_MOST: usize = 50_000;
/// Attempts in a row that reach nobody before a site rests.
const FAILURES: u32 = 3;
/// The first rest of a site; doubled each time.
const REST: Duration = Duration::from_secs(30);
const REST_MOST: Duration = Duration::from_mins(10);

/// A mail domain.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) name: Domain,
    pub(super) site: Id<Site>,
    /// All its rows.
    pub(super) rows: Head,
    pub(super) in_flight: u32,
    pub(super) suspended: bool,
    /// Since when it is idle, in numbers of `Sites::turn`.
    idle: Option<u64>,
}

/// An attempt at a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) to: Id<Destination>,
    /// It tells whether a site answers again.
    pub(super) probe: bool,
}

/// The time, and how much of it has passed for the ledgers: that never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) now: Timestamp,
    pub(super) ticks: u64,
}

/// Exchangers that share their connections.
#[derive(Debug)]
pub(super) struct Site {
    /// `None` for a domain whose site is not known yet.
    name: Option<Box<str>>,
    cap: u32,
    in_flight: u32,
    /// Berths that have a slot kept for them.
    pub(super) called: u32,
    /// Berths that wait for a slot, each once.
    pub(super) parked: VecDeque<Id<Berth>>,
    /// Rows in parked berths.
    parked_rows: usize,
    state: State,
    /// How long it has not been open until `at`.
    backoff: u64,
    at: u64,
    destinations: u32,
    pub(super) berths: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open {
        failures: u32,
    },
    Resting {
        until: Timestamp,
        rests: u32,
    },
    /// Its rest is over: one attempt tells whether it answers.
    Probing {
        rests: u32,
        out: bool,
    },
}

impl Site {
    fn new(name: Option<Box<str>>, cap: u32) -> Self {
        Self {
            name,
            cap,
            in_flight: 0,
            called: 0,
            parked: VecDeque::new(),
            parked_rows: 0,
            backoff: 0,
            at: 0,
            state: State::Open { failures: 0 },
            destinations: 0,
            berths: 0,
        }
    }

    /// Whether an attempt more may begin, slots kept for others not counted in.
    pub(super) fn has_room(&self) -> bool {
        let below_cap = self.in_flight + self.called < self.cap;
        match self.state {
            State::Open { .. } => below_cap,
            State::Resting { .. } => false,
            State::Probing { out, .. } => below_cap && !out && self.called == 0,
        }
    }

    /// What its clock shows, which runs while it is not open.
    pub(super) fn backoff(&self, ticks: u64) -> u64 {
        let passed = ticks.saturating_sub(self.at);
        match self.state {
            State::Open { .. } => self.backoff,
            State::Resting { .. } | State::Probing { .. } => self.backoff + passed,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }
}

/// Rows in parked berths, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) cap: usize,
    pub(super) backoff: usize,
}

impl Parked {
    fn of(&mut self, open: bool) -> &mut usize {
        if open {
            &mut self.cap
        } else {
            &mut self.backoff
        }
    }
}

#[derive(Debug)]
pub(super) struct Sites {
    destinations: Slab<Destination>,
    by_name: HashTable<Id<Destination>>,
    all: Slab<Site>,
    by_site_name: HashTable<Id<Site>>,
    hasher: RandomState,
    rests: BTreeSet<(Timestamp, Id<Site>)>,
    idle: BTreeMap<u64, Id<Destination>>,
    turn: u64,
    parked: Parked,
    cap: u32,
    divisor: u32,
}

impl Sites {
    pub(super) fn new(cap: usize, divisor: u32) -> Self {
        Self {
            destinations: Slab::default(),
            by_name: HashTable::new(),
            all: Slab::default(),
            by_site_name: HashTable::new(),
            hasher: RandomState::new(),
            rests: BTreeSet::new(),
            idle: BTreeMap::new(),
            turn: 0,
            parked: Parked::default(),
            cap: whole(cap),
            divisor: divisor.max(1),
        }
    }

    pub(super) fn destination(&self, id: Id<Destination>) -> Option<&Destination> {
        self.destinations.get(id)
    }

    pub(super) fn destination_mut(&mut self, id: Id<Destination>) -> Option<&mut Destination> {
        self.destinations.get_mut(id)
    }

    pub(super) fn site(&self, id: Id<Site>) -> Option<&Site> {
        self.all.get(id)
    }

    pub(super) fn site_mut(&mut self, id: Id<Site>) -> Option<&mut Site> {
        self.all.get_mut(id)
    }

    pub(super) fn find(&self, name: &Domain) -> Option<Id<Destination>> {
        let is_it =
            |id: &Id<Destination>| self.destinations.get(*id).is_some_and(|d| d.name == *name);
        self.by_name
            .find(self.hasher.hash_one(name), is_it)
            .copied()
    }

    /// The destination of this name, made where it is not known.
    pub(super) fn intern(&mut self, name: &Domain) -> Id<Destination> {
        if let Some(id) = self.find(name) {
            return id;
        }
        let site = self.all.put(Site::new(None, self.cap));
        let id = self.destinations.put(Destination {
            name: name.clone(),
            site,
            rows: None,
            in_flight: 0,
            suspended: false,
            idle: None,
        });
        if let Some(site) = self.all.get_mut(site) {
            site.destinations = 1;
        }
        let (all, hasher) = (&self.destinations, &self.hasher);
        self.by_name.insert_unique(hasher.hash_one(name), id, |id| {
            all.get(*id).map_or(0, |one| hasher.hash_one(&one.name))
        });
        id
    }

    /// A row of this destination is there.
    pub(super) fn busy(&mut self, id: Id<Destination>) {
        if let Some(one) = self.destinations.get_mut(id)
            && let Some(turn) = one.idle.take()
        {
            self.idle.remove(&turn);
        }
    }

    /// Where nothing of this destination is here any more, it is forgotten: at once, or when
    /// too many others came to rest after it.
    pub(super) fn rest_if_idle(&mut self, id: Id<Destination>) {
        let Some(one) = self.destinations.get_mut(id) else {
            return;
        };
        if one.rows.is_some() || one.in_flight > 0 || one.idle.is_some() {
            return;
        }
        let Some(site) = self.all.get(one.site) else {
            return;
        };
        if site.name.is_none() && site.state == (State::Open { failures: 0 }) {
            self.forget(id);
            return;
        }
        self.turn += 1;
        one.idle = Some(self.turn);
        self.idle.insert(self.turn, id);
        while self.idle.len() > IDLE_MOST
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.forget(oldest);
        }
    }

    /// Frees a site that nobody belongs to.
    pub(super) fn drop_site_if_idle(&mut self, id: Id<Site>) {
        let idle = |site: &Site| site.destinations == 0 && site.berths == 0 && site.in_flight == 0;
        if !self.all.get(id).is_some_and(idle) {
            return;
        }
        let Some(site) = self.all.take(id) else {
            return;
        };
        if let State::Resting { until, .. } = site.state {
            self.rests.remove(&(until, id));
        }
        if let Some(name) = site.name {
            let hash = self.hasher.hash_one(&name);
            if let Ok(entry) = self.by_site_name.find_entry(hash, |other| *other == id) {
                entry.remove();
            }
        }
    }

    /// A domain's mail is taken at this site. Gives the site it belonged to, and the one it
    /// belongs to now.
    pub(super) fn learn(
        &mut self,
        domain: &Domain,
        name: &str,
        cap: usize,
    ) -> (Id<Site>, Id<Site>) {
        let id = self.intern(domain);
        let cap = whole(cap);
        let hash = self.hasher.hash_one(name);
        let all = &self.all;
        let is_it = |id: &Id<Site>| {
            all.get(*id)
                .is_some_and(|s| s.name.as_deref() == Some(name))
        };
        let known = self.by_site_name.find(hash, is_it).copied();
        let own = self.destinations.get(id).map(|one| one.site);
        let target = match (known, own) {
            (Some(known), _) => known,
            (None, Some(own)) if self.all.get(own).is_some_and(|s| s.name.is_none()) => {
                self.christen(own, name)
            }
            (None, _) => {
                let new = self.all.put(Site::new(None, cap));
                self.christen(new, name)
            }
        };
        if let Some(site) = self.all.get_mut(target) {
            site.cap = cap;
        }
        let own = own.unwrap_or(target);
        self.move_to(id, own, target);
        self.rest_if_idle(id);
        (own, target)
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, to: Id<Destination>) -> Visit {
        let mut visit = Visit { to, probe: false };
        if let Some(one) = self.destinations.get_mut(to) {
            one.in_flight += 1;
            if let Some(site) = self.all.get_mut(one.site) {
                site.in_flight += 1;
                if let State::Probing { out, .. } = &mut site.state {
                    *out = true;
                    visit.probe = true;
                }
            }
        }
        visit
    }

    /// An attempt is over. Gives its destination's site of now.
    pub(super) fn end(&mut self, visit: Visit, health: Health, at: At) -> Option<Id<Site>> {
        let one = self.destinations.get_mut(visit.to)?;
        one.in_flight = one.in_flight.saturating_sub(1);
        let id = one.site;
        let site = self.all.get_mut(id)?;
        site.in_flight = site.in_flight.saturating_sub(1);
        let state = match (health, site.state) {
            (Health::Served, _) => State::Open { failures: 0 },
            (Health::Unreachable, State::Open { failures }) if failures + 1 >= FAILURES => {
                rest(at.now, 0, self.divisor)
            }
            (Health::Unreachable, State::Open { failures }) => State::Open {
                failures: failures + 1,
            },
            (Health::Unreachable, State::Probing { rests, .. }) if visit.probe => {
                rest(at.now, rests + 1, self.divisor)
            }
            (Health::Nothing, State::Probing { rests, .. }) if visit.probe => {
                State::Probing { rests, out: false }
            }
            // What began before the rest says nothing new.
            (Health::Unreachable | Health::Nothing, state) => state,
        };
        self.turn_to(id, state, at.ticks);
        Some(id)
    }

    /// A site whose rest is over: it takes a probe.
    pub(super) fn wake(&mut self, at: At) -> Option<Id<Site>> {
        let (until, id) = self.rests.first().copied()?;
        // Nobody rests longer than that, but by a clock that went back.
        if until > at.now && until <= at.now.after(REST_MOST) {
            return None;
        }
        self.rests.pop_first();
        if let State::Resting { rests, .. } = self.all.get(id)?.state {
            self.turn_to(id, State::Probing { rests, out: false }, at.ticks);
        }
        Some(id)
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.rests.first().map(|(until, _)| *until)
    }

    /// Rows in parked berths of all sites.
    pub(super) fn parked(&self) -> Parked {
        self.parked
    }

    /// Rows came to parked berths of this site.
    pub(super) fn add_parked(&mut self, id: Id<Site>, rows: usize) {
        if let Some(site) = self.all.get_mut(id) {
            site.parked_rows += rows;
            *self.parked.of(site.is_open()) += rows;
        }
    }

    /// Rows left parked berths of this site, or their berths are parked no more.
    pub(super) fn sub_parked(&mut self, id: Id<Site>, rows: usize) {
        if let Some(site) = self.all.get_mut(id) {
            site.parked_rows = site.parked_rows.saturating_sub(rows);
            let sum = self.parked.of(site.is_open());
            *sum = sum.saturating_sub(rows);
        }
    }

    fn turn_to(&mut self, id: Id<Site>, state: State, ticks: u64) {
        let Some(site) = self.all.get_mut(id) else {
            return;
        };
        site.backoff = site.backoff(ticks);
        site.at = ticks;
        let (before, was_open) = (site.state, site.is_open());
        site.state = state;
        if was_open != site.is_open() {
            let rows = site.parked_rows;
            let sum = self.parked.of(was_open);
            *sum = sum.saturating_sub(rows);
            *self.parked.of(!was_open) += rows;
        }
        if let State::Resting { until, .. } = before
            && before != state
        {
            self.rests.remove(&(until, id));
        }
        if let State::Resting { until, .. } = state {
            self.rests.insert((until, id));
        }
    }

    fn christen(&mut self, id: Id<Site>, name: &str) -> Id<Site> {
        if let Some(site) = self.all.get_mut(id) {
            site.name = Some(name.into());
        }
        let (all, hasher) = (&self.all, &self.hasher);
        self.by_site_name
            .insert_unique(hasher.hash_one(name), id, |id| {
                let name = all.get(*id).and_then(|site| site.name.as_deref());
                name.map_or(0, |name| hasher.hash_one(name))
            });
        id
    }

    fn move_to(&mut self, id: Id<Destination>, from: Id<Site>, to: Id<Site>) {
        let Some(one) = self.destinations.get_mut(id) else {
            return;
        };
        if from == to && one.site == to {
            return;
        }
        if let Some(site) = self.all.get_mut(from) {
            site.in_flight = site.in_flight.saturating_sub(one.in_flight);
            site.destinations = site.destinations.saturating_sub(1);
            // The probe may have been the one that moves: it tells of the new site.
            if let State::Probing { out, .. } = &mut site.state {
                *out = false;
            }
        }
        if let Some(site) = self.all.get_mut(to) {
            site.in_flight += one.in_flight;
            site.destinations += 1;
        }
        one.site = to;
    }

    fn forget(&mut self, id: Id<Destination>) {
        let Some(one) = self.destinations.take(id) else {
            return;
        };
        if let Some(turn) = one.idle {
            self.idle.remove(&turn);
        }
        let hash = self.hasher.hash_one(&one.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        if let Some(site) = self.all.get_mut(one.site) {
            site.destinations = site.destinations.saturating_sub(1);
        }
        self.drop_site_if_idle(one.site);
    }
}

fn rest(now: Timestamp, rests: u32, divisor: u32) -> State {
    let span = REST.saturating_mul(1 << rests.min(10)).min(REST_MOST);
    let until = now.after(span / divisor);
    State::Resting { until, rests }
}

fn whole(cap: usize) -> u32 {
    u32::try_from(cap).unwrap_or(u32::MAX).max(1)
}
