//! The port of delivery nodes: who is there, and who owns which shard. The only port whose time is
//! the database's: `now` is what a database without a clock of its own goes by.

use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{NodeId, TenantId, Timestamp};

use crate::{Lease, StoreError};

/// Nodes, their heartbeats and their leases.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Enrols a node. `Taken` where another one of that name, with another key, has a young
    /// heartbeat. With the same key it is the same node started again: what its last run owned
    /// is free at once.
    async fn join(&self, node: NewNode, now: Timestamp) -> Result<(), StoreError>;

    /// A heartbeat, with what the node says of itself. `NotFound` where the node is not enrolled
    /// any more: it owns nothing.
    async fn beat(
        &self,
        node: NodeId,
        report: NodeReport,
        now: Timestamp,
    ) -> Result<Beat, StoreError>;

    /// Takes at most `most` shards that nobody owns, or whose owner's heartbeat is older than
    /// `LEASE`; raises their epochs. The levels their last owner left come along, once.
    async fn take(&self, node: NodeId, most: u16, now: Timestamp)
    -> Result<Vec<Taken>, StoreError>;

    /// Gives shards back with the levels of their tenants. Leases that are lost are passed over.
    async fn release(
        &self,
        node: NodeId,
        leases: &[Lease],
        levels: &[Level],
    ) -> Result<(), StoreError>;

    /// Goes away: everything it owned is free.
    async fn leave(&self, node: NodeId) -> Result<(), StoreError>;

    /// All nodes that are known, by name; those without a heartbeat for a day are forgotten.
    async fn nodes(&self, now: Timestamp) -> Result<Vec<NodeStanding>, StoreError>;
}

impl dyn Nodes {
    /// How long a node owns its shards after its last heartbeat.
    pub const LEASE: Duration = Duration::from_secs(15);
}

/// A node that enrols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// A new one at each start.
    pub id: NodeId,
    /// What operators call it.
    pub name: String,
    /// A secret of its folder, which only one process has open at a time.
    pub key: [u8; 16],
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// Wants shards: false while it stops, or while its clock is off.
    pub wants_shards: bool,
    /// Its clock minus the database's, in microseconds, as last measured.
    pub clock_offset: i64,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The database's clock.
    pub now: Timestamp,
    /// What this node owns.
    pub leases: Vec<Lease>,
    /// Nodes with a young heartbeat that want shards, this one among them if it does.
    pub takers: u32,
    /// Shards that may be taken.
    pub free: u16,
}

/// A shard that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub lease: Lease,
    pub levels: Vec<Level>,
}

/// What a tenant's bucket held when its shard was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub tenant: TenantId,
    /// Of first attempts, in 60-millionths: what the schedule counts in.
    pub all: u64,
    /// Of first attempts in the bulk lane.
    pub bulk: u64,
}

/// A node as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStanding {
    pub id: NodeId,
    pub name: String,
    pub started_at: Timestamp,
    pub beat_at: Timestamp,
    /// Whether its heartbeat is young.
    pub alive: bool,
    pub report: NodeReport,
    /// How many shards it owns.
    pub shards: u16,
}
