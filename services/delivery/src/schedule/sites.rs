//! Destinations (mail domains) and the sites that take their mail.
//!
//! Until routing tells, a domain is a site of its own. What is known of domains nobody writes to
//! now is kept for the last `IDLE_MOST` of them.

mod health;
mod learn;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use postrider_model::{Domain, Timestamp};

use super::index::Index;
use super::rows::Head;
use super::site::{Site, State};
use super::slab::{Id, Slab};

pub(super) use health::{At, Visit};

/// How many idle domains are remembered.
const IDLE_MOST: usize = 50_000;

/// A mail domain.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) name: Domain,
    pub(super) site: Id<Site>,
    /// All its rows.
    pub(super) rows: Head,
    pub(super) in_flight: u32,
    pub(super) suspended: bool,
    /// Some of its rows may stand in line at the site it belonged to before.
    pub(super) has_moved: bool,
    /// Since when it is idle, in numbers of `Sites::turn`.
    idle: Option<u64>,
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
    by_name: Index<Destination>,
    all: Slab<Site>,
    by_site_name: Index<Site>,
    hasher: RandomState,
    rests: BTreeSet<(Timestamp, Id<Site>)>,
    idle: BTreeMap<u64, Id<Destination>>,
    /// `IDLE_MOST`.
    pub(super) idle_most: usize,
    turn: u64,
    parked: Parked,
    cap: u32,
    divisor: u32,
}
impl Sites {
    pub(super) fn new(cap: usize, divisor: u32) -> Self {
        Self {
            destinations: Slab::default(),
            by_name: Index::default(),
            all: Slab::default(),
            by_site_name: Index::default(),
            hasher: RandomState::new(),
            rests: BTreeSet::new(),
            idle: BTreeMap::new(),
            idle_most: IDLE_MOST,
            turn: 0,
            parked: Parked::default(),
            cap: whole(cap),
            divisor: divisor.max(1),
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Site> {
        self.all.iter()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
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
        self.by_name.find(self.hasher.hash_one(name), is_it)
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
            has_moved: false,
            idle: None,
        });
        if let Some(site) = self.all.get_mut(site) {
            site.destinations = 1;
        }
        let (all, hasher) = (&self.destinations, &self.hasher);
        self.by_name.add(hasher.hash_one(name), id, |id| {
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
        one.has_moved &= one.rows.is_some();
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
        while self.idle.len() > self.idle_most
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: Id<Destination>) {
        let Some(one) = self.destinations.take(id) else {
            return;
        };
        if let Some(turn) = one.idle {
            self.idle.remove(&turn);
        }
        let hash = self.hasher.hash_one(&one.name);
        self.by_name.replace(hash, id, None);
        if let Some(site) = self.all.get_mut(one.site) {
            site.destinations = site.destinations.saturating_sub(1);
        }
        self.drop_site_if_idle(one.site);
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
            self.by_site_name.replace(hash, id, None);
        }
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
}

fn whole(cap: usize) -> u32 {
    u32::try_from(cap).unwrap_or(u32::MAX).max(1)
}
