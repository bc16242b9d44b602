//! The port of the caretaker: retention, health, space.

use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{TenantId, Timestamp, WaitCause};

use crate::StoreError;

/// What keeps the database small and well.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Answers if the database can be read and written.
    async fn check(&self) -> Result<(), StoreError>;

    /// Bytes that are free where the database grows.
    async fn free_space(&self) -> Result<u64, StoreError>;

    /// How many recipients are live over all tenants and nodes, by what they wait for as far as the
    /// database knows: limits, full sites and suspensions are known to the owners of shards only.
    /// A cause may be left out where nobody waits for it. Takes seconds where millions wait.
    async fn waiting(&self) -> Result<Vec<(WaitCause, u64)>, StoreError>;

    /// Drops what is past its life at `now`, in one small batch that holds the writer no longer
    /// than about 50 ms: bodies `body_life` after their message's last final state, messages with
    /// recipients and events `message_life` after they were accepted, or at the end of that day
    /// (never one with a live recipient), claims past their time, submission sessions after
    /// `SESSION_LIFE`, suppressions that have ended, entries of the audit after `AUDIT_LIFE`,
    /// failures that nobody is told of after `FAILURE_LIFE`, notes
    /// of whom was written to or asked when they count no more, refusal texts `message_life` after
    /// they were heard, counts after `DAILY_LIFE`. Counts of hours become those of days after
    /// `HOURLY_LIFE`. Call again while it reports anything.
    async fn retain(
        &self,
        now: Timestamp,
        body_life: Duration,
        message_life: Duration,
    ) -> Result<Removed, StoreError>;

    /// Removes a tenant with all it has, in small batches like `retain`; call again while it
    /// reports anything. Its From address and slug stay taken.
    async fn erase(&self, tenant: TenantId) -> Result<Removed, StoreError>;

    /// Moves committed pages from the log into the database file, where there is such a thing.
    async fn checkpoint(&self) -> Result<(), StoreError>;
}

/// How long a submission session is kept after it began.
pub const SESSION_LIFE: Duration = Duration::from_hours(7 * 24);
/// How long it is known whom a tenant has written to (`Quota::new_per_hour`), and whom we have
/// asked to confirm an address.
pub const NOTE_LIFE: Duration = Duration::from_hours(30 * 24);

/// How long it is known what was done by operators and vendors.
pub const AUDIT_LIFE: Duration = Duration::from_hours(400 * 24);

/// How long a failure waits for its tenant to be told of it.
pub const FAILURE_LIFE: Duration = Duration::from_hours(2 * 24);

/// What one batch removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub bodies: u64,
    pub messages: u64,
    pub claims: u64,
    pub sessions: u64,
    /// Suppressions that have ended.
    pub suppressions: u64,
    /// Notes of whom a tenant has written to, or whom we have asked.
    pub notes: u64,
    /// Failures that no tenant was told of.
    pub failures: u64,
    /// Entries of the audit.
    pub audit: u64,
    /// Rows of counts that were put together by the day, or dropped.
    pub counts: u64,
}

impl Removed {
    /// True where there was nothing left to remove.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}
