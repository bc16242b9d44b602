//! Whether the authority gives certificates: by what came of the last attempt, and whether somebody of ours
//! listens where it asks. Whether port 80 is open to it knows the authority alone.

use postrider_model::Timestamp;

use super::finding::Finding;
use crate::acme::{Attempts, Shut};
use crate::config::Config;

/// Nothing where nobody is asked. Never hard, as with certificates.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    if !config.acme.is_on() {
        return Vec::new();
    }
    let mut findings = shut(config);
    let asked = asked(config, &findings);
    findings.push(asked);
    findings
}

/// The addresses at which a running relay cannot listen.
fn shut(config: &Config) -> Vec<Finding> {
    match Shut::read(&Shut::path(config)) {
        Ok(shut) => shut.iter().map(one_shut).collect(),
        Err(fault) => vec![unread("port-80", "acme.listen", &fault)],
    }
}

fn one_shut(shut: &Shut) -> Finding {
    let seen = format!(
        "the relay cannot listen there, and asks for no certificate: {}",
        shut.said
    );
    Finding::soft("port-80", &shut.address.to_string(), &seen).remedy(&format!(
        "{}; it is tried again every few seconds",
        shut.remedy
    ))
}

fn unread(id: &'static str, about: &str, fault: &anyhow::Error) -> Finding {
    Finding::soft(id, about, &format!("{fault:#}"))
        .remedy("run the doctor as the user that the relay runs as")
}

/// What came of the last attempt, with these addresses shut.
fn asked(config: &Config, shut: &[Finding]) -> Finding {
    let path = Attempts::path(config);
    let about = &config.acme.directory;
    let attempts = match Attempts::read(&path) {
        Ok(attempts) => attempts.unwrap_or_default(),
        Err(fault) => return unread("acme", about, &fault),
    };
    match (attempts.failure, attempts.succeeded_at) {
        (Some(failure), _) if failure.about != config.acme_about() => {
            Finding::soft("acme", about, "it was not asked since the configuration changed")
                .remedy("start `postrider serve` again, which asks it at once")
        }
        (Some(failure), _) => {
            let seen = format!("{} ({})", failure.said, times(failure.count, failure.at));
            let remedy = format!(
                "{}; it is asked again at {}, or within seconds once {} is removed",
                failure.remedy,
                failure.again_at,
                path.display()
            );
            Finding::soft("acme", about, &seen).remedy(&remedy)
        }
        (None, Some(at)) => {
            Finding::ok("acme", about, &format!("it gave a certificate at {at}"))
        }
        (None, None) if !shut.is_empty() => Finding::soft("acme", about, "it was not asked yet")
            .remedy("see the finding port-80: it is asked when that is mended"),
        (None, None) => Finding::soft("acme", about, "it was not asked yet").remedy(
            "run `postrider serve`, which asks it, and let port 80 of each name of the certificate reach it",
        ),
    }
}

fn times(count: u32, last: Timestamp) -> String {
    match count {
        1 => format!("at {last}"),
        count => format!("{count} times, last at {last}"),
    }
}
