//! Tenants: whose turn it is, what each may spend, and what keeps it waiting.

use std::collections::{BTreeMap, HashMap, VecDeque};

use postrider_model::{Limits, Stream, TenantId, Timestamp};
use postrider_store::{Level, Shard};

use super::berth::Berth;
use super::bucket::{Bucket, Rate};
use super::ledger::TenantClocks;
use super::line::{ByLine, Kind};
use super::rows::Head;
use super::slab::{Id, Slab};

/// Recipients that a tenant may start in one turn: a surplus, so that no group is cut, is taken
/// from its next turns.
pub(super) const QUANTUM: i64 = 4;

#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    /// Tells it from what was here under this id before its shard was let go.
    pub(super) born: u64,
    /// All its rows.
    pub(super) rows: Head,
    pub(super) in_flight: usize,
    pub(super) standing: Standing,
    /// Suspended by a verb.
    pub(super) suspended: bool,
    /// Its pace was `Stopped` when its turn came last.
    pub(super) stopped: bool,
    pub(super) clocks: TenantClocks,
    /// As they were when its turn came last.
    pub(super) limits: Limits,
    pub(super) purse: Purse,
    /// Berths with rows, by line; some may be empty or parked by now.
    pub(super) rings: ByLine<VecDeque<Id<Berth>>>,
    /// Berths with a slot kept for them.
    pub(super) called: VecDeque<Id<Berth>>,
    /// A berth that was called when it could not go: the next token and connection are its own.
    pub(super) saving: Option<Id<Berth>>,
    /// Which kind went last, by lane, so that neither keeps the other waiting.
    pub(super) last: ByLane<Option<Kind>>,
    /// Rows here, by lane.
    pub(super) total: ByLane<usize>,
    /// Rows in lines whose berth is not parked.
    pub(super) open: ByLine<usize>,
    /// Rows that expired while it is held.
    pub(super) overdue: Head,
    pub(super) turn: Turn,
}

/// Where a tenant is. Invariant: in the ring if and only if `Turning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing to do, or nothing that may go before something else happens.
    Idle,
    Turning,
    /// Its limits are read again then.
    Resting(Timestamp),
    /// As many attempts as it may have are under way.
    Full,
}

/// Its part in the round robin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// Recipients it may start yet; below zero what it started too many.
    pub(super) credit: i64,
    /// The round of its last turn.
    pub(super) round: u64,
    /// It is at the front, and has got its quantum.
    pub(super) begun: bool,
}

/// One for each lane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ByLane<T> {
    transactional: T,
    bulk: T,
}

impl<T> ByLane<T> {
    pub(super) fn of(&self, stream: Stream) -> &T {
        match stream {
            Stream::Transactional => &self.transactional,
            Stream::Bulk => &self.bulk,
        }
    }

    pub(super) fn of_mut(&mut self, stream: Stream) -> &mut T {
        match stream {
            Stream::Transactional => &mut self.transactional,
            Stream::Bulk => &mut self.bulk,
        }
    }
}

/// A tenant's token buckets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purse {
    all: Bucket,
    bulk: Bucket,
}

impl Purse {
    /// How many first attempts of this lane may start now.
    pub(super) fn tokens(&mut self, stream: Stream, now: Timestamp, limits: Limits) -> u64 {
        let all = self.all.tokens(now, all_rate(limits));
        match stream {
            Stream::Transactional => all,
            Stream::Bulk => all.min(self.bulk.tokens(now, bulk_rate(limits))),
        }
    }

    pub(super) fn spend(&mut self, stream: Stream, tokens: u64, limits: Limits) {
        self.all.spend(tokens, all_rate(limits));
        if stream == Stream::Bulk {
            self.bulk.spend(tokens, bulk_rate(limits));
        }
    }

    /// When this lane will have `want` tokens.
    pub(super) fn when(
        &self,
        stream: Stream,
        want: u64,
        (now, limits): (Timestamp, Limits),
    ) -> Timestamp {
        let all = self.all.when(want, now, all_rate(limits));
        match stream {
            Stream::Transactional => all,
            Stream::Bulk => all.max(self.bulk.when(want, now, bulk_rate(limits))),
        }
    }

    fn set(&mut self, level: Level, now: Timestamp) {
        self.all = Bucket::with(level.all, now);
        self.bulk = Bucket::with(level.bulk, now);
    }
}

fn all_rate(limits: Limits) -> Rate {
    Rate {
        per_minute: limits.per_minute,
        burst: limits.burst,
    }
}

fn bulk_rate(limits: Limits) -> Rate {
    Rate {
        per_minute: limits.bulk_per_minute,
        burst: 0,
    }
}

impl Tenant {
    fn new(id: TenantId, born: u64, since: Timestamp) -> Self {
        Self {
            id,
            born,
            rows: None,
            in_flight: 0,
            standing: Standing::Idle,
            suspended: false,
            stopped: false,
            clocks: TenantClocks::default(),
            limits: Limits::default(),
            purse: Purse {
                all: Bucket::empty_at(since),
                bulk: Bucket::empty_at(since),
            },
            rings: ByLine::default(),
            called: VecDeque::new(),
            saving: None,
            last: ByLane::default(),
            total: ByLane::default(),
            open: ByLine::default(),
            overdue: None,
            turn: Turn::default(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.suspended || self.stopped
    }

    /// Attempts of it under way at once.
    pub(super) fn most(&self, of_all: usize) -> usize {
        match usize::try_from(self.limits.connections) {
            Ok(0) | Err(_) => of_all,
            Ok(own) => own.min(of_all),
        }
    }

    /// Whether first attempts of this lane are paced.
    pub(super) fn is_paced(&self, stream: Stream) -> bool {
        let bulk = stream == Stream::Bulk && self.limits.bulk_per_minute > 0;
        self.limits.per_minute > 0 || bulk
    }
}

impl Taken {
    fn at(since: Timestamp) -> Self {
        let tenants = Vec::new();
        Self { since, tenants }
    }
}

/// All tenants that were seen since their shard was taken: their buckets are remembered.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    slab: Slab<Tenant>,
    by_id: HashMap<TenantId, Id<Tenant>>,
    shards: BTreeMap<Shard, Taken>,
    born: u64,
}

#[derive(Debug)]
struct Taken {
    since: Timestamp,
    tenants: Vec<Id<Tenant>>,
}

impl Tenants {
    pub(super) fn get(&self, id: Id<Tenant>) -> Option<&Tenant> {
        self.slab.get(id)
    }

    pub(super) fn get_mut(&mut self, id: Id<Tenant>) -> Option<&mut Tenant> {
        self.slab.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.slab.iter()
    }

    /// Those that have something and stand outside of the ring for their limits.
    pub(super) fn waiting(&self) -> Vec<Id<Tenant>> {
        let waits = |id: &Id<Tenant>| {
            let standing = self.slab.get(*id).map(|one| one.standing);
            matches!(standing, Some(Standing::Resting(_) | Standing::Full))
        };
        let mut waiting: Vec<_> = self.by_id.values().copied().filter(waits).collect();
        waiting.sort_unstable();
        waiting
    }

    pub(super) fn find(&self, id: TenantId) -> Option<Id<Tenant>> {
        self.by_id.get(&id).copied()
    }

    /// From here on buckets of this shard's tenants fill.
    pub(super) fn take_shard(&mut self, shard: Shard, now: Timestamp) {
        self.shards.entry(shard).or_insert_with(|| Taken::at(now));
    }

    /// The tenant of this id, made where it is not known: its buckets are empty at the taking of
    /// its shard, for nobody knows what the owner before has spent.
    pub(super) fn intern(&mut self, id: TenantId, now: Timestamp) -> Id<Tenant> {
        if let Some(known) = self.find(id) {
            return known;
        }
        let shard = Shard::of(id);
        let taken = self.shards.entry(shard).or_insert_with(|| Taken::at(now));
        self.born += 1;
        let number = self.slab.put(Tenant::new(id, self.born, taken.since));
        taken.tenants.push(number);
        self.by_id.insert(id, number);
        number
    }

    pub(super) fn set_level(&mut self, id: Id<Tenant>, level: Level, now: Timestamp) {
        if let Some(tenant) = self.slab.get_mut(id) {
            tenant.purse.set(level, now);
        }
    }

    /// The tenants of a shard that is let go, once: from now on it is not ours.
    pub(super) fn let_go_shard(&mut self, shard: Shard) -> Vec<Id<Tenant>> {
        let taken = self.shards.remove(&shard);
        taken.map(|taken| taken.tenants).unwrap_or_default()
    }

    /// Forgets a tenant; gives what its buckets hold, where it is paced, or was at the owner's
    /// before: its turn may not have come here.
    pub(super) fn forget(&mut self, id: Id<Tenant>, now: Timestamp) -> Option<Level> {
        let mut tenant = self.slab.take(id)?;
        self.by_id.remove(&tenant.id);
        let limits = tenant.limits;
        // So that what came since its last turn is in the levels.
        tenant.purse.tokens(Stream::Bulk, now, limits);
        let level = Level {
            tenant: tenant.id,
            all: tenant.purse.all.level(),
            bulk: tenant.purse.bulk.level(),
        };
        let paced = tenant.is_paced(Stream::Bulk) || level.all > 0 || level.bulk > 0;
        paced.then_some(level)
    }
}
