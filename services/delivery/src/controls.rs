//! An operator's verbs, as this owner obeys them.
//!
//! A verb is acknowledged when nothing it is about can leave any more: its rows are out of memory
//! or stand still, its attempts have ended. Whoever is past a final dot by then is too late.

use std::collections::{BTreeMap, BTreeSet};

use postrider_model::{ControlId, NodeId, RecipientId, Timestamp, VendorId};
use postrider_store::{Control, ControlVerb, LaneKey, QueueRow, Roster, Scope};

use crate::flights::{Flight, Flights, is_within, may_be_of};
use crate::schedule::{self, Schedule};

/// The verbs that stand.
#[derive(Default)]
pub(crate) struct Verbs {
    /// It knows whose tenants are whose.
    roster: Roster,
    standing: BTreeMap<ControlId, Verb>,
    /// What verbs that are closed made due: some of it may be among changes that were not read.
    mended: Vec<Mended>,
    /// Vendors whose tenants' queue is suspended: those of now, and who comes.
    stopped: BTreeSet<VendorId>,
    /// Under which id they were acknowledged.
    node: Option<NodeId>,
}

/// An operator sends these on at once: so no site of theirs rests.
#[derive(Debug)]
struct Mended {
    scope: Scope,
    /// All changes since the verb was closed are being read.
    reading: bool,
}

#[derive(Debug)]
struct Verb {
    does: ControlVerb,
    scope: Scope,
    /// From which rows were turned away: read again when the verb is closed.
    lanes: BTreeSet<LaneKey>,
    acknowledged: bool,
}

/// An acknowledgement to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) control: ControlId,
    pub(crate) node: NodeId,
    pub(crate) too_late: Vec<RecipientId>,
}

impl Verbs {
    pub(crate) fn new(roster: Roster) -> Self {
        Self {
            roster,
            ..Self::default()
        }
    }

    /// Obeys what is new among the controls that stand, and goes on where one was closed. Gives
    /// the lanes whose rows have to be read again, and how many verbs were new.
    pub(crate) fn obey(
        &mut self,
        controls: &[Control],
        schedule: &mut Schedule,
        flights: &Flights,
        now: Timestamp,
    ) -> (BTreeSet<LaneKey>, u64) {
        let mut again = BTreeSet::new();
        let stands = |id: &ControlId| controls.iter().any(|control| control.id == *id);
        let closed: Vec<_> = self
            .standing
            .keys()
            .copied()
            .filter(|id| !stands(id))
            .collect();
        for id in closed {
            again.extend(self.close(id, schedule, now));
        }
        let mut new = 0;
        for control in controls {
            if !self.standing.contains_key(&control.id) {
                self.begin(control, schedule, flights, now);
                new += 1;
            }
        }
        (again, new)
    }

    fn begin(
        &mut self,
        control: &Control,
        schedule: &mut Schedule,
        flights: &Flights,
        now: Timestamp,
    ) {
        let scope = control.scope.clone();
        let mut lanes = BTreeSet::new();
        match control.verb {
            ControlVerb::Hold | ControlVerb::Cancel => {
                for part in self.parts(&scope, schedule) {
                    lanes.extend(schedule.let_go(&part));
                }
            }
            ControlVerb::Suspend => self.suspend(&scope, schedule, now),
            // They add rows or make them due sooner: what is here may go on meanwhile.
            ControlVerb::Release | ControlVerb::RetryNow => self.end_rests(&scope, schedule, now),
        }
        if stops(control.verb) {
            for flight in flights.within(&scope, &self.roster) {
                flight.halt.call();
            }
        }
        tracing::info!(control = %control.id, verb = control.verb.as_str(), "a verb is obeyed");
        let verb = Verb {
            does: control.verb,
            scope,
            lanes,
            acknowledged: false,
        };
        self.standing.insert(control.id, verb);
    }

    fn close(
        &mut self,
        id: ControlId,
        schedule: &mut Schedule,
        now: Timestamp,
    ) -> BTreeSet<LaneKey> {
        let Some(closed) = self.standing.remove(&id) else {
            return BTreeSet::new();
        };
        let still = |verb: &Verb| verb.does == ControlVerb::Suspend && verb.scope == closed.scope;
        if closed.does == ControlVerb::Suspend && !self.standing.values().any(still) {
            self.resume(&closed.scope, schedule, now);
        }
        if sends_on(closed.does) {
            self.end_rests(&closed.scope, schedule, now);
            self.mended.push(Mended {
                scope: closed.scope,
                reading: false,
            });
        }
        closed.lanes
    }

    fn suspend(&mut self, scope: &Scope, schedule: &mut Schedule, now: Timestamp) {
        if let Scope::Vendor(vendor) = scope {
            self.stopped.insert(*vendor);
            return schedule.limits_changed(now);
        }
        for part in self.parts(scope, schedule) {
            schedule.suspend(part, now);
        }
    }

    fn resume(&mut self, scope: &Scope, schedule: &mut Schedule, now: Timestamp) {
        if let Scope::Vendor(vendor) = scope {
            self.stopped.remove(vendor);
            return schedule.limits_changed(now);
        }
        for part in self.parts(scope, schedule) {
            schedule.resume(&part, now);
        }
    }

    fn end_rests(&self, scope: &Scope, schedule: &mut Schedule, now: Timestamp) {
        for part in self.parts(scope, schedule) {
            schedule.end_rests(&part, now);
        }
    }

    /// What of the schedule a verb is about.
    fn parts(&self, scope: &Scope, schedule: &Schedule) -> Vec<schedule::Scope> {
        match scope {
            Scope::Tenant(tenant) => vec![schedule::Scope::Tenant(*tenant)],
            Scope::Domain(domain) => vec![schedule::Scope::Domain(domain.clone())],
            Scope::Message(message) => vec![schedule::Scope::Message(*message)],
            Scope::Vendor(vendor) => schedule
                .tenants()
                .filter(|tenant| may_be_of(*tenant, *vendor, &self.roster))
                .map(schedule::Scope::Tenant)
                .collect(),
        }
    }

    /// Whether a suspension stops the queue of all tenants of this vendor.
    pub(crate) fn is_stopped(&self, vendor: VendorId) -> bool {
        self.stopped.contains(&vendor)
    }

    /// All changes are read from here on.
    pub(crate) fn pass_begins(&mut self) {
        for mended in &mut self.mended {
            mended.reading = true;
        }
    }

    /// All changes that were committed when the pass began have been read: what verbs made due is
    /// here. If their sites rested a moment ago, that is over.
    pub(crate) fn pass_ends(&mut self, schedule: &mut Schedule, now: Timestamp) {
        let read = self.mended.extract_if(.., |mended| mended.reading);
        for mended in read.collect::<Vec<_>>() {
            self.end_rests(&mended.scope, schedule, now);
        }
    }

    /// Whether a verb keeps this row out of memory.
    pub(crate) fn turns_away(&mut self, row: &QueueRow) -> bool {
        let mut turned = false;
        for verb in self.standing.values_mut() {
            if keeps_out(verb.does) && is_within(row, &verb.scope, &self.roster) {
                verb.lanes.insert(row.lane());
                turned = true;
            }
        }
        turned
    }

    /// The next verb that can be acknowledged. An attempt that is neither over nor past a dot is
    /// waited for: it has been stopped.
    pub(crate) fn next_acknowledgement(
        &mut self,
        node: NodeId,
        flights: &Flights,
    ) -> Option<Acknowledgement> {
        if self.node.replace(node) != Some(node) {
            self.standing
                .values_mut()
                .for_each(|verb| verb.acknowledged = false);
        }
        let waiting = self.standing.iter().filter(|(_, verb)| !verb.acknowledged);
        for (control, verb) in waiting {
            if let Some(too_late) = verb.too_late(flights, &self.roster) {
                return Some(Acknowledgement {
                    control: *control,
                    node,
                    too_late,
                });
            }
        }
        None
    }

    /// The database has it.
    pub(crate) fn acknowledged(&mut self, done: &Acknowledgement) {
        if let Some(verb) = self.standing.get_mut(&done.control) {
            verb.acknowledged = true;
        }
    }
}

impl Verb {
    /// Who is too late for it; `None` while an attempt has yet to stop.
    fn too_late(&self, flights: &Flights, roster: &Roster) -> Option<Vec<RecipientId>> {
        if !stops(self.does) {
            return Some(Vec::new());
        }
        let past = |flight: &Flight| {
            let past = flight.halt.past();
            (!past.is_empty()).then_some(past)
        };
        let all: Option<Vec<_>> = flights.within(&self.scope, roster).map(past).collect();
        Some(all?.concat())
    }
}

fn stops(verb: ControlVerb) -> bool {
    keeps_out(verb) || verb == ControlVerb::Suspend
}

fn sends_on(verb: ControlVerb) -> bool {
    matches!(verb, ControlVerb::Release | ControlVerb::RetryNow)
}

fn keeps_out(verb: ControlVerb) -> bool {
    matches!(verb, ControlVerb::Hold | ControlVerb::Cancel)
}
