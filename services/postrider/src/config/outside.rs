//! `[operator]`, `[inbound]` and `[doctor]`: who answers for the relay, and
//! what of it the internet sees.

use std::net::SocketAddr;

use anyhow::bail;
use postrider_model::{Domain, EmailAddress};
use serde::Deserialize;

use super::check::in_range;

/// Who answers for the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperatorConfig {
    pub contact: String,
    pub reports: String,
}

/// Where mail for the service's own domains comes to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboundConfig {
    pub enabled: bool,
    pub listen: Vec<SocketAddr>,
}

/// What `postrider doctor` looks at beyond the records.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoctorConfig {
    pub every_minutes: u64,
    pub probe_domains: Vec<Domain>,
    pub dnsbls: Vec<Domain>,
    pub time_servers: Vec<String>,
    pub clock_seconds: u64,
    pub certificate_days: u64,
}

impl OperatorConfig {
    /// `None` where nobody is named yet.
    pub fn address(&self) -> Option<EmailAddress> {
        EmailAddress::parse(&self.contact).ok()
    }

    /// Where receivers' reports go; `None` where none are asked for.
    pub fn reports_to(&self) -> Option<EmailAddress> {
        EmailAddress::parse(&self.reports).ok()
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        if !self.contact.is_empty() && self.address().is_none() {
            bail!(
                "operator.contact is {:?}: give the mail address of who answers for this relay, such as \"you@your-company.example\"",
                self.contact
            );
        }
        if !self.reports.is_empty() && self.reports_to().is_none() {
            bail!(
                "operator.reports is {:?}: give the mail address that receivers' reports go to, such as \"reports@your-company.example\", or nothing for none",
                self.reports
            );
        }
        Ok(())
    }

    /// Refuses a relay that nobody answers for.
    pub(crate) fn required(&self) -> anyhow::Result<()> {
        if self.contact.is_empty() {
            bail!(
                "operator.contact is empty: name the mail address of who answers for this relay, such as contact = \"you@your-company.example\" under [operator]"
            );
        }
        Ok(())
    }
}

impl InboundConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.enabled && self.listen.is_empty() {
            bail!(
                "inbound.listen is empty: name at least one address, such as \"0.0.0.0:25\", or set inbound.enabled = false"
            );
        }
        Ok(())
    }
}

impl DoctorConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for server in &self.time_servers {
            let port = server.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) {
                bail!(
                    "doctor.time_servers has {server:?}: give NAME:PORT, such as \"pool.ntp.org:123\""
                );
            }
        }
        in_range(&[
            ("doctor.every_minutes", self.every_minutes, 24 * 60),
            ("doctor.clock_seconds", self.clock_seconds, 3_600),
            ("doctor.certificate_days", self.certificate_days, 365),
        ])
    }
}
