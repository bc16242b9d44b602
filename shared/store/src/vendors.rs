//! The ports of vendors: who vouches for tenants, with which keys; who may use the admin API; and
//! what was done.

use async_trait::async_trait;
use postrider_model::{
    AdminToken, AdminTokenId, AuditEntry, AuditId, EmailAddress, Licence, MessageId, Tenant,
    TenantId, Timestamp, Vendor, VendorId, VendorKey, VendorStatus,
};

use crate::{StoreError, TenantLimits};

/// Vendors, their keys and the tokens of the admin API, which stand in the directory: every
/// change raises its generation. And questions about tenants that need not read all of it.
#[async_trait]
pub trait Vendors: Send + Sync {
    /// Adds a vendor. `Taken` where its slug is in use.
    async fn add_vendor(&self, vendor: Vendor) -> Result<(), StoreError>;

    /// Gives a vendor the name, contact, daily volume, limits for new tenants and languages of
    /// `vendor`, which has its id; nothing else of it changes. What its tenants were accepted on
    /// the day of `at` counts, if it did not have a daily volume before.
    async fn change_vendor(&self, vendor: Vendor, at: Timestamp) -> Result<(), StoreError>;

    /// Opens or closes both doors and the queue for all tenants of a vendor.
    async fn set_vendor_status(
        &self,
        vendor: VendorId,
        status: VendorStatus,
    ) -> Result<(), StoreError>;

    /// Adds a vendor's key. `Taken` where it is any vendor's already.
    async fn add_vendor_key(&self, key: VendorKey) -> Result<(), StoreError>;

    /// What is signed with this key counts no more.
    async fn revoke_vendor_key(&self, vendor: VendorId, kid: &str) -> Result<(), StoreError>;

    /// Adds a token of the admin API.
    async fn add_admin_token(&self, token: AdminToken) -> Result<(), StoreError>;

    /// Closes a token for good.
    async fn revoke_admin_token(&self, id: AdminTokenId) -> Result<(), StoreError>;

    /// Recipients accepted over all tenants of a vendor on the day of `at`.
    async fn vendor_usage(&self, vendor: VendorId, at: Timestamp) -> Result<u64, StoreError>;

    /// The tenants of a vendor, or all, without the house, by id, which is by age; behind `after`,
    /// at most `limit`.
    async fn tenants(
        &self,
        vendor: Option<VendorId>,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError>;

    /// Those tenants of a vendor that have one of these licences, in no order.
    async fn licensed(
        &self,
        vendor: VendorId,
        licences: &[Licence],
    ) -> Result<Vec<Tenant>, StoreError>;

    /// A tenant's limits, with who gave them. `NotFound` without the tenant.
    async fn limits_of(&self, tenant: TenantId) -> Result<TenantLimits, StoreError>;

    /// Whose a message is. For operators: who faces a tenant asks `Mail`.
    async fn sender_of(&self, message: MessageId) -> Result<Option<TenantId>, StoreError>;

    /// Whose mail went to an address, as far as it is kept, in no order; at most a hundred. Local
    /// parts are compared without their case. Of this vendor's tenants; without one, for operators,
    /// of all.
    async fn writing_to(
        &self,
        vendor: Option<VendorId>,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, StoreError>;
}

/// What was done by operators and vendors: append-only.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Writes an entry down.
    async fn record(&self, entry: AuditEntry) -> Result<(), StoreError>;

    /// Entries of this filter, newest first, at most `limit`.
    async fn audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}

/// Which entries of the audit are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What concerns this vendor.
    pub vendor: Option<VendorId>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Older than this entry: the next page.
    pub before: Option<AuditId>,
}
