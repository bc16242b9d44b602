//! Many tenants of a vendor at once, known again by its own ids of them.

use std::collections::HashMap;

use anyhow::bail;
use postrider_gate::{ProvisionError, TenantDefaults, Unreachable};
use postrider_model::{
    ApiToken, EmailAddress, Language, Licence, Plan, ReplyAddress, ReplyStatus, Tenant, Vendor,
};
use postrider_store::{Imported, LICENCE, StoreError, TenantImport, TenantUpdate};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Office;

/// Rows in one verb at most.
pub(crate) const ROWS_MOST: usize = 1_000;
/// How often rows are tried that met others: a slug that is taken, a licence that another import
/// added at the same time.
const TRIES: u32 = 8;

/// A tenant as its vendor's list has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRow {
    pub licence: Licence,
    pub name: String,
    pub reply_to: EmailAddress,
    /// `None`: as it is, and of a new one the vendor's default.
    pub language: Option<Language>,
    pub plan: Option<Plan>,
    /// The vendor vouches for the reply address.
    pub attested: bool,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RowOutcome {
    /// A new tenant, with its first key in the clear this one time.
    Added {
        slug: String,
        from: EmailAddress,
        key: String,
    },
    Changed {
        slug: String,
    },
    Same,
    Bad {
        field: String,
        why: String,
    },
}

/// What is to be written of a row.
enum Step {
    Settled(RowOutcome),
    Add(Box<postrider_store::NewTenant>, ApiToken),
    Update(Box<TenantUpdate>, String),
}

impl Office {
    /// Adds what is new and changes what is different, all in one transaction; an outcome for each
    /// row, in their order. No two rows have one licence.
    pub(super) async fn import_tenants(
        &self,
        vendor: &str,
        rows: &[ImportRow],
    ) -> anyhow::Result<Value> {
        if rows.len() > ROWS_MOST {
            bail!("{} rows at once: at most {ROWS_MOST}", rows.len());
        }
        let vendor = self.vendor_for_import(vendor).await?;
        let mut outcomes: Vec<Option<RowOutcome>> = vec![None; rows.len()];
        for _ in 0..TRIES {
            let open: Vec<usize> = (0..rows.len())
                .filter(|at| outcomes.get(*at).is_some_and(Option::is_none))
                .collect();
            if open.is_empty() {
                break;
            }
            self.import_once(&vendor, rows, &open, &mut outcomes)
                .await?;
        }
        let settled: Option<Vec<RowOutcome>> = outcomes.into_iter().collect();
        match settled {
            Some(settled) => Ok(serde_json::to_value(settled)?),
            None => bail!("the same tenants are imported by somebody else: repeat it"),
        }
    }

    // Known from memory: this is asked hundreds of times.
    async fn vendor_for_import(&self, vendor: &str) -> anyhow::Result<Vendor> {
        match self.roster.vendor_named(vendor) {
            Some(vendor) => Ok((*vendor).clone()),
            None => self.find_vendor(vendor).await,
        }
    }

    async fn import_once(
        &self,
        vendor: &Vendor,
        rows: &[ImportRow],
        open: &[usize],
        outcomes: &mut [Option<RowOutcome>],
    ) -> anyhow::Result<()> {
        let open: Vec<(usize, &ImportRow)> = open
            .iter()
            .filter_map(|at| Some((*at, rows.get(*at)?)))
            .collect();
        let licences: Vec<Licence> = open.iter().map(|(_, row)| row.licence.clone()).collect();
        let known = self.database.vendors.licensed(vendor.id, &licences).await?;
        let known: HashMap<&Licence, &Tenant> = known
            .iter()
            .filter_map(|tenant| Some((tenant.licence.as_ref()?, tenant)))
            .collect();
        let (mut steps, mut imports) = (Vec::new(), Vec::new());
        for (at, row) in open {
            match self.step(vendor, row, known.get(&row.licence).copied())? {
                Step::Settled(outcome) => put(outcomes, at, outcome),
                Step::Add(new, key) => {
                    let added = RowOutcome::Added {
                        slug: new.tenant.slug.clone(),
                        from: new.tenant.from.clone(),
                        key: key.expose().to_owned(),
                    };
                    imports.push(TenantImport::Add(new));
                    steps.push((at, added));
                }
                Step::Update(update, slug) => {
                    imports.push(TenantImport::Update(update));
                    steps.push((at, RowOutcome::Changed { slug }));
                }
            }
        }
        if imports.is_empty() {
            return Ok(());
        }
        let imported = match self.database.directory.import(imports).await {
            Ok(imported) => imported,
            // Another import was quicker: the next try finds its tenants.
            Err(StoreError::Taken { what: LICENCE }) => return Ok(()),
            Err(fault) => return Err(fault.into()),
        };
        for ((at, outcome), imported) in steps.into_iter().zip(imported) {
            match imported {
                Imported::Done => put(outcomes, at, outcome),
                Imported::Refused => put(outcomes, at, disowned()),
                // Tried again, with another slug or as a new tenant.
                Imported::NameTaken | Imported::NotFound => {}
            }
        }
        Ok(())
    }

    fn step(
        &self,
        vendor: &Vendor,
        row: &ImportRow,
        known: Option<&Tenant>,
    ) -> anyhow::Result<Step> {
        if let Some(language) = row.language
            && !vendor.speaks(language)
        {
            return Ok(Step::Settled(other_language(vendor, language)));
        }
        match known {
            Some(tenant) => Ok(self.difference(vendor, row, tenant)),
            None => self.addition(vendor, row),
        }
    }

    fn addition(&self, vendor: &Vendor, row: &ImportRow) -> anyhow::Result<Step> {
        if let Err(why) = self.gate.check_reply_to(&row.reply_to) {
            return Ok(Step::Settled(unreachable_there(&why)));
        }
        let defaults = TenantDefaults {
            language: row.language.unwrap_or(vendor.language()),
            licence: Some(row.licence.clone()),
            plan: row.plan.clone(),
            is_confirmed: row.attested || self.newcomers.vouched,
            attested_by: row.attested.then(|| by(vendor)),
            ..self.defaults_for(vendor)
        };
        match self.provision.draft(&row.name, &row.reply_to, &defaults) {
            Ok((new, key)) => Ok(Step::Add(Box::new(new), key)),
            Err(ProvisionError::BadName) => Ok(Step::Settled(bad_name())),
            Err(fault) => Err(fault.into()),
        }
    }

    fn difference(&self, vendor: &Vendor, row: &ImportRow, tenant: &Tenant) -> Step {
        let name = row.name.trim();
        if !postrider_gate::is_acceptable_name(name) {
            return Step::Settled(bad_name());
        }
        let folded = row.reply_to.folded();
        let is_default = tenant.reply_to.folded() == folded;
        let waits = tenant.next_reply_to.as_ref();
        let is_next = waits.is_some_and(|next| next.folded() == folded);
        // It may be the default and not confirmed, or on its way to both.
        let to_attest = row.attested && !self.roster.is_confirmed(tenant.id, &row.reply_to);
        let moves = !is_next && (!is_default || waits.is_some());
        // One that it has already stays.
        if !is_next
            && !is_default
            && let Err(why) = self.gate.check_reply_to(&row.reply_to)
        {
            return Step::Settled(unreachable_there(&why));
        }
        let update = TenantUpdate {
            tenant: tenant.id,
            name: (tenant.name != name).then(|| name.to_owned()),
            language: row.language.filter(|language| *language != tenant.language),
            plan: row
                .plan
                .clone()
                .filter(|plan| Some(plan) != tenant.plan.as_ref()),
            reply_to: (moves || to_attest).then(|| self.wished(vendor, row, tenant)),
        };
        let is_same = update.name.is_none()
            && update.language.is_none()
            && update.plan.is_none()
            && update.reply_to.is_none();
        if is_same {
            return Step::Settled(RowOutcome::Same);
        }
        Step::Update(Box::new(update), tenant.slug.clone())
    }

    fn wished(&self, vendor: &Vendor, row: &ImportRow, tenant: &Tenant) -> ReplyAddress {
        let status = if row.attested {
            ReplyStatus::Confirmed
        } else {
            ReplyStatus::Unconfirmed
        };
        let address = row.reply_to.clone();
        let entry = self.provision.new_reply_address(tenant.id, address, status);
        ReplyAddress {
            attested_by: row.attested.then(|| by(vendor)),
            ..entry
        }
    }
}

fn put(outcomes: &mut [Option<RowOutcome>], at: usize, outcome: RowOutcome) {
    if let Some(place) = outcomes.get_mut(at) {
        *place = Some(outcome);
    }
}

// Who says so, in whose name.
fn by(vendor: &Vendor) -> String {
    format!("vendor {} by cli", vendor.slug)
}

fn bad_name() -> RowOutcome {
    RowOutcome::Bad {
        field: "name".to_owned(),
        why: ProvisionError::BadName.to_string(),
    }
}

fn unreachable_there(why: &Unreachable) -> RowOutcome {
    RowOutcome::Bad {
        field: "reply_to".to_owned(),
        why: why.to_string(),
    }
}

fn other_language(vendor: &Vendor, language: Language) -> RowOutcome {
    RowOutcome::Bad {
        field: "language".to_owned(),
        why: format!(
            "{} has no {}: give {}, or nothing",
            vendor.slug,
            language.as_str(),
            vendor.spoken()
        ),
    }
}

fn disowned() -> RowOutcome {
    RowOutcome::Bad {
        field: "reply_to".to_owned(),
        why: "who has this address said that it has nothing to do with the tenant: give another"
            .to_owned(),
    }
}
