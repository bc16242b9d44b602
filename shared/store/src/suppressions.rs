//! The port of the suppression list: where a tenant's mail does not go.

use async_trait::async_trait;
use postrider_model::{EmailAddress, Stream, Suppression, SuppressionId, TenantId, Timestamp};

use crate::StoreError;

/// Whom a tenant's mail does not go to. What ended by itself (`until`) is not there for any
/// method that is told the time.
#[async_trait]
pub trait Suppressions: Send + Sync {
    /// Those of `addresses` that mail of this stream must not go to at `now`, each once, in the
    /// order given.
    async fn among(
        &self,
        tenant: TenantId,
        stream: Stream,
        addresses: &[EmailAddress],
        now: Timestamp,
    ) -> Result<Vec<EmailAddress>, StoreError>;

    /// Adds suppressions of this tenant, in force when it returns; at most 1,000, no two of one
    /// address and stream. There is one per address and stream: where there is one already it
    /// keeps its id, and what it says unless it has ended by the new one's `since` or the new one
    /// lasts longer. Gives what stands then, in the order given. One that came about as a
    /// `Complaint` is counted against the tenant on the day of its `since`.
    async fn suppress(
        &self,
        tenant: TenantId,
        new: Vec<Suppression>,
    ) -> Result<Vec<Suppression>, StoreError>;

    /// Ends suppressions, effective when it returns; at most 1,000 are named. Gives those that
    /// there were, ended ones too.
    async fn lift(
        &self,
        tenant: TenantId,
        which: &[Suppressed],
    ) -> Result<Vec<Suppression>, StoreError>;

    /// What stands at `now` of that id or address, the newest first; empty where this tenant has
    /// none.
    async fn suppression(
        &self,
        tenant: TenantId,
        which: &Suppressed,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError>;

    /// A page of what stands at `now`, newest first (by id); `None` where the page begins at one
    /// that this tenant does not have.
    async fn suppressions(
        &self,
        tenant: TenantId,
        filter: SuppressionFilter,
        page: SuppressionPage,
        now: Timestamp,
    ) -> Result<Option<SuppressionList>, StoreError>;
}

/// Names suppressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suppressed {
    Id(SuppressionId),
    /// All of this address, whatever the stream; local parts are compared without their case.
    Address(EmailAddress),
}

/// Which suppressions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuppressionFilter {
    /// Those that keep mail of this stream back: of it alone, and of all mail.
    pub stream: Option<Stream>,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuppressionPage {
    /// 1 to 100 of them.
    pub limit: u8,
    pub start: SuppressionStart,
}

/// Where a page begins; as `PageStart`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionStart {
    Newest,
    /// What is next older than this one.
    After(SuppressionId),
    /// What is next newer than this one: the page that ends just before it.
    Before(SuppressionId),
}

/// A page of suppressions, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionList {
    pub suppressions: Vec<Suppression>,
    /// Whether there is more beyond it: older, or with `Before` newer.
    pub more: bool,
}
