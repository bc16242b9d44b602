//! The configuration: one TOML file, every key documented in `default.toml`, unknown keys refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use postrider_gate::Service;
use postrider_model::{Domain, Limits};
use serde::Deserialize;

mod acme;
mod check;
mod defaults;
mod enrolment;
mod identity;
mod outside;
mod ports;
mod simulator;
mod smtp;
mod warmup;

pub use acme::{AcmeConfig, LETS_ENCRYPT, acme_pairs};
pub use enrolment::{AdminConfig, EnrolmentConfig};
pub use identity::{NameWord, NamesConfig, NoticesConfig, RampConfig, RepliesConfig};
pub use outside::{DoctorConfig, InboundConfig, OperatorConfig};
pub use ports::Listens;
pub use simulator::SimulatorConfig;
pub use smtp::{CertificatePair, SmtpConfig, SmtpPort};
pub use warmup::{EgressConfig, WarmupConfig};

/// The documented default file, as `postrider config --default` prints it.
pub const DEFAULT: &str = include_str!("default.toml");

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder that relative paths start at: the file's own.
    #[serde(skip)]
    pub folder: PathBuf,
    pub operator: OperatorConfig,
    pub service: ServiceConfig,
    pub egress: Vec<EgressConfig>,
    pub database: DatabaseConfig,
    pub http: HttpConfig,
    pub smtp: SmtpConfig,
    pub inbound: InboundConfig,
    pub acme: AcmeConfig,
    pub admin: AdminConfig,
    pub enrolment: EnrolmentConfig,
    pub metrics: MetricsConfig,
    pub dns: DnsConfig,
    pub delivery: DeliveryConfig,
    pub simulator: SimulatorConfig,
    pub warmup: WarmupConfig,
    pub doctor: DoctorConfig,
    pub limits: LimitsConfig,
    pub tenants: TenantsConfig,
    pub names: NamesConfig,
    pub replies: RepliesConfig,
    pub ramp: RampConfig,
    pub notices: NoticesConfig,
    pub retention: RetentionConfig,
    pub log: LogConfig,
    pub shutdown: ShutdownConfig,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceConfig {
    pub host: Domain,
    pub send_domain: Domain,
    pub bounce_domain: Domain,
    pub master_key: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    pub url: String,
    pub connections: u32,
    pub password_file: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    pub listen: Vec<SocketAddr>,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub certificates: Vec<CertificatePair>,
    pub public_url: String,
    pub max_connections: usize,
    pub max_connections_of_one: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    pub servers: Vec<SocketAddr>,
    pub timeout_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    pub port: u16,
    pub allow_destinations: Vec<String>,
    pub dial: Dial,
    pub despite_findings: bool,
    pub in_flight: usize,
    pub retry_divisor: u32,
    pub journal: PathBuf,
    pub node: String,
    pub rows_in_memory: usize,
    pub site_connections: usize,
    pub clock_offset_ms: u64,
}

/// Which addresses are ever dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dial {
    Internet,
    Loopback,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    pub message_bytes: usize,
    pub request_bytes: usize,
    pub http_recipients: usize,
    pub recipients: usize,
    pub schedule_days: u64,
    pub lifetime_hours: u64,
    pub memory_bytes: u64,
    pub free_space_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantsConfig {
    pub vouched: bool,
    pub requests_per_second: u32,
    pub per_minute: u32,
    pub burst: u32,
    pub bulk_per_minute: u32,
    pub connections: u32,
    pub per_day: u32,
    pub per_month: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    pub body_hours: u64,
    pub message_days: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub format: LogWord,
    pub filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogWord {
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    pub drain_seconds: u64,
}

impl Config {
    /// Reads a file. An unknown key, a wrong type or a value out of range is refused with its line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        Self::parse(&text, folder.unwrap_or(Path::new(".")))
            .with_context(|| format!("the configuration {} is refused", path.display()))
    }

    /// Reads the text of a file that lies in `folder`. What it leaves out keeps its default.
    pub fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
        let mut config: Self = toml::from_str(text)?;
        folder.clone_into(&mut config.folder);
        config.check()?;
        Ok(config)
    }

    /// A path of the configuration as seen from here.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Where commands reach a running relay.
    pub fn socket_path(&self) -> PathBuf {
        self.path(Path::new("postrider.sock"))
    }

    /// The DNS records to publish, as `dkim show --json` prints them; written anew at each change.
    pub fn dkim_records_path(&self) -> PathBuf {
        self.path(Path::new("dkim-records.json"))
    }

    pub fn service(&self) -> Service {
        Service {
            send_domain: self.service.send_domain.clone(),
            bounce_domain: self.service.bounce_domain.clone(),
            host: self.service.host.clone(),
        }
    }

    /// Whether a domain's mail comes to this relay, by the records of its zone: nobody reads it there.
    pub fn is_own(&self, domain: &Domain) -> bool {
        let own = &self.service;
        let own = [&own.host, &own.send_domain, &own.bounce_domain];
        let name = domain.as_str();
        let bare = name.strip_prefix("mta-sts.").unwrap_or(name);
        let is_simulated = || matches!(self.simulator(), Ok(Some(one)) if one == *domain);
        own.iter().any(|own| own.as_str() == bare) || is_simulated()
    }

    pub fn tenant_limits(&self) -> Limits {
        let TenantsConfig {
            vouched: _,
            requests_per_second,
            per_minute,
            burst,
            bulk_per_minute,
            connections,
            per_day,
            per_month,
        } = self.tenants;
        Limits {
            requests_per_second,
            per_minute,
            burst,
            bulk_per_minute,
            connections,
            per_day,
            per_month,
        }
    }

    /// Where the HTTP door is for people who follow a link, without a slash at its end.
    pub fn public_url(&self) -> String {
        match self.http.public_url.trim_end_matches('/') {
            "" => format!("https://{}", self.service.host),
            url => url.to_owned(),
        }
    }

    /// The host in it: what clients of the HTTP door look for in its certificate.
    pub fn http_host(&self) -> String {
        let url = self.public_url();
        let behind = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        // RFC 3986 §3.2.2: an IPv6 address stands in brackets, which no certificate has.
        let literal = behind
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let host = literal.map_or_else(|| behind.split([':', '/']).next(), |(ip, _)| Some(ip));
        host.unwrap_or(behind).to_owned()
    }

    /// Host and port of `http.public_url`, as they stand behind `https://`; `service.host` where it
    /// does not begin so.
    pub fn https_authority(&self) -> String {
        let url = self.public_url();
        let behind = url.strip_prefix("https://");
        let authority = behind.and_then(|behind| behind.split('/').next());
        authority.map_or_else(|| self.service.host.to_string(), str::to_owned)
    }

    /// What operators call this delivery node: `delivery.node`, or the machine's name.
    pub fn node(&self) -> String {
        match self.delivery.node.as_str() {
            "" => machine_name().unwrap_or_else(|| self.service.host.to_string()),
            name => name.to_owned(),
        }
    }

    /// Gives this delivery node another name than the file does.
    pub fn name_node(&mut self, name: String) -> anyhow::Result<()> {
        self.delivery.node = name;
        self.check()
    }

    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.shutdown.drain_seconds)
    }
}

/// A text as it stands in the file.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    check::is_node_name(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
