//! Which site takes a domain's mail.

use std::hash::BuildHasher;

use postrider_model::Domain;

use super::super::site::{Site, State};
use super::super::slab::Id;
use super::{Destination, Sites, whole};

impl Sites {
    /// A domain's mail is taken at this site. Gives the site it belonged to, and the one it
    /// belongs to now.
    pub(in super::super) fn learn(
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
        let known = self.by_site_name.find(hash, is_it);
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

    fn christen(&mut self, id: Id<Site>, name: &str) -> Id<Site> {
        if let Some(site) = self.all.get_mut(id) {
            site.name = Some(name.into());
        }
        let (all, hasher) = (&self.all, &self.hasher);
        self.by_site_name.add(hasher.hash_one(name), id, |id| {
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
        one.has_moved |= one.rows.is_some();
    }
}
