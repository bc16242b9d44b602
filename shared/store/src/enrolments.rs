//! The port of enrolment: which of its vendor's tokens a tenant was enrolled with.

use async_trait::async_trait;
use postrider_model::{EmailAddress, TenantId, Timestamp};

use crate::{StoreError, TenantChange, TenantUpdate};

/// What is remembered of the tokens that vendors sign.
#[async_trait]
pub trait Enrolments: Send + Sync {
    /// Uses a token for a tenant, and where it is newer than the last one changes what it says
    /// otherwise, in one transaction. Else nothing is written. Of no tenant every token is `Older`.
    /// `Rejected` as by `Directory::update_tenant`: then the token is not used either.
    async fn use_token(&self, used: UsedToken) -> Result<TokenStands, StoreError>;

    /// When the newest token was issued that the tenant was enrolled with.
    async fn last_token(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError>;

    /// The letters that asked a mailbox, whoever it was for; `None` where none went there.
    async fn letters_to(&self, address: &EmailAddress) -> Result<Option<Letters>, StoreError>;
}

/// Letters that went to one mailbox, as `AskCaps` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letters {
    pub last_at: Timestamp,
    /// On the UTC day of the last.
    pub that_day: u32,
    pub in_a_row: u32,
}

/// A token that a tenant is enrolled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Whole seconds or not, times are compared as they are.
    pub issued_at: Timestamp,
    pub reply_to: EmailAddress,
}

/// A token for a tenant that is there, and what is to be different by it.
#[derive(Clone, Debug)]
pub struct UsedToken {
    pub tenant: TenantId,
    pub enrolment: Enrolment,
    pub update: Option<TenantUpdate>,
    pub change: TenantChange,
}

/// How a token stands to the last one that was used for its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStands {
    /// Or the first: what it says holds.
    Newer,
    /// That one again, with the same reply address.
    Same,
    /// Or that one, with another reply address.
    Older,
}

impl Enrolment {
    /// How it stands to the last one: when that was issued, and its reply address, folded.
    pub fn stands(&self, last: Option<(Timestamp, &str)>) -> TokenStands {
        match last {
            None => TokenStands::Newer,
            Some((at, _)) if at < self.issued_at => TokenStands::Newer,
            Some((at, to)) if at == self.issued_at && to == self.reply_to.folded() => {
                TokenStands::Same
            }
            Some(_) => TokenStands::Older,
        }
    }
}
