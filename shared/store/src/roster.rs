//! The directory as the line reads it: in memory, indexed, a quarter of a second old at most.

mod index;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use postrider_model::{
    AdminToken, Authority, Credential, CredentialId, DkimKey, Domain, EmailAddress, ReplyAddress,
    ReplyStatus, Tenant, TenantId, TenantStatus, Vendor, VendorId, VendorKey,
};
use tokio::sync::Mutex;

use self::index::Index;
use crate::{Directory, DirectoryChanges, DirectorySnapshot, StoreError};

/// An indexed copy of the directory, shared by the doors and the queue. Cheap to clone; clones
/// see the same copy. Reading takes no lock.
#[derive(Clone, Default)]
pub struct Roster {
    index: Arc<ArcSwap<Index>>,
    /// Whom to ask who has nobody else, as the configuration names it.
    operator: Arc<OnceLock<EmailAddress>>,
    /// Held from the reading of the directory to its showing: an older copy never follows a newer.
    reading: Arc<Mutex<()>>,
}

/// Of each tenant the reply addresses, folded, whose owners said that they do not know it.
pub type Disowned = HashMap<TenantId, BTreeSet<String>>;

impl Roster {
    /// An empty roster: nobody may send until the first `refresh`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory as it was at one moment.
    pub fn of(snapshot: DirectorySnapshot) -> Self {
        Self {
            index: Arc::new(ArcSwap::from_pointee(Index::of(snapshot))),
            operator: Arc::default(),
            reading: Arc::default(),
        }
    }

    /// Reads what has changed in the directory. True where anything had. What was in the directory
    /// when this began is seen when it returns, whoever else refreshes meanwhile.
    pub async fn refresh(&self, directory: &dyn Directory) -> Result<bool, StoreError> {
        let _alone = self.reading.lock().await;
        let known = self.index.load_full();
        if directory.generation().await? == known.generation {
            return Ok(false);
        }
        let read = match directory.changed_since(known.generation).await? {
            DirectoryChanges::All(snapshot) => Index::of(snapshot),
            DirectoryChanges::Of { tenants, now } => known.with(tenants, now),
        };
        self.index.store(Arc::new(read));
        Ok(true)
    }

    /// The generation this copy is of; 0 before the first `refresh`.
    pub fn generation(&self) -> u64 {
        self.index.load().generation
    }

    /// All tenants, in no order.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.index.load().tenants.values().cloned().collect()
    }

    pub fn tenant(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.index.load().tenants.get(&id).cloned()
    }

    /// A tenant with its keys and reply addresses, which are in the order of their ids; nothing
    /// else is in it. `None` where it is not there.
    pub fn all_of(&self, id: TenantId) -> Option<DirectorySnapshot> {
        let index = self.index.load();
        let tenant = index.tenants.get(&id)?;
        let keys = index.credentials.values();
        let addresses = index.reply_addresses.values();
        let mut all = DirectorySnapshot {
            generation: index.generation,
            tenants: vec![(**tenant).clone()],
            credentials: keys
                .filter(|key| key.tenant == id)
                .map(|key| (**key).clone())
                .collect(),
            reply_addresses: addresses
                .filter(|address| address.tenant == id)
                .map(|address| (**address).clone())
                .collect(),
            ..DirectorySnapshot::default()
        };
        all.credentials.sort_unstable_by_key(|key| key.id);
        all.reply_addresses
            .sort_unstable_by_key(|address| address.id);
        Some(all)
    }

    /// A tenant by its slug.
    pub fn tenant_named(&self, slug: &str) -> Option<Arc<Tenant>> {
        let index = self.index.load();
        index.tenants.get(index.slugs.get(slug)?).cloned()
    }

    /// A vendor by its slug.
    pub fn vendor_named(&self, slug: &str) -> Option<Arc<Vendor>> {
        let index = self.index.load();
        index
            .vendors
            .values()
            .find(|vendor| vendor.slug == slug)
            .cloned()
    }

    /// Whether mail of a tenant may be accepted and may leave: neither it nor its vendor is
    /// suspended.
    pub fn is_active(&self, tenant: &Tenant) -> bool {
        let vendor = self.vendor(tenant.vendor);
        tenant.status == TenantStatus::Active && vendor.is_some_and(|vendor| vendor.is_active())
    }

    pub fn vendor(&self, id: VendorId) -> Option<Arc<Vendor>> {
        self.index.load().vendors.get(&id).cloned()
    }

    /// Says who answers for the service; the first word of it counts.
    pub fn name_operator(&self, contact: EmailAddress) {
        let _known = self.operator.set(contact);
    }

    /// Who suspended a tenant, and whom to write to, in words.
    pub fn stopper_of(&self, tenant: &Tenant) -> (String, String) {
        let vendor = self.vendor(tenant.vendor);
        if let (Some(Authority::Vendor), Some(vendor)) = (tenant.stopped_by, vendor) {
            let own = vendor.contact.as_ref().map(ToString::to_string);
            let contact = own.or_else(|| self.contact_of_operator());
            return (
                vendor.name.clone(),
                contact.unwrap_or_else(|| vendor.whom_to_ask()),
            );
        }
        let contact = self.contact_of_operator();
        (
            "the service's operator".to_owned(),
            contact.unwrap_or_else(|| "them".to_owned()),
        )
    }

    fn contact_of_operator(&self) -> Option<String> {
        let contact = self.operator.get().map(ToString::to_string);
        contact.or_else(|| {
            let operator = self.vendor(Vendor::OPERATOR)?;
            operator.contact.as_ref().map(ToString::to_string)
        })
    }

    /// All vendors, in no order.
    pub fn vendors(&self) -> Vec<Arc<Vendor>> {
        self.index.load().vendors.values().cloned().collect()
    }

    /// The vendor's key of this `kid`, revoked ones included.
    pub fn vendor_key(&self, kid: &str) -> Option<Arc<VendorKey>> {
        self.index.load().vendor_keys.get(kid).cloned()
    }

    /// The keys of a vendor, revoked ones included, in no order.
    pub fn vendor_keys_of(&self, vendor: VendorId) -> Vec<Arc<VendorKey>> {
        let index = self.index.load();
        let all = index.vendor_keys.values();
        all.filter(|key| key.vendor == vendor).cloned().collect()
    }

    /// The token of the admin API that has this SHA-256, ended and revoked ones included.
    pub fn admin_token(&self, hash: &[u8; 32]) -> Option<Arc<AdminToken>> {
        self.index.load().admin_tokens.get(hash).cloned()
    }

    /// The credential whose token has this SHA-256, revoked ones included.
    pub fn credential(&self, hash: &[u8; 32]) -> Option<Arc<Credential>> {
        self.index.load().credentials.get(hash).cloned()
    }

    /// Whose a user name is that somebody types, in any case: a slug, whole or as old forms take it, else
    /// one that was handed out with a key. A key may be given any name, that of another tenant too.
    /// `None` where it is nobody's, or several tenants'.
    pub fn tenant_of_user(&self, user: &str) -> Option<TenantId> {
        let index = self.index.load();
        let user = user.trim().to_lowercase();
        let own = index.slugs.get(&user).or_else(|| index.cut.get(&user));
        own.copied()
            .or_else(|| match index.users.get(&user)?.as_slice() {
                [only] => Some(*only),
                _ => None,
            })
    }

    /// The keys of a tenant, whatever their status, in no order. Looks at all there are.
    pub fn credentials_of(&self, tenant: TenantId) -> Vec<Arc<Credential>> {
        let index = self.index.load();
        let all = index.credentials.values();
        all.filter(|key| key.tenant == tenant).cloned().collect()
    }

    /// A key by its id, whatever its status. Looks at all there are.
    pub fn credential_of_id(&self, id: CredentialId) -> Option<Arc<Credential>> {
        let index = self.index.load();
        let mut all = index.credentials.values();
        all.find(|key| key.id == id).cloned()
    }

    /// The tenant that Postrider writes its own mail as.
    pub fn house(&self) -> Option<Arc<Tenant>> {
        self.index.load().house.clone()
    }

    /// All reply addresses of all tenants, whatever their status, in no order.
    pub fn reply_addresses(&self) -> Vec<Arc<ReplyAddress>> {
        let index = self.index.load();
        index.reply_addresses.values().cloned().collect()
    }

    /// What is known of an address as a reply address of this tenant, whatever its status.
    pub fn reply_address(
        &self,
        tenant: TenantId,
        address: &EmailAddress,
    ) -> Option<Arc<ReplyAddress>> {
        let key = (tenant, address.folded());
        self.index.load().reply_addresses.get(&key).cloned()
    }

    /// Whether mail of this tenant may carry this address as Reply-To.
    pub fn is_confirmed(&self, tenant: TenantId, address: &EmailAddress) -> bool {
        self.reply_address(tenant, address)
            .is_some_and(|known| known.status == ReplyStatus::Confirmed)
    }

    /// Whether a reply address of this tenant at exactly this domain is confirmed.
    pub fn is_confirmed_at(&self, tenant: TenantId, domain: &Domain) -> bool {
        let key = (tenant, domain.clone());
        self.index.load().confirmed_at.contains(&key)
    }

    /// The keys that are suspended, and whose they are: what came in by them waits.
    pub fn suspended_keys(&self) -> Arc<HashMap<CredentialId, TenantId>> {
        Arc::clone(&self.index.load().suspended_keys)
    }

    /// Whose word stops mail: what has one of these answered waits. Tenants of whom nobody said
    /// so are not in it.
    pub fn disowned(&self) -> Arc<Disowned> {
        Arc::clone(&self.index.load().disowned)
    }

    /// How many reply addresses a tenant's mail has brought in on a UTC day.
    pub fn brought_in(&self, tenant: TenantId, day: i64) -> u32 {
        let index = self.index.load();
        let brought_in = index.brought_in.get(&(tenant, day));
        brought_in.copied().unwrap_or(0)
    }

    /// The active signing keys, oldest first.
    pub fn dkim_keys(&self) -> Arc<Vec<DkimKey>> {
        Arc::clone(&self.index.load().dkim_keys)
    }
}

/// Two copies are equal where they show the same.
impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        **self.index.load() == **other.index.load()
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Roster").field(&self.index.load()).finish()
    }
}
