//! The doors of a relay: their sockets, their certificates, what they work with.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use postrider_gate::Budget;
use postrider_ingest::{Listener, Listeners, SmtpListener};
use postrider_runtime::Clock;
use postrider_tls::{Acceptor, IdentityFiles};

use super::{Machine, Relay, done, listen};
use crate::certificates::{DoorWord, Ends, Watched, show_ends};
use crate::config::{CertificatePair, Config};
use crate::core::Core;
use crate::suspended::Suspended;

/// How long a request waits for room in memory before it is told to come back.
const ROOM_WAIT: Duration = Duration::from_secs(30);
/// What else is open: the database, the journal, the sessions of delivery.
const OTHER_FILES: u64 = 1_024;

impl Relay {
    pub(super) fn start_ingest(
        &mut self,
        config: &Config,
        core: &Core,
        machine: &Machine,
    ) -> anyhow::Result<()> {
        let certificates = Certificates {
            clock: machine.clock.clone(),
            ends: show_ends(&core.metrics),
        };
        let listeners = Listeners {
            http: self.listen_for_http(config, machine, &certificates)?,
            smtp: self.listen_for_smtp(config, machine, &certificates)?,
        };
        warn_of_few_files(config);
        let budget = Budget::new(config.limits.memory_bytes, ROOM_WAIT);
        crate::metrics::show_room(&core.metrics, &budget, config.limits.memory_bytes);
        let ports = postrider_ingest::Ports {
            gate: Arc::clone(&core.gate),
            access: Arc::clone(&core.access),
            enroller: Arc::clone(&core.enroller),
            budget,
            mail: Arc::clone(&core.database.mail),
            suspensions: Arc::new(Suspended {
                controls: Arc::clone(&core.database.controls),
                roster: core.office.roster.clone(),
            }),
            upkeep: Arc::clone(&core.database.upkeep),
            sessions: Arc::clone(&core.database.sessions),
            suppressions: Arc::clone(&core.database.suppressions),
            clock: machine.clock.clone(),
            rng: machine.rng.clone(),
            metrics: core.metrics.clone(),
        };
        let doors = door_config(config);
        let serving = postrider_ingest::run(ports, doors, listeners, self.shutdown.clone());
        self.spawn("ingest", done(serving));
        Ok(())
    }

    fn listen_for_http(
        &mut self,
        config: &Config,
        machine: &Machine,
        certificates: &Certificates,
    ) -> anyhow::Result<Vec<Listener>> {
        let http = &config.http;
        let pairs = config.http_pairs();
        let tls = if pairs.is_empty() {
            None
        } else {
            let key = if http.certificates.is_empty() {
                "http.tls_certificate"
            } else {
                "http.certificates"
            };
            let watched = |acceptor| Watched {
                door: DoorWord::Http,
                key,
                host: config.http_host(),
                acceptor,
                clock: certificates.clock.clone(),
                ends: certificates.ends.clone(),
            };
            Some(self.acceptor(key, identities(pairs), watched)?)
        };
        let mut listeners = Vec::new();
        for address in &http.listen {
            let tcp = listen("http.listen", *address, machine)?;
            self.http.push(tcp.local_addr()?);
            listeners.push(Listener {
                tcp,
                tls: tls.clone(),
            });
        }
        Ok(listeners)
    }

    fn listen_for_smtp(
        &mut self,
        config: &Config,
        machine: &Machine,
        certificates: &Certificates,
    ) -> anyhow::Result<Vec<SmtpListener>> {
        let smtp = &config.smtp;
        if !smtp.enabled {
            return Ok(Vec::new());
        }
        let watched = |acceptor| Watched {
            door: DoorWord::Smtp,
            key: "smtp.certificates",
            host: config.service.host.to_string(),
            acceptor,
            clock: certificates.clock.clone(),
            ends: certificates.ends.clone(),
        };
        let tls = self.acceptor(
            "smtp.certificates",
            identities(config.smtp_pairs()),
            watched,
        )?;
        let mut listeners = Vec::new();
        for port in &smtp.listen {
            let tcp = listen("smtp.listen", port.address, machine)?;
            self.smtp.push(tcp.local_addr()?);
            listeners.push(SmtpListener {
                tcp,
                tls: Some(tls.clone()),
                banner_after: Duration::from_millis(port.banner_after_ms),
            });
        }
        Ok(listeners)
    }

    /// Reads certificates, and goes on looking at them.
    fn acceptor(
        &mut self,
        key: &str,
        files: Vec<IdentityFiles>,
        watched: impl FnOnce(Acceptor) -> Watched,
    ) -> anyhow::Result<Acceptor> {
        let acceptor = Acceptor::from_files(&files).with_context(|| key.to_owned())?;
        let kept = watched(acceptor.clone()).keep(files, self.shutdown.clone());
        self.spawn("certificates", done(kept));
        Ok(acceptor)
    }
}

fn identities(pairs: Vec<CertificatePair>) -> Vec<IdentityFiles> {
    let files = pairs.into_iter().map(|pair| IdentityFiles {
        certificate: pair.certificate,
        key: pair.key,
    });
    files.collect()
}

/// What looking at certificates takes.
struct Certificates {
    clock: Clock,
    ends: Ends,
}

fn door_config(config: &Config) -> postrider_ingest::Config {
    let smtp = &config.smtp;
    postrider_ingest::Config {
        request_most: config.limits.request_bytes as u64,
        http_recipients_most: config.limits.http_recipients,
        mta_sts: Some(crate::zone::policy(&config.service.host)),
        http: postrider_http::Config {
            max_connections: config.http.max_connections,
            max_connections_of_one: config.http.max_connections_of_one,
            ..Default::default()
        },
        smtp: postrider_ingest::SmtpConfig {
            host: config.service.host.to_string(),
            size_most: config.limits.message_bytes as u64,
            recipients_most: config.limits.recipients,
            connections_most: smtp.max_connections,
            connections_of_one_most: smtp.max_connections_of_one,
            idle: Duration::from_secs(smtp.idle_seconds),
            session: Duration::from_mins(smtp.session_minutes),
            data_bytes_per_second: smtp.bytes_per_second,
            tarpit: Duration::from_millis(smtp.wrong_password_ms),
            api: Some(config.public_url()),
            documentation: Some(refusals_url(config)),
            ..Default::default()
        },
        doors: postrider_ingest::Doors {
            smtp_host: config.public_smtp_host(),
            smtp_ports: config.public_smtp_ports(),
            http_base: config.public_url(),
        },
    }
}

fn refusals_url(config: &Config) -> String {
    match config.smtp.refusals_url.as_str() {
        "" => format!("{}/refusals", config.public_url()),
        url => url.to_owned(),
    }
}

// Who is over the limit is refused by the system, whatever the configuration allows.
fn warn_of_few_files(config: &Config) {
    let http = config.http.listen.len() * config.http.max_connections;
    let smtp = if config.smtp.enabled {
        config.smtp.max_connections
    } else {
        0
    };
    let needed = (http + smtp) as u64 + OTHER_FILES;
    let granted = postrider_runtime::raise_open_files();
    if let Some(granted) = granted.filter(|granted| *granted < needed) {
        tracing::warn!(
            granted,
            needed,
            "the system lets this process open fewer files than it may have connections: raise LimitNOFILE, or lower http.max_connections and smtp.max_connections"
        );
    }
}
