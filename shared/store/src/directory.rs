//! The port of the operator: who may send, with which keys; and the service's signing keys.

use async_trait::async_trait;
use postrider_model::{
    Credential, CredentialId, DkimKey, DkimKeyId, EmailAddress, Limits, ReplyAddress, Tenant,
    TenantId, TenantStatus,
};

use crate::StoreError;

/// Tenants, keys, reply addresses, DKIM keys. Every change raises `generation`.
#[async_trait]
pub trait Directory: Send + Sync {
    /// A number that rises with every change; cheap enough to ask four times a second.
    async fn generation(&self) -> Result<u64, StoreError>;

    /// All of it, as of one moment.
    async fn snapshot(&self) -> Result<DirectorySnapshot, StoreError>;

    /// Adds a tenant with its first reply address and key. `Taken` where its From address or
    /// slug was ever used.
    async fn add_tenant(&self, new: NewTenant) -> Result<(), StoreError>;

    /// Opens or closes both doors and the queue for a tenant.
    async fn set_status(&self, tenant: TenantId, status: TenantStatus) -> Result<(), StoreError>;

    /// Gives a tenant other limits.
    async fn set_limits(&self, tenant: TenantId, limits: Limits) -> Result<(), StoreError>;

    /// Adds a reply address. `Taken` where the tenant has it already.
    async fn add_reply_address(&self, address: ReplyAddress) -> Result<(), StoreError>;

    /// Marks a reply address as confirmed.
    async fn confirm_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError>;

    /// Takes a reply address away. `Rejected` where it is the tenant's default.
    async fn remove_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError>;

    /// Adds a key to a tenant.
    async fn add_credential(&self, credential: Credential) -> Result<(), StoreError>;

    /// Closes a key for good.
    async fn revoke_credential(&self, tenant: TenantId, id: CredentialId)
    -> Result<(), StoreError>;

    /// Adds signing keys, all or none. `Taken` where a selector is in use at its domain.
    async fn add_dkim_keys(&self, keys: Vec<DkimKey>) -> Result<(), StoreError>;

    /// Stops signing with a key.
    async fn revoke_dkim_key(&self, id: DkimKeyId) -> Result<(), StoreError>;
}

/// A new tenant with what it cannot be without.
#[derive(Clone, Debug)]
pub struct NewTenant {
    pub tenant: Tenant,
    /// The default reply address (`tenant.reply_to`).
    pub reply_address: ReplyAddress,
    pub credential: Credential,
}

/// The whole directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct DirectorySnapshot {
    pub generation: u64,
    pub tenants: Vec<Tenant>,
    pub reply_addresses: Vec<ReplyAddress>,
    pub credentials: Vec<Credential>,
    pub dkim_keys: Vec<DkimKey>,
}
