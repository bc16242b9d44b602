//! Suppressions: addresses that a tenant's mail does not go to.

use crate::state::words;
use crate::{EmailAddress, Stream, SuppressionId, TenantId, Timestamp};

words!(
    /// Why mail does not go there.
    SuppressionReason {
        /// A remote said for good that there is no such mailbox.
        HardBounce = "hard_bounce",
        /// The recipient asked for no more of it.
        Unsubscribe = "unsubscribe",
        /// The recipient called it unwanted.
        Complaint = "complaint",
        /// The tenant or an operator put it there.
        Manual = "manual",
    }
);

/// An address that a tenant's mail does not go to. There is one per tenant, address and stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pub id: SuppressionId,
    pub tenant: TenantId,
    /// Local parts are compared without their case.
    pub address: EmailAddress,
    /// Of which mail it is; `None` is all.
    pub stream: Option<Stream>,
    pub reason: SuppressionReason,
    /// Where that is known from, for people: a message's id with the remote's words, a page, a name.
    pub source: String,
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl Suppression {
    /// Whether it still holds.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
