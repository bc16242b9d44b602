//! Each record of the zone, as the resolvers see it.

use futures_util::future::join_all;
use postrider_dns::{Failure, MxName, Resolver};
use postrider_model::Domain;

use super::finding::{Finding, Level};
use super::judge::{self, Judgement};
use crate::zone::{Data, Purpose, Record, Zone, line};

/// Looks at all records, at the same time.
pub(super) async fn examine(resolver: &Resolver, zone: &Zone) -> Vec<Finding> {
    let wanted = zone.records();
    let mut looked = Vec::new();
    for record in &wanted {
        if record.purpose != Purpose::Host {
            looked.push(look(resolver, zone, record));
        }
    }
    let mut findings = vec![host(resolver, zone).await];
    findings.extend(join_all(looked).await);
    if zone.reports.is_none() {
        let asked = zone.receiving().into_iter();
        let asked = asked.map(|domain| forgotten_reports(resolver, zone, domain));
        findings.extend(join_all(asked).await.into_iter().flatten());
    }
    findings
}

/// An earlier release had this record published with a mailbox of the relay itself in it, where TLS reports
/// are put off day after day. No record is asked for where nobody wants reports, so none of ours names it.
async fn forgotten_reports(resolver: &Resolver, zone: &Zone, domain: &Domain) -> Option<Finding> {
    let name = format!("_smtp._tls.{domain}");
    let texts = resolver.confirm_txt(&name).await.ok()?;
    let seen = judge::tls_reports(zone, &texts)?;
    let remedy = "remove this record; or name a mailbox that somebody reads in operator.reports, and publish what `postrider zone` prints then";
    Some(Finding::soft(id(Purpose::TlsReports), &name, &seen).remedy(remedy))
}

/// What is asked for at each egress address: that the host is there.
async fn host(resolver: &Resolver, zone: &Zone) -> Finding {
    let name = zone.host.as_str();
    if zone.addresses.is_empty() {
        return Finding::hard("host", name, "no address is named under [[egress]]")
            .remedy("name the addresses that other mail servers see this relay come from")
            .paste("[[egress]]\naddress = \"192.0.2.1\"");
    }
    let wanted = zone.records();
    let wanted = wanted
        .iter()
        .filter(|record| record.purpose == Purpose::Host);
    let lines: Vec<_> = wanted.map(line).collect();
    let paste = lines.join("\n");
    match resolver.confirm_addresses(name).await {
        Ok(found) => {
            let missing: Vec<_> = zone
                .addresses
                .iter()
                .filter(|ip| !found.contains(ip))
                .collect();
            let seen = listed(&found);
            if missing.is_empty() {
                Finding::ok("host", name, &seen)
            } else {
                let finding = Finding::hard(
                    "host",
                    name,
                    &format!("it is at {seen}, and not at {}", listed(&missing)),
                )
                .remedy("publish all of these")
                .paste(&paste);
                // Where nothing of a family was seen, that question may have gone unanswered.
                let of_family =
                    |ip: &std::net::IpAddr| found.iter().any(|one| one.is_ipv4() == ip.is_ipv4());
                if missing.iter().any(|ip| of_family(ip)) {
                    finding
                } else {
                    finding.uncertain()
                }
            }
        }
        Err(failure) => failed(Level::Hard, "host", name, &failure).paste(&paste),
    }
}

fn listed<T: ToString>(values: &[T]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}

async fn look(resolver: &Resolver, zone: &Zone, record: &Record) -> Finding {
    let level = level(zone, record);
    let finding = match (&record.data, record.purpose) {
        (Data::Exchanger(host), _) => exchanger(resolver, &record.name, host, level).await,
        (Data::Alias(host), _) => alias(resolver, &record.name, host).await,
        (Data::Address(_), _) => return Finding::ok("host", &record.name, ""),
        (Data::Text(wanted), purpose) => {
            let id = id(purpose);
            match resolver.confirm_txt(&record.name).await {
                Ok(texts) => text(zone, record, wanted, &texts, level),
                Err(Failure::NoSuchName | Failure::NoRecords) => {
                    text(zone, record, wanted, &[], level)
                }
                Err(failure) => failed(level, id, &record.name, &failure),
            }
        }
    };
    let finding = match record.purpose {
        Purpose::Dmarc if finding.level == Level::Hard && finding.certain => {
            misplaced_dmarc(resolver, &record.name, finding).await
        }
        _ => finding,
    };
    if finding.level == Level::Ok {
        finding
    } else if zone.is_elsewhere(record) && finding.certain {
        finding
            .remedy("have this record published by whom the reports go to, or name another mailbox in operator.reports: receivers send no reports there without (RFC 7489 §7.1)")
            .paste(&line(record))
    } else {
        finding.paste(&line(record))
    }
}

/// How much it matters that a record is not there.
fn level(zone: &Zone, record: &Record) -> Level {
    let at = |domain: &Domain| record.name == domain.as_str();
    match record.purpose {
        Purpose::Host | Purpose::Dkim => Level::Hard,
        // The return path is what SPF is asked of; the host's own is for mail without one.
        Purpose::Spf if at(&zone.bounce) => Level::Hard,
        // RFC 5321 §2.3.5: a domain that no mail can be sent to is refused as a sender.
        Purpose::Exchanger if at(&zone.bounce) || at(&zone.send) => Level::Hard,
        Purpose::Dmarc if record.name == format!("_dmarc.{}", zone.send) => Level::Hard,
        _ => Level::Soft,
    }
}

fn id(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Host => "host",
        Purpose::Exchanger => "mx",
        Purpose::Spf => "spf",
        Purpose::Dkim => "dkim",
        Purpose::Dmarc | Purpose::DmarcReports => "dmarc",
        Purpose::MtaSts => "mta-sts",
        Purpose::TlsReports => "tls-rpt",
    }
}

fn text(zone: &Zone, record: &Record, wanted: &str, texts: &[String], level: Level) -> Finding {
    let (id, name) = (id(record.purpose), record.name.as_str());
    let judged = match record.purpose {
        Purpose::Spf => judge::spf(zone, texts),
        Purpose::Dkim => judge::dkim(wanted, texts),
        Purpose::Dmarc => judge::dmarc(zone, texts),
        Purpose::DmarcReports => judge::takes_reports(texts),
        _ => exactly(wanted, texts),
    };
    match judged {
        Judgement::Right => Finding::ok(id, name, "as it should be"),
        Judgement::Doubtful(why) => Finding::soft(id, name, &why).remedy("better have this record"),
        Judgement::Missing => {
            Finding::at(level, id, name, "there is no such record").remedy("publish this record")
        }
        Judgement::Wrong(why) => Finding::at(level, id, name, &why)
            .remedy("remove what is there of this kind, and publish this one record"),
    }
}

// For records that nobody has reason to write in another way.
fn exactly(wanted: &str, texts: &[String]) -> Judgement {
    let kind = wanted.split(';').next().unwrap_or(wanted);
    let same: Vec<_> = texts.iter().filter(|text| text.starts_with(kind)).collect();
    match same.as_slice() {
        [] => Judgement::Missing,
        [one] if one.trim_end_matches([';', ' ']) == wanted => Judgement::Right,
        [one] => Judgement::Wrong(format!("«{one}» is there")),
        several => Judgement::Wrong(format!("there are {} such records", several.len())),
    }
}

async fn exchanger(resolver: &Resolver, name: &str, host: &Domain, level: Level) -> Finding {
    let Ok(domain) = Domain::parse(name) else {
        return Finding::soft("mx", name, "it is no domain");
    };
    match resolver.confirm_mx(&domain).await {
        Ok(seen) => {
            let ours = MxName::Host(host.to_string());
            let names = seen.iter().map(|mx| match &mx.host {
                MxName::Root => ".".to_owned(),
                MxName::Host(host) => host.clone(),
            });
            let names = names.collect::<Vec<_>>().join(", ");
            if seen.iter().any(|mx| mx.host == ours) {
                Finding::ok("mx", name, &names)
            } else if seen.iter().all(|mx| mx.host == MxName::Root) {
                // RFC 7505 §4.2: many refuse what comes from where nothing may be sent to.
                Finding::at(level, "mx", name, "it says that it takes no mail (null MX)")
                    .remedy("let mail come to the relay: replace what is there by this")
            } else {
                // Where it leads is somebody who takes mail, and bounces go astray.
                Finding::soft("mx", name, &format!("mail to it goes to {names}"))
                    .remedy("let it come to the relay: replace what is there by this")
            }
        }
        Err(failure) => failed(level, "mx", name, &failure),
    }
}

async fn alias(resolver: &Resolver, name: &str, host: &Domain) -> Finding {
    let (seen, wanted) = tokio::join!(
        resolver.confirm_addresses(name),
        resolver.confirm_addresses(host.as_str())
    );
    match (seen, wanted) {
        (Ok(seen), Ok(wanted)) if seen.iter().any(|ip| wanted.contains(ip)) => {
            Finding::ok("mta-sts", name, &listed(&seen))
        }
        (Ok(seen), _) => {
            let seen = format!("it is at {}, and {host} is not", listed(&seen));
            Finding::soft("mta-sts", name, &seen).remedy("let it lead to the relay")
        }
        (Err(failure), _) => failed(Level::Soft, "mta-sts", name, &failure),
    }
}

/// What DNS's failure means for a record that is to be there.
fn failed(level: Level, id: &'static str, name: &str, failure: &Failure) -> Finding {
    match failure {
        Failure::NoSuchName | Failure::NoRecords => {
            Finding::at(level, id, name, "there is no such record").remedy("publish this record")
        }
        Failure::Temporary(why) => {
            let seen = format!("the resolvers have no answer: {why}");
            Finding::at(level, id, name, &seen)
                .remedy("look whether dns.servers answer, and whether the domain is delegated")
                .uncertain()
        }
    }
}

/// Looks where forms and people put it when they mean `_dmarc.DOMAIN`.
async fn misplaced_dmarc(resolver: &Resolver, name: &str, finding: Finding) -> Finding {
    let domain = name.strip_prefix("_dmarc.").unwrap_or(name);
    let parent = domain.split_once('.').map_or(domain, |(_, parent)| parent);
    let wrong_names = [
        domain.to_owned(),
        format!("dmarc.{domain}"),
        format!("{name}.{parent}"),
        format!("{name}.{domain}"),
        format!("_dmarc._dmarc.{domain}"),
    ];
    for wrong in wrong_names {
        let texts = resolver.confirm_txt(&wrong).await.unwrap_or_default();
        if texts.iter().any(|text| judge::is_dmarc(text)) {
            let seen = format!("the record is at the wrong name: {wrong} in place of {name}");
            return Finding { seen, ..finding }
                .remedy("move it: remove it there, and publish this");
        }
    }
    finding
}
