//! The port of the black box: submission sessions, kept for `SESSION_LIFE`, found by their code.

use async_trait::async_trait;
use postrider_model::{Session, SessionCode, TenantId};

use crate::StoreError;

/// Submission sessions. What is kept of them is no promise: mail never waits for it.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps sessions as they are now, in one transaction: new ones, and each in the place of its
    /// own earlier state. No two of one code. Gives the codes that another session has (it began
    /// at another time): those are left out.
    async fn keep(&self, sessions: Vec<Session>) -> Result<Vec<SessionCode>, StoreError>;

    /// A session in which this tenant's key was shown.
    async fn session(
        &self,
        tenant: TenantId,
        code: SessionCode,
    ) -> Result<Option<Session>, StoreError>;

    /// A session in which nobody signed in, whomever it claimed to be of.
    async fn strangers_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError>;

    /// Anybody's session, or nobody's: for an operator.
    async fn any_session(&self, code: SessionCode) -> Result<Option<Session>, StoreError>;
}
