//! The DNS records that a relay cannot be without: written as a zone file by `init`, looked for by
//! `doctor`. Pure; the records come from the configuration and the signing keys alone.

mod names;
mod policy;
mod text;

use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;
use postrider_model::{Domain, EmailAddress};
use serde::Deserialize;

use crate::config::Config;

pub(crate) use names::{reverse, reversed};
pub(crate) use policy::policy;
pub(crate) use text::line;

/// A TXT record that a signing key is published by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct DkimRecord {
    /// Without a dot at its end.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Address(IpAddr),
    Alias(Domain),
    /// With preference 10.
    Exchanger(Domain),
    Text(String),
}

/// What a record is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Host,
    Exchanger,
    Spf,
    Dkim,
    Dmarc,
    DmarcReports,
    MtaSts,
    TlsReports,
}

/// One record; its name is written from the root, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) data: Data,
    pub(crate) purpose: Purpose,
}

/// A relay as DNS has to show it.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) host: Domain,
    pub(crate) send: Domain,
    pub(crate) bounce: Domain,
    /// Where mail leaves from, and where the host is.
    pub(crate) addresses: Vec<IpAddr>,
    /// Where receivers' reports go; `None`: none are asked for.
    pub(crate) reports: Option<EmailAddress>,
    /// Who answers for it.
    pub(crate) contact: Option<EmailAddress>,
    pub(crate) dkim: Vec<DkimRecord>,
}

impl Zone {
    /// What the configuration and these keys ask for.
    pub(crate) fn new(config: &Config, dkim: Vec<DkimRecord>) -> Self {
        let service = config.service();
        Self {
            host: service.host,
            send: service.send_domain,
            bounce: service.bounce_domain,
            addresses: config.egress.iter().map(|egress| egress.address).collect(),
            reports: config.operator.reports_to(),
            contact: config.operator.address(),
            dkim,
        }
    }

    /// The same, with the keys that lie beside the configuration.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Self::new(
            config,
            dkim_records(&config.dkim_records_path())?,
        ))
    }

    /// The domains that bounces and replies come to, each once.
    pub(crate) fn receiving(&self) -> Vec<&Domain> {
        let mut domains = vec![&self.host];
        for domain in [&self.send, &self.bounce] {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        domains
    }

    /// These domains by the zones that they lie in, the host's zone first.
    fn zones(&self) -> Vec<Vec<&Domain>> {
        let mut zones: Vec<Vec<&Domain>> = Vec::new();
        for domain in self.receiving() {
            let is_with = |zone: &&mut Vec<&Domain>| {
                let all: Vec<_> = zone.iter().copied().chain([domain]).collect();
                names::common(&all).is_some()
            };
            match zones.iter_mut().find(is_with) {
                Some(zone) => zone.push(domain),
                None => zones.push(vec![domain]),
            }
        }
        zones
    }

    /// Whether a record is published by whom reports go to, in a zone that is none of ours.
    pub(crate) fn is_elsewhere(&self, record: &Record) -> bool {
        let lies_in = |domain: &&Domain| text::lies_in(record, domain);
        !self.receiving().iter().any(lies_in)
    }

    /// The names that a certificate is for: the host, and those of the MTA-STS policies
    /// (RFC 8461 §3.3).
    pub(crate) fn certificate_names(&self) -> Vec<String> {
        let policies = self.receiving().into_iter().map(policy::host);
        std::iter::once(self.host.to_string())
            .chain(policies)
            .collect()
    }

    /// All records, in the order of a zone file.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut add = |name: String, purpose, data| {
            records.push(Record {
                name,
                data,
                purpose,
            });
        };
        for address in &self.addresses {
            add(
                self.host.to_string(),
                Purpose::Host,
                Data::Address(*address),
            );
        }
        let domains = self.receiving();
        for domain in &domains {
            let to = Data::Exchanger(self.host.clone());
            add(domain.to_string(), Purpose::Exchanger, to);
        }
        if !self.addresses.is_empty() {
            for domain in &domains {
                add(domain.to_string(), Purpose::Spf, Data::Text(self.spf()));
            }
        }
        for key in &self.dkim {
            add(
                key.name.clone(),
                Purpose::Dkim,
                Data::Text(key.value.clone()),
            );
        }
        for (purpose, name, text) in self.dmarc_records(&domains) {
            add(name, purpose, Data::Text(text));
        }
        for domain in &domains {
            let alias = Data::Alias(self.host.clone());
            add(policy::host(domain), Purpose::MtaSts, alias);
            let text = format!("v=STSv1; id={}", policy::id(&self.host));
            add(
                format!("_mta-sts.{domain}"),
                Purpose::MtaSts,
                Data::Text(text),
            );
        }
        if let Some(reports) = &self.reports {
            let text = format!("v=TLSRPTv1; rua={}", mailto(reports));
            for domain in &domains {
                let name = format!("_smtp._tls.{domain}");
                add(name, Purpose::TlsReports, Data::Text(text.clone()));
            }
        }
        records
    }

    /// The policy of each domain; and where reports go to another organisation than a domain is of, as far
    /// as names tell, that it takes them (RFC 7489 §7.1).
    fn dmarc_records(&self, domains: &[&Domain]) -> Vec<(Purpose, String, String)> {
        let policy = |domain: &&Domain| {
            let name = format!("_dmarc.{domain}");
            (Purpose::Dmarc, name, self.dmarc(domain))
        };
        let mut records: Vec<_> = domains.iter().map(policy).collect();
        if let Some(reports) = &self.reports {
            let to = reports.domain();
            let is_another = |domain: &&&Domain| names::common(&[to, domain]).is_none();
            let allowed = |domain: &&Domain| {
                let name = format!("{domain}._report._dmarc.{to}");
                (Purpose::DmarcReports, name, "v=DMARC1".to_owned())
            };
            records.extend(domains.iter().filter(is_another).map(allowed));
        }
        records
    }

    /// RFC 7208: our addresses, and no others.
    pub(crate) fn spf(&self) -> String {
        let mut text = "v=spf1".to_owned();
        for address in &self.addresses {
            let kind = if address.is_ipv4() { "ip4" } else { "ip6" };
            let mechanism = format!(" {kind}:{address}");
            text.push_str(&mechanism);
        }
        text + " -all"
    }

    // RFC 7489. At the sending domain itself, so that it holds whatever organisational domain a
    // receiver finds above it. Not «reject» there: a mailing list breaks signatures in good faith.
    fn dmarc(&self, domain: &Domain) -> String {
        let policy = if *domain == self.send {
            "quarantine"
        } else {
            "reject"
        };
        let mut text = format!("v=DMARC1; p={policy}; adkim=s; aspf=r");
        if let Some(reports) = &self.reports {
            text.push_str("; rua=");
            text.push_str(&mailto(reports));
        }
        text
    }
}

/// An address as a URI (RFC 6068 §2). What divides the parts of these records is written as `%21`.
fn mailto(address: &EmailAddress) -> String {
    let (local, domain) = (address.local_part(), address.domain());
    let mut uri = "mailto:".to_owned();
    for byte in local.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let escaped = format!("%{byte:02X}");
            uri.push_str(&escaped);
        }
    }
    format!("{uri}@{domain}")
}

/// Reads the keys' records beside a configuration.
fn dkim_records(path: &Path) -> anyhow::Result<Vec<DkimRecord>> {
    let text = std::fs::read(path).with_context(|| {
        format!(
            "cannot read {}: `postrider serve`, or `postrider dkim show`, writes it",
            path.display()
        )
    })?;
    let records = serde_json::from_slice(&text);
    records.with_context(|| format!("{} is not what was written there", path.display()))
}

#[cfg(test)]
mod tests;
