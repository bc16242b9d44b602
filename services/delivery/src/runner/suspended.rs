//! What changes while attempts are under way: limits, who may not send any more, and whether mail may
//! leave at all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use postrider_model::{CredentialId, MessageId, TenantId, Timestamp};
use postrider_store::Roster;

use super::Runner;

/// What the loop has seen of the roster.
pub(super) struct Known {
    generation: u64,
    suspended_keys: Arc<HashMap<CredentialId, TenantId>>,
    /// Messages in memory that wait until their key is resumed.
    waiting: HashMap<CredentialId, BTreeSet<MessageId>>,
}

impl Known {
    pub(super) fn of(roster: &Roster) -> Self {
        Self {
            generation: roster.generation(),
            suspended_keys: roster.suspended_keys(),
            waiting: HashMap::new(),
        }
    }

    /// This message of a suspended key waits; false where the key is not suspended any more.
    pub(super) fn waits_for(&mut self, key: CredentialId, message: MessageId) -> bool {
        let suspended = self.suspended_keys.contains_key(&key);
        if suspended {
            self.waiting.entry(key).or_default().insert(message);
        }
        suspended
    }

    /// What waited for keys that are not suspended any more.
    fn take_resumed(&mut self) -> Vec<MessageId> {
        let suspended = &self.suspended_keys;
        let resumed = self
            .waiting
            .extract_if(|key, _| !suspended.contains_key(key));
        resumed.flat_map(|(_, messages)| messages).collect()
    }

    /// Whose keys are suspended now and were not then.
    fn newly_suspended(&self, then: &Self) -> HashSet<TenantId> {
        let keys = self.suspended_keys.iter();
        keys.filter(|(key, _)| !then.suspended_keys.contains_key(*key))
            .map(|(_, tenant)| *tenant)
            .collect()
    }
}

impl Runner {
    /// Whoever waits under an old limit is asked again under the new one.
    pub(super) fn look_at_limits(&mut self, now: Timestamp) {
        if self.shared.roster.generation() == self.known.generation {
            return;
        }
        let known = Known::of(&self.shared.roster);
        let mut then = std::mem::replace(&mut self.known, known);
        self.known.waiting = std::mem::take(&mut then.waiting);
        self.memory.schedule.limits_changed(now);
        for message in self.known.take_resumed() {
            self.memory.schedule.resume_of_key(message, now);
        }
        self.stop_suspended(&self.known.newly_suspended(&then));
    }

    /// What the schedule goes by is never older than what attempts went by that come back to it.
    pub(super) fn look_at_way_out(&mut self, now: Timestamp) {
        if self.way_out.is_closed() {
            self.memory.schedule.shut(now);
        } else {
            self.memory.schedule.open(now);
        }
    }

    // What is under way of a tenant that is suspended, or whose vendor is, ends before its final
    // dot, and waits. By which key it came in, an attempt learns when it opens its message: where
    // one of a tenant's keys was suspended, all its attempts begin anew.
    fn stop_suspended(&self, by_key: &HashSet<TenantId>) {
        let roster = &self.shared.roster;
        let is_stopped = |id: TenantId| {
            let tenant = roster.tenant(id);
            by_key.contains(&id) || !tenant.is_some_and(|tenant| roster.is_active(&tenant))
        };
        for flight in self.memory.flights.of_tenants(is_stopped) {
            flight.halt.call();
        }
    }
}
