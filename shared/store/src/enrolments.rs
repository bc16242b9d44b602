//! The port of enrolment: which of its vendor's tokens a tenant was enrolled with.

use async_trait::async_trait;
use postrider_model::{EmailAddress, TenantId, Timestamp};

use crate::StoreError;

/// What is remembered of the tokens that vendors sign.
#[async_trait]
pub trait Enrolments: Send + Sync {
    /// A token that was issued at this time is used for a tenant with this reply address. True
    /// where it is the newest so far, or that one again with the same reply address: what it says
    /// holds. Whole seconds or not, times are compared as they are.
    async fn use_token(
        &self,
        tenant: TenantId,
        issued_at: Timestamp,
        reply_to: &EmailAddress,
    ) -> Result<bool, StoreError>;
}
