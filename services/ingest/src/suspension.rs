//! What an operator has suspended, as far as one message is concerned: told to its tenant as the
//! reason why it waits.

use async_trait::async_trait;
use postrider_model::{Domain, EmailAddress, MessageId, TenantId, Timestamp};
use postrider_store::StoreError;

/// Knows the suspensions that stand. The port of the operator's verbs is never in a door's hands.
#[async_trait]
pub trait Suspensions: Send + Sync {
    /// Those of this message, of its tenant or its tenant's vendor, and of domains.
    async fn concerning(
        &self,
        tenant: TenantId,
        message: MessageId,
    ) -> Result<Vec<Suspension>, StoreError>;
}

/// A suspension that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Recipients at this domain; `None` means all of the message's.
    pub domain: Option<Domain>,
    pub since: Timestamp,
}

/// Since when a recipient is suspended, where it is.
pub(crate) fn since(suspensions: &[Suspension], address: &EmailAddress) -> Option<Timestamp> {
    let concerns = |suspension: &&Suspension| {
        let mut domain = suspension.domain.iter();
        domain.all(|domain| domain == address.domain())
    };
    suspensions
        .iter()
        .filter(concerns)
        .map(|suspension| suspension.since)
        .min()
}
