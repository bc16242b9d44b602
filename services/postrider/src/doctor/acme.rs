//! Whether the authority gives certificates: by what came of the last attempt, and whether somebody of ours
//! listens where it asks. Whether port 80 is open to it knows the authority alone.

use postrider_model::Timestamp;

use super::finding::Finding;
use crate::acme::{Attempts, Failure, Shut};
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

/// The addresses at which the relay cannot listen, or could not when it was killed.
fn shut(config: &Config) -> Vec<Finding> {
    match Shut::read(&Shut::path(config)) {
        Ok(shut) => shut.iter().map(one_shut).collect(),
        Err(fault) => vec![unread("port-80", "acme.listen", &fault)],
    }
}

fn one_shut(shut: &Shut) -> Finding {
    let seen = format!(
        "since {} the relay cannot listen there, and asks for no certificate: {}",
        shut.since, shut.said
    );
    Finding::soft("port-80", &shut.address.to_string(), &seen).remedy(&format!(
        "{}; a relay that runs tries it again every few seconds",
        shut.remedy
    ))
}

fn unread(id: &'static str, about: &str, fault: &anyhow::Error) -> Finding {
    Finding::soft(id, about, &format!("{fault:#}"))
        .remedy("run the doctor as the user that the relay runs as")
}

/// What there is to do first where an address is shut.
const OPEN_FIRST: &str = "see the finding port-80: it is asked when that is mended";

/// What came of the last attempt, with these addresses shut.
fn asked(config: &Config, shut: &[Finding]) -> Finding {
    let about = &config.acme.directory;
    let attempts = match Attempts::read(&Attempts::path(config)) {
        Ok(attempts) => attempts.unwrap_or_default(),
        Err(fault) => return unread("acme", about, &fault),
    };
    let is_shut = !shut.is_empty();
    match (attempts.failure, attempts.succeeded_at) {
        (Some(failure), _) => failed(config, &failure, is_shut),
        (None, Some(at)) => {
            Finding::ok("acme", about, &format!("it gave a certificate at {at}"))
        }
        (None, None) if is_shut => {
            Finding::soft("acme", about, "it was not asked yet").remedy(OPEN_FIRST)
        }
        (None, None) => Finding::soft("acme", about, "it was not asked yet").remedy(
            "run `postrider serve`, which asks it, and let port 80 of each name of the certificate reach it",
        ),
    }
}

fn failed(config: &Config, failure: &Failure, is_shut: bool) -> Finding {
    let about = &config.acme.directory;
    if failure.about != config.acme_about() {
        let seen = "it was not asked since the configuration changed";
        return Finding::soft("acme", about, seen).remedy(if is_shut {
            OPEN_FIRST
        } else {
            "start `postrider serve` again, which asks it at once"
        });
    }
    let seen = format!("{} ({})", failure.said, times(failure.count, failure.at));
    let (remedy, again_at) = (&failure.remedy, failure.again_at);
    // Who removes the file meanwhile has thrown the pause away, and nobody is asked.
    let remedy = if is_shut {
        format!("{OPEN_FIRST}, and not before {again_at}; {remedy}")
    } else {
        format!(
            "{remedy}; it is asked again at {again_at}, or within seconds once {} is removed",
            Attempts::path(config).display()
        )
    };
    Finding::soft("acme", about, &seen).remedy(&remedy)
}

fn times(count: u32, last: Timestamp) -> String {
    match count {
        1 => format!("at {last}"),
        count => format!("{count} times, last at {last}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const ON: &str = "[acme]\ndirectory = \"https://ca.example/dir\"\n[http]\ntls_certificate = \"acme/rsa.pem\"\ntls_key = \"acme/rsa.pem\"\n";

    fn config(folder: &Path) -> Config {
        std::fs::create_dir_all(folder.join("acme")).unwrap();
        Config::parse(ON, folder).unwrap()
    }

    #[test]
    fn while_an_address_is_shut_it_is_what_there_is_to_mend() {
        let folder = tempfile::TempDir::new().unwrap();
        let config = config(folder.path());
        let at = "2026-01-31T08:00:00Z";
        let failed = |about: &str| {
            json!({ "failure": {
                "since": at, "at": at, "again_at": at, "count": 1,
                "about": about, "said": "no", "remedy": "mend it",
            } })
        };
        let shut = [Finding::soft("port-80", "[::]:80", "in use")];
        for (attempts, opened, while_shut) in [
            (
                json!({}),
                "run `postrider serve`",
                "it is asked when that is mended",
            ),
            (
                failed("another"),
                "`postrider serve` again",
                "it is asked when that is mended",
            ),
            (
                failed(&config.acme_about()),
                "is removed",
                "and not before 2026-01-31",
            ),
        ] {
            std::fs::write(Attempts::path(&config), attempts.to_string()).unwrap();
            let remedy = |shut: &[Finding]| asked(&config, shut).remedy;
            assert!(remedy(&[]).contains(opened), "{}", remedy(&[]));
            let said = remedy(&shut);
            assert!(said.starts_with("see the finding port-80"), "{said}");
            assert!(
                said.contains(while_shut) && !said.contains(opened),
                "{said}"
            );
        }
    }
}
