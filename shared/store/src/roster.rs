//! The directory as the line reads it: in memory, indexed, a quarter of a second old at most.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postrider_model::{
    AdminToken, Credential, CredentialId, CredentialStatus, DkimKey, Domain, EmailAddress,
    KeyStatus, ReplyAddress, ReplySource, ReplyStatus, Tenant, TenantId, TenantStatus, Vendor,
    VendorId, VendorKey,
};

use tokio::sync::Mutex;

use crate::{Directory, DirectorySnapshot, StoreError};

/// An indexed copy of the directory, shared by the doors and the queue. Cheap to clone; clones
/// see the same copy. Reading takes no lock.
#[derive(Clone, Default)]
pub struct Roster {
    index: Arc<ArcSwap<Index>>,
    /// Held from the reading of the directory to its showing: an older copy never follows a newer.
    reading: Arc<Mutex<()>>,
}

#[derive(Default)]
struct Index {
    generation: u64,
    vendors: HashMap<VendorId, Arc<Vendor>>,
    vendor_keys: HashMap<String, Arc<VendorKey>>,
    admin_tokens: HashMap<[u8; 32], Arc<AdminToken>>,
    tenants: HashMap<TenantId, Arc<Tenant>>,
    slugs: HashMap<String, TenantId>,
    credentials: HashMap<[u8; 32], Arc<Credential>>,
    suspended_keys: Arc<HashMap<CredentialId, TenantId>>,
    house: Option<Arc<Tenant>>,
    reply_addresses: HashMap<(TenantId, String), Arc<ReplyAddress>>,
    /// How many a tenant's mail has brought in on a UTC day.
    brought_in: HashMap<(TenantId, i64), u32>,
    /// Where a tenant has a confirmed address.
    confirmed_at: HashSet<(TenantId, Domain)>,
    dkim_keys: Arc<Vec<DkimKey>>,
}

impl Roster {
    /// An empty roster: nobody may send until the first `refresh`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory as it was at one moment.
    pub fn of(snapshot: DirectorySnapshot) -> Self {
        Self {
            index: Arc::new(ArcSwap::from_pointee(Index::of(snapshot))),
            reading: Arc::default(),
        }
    }

    /// Reads the directory anew if it has changed. True where it had. What was in the directory
    /// when this began is seen when it returns, whoever else refreshes meanwhile.
    pub async fn refresh(&self, directory: &dyn Directory) -> Result<bool, StoreError> {
        let _alone = self.reading.lock().await;
        let known = self.index.load().generation;
        if directory.generation().await? == known {
            return Ok(false);
        }
        let read = Index::of(directory.snapshot().await?);
        self.index.store(Arc::new(read));
        Ok(true)
    }

    /// The generation this copy is of; 0 before the first `refresh`.
    pub fn generation(&self) -> u64 {
        self.index.load().generation
    }

    pub fn tenant(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.index.load().tenants.get(&id).cloned()
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

impl Index {
    fn of(snapshot: DirectorySnapshot) -> Self {
        let addresses = snapshot.reply_addresses.into_iter().map(Arc::new);
        let addresses: Vec<Arc<ReplyAddress>> = addresses.collect();
        let confirmed = addresses
            .iter()
            .filter(|a| a.status == ReplyStatus::Confirmed);
        let mut brought_in = HashMap::new();
        for one in &addresses {
            if matches!(one.source, ReplySource::Observed | ReplySource::Domain) {
                let day = (one.tenant, one.created_at.day());
                *brought_in.entry(day).or_default() += 1;
            }
        }
        let tenants: Vec<_> = snapshot.tenants.into_iter().map(Arc::new).collect();
        let suspended = snapshot.credentials.iter();
        let suspended = suspended.filter(|key| key.status == CredentialStatus::Suspended);
        let suspended_keys = suspended.map(|key| (key.id, key.tenant)).collect();
        let mut dkim_keys = snapshot.dkim_keys;
        dkim_keys.retain(|key| key.status == KeyStatus::Active);
        dkim_keys.sort_by_key(|key| key.id);
        Self {
            generation: snapshot.generation,
            vendors: keyed(snapshot.vendors, |vendor| vendor.id),
            vendor_keys: keyed(snapshot.vendor_keys, |key| key.kid.clone()),
            admin_tokens: keyed(snapshot.admin_tokens, |token| token.hash),
            house: tenants.iter().find(|tenant| tenant.is_house).cloned(),
            slugs: tenants.iter().map(|t| (t.slug.clone(), t.id)).collect(),
            tenants: tenants.into_iter().map(|t| (t.id, t)).collect(),
            suspended_keys: Arc::new(suspended_keys),
            credentials: keyed(snapshot.credentials, |credential| credential.hash),
            brought_in,
            // What stands by its domain alone confirms nothing of others there.
            confirmed_at: confirmed
                .filter(|a| a.source != ReplySource::Domain)
                .map(|a| (a.tenant, a.address.domain().clone()))
                .collect(),
            reply_addresses: addresses
                .into_iter()
                .map(|a| ((a.tenant, a.address.folded()), a))
                .collect(),
            dkim_keys: Arc::new(dkim_keys),
        }
    }
}

fn keyed<K: Eq + std::hash::Hash, V>(values: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Arc<V>> {
    let values = values.into_iter();
    values.map(|value| (key(&value), Arc::new(value))).collect()
}
