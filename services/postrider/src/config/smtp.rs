//! `[smtp]`: where programs hand in mail by SMTP, and with which certificates.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use serde::Deserialize;

use super::check::in_range;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpConfig {
    pub enabled: bool,
    pub listen: Vec<SmtpPort>,
    pub certificates: Vec<CertificatePair>,
    pub max_connections: usize,
    pub max_connections_of_one: usize,
    pub idle_seconds: u64,
    pub session_minutes: u64,
    pub bytes_per_second: u64,
    pub wrong_password_ms: u64,
    pub refusals_url: String,
}

/// An address that takes any mode: implicit TLS, or STARTTLS after a banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpPort {
    pub address: SocketAddr,
    /// How long a client may be silent before it gets the banner: who begins TLS at once never
    /// sees it.
    #[serde(default = "SmtpPort::banner_after_ms")]
    pub banner_after_ms: u64,
}

impl SmtpPort {
    fn banner_after_ms() -> u64 {
        150
    }
}

/// A certificate with its chain, and its key: PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The longest wait before the banner: a client gives up after five minutes (RFC 5321 §4.5.3.2.1),
/// old ones after half of one.
const BANNER_MOST_MS: u64 = 20_000;

impl SmtpConfig {
    /// Refuses what no door can run with, by the name of its key.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for port in &self.listen {
            if port.banner_after_ms > BANNER_MOST_MS {
                bail!(
                    "smtp.listen: banner_after_ms of {} is {}: give at most {BANNER_MOST_MS}, or programs give up before the greeting",
                    port.address,
                    port.banner_after_ms
                );
            }
        }
        if self.enabled && self.listen.is_empty() {
            bail!(
                "smtp.listen is empty: name at least one address, such as {{ address = \"0.0.0.0:587\" }}, or set smtp.enabled = false"
            );
        }
        if self.enabled && self.certificates.is_empty() {
            bail!(
                "smtp.certificates is empty: name a certificate and its key, as PEM files; passwords are only taken under TLS. Or set smtp.enabled = false"
            );
        }
        in_range(&[
            (
                "smtp.max_connections",
                self.max_connections as u64,
                1_000_000,
            ),
            (
                "smtp.max_connections_of_one",
                self.max_connections_of_one as u64,
                1_000_000,
            ),
            ("smtp.idle_seconds", self.idle_seconds, 3_600),
            ("smtp.session_minutes", self.session_minutes, 24 * 60),
            ("smtp.bytes_per_second", self.bytes_per_second, 1 << 30),
            (
                "smtp.wrong_password_ms",
                self.wrong_password_ms.max(1),
                60_000,
            ),
        ])
    }
}
