//! The copy itself: what is found by what.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use postrider_model::{
    AdminToken, Credential, CredentialId, CredentialStatus, DkimKey, Domain, KeyStatus,
    ReplyAddress, ReplySource, ReplyStatus, Tenant, TenantId, Vendor, VendorId, VendorKey,
    user_name,
};

use super::Disowned;
use crate::DirectorySnapshot;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) generation: u64,
    pub(super) vendors: HashMap<VendorId, Arc<Vendor>>,
    pub(super) vendor_keys: HashMap<String, Arc<VendorKey>>,
    pub(super) admin_tokens: HashMap<[u8; 32], Arc<AdminToken>>,
    pub(super) tenants: HashMap<TenantId, Arc<Tenant>>,
    pub(super) slugs: HashMap<String, TenantId>,
    /// By the user names of those whose slugs are longer.
    pub(super) cut: HashMap<String, TenantId>,
    pub(super) credentials: HashMap<[u8; 32], Arc<Credential>>,
    /// Whose keys have a user name, in lowercase.
    pub(super) users: HashMap<String, Vec<TenantId>>,
    pub(super) suspended_keys: Arc<HashMap<CredentialId, TenantId>>,
    pub(super) house: Option<Arc<Tenant>>,
    pub(super) reply_addresses: HashMap<(TenantId, String), Arc<ReplyAddress>>,
    pub(super) disowned: Arc<Disowned>,
    /// How many a tenant's mail has brought in on a UTC day.
    pub(super) brought_in: HashMap<(TenantId, i64), u32>,
    /// Where a tenant has a confirmed address.
    pub(super) confirmed_at: HashSet<(TenantId, Domain)>,
    pub(super) dkim_keys: Arc<Vec<DkimKey>>,
}

impl Index {
    pub(super) fn of(mut snapshot: DirectorySnapshot) -> Self {
        let mut dkim_keys = std::mem::take(&mut snapshot.dkim_keys);
        dkim_keys.retain(|key| key.status == KeyStatus::Active);
        dkim_keys.sort_by_key(|key| key.id);
        let mut index = Self {
            vendors: keyed(std::mem::take(&mut snapshot.vendors), |vendor| vendor.id),
            vendor_keys: keyed(std::mem::take(&mut snapshot.vendor_keys), |key| {
                key.kid.clone()
            }),
            admin_tokens: keyed(std::mem::take(&mut snapshot.admin_tokens), |token| {
                token.hash
            }),
            dkim_keys: Arc::new(dkim_keys),
            ..Self::default()
        };
        index.take(snapshot);
        index
    }

    /// The same with these tenants as they are now; whom `now` has not is gone.
    pub(super) fn with(&self, tenants: Vec<TenantId>, now: DirectorySnapshot) -> Self {
        let changed: HashSet<TenantId> = tenants.into_iter().collect();
        let mut index = self.clone();
        index.tenants.retain(|id, _| !changed.contains(id));
        index.slugs.retain(|_, id| !changed.contains(id));
        index.cut.retain(|_, id| !changed.contains(id));
        index.users.retain(|_, tenants| {
            tenants.retain(|id| !changed.contains(id));
            !tenants.is_empty()
        });
        index
            .credentials
            .retain(|_, key| !changed.contains(&key.tenant));
        index.house = index.house.filter(|house| !changed.contains(&house.id));
        index
            .reply_addresses
            .retain(|(tenant, _), _| !changed.contains(tenant));
        index
            .brought_in
            .retain(|(tenant, _), _| !changed.contains(tenant));
        index
            .confirmed_at
            .retain(|(tenant, _)| !changed.contains(tenant));
        Arc::make_mut(&mut index.suspended_keys).retain(|_, tenant| !changed.contains(tenant));
        Arc::make_mut(&mut index.disowned).retain(|tenant, _| !changed.contains(tenant));
        index.take(now);
        index
    }

    /// Adds tenants that are not in it, with their keys and reply addresses.
    fn take(&mut self, rows: DirectorySnapshot) {
        self.generation = rows.generation;
        let suspended = Arc::make_mut(&mut self.suspended_keys);
        for key in rows.credentials {
            if key.status == CredentialStatus::Suspended {
                suspended.insert(key.id, key.tenant);
            }
            if let Some(user) = &key.user {
                let tenants = self.users.entry(user.to_lowercase()).or_default();
                if !tenants.contains(&key.tenant) {
                    tenants.push(key.tenant);
                }
            }
            self.credentials.insert(key.hash, Arc::new(key));
        }
        for tenant in rows.tenants {
            let tenant = Arc::new(tenant);
            self.slugs.insert(tenant.slug.clone(), tenant.id);
            let user = user_name(&tenant.slug);
            if user != tenant.slug {
                self.cut.insert(user, tenant.id);
            }
            if tenant.is_house {
                self.house = Some(Arc::clone(&tenant));
            }
            self.tenants.insert(tenant.id, tenant);
        }
        for address in rows.reply_addresses {
            self.take_address(address);
        }
    }

    fn take_address(&mut self, address: ReplyAddress) {
        let tenant = address.tenant;
        if matches!(address.source, ReplySource::Observed | ReplySource::Domain) {
            let day = (tenant, address.created_at.day());
            *self.brought_in.entry(day).or_default() += 1;
        }
        // What stands by its domain alone confirms nothing of others there.
        if address.status == ReplyStatus::Confirmed && address.source != ReplySource::Domain {
            let at = (tenant, address.address.domain().clone());
            self.confirmed_at.insert(at);
        }
        let folded = address.address.folded();
        if address.status == ReplyStatus::Refused {
            let disowned = Arc::make_mut(&mut self.disowned);
            disowned.entry(tenant).or_default().insert(folded.clone());
        }
        self.reply_addresses
            .insert((tenant, folded), Arc::new(address));
    }
}

fn keyed<K: Eq + std::hash::Hash, V>(values: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Arc<V>> {
    let values = values.into_iter();
    values.map(|value| (key(&value), Arc::new(value))).collect()
}
