//! The suspensions that stand, as the doors see them: what concerns one message, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_ingest::{Suspension, Suspensions};
use postrider_model::{MessageId, TenantId};
use postrider_store::{Controls, Roster, StoreError};

use crate::holds::{Holds, Outlook};

/// Reads them where they are kept.
pub(crate) struct Suspended {
    pub(crate) controls: Arc<dyn Controls>,
    /// It knows the tenant's vendor.
    pub(crate) roster: Roster,
}

#[async_trait]
impl Suspensions for Suspended {
    async fn concerning(
        &self,
        tenant: TenantId,
        message: MessageId,
    ) -> Result<Vec<Suspension>, StoreError> {
        let holds = Holds::read(&*self.controls, &self.roster, Outlook::default()).await?;
        let concerning = holds.concerning(tenant, message).into_iter();
        let suspended = concerning.map(|(domain, since)| Suspension { domain, since });
        Ok(suspended.collect())
    }
}
