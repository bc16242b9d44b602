//! What this node may do at this moment: its leases, and how young its heartbeat is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::NodeId;
use postrider_store::{Epoch, Lease, Level, Shard};
use tokio::sync::watch;
use tokio::time::Instant;

/// The shards that this node has leases of.
pub(crate) type Holdings = BTreeMap<Shard, Held>;

/// A leased shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) epoch: Epoch,
    /// What the last owner left in its tenants' buckets.
    pub(crate) levels: Arc<[Level]>,
    /// To be given back.
    pub(crate) surplus: bool,
}

/// What the heartbeat found.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Under which id this node is enrolled.
    pub(crate) node: NodeId,
    pub(crate) holdings: Arc<Holdings>,
    /// When the last heartbeat that arrived was sent.
    pub(crate) beat_sent: Option<Instant>,
    pub(crate) clock_is_off: bool,
}

/// What may be done now, as all tasks see it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    state: watch::Receiver<State>,
    fresh: Duration,
}

impl Standing {
    /// `fresh`: for how long after a heartbeat something may begin.
    pub(crate) fn new(state: watch::Receiver<State>, fresh: Duration) -> Self {
        Self { state, fresh }
    }

    /// Whether the last heartbeat is young enough to begin anything. Counted from when it was
    /// sent, by a clock that nobody sets: the database's lease ends later in any case.
    pub(crate) fn is_fresh(&self) -> bool {
        let state = self.state.borrow();
        let young = |sent: Instant| sent.elapsed() < self.fresh;
        !state.clock_is_off && state.beat_sent.is_some_and(young)
    }

    /// Whether the lease is still ours, as far as we know.
    pub(crate) fn holds(&self, lease: Lease) -> bool {
        let state = self.state.borrow();
        let held = state.holdings.get(&lease.shard);
        held.is_some_and(|held| held.epoch == lease.epoch)
    }

    /// Whether a final dot may be sent under this lease.
    pub(crate) fn may_dot(&self, lease: Lease) -> bool {
        self.is_fresh() && self.holds(lease)
    }

    /// How old the last heartbeat is.
    pub(crate) fn beat_age(&self) -> Option<Duration> {
        self.state.borrow().beat_sent.map(|sent| sent.elapsed())
    }

    pub(crate) fn node(&self) -> NodeId {
        self.state.borrow().node
    }

    pub(crate) fn holdings(&self) -> Arc<Holdings> {
        Arc::clone(&self.state.borrow().holdings)
    }

    /// Returns after the next heartbeat or change of leases; never once nobody beats any more.
    /// May be cancelled at any point.
    pub(crate) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
