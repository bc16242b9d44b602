//! Verbs about vendors, who vouch for tenants, and about their keys.

use anyhow::{Context, bail};
use postrider_gate::vendor_key;
use postrider_model::{EmailAddress, Language, Vendor, VendorId, VendorKey, VendorStatus};
use postrider_store::{NewLimits, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, Refused, show};

/// What is done about vendors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VendorAct {
    Add {
        /// How commands name it.
        slug: String,
        name: String,
        contact: EmailAddress,
        change: VendorChange,
    },
    List,
    Show {
        vendor: String,
    },
    Suspend {
        vendor: String,
    },
    Resume {
        vendor: String,
    },
    Set {
        vendor: String,
        name: Option<String>,
        contact: Option<EmailAddress>,
        change: VendorChange,
    },
    KeyAdd {
        vendor: String,
        /// PEM, a JWK, or 32 bytes in base64.
        key: String,
    },
    KeyList {
        vendor: String,
    },
    KeyRevoke {
        vendor: String,
        kid: String,
    },
}

/// What is to be different with a vendor; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VendorChange {
    /// Recipients per UTC day over all its tenants; 0 means no limit.
    pub per_day: Option<u32>,
    /// What its new tenants begin with.
    pub tenant_limits: NewLimits,
    /// Empty: as they are.
    pub languages: Vec<Language>,
}

impl VendorAct {
    pub(super) fn only_reads(&self) -> bool {
        matches!(self, Self::List | Self::Show { .. } | Self::KeyList { .. })
    }
}

impl Office {
    pub(super) async fn vendor(&self, act: VendorAct) -> anyhow::Result<Value> {
        match act {
            VendorAct::Add {
                slug,
                name,
                contact,
                change,
            } => self.add_vendor((slug, name, contact), change).await,
            VendorAct::List => self.list_vendors().await,
            VendorAct::Show { vendor } => self.show_vendor(&vendor).await,
            VendorAct::Suspend { vendor } => {
                self.set_vendor_status(&vendor, VendorStatus::Suspended)
                    .await
            }
            VendorAct::Resume { vendor } => {
                self.set_vendor_status(&vendor, VendorStatus::Active).await
            }
            VendorAct::Set {
                vendor,
                name,
                contact,
                change,
            } => self.set_vendor(&vendor, (name, contact), change).await,
            VendorAct::KeyAdd { vendor, key } => self.add_vendor_key(&vendor, &key).await,
            VendorAct::KeyList { vendor } => self.list_vendor_keys(&vendor).await,
            VendorAct::KeyRevoke { vendor, kid } => self.revoke_vendor_key(&vendor, &kid).await,
        }
    }

    /// A vendor by its slug or id, as the directory has it now.
    pub(crate) async fn find_vendor(&self, which: &str) -> anyhow::Result<Vendor> {
        self.roster.refresh(&*self.database.directory).await?;
        let by_id = which.parse::<VendorId>().ok();
        let found = by_id.and_then(|id| self.roster.vendor(id));
        let found = found.or_else(|| self.roster.vendor_named(which));
        match found {
            Some(vendor) => Ok((*vendor).clone()),
            None => {
                bail!("there is no vendor {which:?}: `postrider vendor list` shows all of them")
            }
        }
    }

    async fn add_vendor(
        &self,
        (slug, name, contact): (String, String, EmailAddress),
        change: VendorChange,
    ) -> anyhow::Result<Value> {
        check_slug(&slug)?;
        let at = self.provision.clock.now();
        let new = Vendor {
            id: VendorId::new(at, self.provision.rng.bytes()),
            slug,
            name: good_name(&name)?,
            contact: Some(contact),
            status: VendorStatus::Active,
            per_day: 0,
            tenant_limits: self.newcomers.limits,
            languages: Language::ALL.to_vec(),
            created_at: at,
        };
        let vendor = changed(new, change);
        match self.database.vendors.add_vendor(vendor.clone()).await {
            Ok(()) => Ok(show::vendor(&vendor)),
            Err(StoreError::Taken { .. }) => {
                bail!(
                    "there is a vendor {:?} already: give another slug",
                    vendor.slug
                )
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn list_vendors(&self) -> anyhow::Result<Value> {
        let snapshot = self.database.directory.snapshot().await?;
        Ok(snapshot.vendors.iter().map(show::vendor).collect())
    }

    async fn show_vendor(&self, vendor: &str) -> anyhow::Result<Value> {
        let vendor = self.find_vendor(vendor).await?;
        let now = self.provision.clock.now();
        let used = self.database.vendors.vendor_usage(vendor.id, now).await?;
        let more = json!({
            "usage": {"daily": {
                "used": used,
                "limit": show::limit(vendor.per_day),
                "resets_at": now.next_day(),
            }},
            "keys": self.keys_of(vendor.id).await?.iter().map(show::vendor_key).collect::<Vec<_>>(),
        });
        Ok(show::joined(show::vendor(&vendor), more))
    }

    async fn set_vendor_status(&self, vendor: &str, status: VendorStatus) -> anyhow::Result<Value> {
        let vendor = self.find_vendor(vendor).await?;
        if vendor.id == Vendor::OPERATOR && status == VendorStatus::Suspended {
            let said = |way: &str| {
                format!(
                    "the service's own letters leave in the name of {:?}: suspending it would stop them for all; {way} stops one of its tenants, `postrider queue suspend` mail that waits",
                    vendor.slug
                )
            };
            let endpoint = "POST /tenants/{tenant}/suspend";
            bail!(Refused::verb(said, "tenant suspend TENANT", endpoint));
        }
        let vendors = &self.database.vendors;
        vendors.set_vendor_status(vendor.id, status).await?;
        Ok(show::vendor(&Vendor { status, ..vendor }))
    }

    async fn set_vendor(
        &self,
        vendor: &str,
        (name, contact): (Option<String>, Option<EmailAddress>),
        change: VendorChange,
    ) -> anyhow::Result<Value> {
        let was = self.find_vendor(vendor).await?;
        let named = Vendor {
            name: name.map_or(Ok(was.name.clone()), |name| good_name(&name))?,
            contact: contact.or(was.contact.clone()),
            ..was
        };
        let vendor = changed(named, change);
        let at = self.provision.clock.now();
        let vendors = &self.database.vendors;
        vendors.change_vendor(vendor.clone(), at).await?;
        Ok(show::vendor(&vendor))
    }

    async fn add_vendor_key(&self, vendor: &str, text: &str) -> anyhow::Result<Value> {
        let vendor = self.find_vendor(vendor).await?;
        let key = vendor_key(vendor.id, text, self.provision.clock.now())?;
        match self.database.vendors.add_vendor_key(key.clone()).await {
            Ok(()) => Ok(show::vendor_key(&key)),
            Err(StoreError::Taken { .. }) => {
                bail!("the key {} was given before: make a new one", key.kid)
            }
            Err(fault) => Err(fault.into()),
        }
    }

    async fn list_vendor_keys(&self, vendor: &str) -> anyhow::Result<Value> {
        let vendor = self.find_vendor(vendor).await?;
        let keys = self.keys_of(vendor.id).await?;
        Ok(keys.iter().map(show::vendor_key).collect())
    }

    async fn keys_of(&self, vendor: VendorId) -> anyhow::Result<Vec<VendorKey>> {
        let snapshot = self.database.directory.snapshot().await?;
        let mut keys = snapshot.vendor_keys;
        keys.retain(|key| key.vendor == vendor);
        Ok(keys)
    }

    async fn revoke_vendor_key(&self, vendor: &str, kid: &str) -> anyhow::Result<Value> {
        let vendor = self.find_vendor(vendor).await?;
        let vendors = &self.database.vendors;
        let revoked = vendors.revoke_vendor_key(vendor.id, kid).await;
        revoked.with_context(|| {
            format!(
                "no key {kid:?} of {slug}: `postrider vendor key list {slug}` shows them",
                slug = vendor.slug
            )
        })?;
        Ok(json!({"kid": kid, "vendor": vendor.slug, "status": "revoked"}))
    }
}

fn changed(vendor: Vendor, change: VendorChange) -> Vendor {
    let mut languages: Vec<Language> = Vec::new();
    for language in change.languages {
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    Vendor {
        per_day: change.per_day.unwrap_or(vendor.per_day),
        tenant_limits: change.tenant_limits.over(vendor.tenant_limits),
        languages: if languages.is_empty() {
            vendor.languages
        } else {
            languages
        },
        ..vendor
    }
}

fn good_name(name: &str) -> anyhow::Result<String> {
    let trimmed = name.trim();
    let length = trimmed.chars().count();
    if length == 0 || length > 128 || trimmed.chars().any(char::is_control) {
        let why = format!(
            "{name:?} is none: a vendor's name has 1 to 128 characters, none of them a control character"
        );
        bail!(Refused::argument("--name", "name", &why));
    }
    Ok(trimmed.to_owned())
}

fn check_slug(slug: &str) -> anyhow::Result<()> {
    let is_good = (1..=40).contains(&slug.len())
        && !slug.starts_with('-')
        && !slug.ends_with('-')
        && slug
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    if !is_good {
        let why = format!(
            "{slug:?} cannot name a vendor: 1 to 40 of a-z, 0-9 and hyphens, no hyphen at its ends"
        );
        bail!(Refused::argument("SLUG", "slug", &why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_named_by_what_can_be_typed() {
        for good in ["acme", "a", "acme-2"] {
            assert!(check_slug(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a b", "ä", &"a".repeat(41)] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
    }
}
