//! The port of failure notices: which failures their tenants are yet to be told of, and when they
//! were told last. `Settlement::tell_tenant` enters them.

use async_trait::async_trait;
use postrider_model::{MessageId, RecipientId, TenantId, Timestamp};

use crate::StoreError;

/// Failures that tenants have not been told of.
#[async_trait]
pub trait Failures: Send + Sync {
    /// Tenants with a failure from `before` or earlier, that were not told of any after
    /// `told_before`; at most `limit`.
    async fn untold(
        &self,
        before: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<TenantId>, StoreError>;

    /// Takes the turn to tell a tenant: true for one caller, who found it not told of any after
    /// `told_before`. From then on it was told at `now`, which is the turn's name. All failures that
    /// are entered by then are the turn's, also those that an earlier one left; what is entered later
    /// is not, however old it is.
    async fn begin_telling(
        &self,
        tenant: TenantId,
        now: Timestamp,
        told_before: Timestamp,
    ) -> Result<bool, StoreError>;

    /// A turn's failures: the first `limit`, the oldest first, and how many there are in all.
    async fn failures(
        &self,
        tenant: TenantId,
        turn: Timestamp,
        limit: u32,
    ) -> Result<Untold, StoreError>;

    /// The tenant was told of all failures of this turn, or is not to be.
    async fn told(&self, tenant: TenantId, turn: Timestamp) -> Result<(), StoreError>;
}

/// What a tenant is to be told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    pub failures: Vec<Failure>,
    pub total: u64,
}

/// A recipient that did not get its mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub message: MessageId,
    pub recipient: RecipientId,
    pub at: Timestamp,
}
