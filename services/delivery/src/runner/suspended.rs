//! What changes while attempts are under way: limits, who may not send any more, and whether mail may
//! leave at all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use postrider_model::{CredentialId, MessageId, TenantId, Timestamp};
use postrider_store::{Disowned, Roster};

use super::Runner;
use crate::attempt::Awaited;
use crate::instruments::Word;

/// What the loop has seen of the roster.
pub(super) struct Known {
    generation: u64,
    suspended_keys: Arc<HashMap<CredentialId, TenantId>>,
    disowned: Arc<Disowned>,
    /// Messages in memory that wait for somebody's word.
    waiting: HashMap<Awaited, BTreeSet<MessageId>>,
}

impl Known {
    pub(super) fn of(roster: &Roster) -> Self {
        Self {
            generation: roster.generation(),
            suspended_keys: roster.suspended_keys(),
            disowned: roster.disowned(),
            waiting: HashMap::new(),
        }
    }

    /// This message waits for that word; false where it has come meanwhile.
    pub(super) fn waits_for(&mut self, awaited: Awaited, message: MessageId) -> bool {
        let stands = self.stands(&awaited);
        if stands {
            self.waiting.entry(awaited).or_default().insert(message);
        }
        stands
    }

    fn stands(&self, awaited: &Awaited) -> bool {
        match awaited {
            Awaited::Key(key) => self.suspended_keys.contains_key(key),
            Awaited::Owner(tenant, folded) => is_in(&self.disowned, *tenant, folded),
        }
    }

    /// What waited for words that have come.
    fn take_resumed(&mut self) -> Vec<MessageId> {
        let waiting = std::mem::take(&mut self.waiting);
        let (stays, resumed) = waiting.into_iter().partition(|(one, _)| self.stands(one));
        self.waiting = stays;
        let resumed: HashMap<_, BTreeSet<MessageId>> = resumed;
        resumed.into_values().flatten().collect()
    }

    /// How many messages wait for a key, and how many for an owner, of those that still wait.
    pub(super) fn set_aside(&self, waits: impl Fn(MessageId) -> bool) -> [(Word, usize); 2] {
        let (mut keys, mut owners) = (0, 0);
        for (awaited, messages) in &self.waiting {
            let count = messages.iter().filter(|message| waits(**message)).count();
            match awaited {
                Awaited::Key(_) => keys += count,
                Awaited::Owner(..) => owners += count,
            }
        }
        [(Word::Key, keys), (Word::Owner, owners)]
    }

    /// Keeps only messages that still wait: what was cancelled or went to another node does not come back.
    fn keep_waiting(&mut self, waits: impl Fn(MessageId) -> bool) {
        self.waiting.retain(|_, messages| {
            messages.retain(|message| waits(*message));
            !messages.is_empty()
        });
    }

    /// Of whose mail some is stopped now that was not then.
    fn newly_stopped(&self, then: &Self) -> HashSet<TenantId> {
        let keys = self.suspended_keys.iter();
        let keys = keys.filter(|(key, _)| !then.suspended_keys.contains_key(*key));
        let owners = self.disowned.iter();
        let owners = owners
            .filter(|(tenant, all)| all.iter().any(|one| !is_in(&then.disowned, **tenant, one)));
        let keys = keys.map(|(_, tenant)| *tenant);
        keys.chain(owners.map(|(tenant, _)| *tenant)).collect()
    }
}

fn is_in(disowned: &Disowned, tenant: TenantId, folded: &str) -> bool {
    disowned
        .get(&tenant)
        .is_some_and(|all| all.contains(folded))
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
        let schedule = &self.memory.schedule;
        self.known
            .keep_waiting(|message| schedule.awaits_word(message));
        self.memory.schedule.limits_changed(now);
        for message in self.known.take_resumed() {
            self.memory.schedule.word_came(message, now);
        }
        self.stop_suspended(&self.known.newly_stopped(&then));
    }

    /// What of a message that was cancelled meanwhile is known here yet is not counted.
    pub(super) fn count_set_aside(&self) {
        let schedule = &self.memory.schedule;
        for (word, count) in self.known.set_aside(|one| schedule.awaits_word(one)) {
            self.shared.instruments.set_aside.count(word, count);
        }
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
    // dot, and waits. By which key it came in and whom it has answered, an attempt learns when it
    // opens its message: of a tenant whose mail is stopped in part, all attempts begin anew.
    fn stop_suspended(&self, in_part: &HashSet<TenantId>) {
        let roster = &self.shared.roster;
        let is_stopped = |id: TenantId| {
            let tenant = roster.tenant(id);
            in_part.contains(&id) || !tenant.is_some_and(|tenant| roster.is_active(&tenant))
        };
        for flight in self.memory.flights.of_tenants(is_stopped) {
            flight.halt.call();
        }
    }
}
