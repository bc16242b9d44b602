//! `/admin/v1/report`: what became of mail, in counts.

use std::time::Duration;

use clap::ValueEnum;
use postrider_http::{Answer, Query};

use super::caller::Caller;
use super::lists::{limit, only, since, wrong};
use super::{AdminDoor, Outcome};
use crate::admin::{ReportBy, ReportRequest, Since};

/// How far back, where it is not said.
const SINCE: Duration = Duration::from_hours(24);

impl AdminDoor {
    /// `GET /report?since=&by=&limit=`: of a vendor's tenants, or of all.
    pub(super) async fn report(&self, caller: &Caller, query: &Query) -> Outcome {
        only(query, &["since", "by", "limit"])?;
        let now = self.office.provision.clock.now();
        let since = since(query, now)?.unwrap_or(Since::Back(SINCE));
        let by = query.one("by").map(|text| ReportBy::from_str(text, false));
        let by = by.transpose().map_err(|_| {
            let all = ReportBy::value_variants().iter();
            let words = all.filter_map(ValueEnum::to_possible_value);
            let words: Vec<_> = words.map(|word| word.get_name().to_owned()).collect();
            wrong("by", query, &format!("give one of {}", words.join(", ")))
        })?;
        if by == Some(ReportBy::Provider) && caller.vendor.is_some() {
            let remedy =
                "a vendor's mail is not told apart by provider: leave it out, or give another";
            return Err(wrong("by", query, remedy).into());
        }
        let request = ReportRequest {
            since,
            by,
            vendor: None,
            most: limit(query)?,
        };
        let vendor = caller.vendor.as_ref().map(|vendor| vendor.id);
        let report = self.office.report_for(request, vendor).await?;
        Ok(Answer::json(200, &report))
    }
}
