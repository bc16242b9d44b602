//! What the machine is like: its clock, its disk, and the certificates that its doors show.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_tls::Certificate;

use super::Doctor;
use super::finding::{Finding, Level};
use super::{acme, clock, disk};
use crate::certificates::late_from;
use crate::config::Config;
use crate::database::Location;
use crate::zone::Zone;

const DAY: i64 = 24 * 3_600;

pub(super) async fn examine(doctor: &Doctor, zone: &Zone) -> Vec<Finding> {
    let config = &doctor.config;
    let mut findings = Vec::new();
    let now = doctor.clock.now();
    let had = config.acme_files();
    for file in certificates(doctor) {
        let found = certificate(&file, zone, now, config.doctor.certificate_days);
        let is_had = had.iter().any(|(_, one)| *one == file);
        findings.push(if is_had && found.level != Level::Ok {
            found.remedy("nothing here: a running relay has another made; the finding acme says how that goes")
        } else {
            found
        });
    }
    findings.extend(acme::examine(config));
    findings.push(clock::look(&config.doctor, &doctor.resolver, &doctor.clock).await);
    findings.extend(disk(config).await);
    findings
}

/// What matters of a machine that no mail leaves: the disk, and certificates where an authority is asked.
pub(super) async fn sandbox(config: &Config) -> Vec<Finding> {
    let here = Finding::ok(
        "sandbox",
        "delivery.dial",
        "«loopback»: mail goes to this machine alone; records, addresses and clock are not looked at",
    );
    let mut findings = vec![here];
    findings.extend(acme::examine(config));
    findings.extend(disk(config).await);
    findings
}

async fn disk(config: &Config) -> Vec<Finding> {
    let (folder, least) = (written(config), config.limits.free_space_bytes);
    let looked = tokio::task::spawn_blocking(move || disk::look(&folder, least)).await;
    // Fails with the process only.
    looked.unwrap_or_default()
}

/// Where it is written for each message: to the database, or to the journal beside a server.
fn written(config: &Config) -> PathBuf {
    let file = match Location::of(config) {
        Ok(Location::Sqlite { path, .. }) => path,
        _ => config.path(&config.delivery.journal),
    };
    file.parent().unwrap_or(&config.folder).to_owned()
}

/// Each file once: the doors share them, as a rule.
fn certificates(doctor: &Doctor) -> BTreeSet<PathBuf> {
    let (http, smtp) = (doctor.config.http_pairs(), doctor.config.smtp_pairs());
    let all = http.into_iter().chain(smtp);
    all.map(|pair| pair.certificate).collect()
}

/// Never hard: what leaves is not the worse for it. Whoever hands mail in is refused, though.
fn certificate(file: &Path, zone: &Zone, now: Timestamp, days: u64) -> Finding {
    let about = file.display().to_string();
    let bad = |seen: &str| {
        Finding::soft("certificate", &about, seen).remedy(
            "put one of an authority there, with its chain and its key; a running relay takes them by itself",
        )
    };
    let text = std::fs::read(file).map_err(|fault| format!("cannot be read: {fault}"));
    let read = text
        .and_then(|text| Certificate::from_pem(&about, &text).map_err(|fault| fault.to_string()));
    let shown = match read {
        Ok(shown) => shown,
        Err(why) => return bad(&why),
    };
    let left = shown.ends_at.as_seconds() - now.as_seconds();
    let host = zone.host.as_str();
    if left <= 0 {
        return bad(&format!(
            "it ended {} days ago; programs refuse it",
            -left / DAY
        ));
    }
    if !shown.is_for(host) {
        return bad(&format!("it is not for {host}; programs refuse it"));
    }
    if shown.is_self_signed {
        return bad("nobody vouches for it: it is signed by its own key, and programs refuse it");
    }
    if late_from(&shown, Duration::from_hours(24 * days)) <= now {
        let hours = left / 3_600;
        let when = if hours < 48 {
            format!("in {hours} hours")
        } else {
            format!("in {} days", left / DAY)
        };
        return bad(&format!("it ends {when}"));
    }
    let names = zone.certificate_names();
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !shown.is_for(name))
        .collect();
    if missing.is_empty() {
        Finding::ok(
            "certificate",
            &about,
            &format!("good for {} days", left / DAY),
        )
    } else {
        let missing = missing.join(", ");
        Finding::soft("certificate", &about, &format!("it is not for {missing}"))
            .remedy("have these names in it: MTA-STS policies are read there")
    }
}

/// A span in words.
pub(super) fn words(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_fakenet::LeafKey;
    use postrider_model::Domain;

    #[tokio::test]
    async fn a_certificate_is_told_what_is_wrong_with_it() {
        let domain = |name| Domain::parse(name).unwrap();
        let zone = Zone {
            host: domain("relay.example"),
            send: domain("send.relay.example"),
            bounce: domain("bounce.relay.example"),
            addresses: Vec::new(),
            contact: None,
            reports: None,
            dkim: Vec::new(),
        };
        let folder = tempfile::TempDir::new().unwrap();
        let options = postrider_fakenet::Options::default();
        let net = postrider_fakenet::FakeInternet::start(options)
            .await
            .unwrap();
        let named = |names: &[&str]| net.certificate_for(names, LeafKey::Ecdsa).unwrap();
        let all = zone.certificate_names();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let file = folder.path().join("certificate.pem");
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let judged = |pem: &str, at| {
            std::fs::write(&file, pem).unwrap();
            certificate(&file, &zone, at, 14)
        };
        let whole = named(&all).certificate_pem;
        let end = Certificate::from_pem("", whole.as_bytes()).unwrap();
        let end = end.ends_at.as_seconds();
        let before_end = |hours: i64| {
            let span = u64::try_from(end - now.as_seconds() - hours * 3_600).unwrap();
            now.after(Duration::from_secs(span))
        };
        assert_eq!(judged(&whole, before_end(24 * 20)).level, Level::Ok);
        for (pem, at, says) in [
            (whole.clone(), before_end(24), "it ends in 24 hours"),
            (whole.clone(), before_end(-48), "it ended 2 days ago"),
            (
                named(&["other.example"]).certificate_pem,
                before_end(24 * 20),
                "not for relay.example",
            ),
            (
                named(&["relay.example"]).certificate_pem,
                before_end(24 * 20),
                "not for mta-sts.",
            ),
            ("nonsense".to_owned(), now, "no certificate"),
        ] {
            let finding = judged(&pem, at);
            assert_eq!(finding.level, Level::Soft);
            assert!(finding.seen.contains(says), "{finding:?}");
        }
    }
}
