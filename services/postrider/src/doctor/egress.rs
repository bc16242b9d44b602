//! The addresses mail leaves from: their names, the way out, and who speaks ill of them.

use std::net::IpAddr;

use futures_util::future::join_all;
use postrider_delivery::{Dialer, Probe, probe};
use postrider_dns::{Failure, Resolver};
use postrider_model::Domain;

use super::Doctor;
use super::finding::Finding;
use crate::relay::delivery_config;
use crate::zone::{Zone, reverse, reversed};

pub(super) async fn examine(doctor: &Doctor, zone: &Zone) -> Vec<Finding> {
    let resolver = &doctor.resolver;
    let (mut names, mut lists) = (Vec::new(), Vec::new());
    for ip in &zone.addresses {
        names.push(name(resolver, zone, *ip));
        for list in &doctor.config.doctor.dnsbls {
            lists.push(listed(resolver, *ip, list));
        }
    }
    let (names, lists, way_out, dnssec) = tokio::join!(
        join_all(names),
        join_all(lists),
        way_out(doctor),
        dnssec(resolver)
    );
    let mut findings = names;
    findings.push(way_out);
    findings.push(dnssec);
    findings.extend(lists);
    findings
}

/// PTR, and the name it gives leads back: what receivers ask of every sender.
async fn name(resolver: &Resolver, zone: &Zone, ip: IpAddr) -> Finding {
    let (about, host) = (ip.to_string(), zone.host.as_str());
    let bad = |seen: &str| {
        Finding::hard("ptr", &about, seen)
            .remedy(
                "have it set by whoever gave you the address: it is in their zone, not in yours",
            )
            .paste(&format!("{}. IN PTR {host}.", reverse(ip)))
    };
    let names = match resolver.confirm_names(&reverse(ip)).await {
        Ok(names) => names,
        Err(Failure::NoSuchName | Failure::NoRecords) => return bad("the address has no name"),
        Err(Failure::Temporary(why)) => {
            return bad(&format!("the resolvers have no answer: {why}")).uncertain();
        }
    };
    if !names.iter().any(|name| name == host) {
        let seen = names.join(", ");
        return bad(&format!("its name is {seen}, and we greet as {host}"));
    }
    // That the host has this address is another finding's; here the circle is closed.
    match resolver.confirm_addresses(host).await {
        Ok(forward) if forward.contains(&ip) => {
            Finding::ok("ptr", &about, &format!("{host}, and back"))
        }
        Ok(forward) if forward.iter().all(|one| one.is_ipv4() != ip.is_ipv4()) => {
            // The question for this family may have gone unanswered.
            astray(&about, host).uncertain()
        }
        Ok(_) | Err(Failure::NoSuchName | Failure::NoRecords) => astray(&about, host),
        Err(Failure::Temporary(why)) => {
            let seen = format!("its name is {host}; the resolvers have no answer for that: {why}");
            Finding::hard("ptr", &about, &seen).uncertain()
        }
    }
}

fn astray(about: &str, host: &str) -> Finding {
    let seen = format!("its name is {host}, and that name does not lead back to it");
    Finding::hard("ptr", about, &seen).remedy("publish the address of the host")
}

/// Whether port 25 is open outward: one exchanger that answers is enough.
async fn way_out(doctor: &Doctor) -> Finding {
    let port = doctor.config.delivery.port;
    let about = format!("port {port} outward");
    let domains = &doctor.config.doctor.probe_domains;
    if domains.is_empty() {
        return Finding::ok(
            "port-25",
            &about,
            "not looked at: doctor.probe_domains is empty",
        );
    }
    let config = match delivery_config(&doctor.config) {
        Ok(config) => config,
        Err(fault) => return Finding::hard("port-25", &about, &format!("{fault:#}")),
    };
    let dialer = Dialer::internet();
    let mut asked = Vec::new();
    for domain in domains {
        asked.push(probe(&doctor.resolver, &dialer, &config, domain));
    }
    let answers = join_all(asked).await;
    let answers: Vec<_> = domains.iter().zip(answers).collect();
    judged(&about, &answers)
}

fn judged(about: &str, answers: &[(&Domain, Probe)]) -> Finding {
    let mut closed = Vec::new();
    let mut unknown = Vec::new();
    for (domain, answer) in answers {
        match answer {
            Probe::Greeted(address) => {
                return Finding::ok("port-25", about, &format!("{domain} ({address}) greets us"));
            }
            Probe::Refused(address, said) => {
                let seen = format!("open; {domain} ({address}) does not welcome us: {said}");
                return Finding::soft("port-25", about, &seen)
                    .remedy("look whether the address is on a list of bad senders");
            }
            Probe::Closed(address, fault) => closed.push(format!("{domain} ({address}): {fault}")),
            Probe::NoRoute(why) => unknown.push(format!("{domain}: {why}")),
        }
    }
    if closed.is_empty() {
        let seen = format!("not known, no exchanger was found: {}", unknown.join("; "));
        Finding::soft("port-25", about, &seen)
            .remedy("name domains that take mail in doctor.probe_domains")
            .uncertain()
    } else {
        Finding::hard("port-25", about, &format!("closed: {}", closed.join("; ")))
            .remedy("ask whoever gave you the server to open port 25 outward, and look at your own firewall")
    }
}

async fn dnssec(resolver: &Resolver) -> Finding {
    if resolver.validates().await {
        Finding::ok("dnssec", "resolver", "signatures are checked")
    } else {
        Finding::soft(
            "dnssec",
            "resolver",
            "signatures (DNSSEC) are not checked by all of them",
        )
        .remedy(
            "run a resolver on this machine that does, such as unbound, and name it in dns.servers",
        )
    }
}

/// RFC 5782: what is listed has an address in 127.0.0.0/8; a list that lists 127.0.0.1 is dead (§5).
async fn listed(resolver: &Resolver, ip: IpAddr, list: &Domain) -> Finding {
    let about = format!("{ip} in {list}");
    let question = format!("{}.{list}", reversed(ip));
    match resolver.confirm_addresses(&question).await {
        Ok(codes) if codes.iter().all(IpAddr::is_loopback) => {
            let dead = format!("1.0.0.127.{list}");
            if resolver.confirm_addresses(&dead).await.is_ok() {
                return Finding::soft(
                    "dnsbl",
                    &about,
                    "the list answers yes to everything: it is dead",
                )
                .remedy("remove it from doctor.dnsbls");
            }
            let codes = codes.iter().map(ToString::to_string);
            let codes = codes.collect::<Vec<_>>().join(", ");
            let why = resolver.confirm_txt(&question).await.unwrap_or_default();
            let seen = format!("listed ({codes}) {}", why.join(" "));
            Finding::soft("dnsbl", &about, seen.trim_end())
                .remedy("find out why, and ask the list to remove the address")
        }
        Ok(_) => Finding::soft(
            "dnsbl",
            &about,
            "the list's answer is not one of a list (RFC 5782)",
        )
        .remedy("look whether the list wants to be asked by you"),
        Err(Failure::NoSuchName | Failure::NoRecords) => Finding::ok("dnsbl", &about, "not listed"),
        Err(Failure::Temporary(why)) => {
            Finding::soft("dnsbl", &about, &format!("no answer: {why}")).uncertain()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn port_25_is_open_if_anybody_answers_and_closed_if_nobody_can_be_reached() {
        let domain = Domain::parse("shop.example").unwrap();
        let at = "192.0.2.7:25".parse().unwrap();
        let closed = || Probe::Closed(at, "no connection within 10 s".to_owned());
        let (refused, none) = (
            Probe::Refused(at, "554 no".to_owned()),
            Probe::NoRoute("gone".to_owned()),
        );
        for (answers, level) in [
            (vec![closed(), Probe::Greeted(at)], Level::Ok),
            (vec![closed(), refused], Level::Soft),
            (vec![closed(), none.clone()], Level::Hard),
            (vec![none], Level::Soft),
        ] {
            let answers: Vec<_> = answers
                .into_iter()
                .map(|answer| (&domain, answer))
                .collect();
            let finding = judged("port 25 outward", &answers);
            assert_eq!(finding.level, level, "{finding:?}");
        }
    }
}
