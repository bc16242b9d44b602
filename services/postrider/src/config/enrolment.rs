//! `[enrolment]` and `[admin]`: how vendors' programs bring tenants, and where vendors and operators
//! look after them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use serde::Deserialize;

use super::Config;
use super::check::in_range;

/// What an enrolled tenant is told, and for how long its old keys live.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnrolmentConfig {
    pub smtp_host: String,
    pub smtp_ports: Vec<u16>,
    pub overlap_days: u64,
}

/// The listener of the admin API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    pub enabled: bool,
    pub listen: SocketAddr,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

/// The order in which programs try ports, as far as they are listened on: TLS at once, STARTTLS,
/// and what networks let through that close both.
const ORDER: [u16; 3] = [465, 587, 2525];

impl EnrolmentConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.smtp_ports.contains(&0) {
            bail!("enrolment.smtp_ports has 0: give ports that clients can connect to, or none");
        }
        in_range(&[("enrolment.overlap_days", self.overlap_days.max(1), 365)])
    }
}

impl AdminConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.tls_certificate.as_os_str().is_empty() != self.tls_key.as_os_str().is_empty() {
            bail!("admin.tls_certificate and admin.tls_key belong together: give both or none");
        }
        let is_plain = self.tls_certificate.as_os_str().is_empty();
        if self.enabled && is_plain && !self.listen.ip().is_loopback() {
            bail!(
                "admin.listen is {}, where tokens would cross the network in the clear: give admin.tls_certificate and admin.tls_key, or an address such as \"127.0.0.1:8026\"",
                self.listen
            );
        }
        Ok(())
    }
}

impl Config {
    /// The host that programs connect to by SMTP.
    pub fn public_smtp_host(&self) -> String {
        match self.enrolment.smtp_host.as_str() {
            "" => self.service.host.to_string(),
            host => host.to_owned(),
        }
    }

    /// The ports that programs try, in this order; none where the SMTP door is off.
    pub fn public_smtp_ports(&self) -> Vec<u16> {
        if !self.smtp.enabled {
            return Vec::new();
        }
        if !self.enrolment.smtp_ports.is_empty() {
            return self.enrolment.smtp_ports.clone();
        }
        let mut ports: Vec<_> = self.smtp.listen.iter().map(|p| p.address.port()).collect();
        let place = |port: &u16| ORDER.iter().position(|one| one == port);
        ports.sort_by_key(|port| (place(port).unwrap_or(ORDER.len()), *port));
        ports.dedup();
        ports
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_program_is_told_the_ports_there_are_in_the_order_to_try() {
        for (text, want) in [
            ("", &[][..]),
            ("smtp_ports = [2525]", &[2525]),
            ("smtp_ports = [2525, 465]", &[2525, 465]),
        ] {
            let text = format!("[enrolment]\n{text}\n");
            let mut config = Config::parse(&text, Path::new("")).unwrap();
            assert_eq!(config.public_smtp_ports(), &[] as &[u16], "{text}");
            config.smtp.enabled = true;
            let want = if want.is_empty() { &ORDER[..] } else { want };
            assert_eq!(config.public_smtp_ports(), want, "{text}");
        }
        let mut config = Config::default();
        config.smtp.enabled = true;
        config.smtp.listen.reverse();
        assert_eq!(config.public_smtp_ports(), ORDER);
        assert_eq!(config.public_smtp_host(), "relay.example");
    }

    #[test]
    fn tokens_do_not_cross_a_network_in_the_clear() {
        for (text, says) in [
            (
                "[admin]\nenabled = true\nlisten = \"0.0.0.0:1\"\n",
                "admin.tls_certificate",
            ),
            ("[admin]\ntls_key = \"k\"\n", "admin.tls_certificate"),
            ("[enrolment]\nsmtp_ports = [0]\n", "enrolment.smtp_ports"),
            (
                "[enrolment]\noverlap_days = 366\n",
                "enrolment.overlap_days",
            ),
        ] {
            let fault = format!("{:#}", Config::parse(text, Path::new("")).unwrap_err());
            assert!(fault.contains(says), "{text}: {fault}");
        }
        assert!(Config::parse("[admin]\nenabled = true\n", Path::new("")).is_ok());
    }
}
