//! What became of mail: counted by the hour, over all tenants, by tenant, by vendor or by provider.

use std::ops::Range;
use std::time::Duration;

use anyhow::bail;
use postrider_model::{TenantId, Timestamp, VendorId};
use postrider_store::{DAILY_LIFE, HOURLY_LIFE, Refused, Traffic, Whose, hour};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Office, Refused as Unfit, Since, show::joined};

/// Refusals that a report names.
const REFUSALS: u32 = 10;

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    pub since: Since,
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
        self.report_of(request, whose(vendor.map(|vendor| vendor.id)))
            .await
    }

    /// The same as the admin API answers it: of a vendor's tenants, or of all.
    pub(crate) async fn report_for(
        &self,
        request: ReportRequest,
        vendor: Option<VendorId>,
    ) -> anyhow::Result<Value> {
        let report = self.report_of(request, whose(vendor)).await?;
        Ok(joined(json!({"object": "report"}), report))
    }

    /// What is counted of a vendor's mail is not told apart by provider: there are no such lines then.
    async fn report_of(&self, request: ReportRequest, whose: Whose) -> anyhow::Result<Value> {
        let until = self.provision.clock.now();
        // Nothing is kept for longer, and no period is asked about that holds nothing.
        let begun = request.since.begun(until);
        let begun = begun.map_err(|why| Unfit::argument("--since", "since", &why))?;
        let since = until.since(begun).min(DAILY_LIFE);
        let from = until.before(since);
        let span = from..until;
        let reports = &self.database.reports;
        // Each reads its own rows: at once.
        let refusals = async { anyhow::Ok(reports.refusals(&span, &whose, REFUSALS).await?) };
        let total = async { anyhow::Ok(reports.total(&span, &whose).await?) };
        let lines = self.report_lines(&request, &span, &whose);
        let (refusals, total, (lines, left_out)) = tokio::try_join!(refusals, total, lines)?;
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

    /// What a report has its lines by, and how many are left out.
    async fn report_lines(
        &self,
        request: &ReportRequest,
        span: &Range<Timestamp>,
        whose: &Whose,
    ) -> anyhow::Result<(Vec<Value>, u64)> {
        let reports = &self.database.reports;
        Ok(match (request.by, whose) {
            (None, _) | (Some(ReportBy::Provider), Whose::Vendor(_)) => (Vec::new(), 0),
            (Some(ReportBy::Provider), Whose::All) => {
                let lines = reports.by_provider(span).await?;
                let lines = lines
                    .iter()
                    .map(|(provider, one)| joined(json!({"provider": provider}), unsorted(one)));
                (lines.collect(), 0)
            }
            (Some(ReportBy::Tenant), _) => {
                let (lines, left_out) = reports.by_tenant(span, whose, request.most).await?;
                (self.named(lines).await?, left_out)
            }
            (Some(ReportBy::Vendor), _) => {
                let (lines, left_out) = reports.by_vendor(span, whose, request.most).await?;
                (self.of_vendors(lines).await?, left_out)
            }
        })
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

    /// Lines by the names of their vendors. What was counted of tenants that were gone by then is
    /// nobody's, with a line of its own.
    async fn of_vendors(
        &self,
        lines: Vec<(Option<VendorId>, Traffic)>,
    ) -> anyhow::Result<Vec<Value>> {
        let directory = self.directory().await?;
        let named = lines.into_iter().map(|(id, traffic)| {
            let vendor = id.and_then(|id| directory.vendor(id));
            let vendor = vendor.as_ref();
            let who = json!({
                "vendor": vendor.map(|vendor| vendor.slug.as_str()),
                "id": id,
                "name": vendor.map(|vendor| vendor.name.as_str()),
            });
            joined(who, line(&traffic))
        });
        Ok(named.collect())
    }
}

fn whose(vendor: Option<VendorId>) -> Whose {
    vendor.map_or(Whose::All, Whose::Vendor)
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
