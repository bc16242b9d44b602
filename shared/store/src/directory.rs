//! The port of the operator: who may send, with which keys; and the service's signing keys.

use std::time::Duration;

use async_trait::async_trait;
use postrider_model::{
    AdminToken, Authority, Credential, CredentialId, CredentialStatus, DkimKey, DkimKeyId,
    EmailAddress, Language, Plan, Ramp, ReplyAddress, ReplyStatus, Tenant, TenantId, TenantStatus,
    Timestamp, Vendor, VendorKey,
};

use crate::{DirectoryChanges, Enrolment, NewLimits, StoreError};

/// Tenants, keys, reply addresses, DKIM keys. Every change raises `generation`.
#[async_trait]
pub trait Directory: Send + Sync {
    /// A number that rises with every change; cheap enough to ask four times a second.
    async fn generation(&self) -> Result<u64, StoreError>;

    /// All of it, as of one moment.
    async fn snapshot(&self) -> Result<DirectorySnapshot, StoreError>;

    /// What changed since generation `known`, as of one moment: of few tenants their rows alone,
    /// else all of it.
    async fn changed_since(&self, known: u64) -> Result<DirectoryChanges, StoreError>;

    /// Adds a tenant with its first reply address and keys, and the token it comes with. `Taken` where its From address or
    /// slug was ever used, where its vendor has one with this licence (`LICENCE`), or where it is
    /// to be the house and there is one. `NotFound` without its vendor.
    async fn add_tenant(&self, new: NewTenant) -> Result<(), StoreError>;

    /// Adds and changes many, all in one transaction: at most a thousand. What became of each, in
    /// their order; an error, `Taken` of a licence among them, leaves nothing.
    async fn import(&self, tenants: Vec<TenantImport>) -> Result<Vec<Imported>, StoreError>;

    /// Changes what a tenant's vendor says of it. `NotFound` where it is not there; `Rejected`
    /// where the owner of the reply address said that it has nothing to do with the tenant.
    async fn update_tenant(&self, update: TenantUpdate) -> Result<(), StoreError>;

    /// Opens or closes both doors and the queue for a tenant. `Rejected` where a vendor would open
    /// what the operator closed, and nothing changes where it would close that.
    async fn set_status(
        &self,
        tenant: TenantId,
        status: TenantStatus,
        by: Authority,
    ) -> Result<(), StoreError>;

    /// Gives a tenant other limits; what is not named stays. What the operator names is from then on
    /// the most that its vendor may give it. `Rejected` where a vendor would go beyond what it may
    /// (`TenantLimits::beyond`).
    async fn set_limits(
        &self,
        tenant: TenantId,
        wished: NewLimits,
        by: Authority,
    ) -> Result<(), StoreError>;

    /// Gives a tenant another language, or way with its own domain.
    async fn change_tenant(&self, tenant: TenantId, change: TenantChange)
    -> Result<(), StoreError>;

    /// Puts a tenant's ramp in the place of `was`; false where it is not that any more: another
    /// node has decided the day.
    async fn change_ramp(
        &self,
        tenant: TenantId,
        was: Ramp,
        ramp: Ramp,
    ) -> Result<bool, StoreError>;

    /// Adds a reply address. `Taken` where the tenant has it already.
    async fn add_reply_address(&self, address: ReplyAddress) -> Result<(), StoreError>;

    /// A tenant's mail has named this address (at its `created_at`), or it is to be asked (again).
    /// Writes it down where the tenant has it not yet and `caps` allow; and says whether it may be
    /// written to: each mailbox once in a while over all tenants, whoever asks. Who is told that
    /// it may has to write. Unless something changed the generation stays.
    async fn observe_reply_address(
        &self,
        seen: ReplyAddress,
        caps: AskCaps,
    ) -> Result<Observed, StoreError>;

    /// The letter to a mailbox that was to be written to at `at` did not come to be: it counts as
    /// not asked then, with any tenant, but as it was before. Of another time nothing changes.
    async fn take_back_asking(
        &self,
        address: &EmailAddress,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives a reply address another status. With `Confirmed` its `confirmed_at` is `at`, and it
    /// becomes the tenant's default where that was waited for; with `Refused` a complaint is
    /// counted against the tenant on that day, once.
    async fn set_reply_status(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        status: ReplyStatus,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// What the owner of a reply address answers, `Confirmed` or `Refused`: as `set_reply_status`,
    /// but who said no has said so for good, and the same answer again changes nothing. Gives the
    /// status that stands.
    async fn answer_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        status: ReplyStatus,
        at: Timestamp,
    ) -> Result<ReplyStatus, StoreError>;

    /// The mailbox does not take mail: what is confirmed of it or waits for its answer is broken,
    /// with every tenant; what its owner refused stays refused. Gives those tenants.
    async fn break_reply_address(
        &self,
        address: &EmailAddress,
    ) -> Result<Vec<TenantId>, StoreError>;

    /// Takes a reply address away. `Rejected` where it is the tenant's default, and where its owner said
    /// no: that word is nobody's to erase.
    async fn remove_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Result<(), StoreError>;

    /// Confirms a reply address because somebody vouches for it: `by` says who, in whose name.
    /// `Rejected` where its owner said that it has nothing to do with the tenant.
    async fn attest_reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
        by: &str,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Adds a key to a tenant.
    async fn add_credential(&self, credential: Credential) -> Result<(), StoreError>;

    /// Gives a key the note, networks, quota, end, defaults and manners of `credential`, which
    /// has its id and tenant; nothing else of it changes.
    async fn change_credential(&self, credential: Credential) -> Result<(), StoreError>;

    /// Closes a key for a while, or opens it again, as `set_status` does a tenant. `Rejected` where
    /// it is revoked.
    async fn set_credential_status(
        &self,
        tenant: TenantId,
        id: CredentialId,
        status: CredentialStatus,
        by: Authority,
    ) -> Result<(), StoreError>;

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
    /// Its first keys; the house has none.
    pub credentials: Vec<Credential>,
    /// The token that it comes with, where it is enrolled.
    pub enrolment: Option<Enrolment>,
}

/// What `StoreError::Taken` says where a vendor has a tenant of this licence already.
pub const LICENCE: &str = "licence";

/// A tenant as its vendor has it: one line of an import.
#[derive(Clone, Debug)]
pub enum TenantImport {
    Add(Box<NewTenant>),
    Update(Box<TenantUpdate>),
}

impl TenantImport {
    /// Whom it is about.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Add(new) => new.tenant.id,
            Self::Update(update) => update.tenant,
        }
    }
}

/// What became of one line of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    Done,
    /// Its slug or From address was used before: another is to be tried.
    NameTaken,
    /// The tenant to change is not there (any more).
    NotFound,
    /// Who has its reply address said that the tenant is not theirs.
    Refused,
}

/// What is to be different with a tenant, as its vendor says; `None` leaves it.
#[derive(Clone, Debug)]
pub struct TenantUpdate {
    pub tenant: TenantId,
    pub name: Option<String>,
    pub language: Option<Language>,
    pub plan: Option<Plan>,
    /// Another default reply address, entered where the tenant has it not. It is the default at
    /// once where it is confirmed, or nothing is sent with the one before, which never was or whose
    /// owner said no; else as soon as it is. With an `attested_by` it is confirmed by this.
    pub reply_to: Option<ReplyAddress>,
}

/// What is to be different with a tenant; `None` leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantChange {
    pub language: Option<Language>,
    pub own_domain: Option<bool>,
    pub notices: Option<bool>,
    /// It has no plan any more.
    pub without_plan: bool,
}

/// How many strangers a tenant may have us write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskCaps {
    /// New addresses from its mail, per tenant and UTC day.
    pub per_day: u32,
    /// Between two mails to one mailbox, over all tenants.
    pub pause: Duration,
    /// Mails to one mailbox in a UTC day, over all tenants; 0 is no bound.
    pub letters_per_day: u32,
    /// Mails to one mailbox with less than `rest` between each and the next, over all tenants; 0 is
    /// no bound. Who does not answer these is left in peace until `rest` after the last.
    pub letters_in_a_row: u32,
    pub rest: Duration,
}

/// What became of an address that a tenant's mail named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// As it stands now; `None`: it is new, and one too many today. Nothing was written.
    pub address: Option<ReplyAddress>,
    /// It may be written to, now and by whoever called; noted as done.
    pub ask: bool,
}

/// The whole directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct DirectorySnapshot {
    pub generation: u64,
    pub vendors: Vec<Vendor>,
    pub vendor_keys: Vec<VendorKey>,
    pub admin_tokens: Vec<AdminToken>,
    pub tenants: Vec<Tenant>,
    pub reply_addresses: Vec<ReplyAddress>,
    pub credentials: Vec<Credential>,
    pub dkim_keys: Vec<DkimKey>,
}
