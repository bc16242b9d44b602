//! The suspensions that stand, as the doors see them: what concerns one message, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_ingest::{Suspension, Suspensions};
use postrider_model::{MessageId, TenantId};
use postrider_store::{Control, ControlVerb, Controls, Roster, Scope, StoreError};

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
        let controls = self.controls.controls().await?.into_iter();
        let standing = controls.filter(|control| control.verb == ControlVerb::Suspend);
        let vendor = self.roster.tenant(tenant).map(|tenant| tenant.vendor);
        let concerns = |Control { scope, at, .. }| {
            let domain = match scope {
                Scope::Tenant(id) => (id == tenant).then_some(None),
                Scope::Vendor(id) => (Some(id) == vendor).then_some(None),
                Scope::Message(id) => (id == message).then_some(None),
                Scope::Domain(domain) => Some(Some(domain)),
            };
            domain.map(|domain| Suspension { domain, since: at })
        };
        Ok(standing.filter_map(concerns).collect())
    }
}
