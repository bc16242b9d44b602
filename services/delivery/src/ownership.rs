//! Which shards are this node's: enrols it, sends its heartbeat, takes and gives back leases. A
//! task of its own, so that nothing the line does makes a heartbeat late; it tells the runner by
//! what it publishes, and never waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postrider_model::{NodeId, Timestamp};
use postrider_runtime::{Clock, Rng, Shutdown};
use postrider_store::{Beat, Lease, Level, NewNode, NodeReport, Nodes, Shard, StoreError, Taken};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::RunError;
use crate::standing::{Held, Holdings, State};

/// How long taking, giving back and leaving may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before a database that is away is asked to enrol this node again.
const JOIN_AGAIN: Duration = Duration::from_secs(1);

/// How this node proves that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often.
    pub every: Duration,
    /// For how long after one was sent that arrived an attempt may begin, and a final dot be
    /// sent. Less than the lease by more than any dot may take to leave.
    pub fresh: Duration,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            fresh: Duration::from_secs(5),
        }
    }
}

/// A shard that the runner has let go of.
#[derive(Clone, Debug)]
pub(crate) struct LetGo {
    pub(crate) lease: Lease,
    pub(crate) levels: Vec<Level>,
}

/// With what this node enrols.
pub(crate) struct Enrolment {
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) name: String,
    pub(crate) key: [u8; 16],
    pub(crate) heartbeat: Heartbeat,
    pub(crate) clock_offset_most: Duration,
}

/// An enrolled node.
pub(crate) struct Ownership {
    with: Enrolment,
    node: NodeId,
    enrolled: bool,
    holdings: Holdings,
    beat_sent: Option<Instant>,
    clock_offset: i64,
    clock_is_off: bool,
    /// The last heartbeat failed, and that was said.
    away: bool,
    /// Let go of and not given back yet.
    pending: Vec<LetGo>,
    state: watch::Sender<State>,
    let_go: mpsc::Receiver<LetGo>,
}

/// The runner's side of it.
pub(crate) struct Strings {
    pub(crate) state: watch::Receiver<State>,
    pub(crate) let_go: mpsc::Sender<LetGo>,
}

/// Enrols the node; waits for the database as long as it takes. `None` where shutdown begins
/// first.
pub(crate) async fn join(
    with: Enrolment,
    shutdown: &Shutdown,
) -> Result<Option<(Ownership, Strings)>, RunError> {
    let node = with.new_id();
    let mut said = false;
    loop {
        match with.join(node).await {
            Ok(()) => break,
            Err(StoreError::Taken { .. }) => return Err(RunError::NameTaken { name: with.name }),
            Err(fault) if !std::mem::replace(&mut said, true) => {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "this node cannot enrol yet: it waits for the database"
                );
            }
            Err(_) => {}
        }
        tokio::select! {
            biased;
            () = shutdown.begun() => return Ok(None),
            () = tokio::time::sleep(JOIN_AGAIN) => {}
        }
    }
    let nothing = State {
        node,
        holdings: Arc::default(),
        beat_sent: None,
        clock_is_off: false,
    };
    let (state, seen) = watch::channel(nothing);
    // Each shard is let go of once between two takings: more do not wait here.
    let (sender, let_go) = mpsc::channel(usize::from(Shard::COUNT));
    let ownership = Ownership {
        with,
        node,
        enrolled: true,
        holdings: Holdings::new(),
        beat_sent: None,
        clock_offset: 0,
        clock_is_off: false,
        away: false,
        pending: Vec::new(),
        state,
        let_go,
    };
    let strings = Strings {
        state: seen,
        let_go: sender,
    };
    Ok(Some((ownership, strings)))
}

impl Enrolment {
    fn new_id(&self) -> NodeId {
        NodeId::new(self.clock.now(), self.rng.bytes())
    }

    async fn join(&self, id: NodeId) -> Result<(), StoreError> {
        let new = NewNode {
            id,
            name: self.name.clone(),
            key: self.key,
        };
        in_time(self.nodes.join(new, self.clock.now())).await
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(ANSWER, asked).await {
        Ok(answer) => answer,
        Err(late) => Err(StoreError::Unavailable(Box::new(late))),
    }
}

impl Ownership {
    /// Beats until the runner is gone, then gives everything back and leaves.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut every = tokio::time::interval(self.with.heartbeat.every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut let_go = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = self.let_go.recv_many(&mut let_go, usize::from(Shard::COUNT)) => {
                    self.pending.append(&mut let_go);
                    self.release().await;
                    if count == 0 {
                        break;
                    }
                }
                _ = every.tick() => self.beat(&shutdown).await,
            }
        }
        if let Err(fault) = in_time(self.with.nodes.leave(self.node)).await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "this node left without a word: its shards are free when its lease ends"
            );
        }
    }

    async fn beat(&mut self, shutdown: &Shutdown) {
        if !self.enrolled && !self.enrol_again().await {
            return;
        }
        let wants_shards = !shutdown.has_begun() && !self.clock_is_off;
        let report = NodeReport {
            wants_shards,
            clock_offset: self.clock_offset,
        };
        let (sent, before) = (Instant::now(), self.with.clock.now());
        match in_time(self.with.nodes.beat(self.node, report, before)).await {
            Ok(beat) => {
                self.said_it_is_back();
                self.measure(before, sent.elapsed(), beat.now);
                self.beat_sent = Some(sent);
                self.take_stock(&beat, shutdown).await;
            }
            Err(StoreError::NotFound { .. }) => {
                tracing::error!(
                    "this node is not enrolled any more: it owns nothing until it is again"
                );
                self.enrolled = false;
                self.lose_everything();
            }
            Err(fault) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::error!(
                        error = &fault as &dyn std::error::Error,
                        "a heartbeat failed; nothing new is begun until one arrives"
                    );
                }
            }
        }
    }

    fn said_it_is_back(&mut self) {
        if std::mem::take(&mut self.away) {
            tracing::info!("heartbeats arrive again");
        }
    }

    /// Under a new id: what the old one owned may be another's.
    async fn enrol_again(&mut self) -> bool {
        let node = self.with.new_id();
        match self.with.join(node).await {
            Ok(()) => {
                (self.node, self.enrolled) = (node, true);
                self.lose_everything();
                true
            }
            Err(fault) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::error!(error = &fault as &dyn std::error::Error, name = %self.with.name, "this node cannot enrol again");
                }
                false
            }
        }
    }

    fn lose_everything(&mut self) {
        self.holdings.clear();
        self.pending.clear();
        self.beat_sent = None;
        self.publish();
    }

    /// How far our clock is ahead of the database's, which was read at some moment between our
    /// question and its answer.
    fn measure(&mut self, before: Timestamp, took: Duration, database: Timestamp) {
        let half = took / 2;
        let offset = before.after(half).as_micros() - database.as_micros();
        let off = Duration::from_micros(offset.unsigned_abs());
        let is_off = off > self.with.clock_offset_most.saturating_add(half);
        if is_off != self.clock_is_off {
            if is_off {
                tracing::error!(
                    offset_ms = offset / 1_000,
                    "this machine's clock differs from the database's: this node owns nothing until it is right"
                );
            } else {
                tracing::info!(
                    offset_ms = offset / 1_000,
                    "this machine's clock is right again"
                );
            }
        }
        (self.clock_offset, self.clock_is_off) = (offset, is_off);
    }

    /// Compares what we hold with what the database says; takes what is missing, marks what is
    /// too much.
    async fn take_stock(&mut self, beat: &Beat, shutdown: &Shutdown) {
        let leases: BTreeMap<_, _> = beat.leases.iter().map(|l| (l.shard, l.epoch)).collect();
        let before = self.holdings.len();
        self.holdings
            .retain(|shard, held| leases.get(shard) == Some(&held.epoch));
        if self.holdings.len() < before {
            tracing::warn!(
                shards = before - self.holdings.len(),
                "leases were lost: other nodes own these shards"
            );
        }
        // A taking whose answer did not arrive.
        let unknown = beat.leases.iter().filter(|lease| {
            let pending = |p: &LetGo| p.lease == **lease;
            !self.holdings.contains_key(&lease.shard) && !self.pending.iter().any(pending)
        });
        let unknown: Vec<_> = unknown.copied().collect();
        for lease in unknown {
            self.hold(lease, Vec::new());
        }
        let wants = !shutdown.has_begun() && !self.clock_is_off;
        let target = if wants {
            usize::from(Shard::COUNT).div_ceil(usize::try_from(beat.takers.max(1)).unwrap_or(1))
        } else {
            0
        };
        self.mark_surplus(target);
        self.publish();
        self.release().await;
        if beat.free > 0 && self.holdings.len() < target {
            self.take(target - self.holdings.len()).await;
        }
    }

    fn mark_surplus(&mut self, target: usize) {
        let marked = self.holdings.values().filter(|held| held.surplus).count();
        let kept = self.holdings.len() - marked;
        let more = kept.saturating_sub(target);
        let kept = self.holdings.values_mut().filter(|held| !held.surplus);
        kept.take(more).for_each(|held| held.surplus = true);
    }

    async fn take(&mut self, missing: usize) {
        let most = u16::try_from(missing).unwrap_or(Shard::COUNT);
        let now = self.with.clock.now();
        match in_time(self.with.nodes.take(self.node, most, now)).await {
            Ok(taken) => {
                for Taken { lease, levels } in taken {
                    self.hold(lease, levels);
                }
                self.publish();
            }
            Err(fault) => tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "no shards could be taken"
            ),
        }
    }

    fn hold(&mut self, lease: Lease, levels: Vec<Level>) {
        let held = Held {
            epoch: lease.epoch,
            levels: levels.into(),
            surplus: false,
        };
        self.holdings.insert(lease.shard, held);
    }

    /// Gives back what was let go of. What the database does not take now is offered again after
    /// the next heartbeat.
    async fn release(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        for LetGo { lease, .. } in &self.pending {
            let ours = self.holdings.get(&lease.shard);
            if ours.is_some_and(|held| held.epoch == lease.epoch) {
                self.holdings.remove(&lease.shard);
            }
        }
        self.publish();
        let leases: Vec<_> = self.pending.iter().map(|let_go| let_go.lease).collect();
        let levels = self.pending.iter().flat_map(|let_go| &let_go.levels);
        let levels: Vec<_> = levels.copied().collect();
        match in_time(self.with.nodes.release(self.node, &leases, &levels)).await {
            Ok(()) => self.pending.clear(),
            Err(fault) => tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "shards could not be given back yet"
            ),
        }
    }

    fn publish(&self) {
        self.state.send_modify(|state| {
            state.node = self.node;
            state.beat_sent = self.beat_sent;
            state.clock_is_off = self.clock_is_off;
            if *state.holdings != self.holdings {
                state.holdings = Arc::new(self.holdings.clone());
            }
        });
    }
}
