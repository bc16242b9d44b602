//! `postrider report` and `postrider find`: what became of mail.

use clap::Args;
use postrider_model::EmailAddress;

use super::Place;
use crate::admin::{FindRequest, ReportBy, ReportRequest, Since, Verb};

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Since when, in whole hours, beyond 32 days in whole days: 24h, 7d, 2026-11-22, or a time
    #[arg(long, value_name = "SINCE", value_parser = Since::parse, default_value = "24h")]
    pub since: Since,
    /// One line for each
    #[arg(long)]
    pub by: Option<ReportBy>,
    /// Mail of this vendor's tenants alone: its id or slug
    #[arg(long)]
    pub vendor: Option<String>,
    /// Show so many tenants or vendors, the busiest first
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: u32,
    #[command(flatten)]
    pub place: Place,
}

impl ReportArgs {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let report = ReportRequest {
            since: self.since,
            by: self.by,
            vendor: self.vendor,
            most: self.limit,
        };
        (self.place, Verb::Report { report })
    }
}

#[derive(Debug, Args)]
pub struct FindArgs {
    /// The recipient
    pub address: EmailAddress,
    /// Mail of this tenant alone: its id or slug
    #[arg(long, conflicts_with = "vendor")]
    pub tenant: Option<String>,
    /// Mail of this vendor's tenants alone: its id or slug
    #[arg(long)]
    pub vendor: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

impl FindArgs {
    /// Which relay, and what is asked of it.
    pub fn parts(self) -> (Place, Verb) {
        let find = FindRequest {
            address: self.address,
            tenant: self.tenant,
            vendor: self.vendor,
        };
        (self.place, Verb::Find { find })
    }
}
