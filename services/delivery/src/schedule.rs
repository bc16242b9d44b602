//! Whose turn it is. Pure; the time is an argument.
//!
//! ```text
//!  insert                 `entry`     the row of a waiting recipient: in `rows` until it leaves
//!    │
//!  the wheel              `wheel`     until it is due; then (`place`) it goes to its
//!    │
//!  berth                  `berth`     what one tenant has waiting for one site: a queue of groups
//!    │                                for each of four lines (`line`): two lanes, transactional and
//!    │                                bulk, each with first attempts and later ones
//!    ├── full, or resting? ── site    `site`, `sites`: a cap on attempts at once; a rest where nobody
//!    │                                answers. The berth is parked there, and called when a slot
//!    │                                is free (`parking`)
//!  tenant                 `tenant`    a ring of its open berths for each line
//!    │     no token? ──── bucket      `bucket`: first attempts as fast as limits allow; it rests
//!    │
//!  the ring of tenants    `turn`      deficit round robin, counted in recipients
//!    │                    `choice`    in its turn: transactional before bulk, first and later
//!    │                                attempts in turn, sites in turn, groups as they came
//!  next → a group         `dispatch`  recipients of one message at one domain, and a ticket
//!  ended ← the ticket     `parking`   frees a slot of the tenant and one of the site
//! ```
//!
//! Beside that line: rows past their expiry come out without a slot or a token (`expiry`), verbs
//! of operators stop, take out and start rows (`verbs`), rows that found the way out of this machine
//! closed wait until it opens (`way_out`), and what a row waited for is read off
//! clocks that only run on (`ledger`, `waits`): no change of state touches the rows behind it.
//!
//! A row stands in exactly one place, and what is handed out is not here: who has it puts it back,
//! or not. Every call is a few steps, however many rows wait; a verb takes some for each row it is
//! about. What limits a tenant now is in the roster, what is true of a row is in the database:
//! nothing of this is kept beyond the process but the levels of buckets, at a hand-over.

mod berth;
mod bucket;
mod choice;
mod dispatch;
mod entry;
mod expiry;
mod group;
mod index;
mod ledger;
mod line;
mod oldest;
mod parking;
mod place;
mod rows;
mod site;
mod sites;
mod slab;
mod tenant;
mod turn;
mod verbs;
mod waits;
mod way_out;
mod wheel;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use postrider_model::{Domain, MessageId, RecipientId, TenantId, Timestamp, WaitCause};
use postrider_store::{LaneKey, Level, Shard};

use berth::Berths;
use line::{Kind, Line};
use rows::{Head, Rows};
use sites::{At, Sites};
use slab::Id;
use tenant::{Tenant, Tenants};
use wheel::Wheel;

pub(crate) use group::{Due, Group, Health, Pace, Ticket};

/// What the schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Attempts at once at a site whose cap nobody has told yet.
    pub(crate) site_cap: usize,
    /// Attempts of one tenant under way at once, so that no tenant holds all there are.
    pub(crate) tenant_most: usize,
    /// Divides the rests of sites.
    pub(crate) retry_divisor: u32,
}

/// How many rows of a lane are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneCount {
    pub(crate) total: usize,
    /// Those that are due, whose site takes them and whose tenant is not stopped. They may wait
    /// for a token.
    pub(crate) runnable: usize,
    /// Its tenant is stopped: no more of it can go.
    pub(crate) held: bool,
}

/// What of it a verb is about. A vendor's part is that of its tenants, whom the roster knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Tenant(TenantId),
    /// All recipients at this domain.
    Domain(Domain),
    Message(MessageId),
}

/// All waiting rows of this node.
#[derive(Debug)]
pub(crate) struct Schedule {
    settings: Settings,
    at: At,
    rows: Rows,
    wheel: Wheel,
    tenants: Tenants,
    sites: Sites,
    berths: Berths,
    /// Tenants that may have something to start, each once.
    ring: VecDeque<Id<Tenant>>,
    /// How often all of the ring had their turn.
    round: u64,
    /// Tenants that have first attempts and no token, or are stopped.
    resting: BTreeSet<(Timestamp, Id<Tenant>)>,
    /// Rows past their expiry.
    late: Head,
    /// They and the others go in turn.
    late_goes: bool,
    /// Tenants that are held no more, with rows that expired meanwhile.
    resumed: VecDeque<Id<Tenant>>,
    /// Scheduled messages whose time has come: whether `scheduled` gave them.
    asked: HashMap<MessageId, bool>,
    to_ask: VecDeque<MessageId>,
    suspended: Suspended,
    /// Nothing may leave this machine.
    is_shut: bool,
    counts: Counts,
    /// Steps that this call may take yet.
    budget: usize,
    /// The last call of `next` came to the end of its steps.
    unfinished: bool,
}

/// What stands by a verb.
#[derive(Debug, Default)]
struct Suspended {
    tenants: HashSet<TenantId>,
    domains: HashSet<Domain>,
    messages: HashSet<MessageId>,
    /// They wait for somebody's word: see `Awaited`.
    awaiting: HashSet<MessageId>,
}

/// How many rows stand outside of lines.
#[derive(Debug, Default)]
struct Counts {
    /// Not due, or not started yet, by what they wait for.
    later: BTreeMap<WaitCause, usize>,
    held: usize,
    late: usize,
    /// Lanes with a row here, in a line or not.
    lanes: usize,
}

impl Schedule {
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            at: At { now, ticks: 0 },
            rows: Rows::default(),
            wheel: Wheel::new(now),
            tenants: Tenants::default(),
            sites: Sites::new(settings.site_cap, settings.retry_divisor),
            berths: Berths::default(),
            ring: VecDeque::new(),
            round: 0,
            resting: BTreeSet::new(),
            late: None,
            late_goes: false,
            resumed: VecDeque::new(),
            asked: HashMap::new(),
            to_ask: VecDeque::new(),
            suspended: Suspended::default(),
            is_shut: false,
            counts: Counts::default(),
            budget: 0,
            unfinished: false,
        }
    }

    /// How many rows wait.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many lanes have a row here.
    pub(crate) fn lanes(&self) -> usize {
        self.counts.lanes
    }

    /// The tenants that were seen since their shards were taken.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.iter().map(|tenant| tenant.id)
    }

    pub(crate) fn contains(&self, recipient: RecipientId) -> bool {
        self.rows.find(recipient).is_some()
    }

    /// When `next` may have more, where that depends on time alone: not before that. It may lie
    /// in the past, or before anything is due: `next` goes on then, and it moves.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let at_hand = !self.ring.is_empty()
            || self.late.is_some()
            || !self.resumed.is_empty()
            || self.unfinished;
        let rested = self.resting.first().map(|(until, _)| *until);
        let soon = [
            at_hand.then_some(self.at.now),
            self.wheel.next(),
            rested,
            self.sites.next_wake(),
        ];
        soon.into_iter().flatten().min()
    }

    /// How many rows of a lane are here.
    pub(crate) fn lane(&self, lane: LaneKey) -> LaneCount {
        let found = self.tenants.find(lane.tenant);
        let Some(tenant) = found.and_then(|id| self.tenants.get(id)) else {
            return LaneCount::default();
        };
        let open = |kind| *tenant.open.of(Line::new(lane.stream, kind));
        let due = open(Kind::First) + open(Kind::Again);
        let held = tenant.is_held();
        LaneCount {
            total: *tenant.total.of(lane.stream),
            runnable: if held { 0 } else { due },
            held,
        }
    }

    /// How many rows wait for what, as `next` found it last.
    pub(crate) fn causes(&self, _now: Timestamp) -> BTreeMap<WaitCause, usize> {
        let mut causes = self.counts.later.clone();
        let mut add = |cause, count| *causes.entry(cause).or_default() += count;
        for tenant in self.tenants.iter() {
            for line in Line::ALL {
                add(tenant.clocks.cause(line), *tenant.open.of(line));
            }
        }
        let parked = self.sites.parked();
        add(WaitCause::DestinationCap, parked.cap);
        add(WaitCause::DestinationBackoff, parked.backoff);
        add(WaitCause::Held, self.counts.held);
        add(WaitCause::Turn, self.counts.late);
        causes.retain(|_, count| *count > 0);
        causes
    }

    /// This shard is ours from now on: the buckets of its tenants fill from here.
    pub(crate) fn take_shard(&mut self, shard: Shard, now: Timestamp) {
        self.tenants.take_shard(shard, now);
    }

    /// What the owner before left in a tenant's buckets.
    pub(crate) fn set_level(&mut self, level: Level, now: Timestamp) {
        self.tick(now);
        let tenant = self.tenant(level.tenant);
        self.tenants.set_level(tenant, level, now);
    }

    /// Limits or tenants' standing changed: who waits for a token, for a connection or stopped is
    /// asked again at once, and not within a second. A step for each tenant.
    pub(crate) fn limits_changed(&mut self, now: Timestamp) {
        self.tick(now);
        for id in self.tenants.waiting() {
            self.enlist(id);
        }
    }

    // Time passes for the ledgers as far as the clock goes on; what it goes back is not counted.
    fn tick(&mut self, now: Timestamp) {
        let passed = u64::try_from(now.since(self.at.now).as_micros()).unwrap_or(0);
        self.at.ticks += passed;
        self.at.now = now;
    }

    fn can_afford(&mut self) -> bool {
        if self.budget == 0 {
            self.unfinished = true;
            return false;
        }
        self.budget -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
