//! Whether a message has to be sealed again before it is sent, and who does that: not delivery,
//! which holds no keys.

use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{MessageId, TenantId, Timestamp};
use postrider_store::{OpenMessage, Roster};

/// Signatures that end sooner are replaced: the remote may look at them later than we send.
const AHEAD: Duration = Duration::from_hours(1);

/// Why a message was not sealed again.
pub type ResealFault = Box<dyn std::error::Error + Send + Sync>;

/// Seals messages again.
#[async_trait]
pub trait Reseal: Send + Sync {
    /// Puts new signatures in the place of those that stand until `was`, on disk when it returns.
    /// False where they are not those any more (somebody else sealed it), or where its bytes are
    /// gone.
    async fn reseal(
        &self,
        tenant: TenantId,
        message: MessageId,
        was: Timestamp,
    ) -> Result<bool, ResealFault>;
}

/// Whether these signatures are about to end, or one was made with a key that is revoked.
pub(crate) fn is_due(message: &OpenMessage, roster: &Roster, now: Timestamp) -> bool {
    if message.sealed_until < now.after(AHEAD) {
        return true;
    }
    let Some(tenant) = roster.tenant(message.tenant) else {
        return false;
    };
    let keys = roster.dkim_keys();
    let domain = tenant.from.domain();
    let active = || keys.iter().filter(|key| key.domain == *domain);
    // Without any key nothing could be signed better.
    active().next().is_some()
        && !message
            .selectors
            .iter()
            .all(|selector| active().any(|key| key.selector == *selector))
}
