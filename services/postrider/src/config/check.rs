//! What a configuration must be like, beyond its types.

use anyhow::{Context, bail};
use postrider_delivery::Network;
use postrider_telemetry::check_filter;

use super::Config;
use crate::database::Location;

/// A hundred years: no sum of times is past what a clock can say.
const HOURS: u64 = 24 * 365 * 100;

impl Config {
    /// Refuses what no relay can run with, by the name of its key.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.http.listen.is_empty() {
            bail!("http.listen is empty: name at least one address, such as \"127.0.0.1:8025\"");
        }
        if self.http.tls_certificate.as_os_str().is_empty()
            != self.http.tls_key.as_os_str().is_empty()
        {
            bail!("http.tls_certificate and http.tls_key belong together: give both or none");
        }
        if !self.http.certificates.is_empty() && !self.http.tls_key.as_os_str().is_empty() {
            bail!(
                "http.certificates stands in place of http.tls_certificate and http.tls_key: leave one of them out"
            );
        }
        let url = self.http.public_url.as_str();
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            bail!(
                "http.public_url is {url:?}: give an address that a browser opens, such as \"https://{}\", or nothing for that one",
                self.service.host
            );
        }
        self.operator.check()?;
        for egress in &self.egress {
            egress.check()?;
        }
        self.smtp.check()?;
        self.inbound.check()?;
        self.check_acme()?;
        self.doctor.check()?;
        self.admin.check()?;
        self.enrolment.check()?;
        self.replies.check()?;
        self.ramp.check()?;
        self.notices.check()?;
        self.simulator()?;
        self.check_warmup()?;
        if let Some(name) = self.names.brands.iter().find(|name| name.trim().is_empty()) {
            bail!("names.brands has {name:?}: a name has letters");
        }
        check_filter(&self.log.filter)
            .with_context(|| format!("log.filter: {:?}", self.log.filter))?;
        self.check_ranges()?;
        self.check_delivery()?;
        in_range(&[(
            "database.connections",
            u64::from(self.database.connections),
            10_000,
        )])?;
        Location::of(self).map(drop)
    }

    fn check_ranges(&self) -> anyhow::Result<()> {
        let limits = &self.limits;
        in_range(&[
            (
                "http.max_connections",
                self.http.max_connections as u64,
                1_000_000,
            ),
            (
                "http.max_connections_of_one",
                self.http.max_connections_of_one as u64,
                1_000_000,
            ),
            ("dns.timeout_seconds", self.dns.timeout_seconds, 300),
            (
                "limits.http_recipients",
                limits.http_recipients as u64,
                1_000,
            ),
            ("limits.recipients", limits.recipients as u64, 10_000),
            ("limits.message_bytes", limits.message_bytes as u64, 1 << 30),
            ("limits.request_bytes", limits.request_bytes as u64, 1 << 30),
            ("limits.memory_bytes", limits.memory_bytes, 1 << 50),
            ("limits.lifetime_hours", limits.lifetime_hours, HOURS),
            ("limits.schedule_days", limits.schedule_days, HOURS / 24),
            ("retention.body_hours", self.retention.body_hours, HOURS),
            (
                "retention.message_days",
                self.retention.message_days,
                HOURS / 24,
            ),
            (
                "shutdown.drain_seconds",
                self.shutdown.drain_seconds.max(1),
                86_400,
            ),
        ])
    }

    fn check_delivery(&self) -> anyhow::Result<()> {
        let delivery = &self.delivery;
        if !delivery.node.is_empty() && !is_node_name(&delivery.node) {
            bail!(
                "delivery.node is {:?}: give 1 to 63 letters, digits, dots, hyphens or underscores, or nothing for the machine's name",
                delivery.node
            );
        }
        for network in &delivery.allow_destinations {
            let parsed = network.parse::<Network>();
            parsed.with_context(|| format!("delivery.allow_destinations: {network:?}"))?;
        }
        in_range(&[
            ("delivery.port", u64::from(delivery.port), 65_535),
            ("delivery.in_flight", delivery.in_flight as u64, 100_000),
            (
                "delivery.retry_divisor",
                u64::from(delivery.retry_divisor),
                1_000_000,
            ),
            (
                "delivery.rows_in_memory",
                delivery.rows_in_memory as u64,
                100_000_000,
            ),
            (
                "delivery.site_connections",
                delivery.site_connections as u64,
                10_000,
            ),
            (
                "delivery.clock_offset_ms",
                delivery.clock_offset_ms,
                HOURS * 3_600_000,
            ),
        ])
    }
}

/// Key, value, and the largest that is taken; the smallest is 1.
pub(super) fn in_range(values: &[(&str, u64, u64)]) -> anyhow::Result<()> {
    for (key, value, most) in values {
        if !(1..=*most).contains(value) {
            bail!("{key} is {value}: give a number from 1 to {most}");
        }
    }
    Ok(())
}

/// Whether a node may be called so: it is shown in lists and stands in log lines.
pub(super) fn is_node_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=63).contains(&name.len()) && name.chars().all(fits)
}
