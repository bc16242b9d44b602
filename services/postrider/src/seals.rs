//! The gate, as delivery sees it: who seals a message again, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use postrider_delivery::{Reseal, ResealFault};
use postrider_gate::Gate;
use postrider_model::{MessageId, TenantId, Timestamp};

/// Seals again by the gate of this process.
pub(crate) struct Seals(pub(crate) Arc<Gate>);

#[async_trait]
impl Reseal for Seals {
    async fn reseal(
        &self,
        tenant: TenantId,
        message: MessageId,
        was: Timestamp,
    ) -> Result<bool, ResealFault> {
        Ok(self.0.reseal(tenant, message, was).await?)
    }
}
