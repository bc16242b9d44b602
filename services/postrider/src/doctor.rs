//! Whether mail may leave: what the internet sees of this relay, and what the machine is like.
//!
//! ```text
//! records    each record of the zone as the resolvers see it
//! egress     addresses and their names, port 25 outward, lists of bad senders
//! machine    clock, disk, certificates
//! watch      the same in a running relay: metrics, and the barrier before delivery
//! ```
//!
//! A finding is *hard* where mail that leaves would be refused, or would spoil the name of domain or
//! address; all else is *soft*. Reads the configuration and files beside it, never the database: it
//! runs beside a relay and before there is one.

mod acme;
mod changes;
mod clock;
mod disk;
mod egress;
mod finding;
mod judge;
mod machine;
mod records;
mod watch;

use std::time::Duration;

use anyhow::Context;
use postrider_dns::{DnsConfig, Resolver};
use postrider_model::EmailAddress;
use postrider_runtime::Clock;
use postrider_telemetry::Registry;

use crate::config::{Config, Dial};
use crate::zone::Zone;

pub(crate) use finding::{Finding, Level, Report};
pub(crate) use watch::{Gauges, Held, Watch, keep_examining};

/// How often a question to DNS is asked at most.
const ATTEMPTS: usize = 2;

/// What an examination works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Doctor {
    config: Config,
    resolver: Resolver,
    clock: Clock,
}

impl Doctor {
    /// With a resolver of its own, for a command.
    pub(crate) fn alone(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let dns = DnsConfig {
            servers: config.dns.servers.clone(),
            timeout: Duration::from_secs(config.dns.timeout_seconds),
            attempts: ATTEMPTS,
        };
        let resolver = Resolver::new(dns, &Registry::new()).context("dns.servers")?;
        Ok(Self::new(config, resolver, clock))
    }

    /// With the resolver of a running relay.
    pub(crate) fn new(config: Config, resolver: Resolver, clock: Clock) -> Self {
        Self {
            config,
            resolver,
            clock,
        }
    }

    /// Looks at everything once. Each look has an end of its own; all together take as long as the
    /// slowest.
    pub(crate) async fn examine(&self) -> anyhow::Result<Report> {
        if self.config.delivery.dial == Dial::Loopback {
            return Ok(Report::of_sandbox(machine::sandbox(&self.config).await));
        }
        let zone = Zone::of(&self.config)?;
        let (records, egress, machine) = tokio::join!(
            records::examine(&self.resolver, &zone),
            egress::examine(self, &zone),
            machine::examine(self, &zone),
        );
        let mut findings = mailboxes(&self.config);
        findings.extend(records);
        findings.extend(egress);
        findings.extend(machine);
        findings.extend(unfinished(&self.config, &zone));
        Ok(Report::new(findings))
    }
}

/// Whether people can write to who answers for the relay, and receivers send their reports.
fn mailboxes(config: &Config) -> Vec<Finding> {
    let operator = &config.operator;
    let contact = match operator.address() {
        None => Finding::hard("contact", "operator.contact", "nobody is named")
            .remedy("name a mailbox that somebody reads, under [operator]")
            .paste("contact = \"you@your-company.example\""),
        Some(contact) => mailbox(config, "operator.contact", &contact),
    };
    let reports = operator.reports_to();
    let reports = reports.map(|to| mailbox(config, "operator.reports", &to));
    std::iter::once(contact).chain(reports).collect()
}

fn mailbox(config: &Config, key: &str, address: &EmailAddress) -> Finding {
    let (shown, domain) = (address.to_string(), address.domain());
    if !config.is_own(domain) {
        return Finding::ok("contact", key, &shown);
    }
    let seen = format!(
        "{shown} is at {domain}, whose mail the zone file brings to this relay: it is put off, and nobody reads it"
    );
    Finding::soft("contact", key, &seen)
        .remedy("name a mailbox elsewhere that somebody reads, such as you@your-company.example")
}

/// What this release does not do yet.
fn unfinished(config: &Config, zone: &Zone) -> Vec<Finding> {
    let inbound = if config.inbound.enabled {
        Finding::soft(
            "inbound",
            "port 25",
            "mail to our own domains is answered with 451: whoever sends keeps it and tries again",
        )
        .remedy("nothing to do: bounces will be read by a later release")
    } else {
        Finding::soft("inbound", "port 25", "nobody answers for our own domains")
            .remedy("switch the door on, so that whoever sends there keeps the mail")
            .paste("[inbound]\nenabled = true")
    };
    let testing = Finding::soft(
        "mta-sts-mode",
        zone.host.as_str(),
        "the policy is «testing»: who cannot keep to it delivers to us all the same",
    )
    .remedy("nothing to do: it becomes «enforce» when bounces are read");
    vec![inbound, testing]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_mailbox_whose_mail_comes_to_the_relay_is_a_soft_finding() {
        use Level::{Hard, Ok, Soft};
        for (operator, want) in [
            ("", &[Hard][..]),
            ("contact = \"you@corp.example\"", &[Ok]),
            ("contact = \"postmaster@relay.example\"", &[Soft]),
            (
                "contact = \"you@office.relay.example\"\nreports = \"a@bounce.relay.example\"",
                &[Ok, Soft],
            ),
        ] {
            let text = format!("[operator]\n{operator}\n");
            let config = Config::parse(&text, Path::new("")).unwrap();
            let found = mailboxes(&config);
            let levels: Vec<_> = found.iter().map(|one| one.level).collect();
            assert_eq!(levels, want, "{operator}: {found:?}");
        }
    }
}
