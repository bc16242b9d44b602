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
    held: u32,
    /// How often something was given back.
    returns: u64,
}

/// One attempt holds a part of an allowance as long as this is there.
#[derive(Debug)]
pub(super) struct Held(Holds, Name);

/// An allowance that had no more, as it was when it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shortage {
    holds: Holds,
    provider: Name,
    returns: u64,
}

impl Holds {
    pub(super) fn hold(&self, provider: Name) -> Held {
        self.0.lock().entry(provider).or_default().held += 1;
        Held(self.clone(), provider)
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
        }
    }

    fn count(&self, provider: Name) -> Count {
        self.0.lock().get(provider).copied().unwrap_or_default()
    }
}

impl Shortage {
    /// Whether there may be more of it by now or soon: something came back since, or is held yet.
    pub(crate) fn may_pass(&self) -> bool {
        self.holds.count(self.provider).held > 0 || self.has_passed()
    }

    /// Whether something came back since.
    pub(super) fn has_passed(&self) -> bool {
        self.holds.count(self.provider).returns != self.returns
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(count) = self.0.0.lock().get_mut(self.1) {
            count.held = count.held.saturating_sub(1);
        }
    }
}
