//! What waits, counted for operators: whose it is, for what it waits, and what of it may be stopped alone.

use postrider_model::{CredentialId, Domain, MessageId, TenantId, Timestamp, WaitCause};

use crate::Scope;

/// Which waiting recipients are counted, and what is told apart among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedQuery {
    /// Without it, all.
    pub within: Option<Scope>,
    pub apart: Apart,
    pub now: Timestamp,
    /// So many are looked at of what waits, and so many of what was held, and no more: a long queue costs no
    /// more than this. What a domain has of the queue, and what a tenant or a vendor has of the held, is
    /// sought among so many of everybody's, for no index leads to it.
    pub most: u32,
}

/// What has lines of its own, for it may be stopped alone. The rest is told apart by tenant and cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    pub messages: Vec<MessageId>,
    pub domains: Vec<Domain>,
    /// Of these tenants each key's mail.
    pub keys_of: Vec<TenantId>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuedCount {
    /// In no order.
    pub lines: Vec<Queued>,
    /// Whether some was not looked at, so that all counts are «at least».
    pub more: bool,
}

/// So many recipients wait alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued {
    pub tenant: TenantId,
    /// `Held` for those that were held; of the others, what their row says.
    pub cause: WaitCause,
    /// Whether nothing but its turn is waited for: its time has come.
    pub is_due: bool,
    /// These three as far as `Apart` names them; of what was held, all are `None`.
    pub message: Option<MessageId>,
    pub domain: Option<Domain>,
    pub credential: Option<CredentialId>,
    pub recipients: u64,
}

impl Queued {
    /// What a tenant has that was held, which is not told apart further.
    pub fn held((tenant, recipients): (TenantId, u64)) -> Self {
        Self {
            tenant,
            cause: WaitCause::Held,
            is_due: false,
            message: None,
            domain: None,
            credential: None,
            recipients,
        }
    }
}
