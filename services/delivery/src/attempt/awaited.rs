//! Whose word a message waits for, which is found out when it is opened: nothing of it leaves until
//! then, and it stays beyond its time, as all that somebody has stopped. What is past its time when
//! the word comes expires then.

use postrider_model::{CredentialId, EmailAddress, TenantId};
use postrider_store::{OpenMessage, QueueRow};

use crate::Shared;

/// What has to come before a message goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Awaited {
    /// The key it came in by is suspended.
    Key(CredentialId),
    /// This address, folded, is named in its Reply-To or asked for receipts, and its owner does not know
    /// the tenant.
    Owner(TenantId, String),
}

/// By its key, where that is suspended.
pub(super) fn by_key(shared: &Shared, message: &OpenMessage) -> Option<Awaited> {
    let keys = shared.roster.suspended_keys();
    let key = message.credential.filter(|key| keys.contains_key(key));
    key.map(Awaited::Key)
}

/// By whoever answers or receipts would go to and who has said no. What was accepted before that is
/// signed with their address in it. Mail to the simulator meets nobody.
pub(super) fn by_owner(shared: &Shared, row: &QueueRow, bytes: &[u8]) -> Option<Awaited> {
    let disowned = shared.roster.disowned();
    // Of almost all tenants nobody said so, and their mail is not looked into.
    let disowned = disowned.get(&row.tenant)?;
    if shared.config.is_simulated(&row.domain) {
        return None;
    }
    let named = postrider_message::answers_to(bytes);
    let mut named = named.iter().map(EmailAddress::folded);
    let folded = named.find(|folded| disowned.contains(folded))?;
    Some(Awaited::Owner(row.tenant, folded))
}
