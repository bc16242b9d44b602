//! The suspensions that stand, as the doors see them: what concerns one message, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_ingest::{Suspension, Suspensions};
use postrider_model::{MessageId, TenantId};
use postrider_store::{Control, ControlVerb, Controls, Scope, StoreError};

/// Reads them where they are kept.
pub(crate) struct Suspended(pub(crate) Arc<dyn Controls>);

#[async_trait]
impl Suspensions for Suspended {
    async fn concerning(
        &self,
        tenant: TenantId,
        message: MessageId,
    ) -> Result<Vec<Suspension>, StoreError> {
        let controls = self.0.controls().await?.into_iter();
        let standing = controls.filter(|control| control.verb == ControlVerb::Suspend);
        let concerns = |Control { scope, at, .. }| {
            let domain = match scope {
                Scope::Tenant(id) => (id == tenant).then_some(None),
                Scope::Message(id) => (id == message).then_some(None),
                Scope::Domain(domain) => Some(Some(domain)),
            };
            domain.map(|domain| Suspension { domain, since: at })
        };
        Ok(standing.filter_map(concerns).collect())
    }
}
