//! What of an allowance is held by attempts of this process that are under way: they may end
//! without having sent anything, and give it back.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// A provider's word.
type Name = &'static str;

/// What is under way from one address of ours, by provider. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<HashMap<Name, Count>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Recipients.
    held: u64,
    /// How often something was given back.
    returns: u64,
}

/// One attempt holds a part of an allowance, so many recipients, as long as this is there.
#[derive(Debug)]
pub(super) struct Held(Holds, Name, u32);

/// An allowance that had no more, as it was when it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortage {
    holds: Holds,
    provider: Name,
    returns: u64,
    /// So much of it is really sent that it is used up whatever comes back.
    spent: bool,
}

impl Holds {
    pub(super) fn hold(&self, provider: Name, recipients: u32) -> Held {
        let mut counts = self.0.lock();
        counts.entry(provider).or_default().held += u64::from(recipients);
        Held(self.clone(), provider, recipients)
    }

    /// Something was given back, and is in the database again.
    pub(super) fn returned(&self, provider: Name) {
        self.0.lock().entry(provider).or_default().returns += 1;
    }

    /// To be taken before the database is asked: what comes back from here on it may not have seen.
    pub(super) fn shortage(&self, provider: Name) -> Shortage {
        Shortage {
            holds: self.clone(),
            provider,
            returns: self.count(provider).returns,
            spent: false,
        }
    }

    fn count(&self, provider: Name) -> Count {
        self.0.lock().get(provider).copied().unwrap_or_default()
    }
}

impl Shortage {
    /// The database has told that so many are `taken` of it in all, where `most` may be. What this
    /// process does not hold is sent, or another node's, of which nothing is heard here. Without
    /// this a provider that is sent to all day would be waited for all day: somebody always holds.
    pub(super) fn is_found(&mut self, taken: u32, most: u32) {
        let count = self.holds.count(self.provider);
        // What came back meanwhile may be in `taken`, and is not held any more.
        let all_heard = count.returns == self.returns;
        self.spent = all_heard && u64::from(taken) >= u64::from(most) + count.held;
    }

    /// Whether there may be more of it by now or soon: something came back since, or is held yet.
    pub(crate) fn may_pass(&self) -> bool {
        !self.spent && (self.holds.count(self.provider).held > 0 || self.has_passed())
    }

    /// Whether something came back since that may be of use.
    pub(super) fn has_passed(&self) -> bool {
        !self.spent && self.holds.count(self.provider).returns != self.returns
    }
}

impl Held {
    /// Fewer than was thought.
    pub(super) fn only(mut self, recipients: u32) -> Self {
        self.release(self.2.saturating_sub(recipients));
        self.2 = self.2.min(recipients);
        self
    }

    fn release(&self, recipients: u32) {
        if let Some(count) = self.0.0.lock().get_mut(self.1) {
            count.held = count.held.saturating_sub(recipients.into());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release(self.2);
    }
}
