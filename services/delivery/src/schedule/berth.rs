//! Berths: what one tenant has waiting for one site, a queue for each of its lines.

use std::hash::{BuildHasher, RandomState};

use super::index::Index;
use super::ledger::BerthClocks;
use super::line::{ByLine, Line};
use super::rows::Head;
use super::site::Site;
use super::slab::{Id, Slab};
use super::tenant::Tenant;

#[derive(Debug)]
pub(super) struct Berth {
    pub(super) tenant: Id<Tenant>,
    pub(super) site: Id<Site>,
    pub(super) queues: ByLine<Queue>,
    pub(super) standing: Standing,
    pub(super) clocks: BerthClocks,
}

/// Groups in the order in which they came, by their leading rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    pub(super) groups: Head,
    pub(super) rows: u32,
    /// In the ring of its tenant's line, once; perhaps with nothing left in it.
    pub(super) listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Open,
    /// Waits in its site's queue for a slot.
    Parked,
    /// Has a slot kept for it.
    Called,
}

impl Berth {
    pub(super) fn is_empty(&self) -> bool {
        Line::ALL.iter().all(|line| self.queues.of(*line).rows == 0)
    }

    fn is_idle(&self) -> bool {
        let listed = Line::ALL.iter().any(|line| self.queues.of(*line).listed);
        self.standing == Standing::Open && self.is_empty() && !listed
    }
}

#[derive(Debug, Default)]
pub(super) struct Berths {
    slab: Slab<Berth>,
    by_pair: Index<Berth>,
    hasher: RandomState,
}

impl Berths {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn get(&self, id: Id<Berth>) -> Option<&Berth> {
        self.slab.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Berth> {
        self.slab.iter()
    }

    pub(super) fn get_mut(&mut self, id: Id<Berth>) -> Option<&mut Berth> {
        self.slab.get_mut(id)
    }

    pub(super) fn find(&self, tenant: Id<Tenant>, site: Id<Site>) -> Option<Id<Berth>> {
        let hash = self.hasher.hash_one((tenant, site));
        let is_it = |id: &Id<Berth>| {
            let berth = self.slab.get(*id);
            berth.is_some_and(|berth| (berth.tenant, berth.site) == (tenant, site))
        };
        self.by_pair.find(hash, is_it)
    }

    pub(super) fn add(&mut self, tenant: Id<Tenant>, site: Id<Site>) -> Id<Berth> {
        let id = self.slab.put(Berth {
            tenant,
            site,
            queues: ByLine::default(),
            standing: Standing::Open,
            clocks: BerthClocks::default(),
        });
        let (slab, hasher) = (&self.slab, &self.hasher);
        let hash = hasher.hash_one((tenant, site));
        self.by_pair.add(hash, id, |id| {
            let berth = slab.get(*id);
            berth.map_or(0, |berth| hasher.hash_one((berth.tenant, berth.site)))
        });
        id
    }

    /// Takes a berth away that nothing stands in and no ring knows; gives its site.
    pub(super) fn drop_if_idle(&mut self, id: Id<Berth>) -> Option<Id<Site>> {
        if !self.slab.get(id)?.is_idle() {
            return None;
        }
        let berth = self.slab.take(id)?;
        let hash = self.hasher.hash_one((berth.tenant, berth.site));
        self.by_pair.replace(hash, id, None);
        Some(berth.site)
    }
}
