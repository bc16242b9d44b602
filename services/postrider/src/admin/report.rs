//! What became of mail: counted by the hour, over all tenants, by tenant, by vendor or by provider.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use postrider_model::{TenantId, Timestamp, VendorId};
use postrider_store::{DAILY_LIFE, HOURLY_LIFE, Refused, Traffic, Whose, hour};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, show::joined};

/// Refusals that a report names.
const REFUSALS: u32 = 10;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// How far back, in seconds.
    pub since: u64,
    pub by: Option<ReportBy>,
    /// A vendor's slug or id: of its tenants' mail alone.
    #[serde(default)]
    pub vendor: Option<String>,
    /// Of how many tenants or vendors at most.
    pub most: u32,
}

/// By what a report has its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    Tenant,
    Provider,
    Vendor,
}

impl Office {
    /// A report over whole hours: from the one in which it begins.
    pub(super) async fn report(&self, request: ReportRequest) -> anyhow::Result<Value> {
        let vendor = match &request.vendor {
            Some(vendor) => Some(self.find_vendor(vendor).await?),
            None => None,
        };
        if let (Some(vendor), Some(ReportBy::Provider)) = (&vendor, request.by) {
            bail!(
                "--by provider: the mail of {} is not told apart by provider; leave --vendor out, or give --by tenant",
                vendor.slug
            );
        }
        let whose = self.whose(vendor.map(|vendor| vendor.id)).await?;
        self.report_of(request, &whose).await
    }

    /// The same as the admin API answers it: of a vendor's tenants, or of all.
    pub(crate) async fn report_for(
        &self,
        request: ReportRequest,
        vendor: Option<VendorId>,
    ) -> anyhow::Result<Value> {
        let whose = self.whose(vendor).await?;
        let report = self.report_of(request, &whose).await?;
        Ok(joined(json!({"object": "report"}), report))
    }

    async fn whose(&self, vendor: Option<VendorId>) -> anyhow::Result<Whose> {
        if vendor.is_none() {
            return Ok(Whose::All);
        }
        let vendors = &self.database.vendors;
        let tenants = vendors.tenants(vendor, None, u32::MAX).await?;
        let ids = tenants.into_iter().map(|tenant| tenant.id);
        Ok(Whose::Of(ids.collect()))
    }

    /// The same of some tenants: nothing in it is another's. Their mail is not told apart by provider:
    /// there are no such lines then.
    async fn report_of(&self, request: ReportRequest, whose: &Whose) -> anyhow::Result<Value> {
        let until = self.provision.clock.now();
        // Nothing is kept for longer, and no period is asked about that holds nothing.
        let since = Duration::from_secs(request.since).min(DAILY_LIFE);
        let from = until.before(since);
        let span = from..until;
        let reports = &self.database.reports;
        let total = reports.total(&span, whose).await?;
        let refusals = reports.refusals(&span, whose, REFUSALS).await?;
        let (lines, left_out) = match (request.by, whose) {
            (None, _) | (Some(ReportBy::Provider), Whose::Of(_)) => (Vec::new(), 0),
            (Some(ReportBy::Provider), Whose::All) => {
                let lines = reports.by_provider(&span).await?;
                let lines = lines
                    .iter()
                    .map(|(provider, one)| joined(json!({"provider": provider}), unsorted(one)));
                (lines.collect(), 0)
            }
            (Some(ReportBy::Tenant), _) => {
                let (lines, left_out) = reports.by_tenant(&span, whose, request.most).await?;
                (self.named(lines).await?, left_out)
            }
            (Some(ReportBy::Vendor), _) => {
                let (lines, _) = reports.by_tenant(&span, whose, u32::MAX).await?;
                self.of_vendors(lines, request.most).await?
            }
        };
        Ok(json!({
            "from": begins(from, until),
            "until": until,
            "by": request.by,
            "total": line(&total),
            "lines": lines,
            "left_out": left_out,
            "refusals": refusals.iter().map(refusal).collect::<Vec<_>>(),
        }))
    }

    /// Lines by the names of their tenants; of one that was erased meanwhile there is its id.
    async fn named(&self, lines: Vec<(TenantId, Traffic)>) -> anyhow::Result<Vec<Value>> {
        let directory = self.directory().await?;
        let named = lines.into_iter().map(|(id, traffic)| {
            let tenant = directory.tenant(id);
            let tenant = tenant.as_ref();
            let who = json!({
                "tenant": tenant.map_or_else(|| id.to_string(), |tenant| tenant.slug.clone()),
                "id": id,
                "name": tenant.map(|tenant| tenant.name.as_str()),
            });
            joined(who, line(&traffic))
        });
        Ok(named.collect())
    }

    /// Sums of the tenants of each vendor, the busiest first, at most `most`; and how many there are
    /// beside them. What tenants sent that were erased meanwhile is nobody's, with a line of its own.
    async fn of_vendors(
        &self,
        lines: Vec<(TenantId, Traffic)>,
        most: u32,
    ) -> anyhow::Result<(Vec<Value>, u64)> {
        let directory = self.directory().await?;
        let mut sums: BTreeMap<Option<VendorId>, Traffic> = BTreeMap::new();
        for (tenant, traffic) in lines {
            let owner = directory.tenant(tenant).map(|tenant| tenant.vendor);
            sums.entry(owner).or_default().merge(&traffic);
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(_, traffic)| std::cmp::Reverse(traffic.counts.weight()));
        let left_out = sums.len().saturating_sub(most as usize) as u64;
        let named = sums.iter().take(most as usize).map(|(owner, traffic)| {
            let vendor = owner.and_then(|owner| directory.vendor(owner));
            let vendor = vendor.as_ref();
            let who = json!({
                "vendor": vendor.map(|vendor| vendor.slug.as_str()),
                "id": owner,
                "name": vendor.map(|vendor| vendor.name.as_str()),
            });
            joined(who, line(traffic))
        });
        Ok((named.collect(), left_out))
    }
}

/// Where its first hour begins, or its first day where hours are not told apart any more.
fn begins(from: Timestamp, until: Timestamp) -> Timestamp {
    if until.since(from) > HOURLY_LIFE {
        return Timestamp::of_day(from.day());
    }
    Timestamp::of_day(from.day()).after(Duration::from_secs(3_600 * hour_of_day(from)))
}

fn hour_of_day(at: Timestamp) -> u64 {
    u64::try_from(hour(at).rem_euclid(24)).unwrap_or(0)
}

fn line(traffic: &Traffic) -> Value {
    let seconds = |percent| {
        let bound = traffic.times.percentile(percent)?;
        // Whole seconds as a rule: they are printed without a point.
        Some(match bound.subsec_nanos() {
            0 => json!(bound.as_secs()),
            _ => json!(bound.as_secs_f64()),
        })
    };
    let mut value = json!(traffic.counts);
    if let Value::Object(fields) = &mut value {
        fields.insert("p50_seconds".to_owned(), json!(seconds(50)));
        fields.insert("p95_seconds".to_owned(), json!(seconds(95)));
    }
    value
}

/// A provider's line. What was accepted is not told apart by it.
fn unsorted(traffic: &Traffic) -> Value {
    joined(line(traffic), json!({"accepted": null}))
}

fn refusal(refused: &Refused) -> Value {
    json!({
        "provider": refused.provider,
        "text": (!refused.text.is_empty()).then_some(refused.text.as_str()),
        "count": refused.count,
    })
}
