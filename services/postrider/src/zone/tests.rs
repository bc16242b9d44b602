use super::*;

fn zone(addresses: &[&str]) -> Zone {
    let domain = |name| Domain::parse(name).unwrap();
    Zone {
        host: domain("relay.example"),
        send: domain("send.relay.example"),
        bounce: domain("bounce.relay.example"),
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        contact: None,
        reports: None,
        dkim: vec![DkimRecord {
            name: "k1._domainkey.send.relay.example".to_owned(),
            value: format!("v=DKIM1; k=rsa; p={}", "A".repeat(392)),
        }],
    }
}

#[test]
fn the_zone_file_is_what_it_is() {
    insta::assert_snapshot!(zone(&["192.0.2.1", "2001:db8::25"]).text());
}

#[test]
fn without_an_address_the_file_says_what_is_missing() {
    let text = zone(&[]).text();
    assert!(text.contains("under [[egress]]"), "{text}");
    assert!(!text.contains("spf1"), "{text}");
}

#[test]
fn no_string_of_a_text_is_longer_than_dns_can_hold_and_together_they_are_the_text() {
    let zone = zone(&["192.0.2.1"]);
    let text = zone.text();
    let line = text.lines().find(|line| line.contains("DKIM1")).unwrap();
    let strings: Vec<_> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(strings.len(), 2);
    assert!(strings.iter().all(|string| string.len() <= 255));
    assert_eq!(strings.concat(), zone.dkim[0].value);
}

#[test]
fn who_is_sent_reports_of_another_organisation_publishes_that_it_takes_them() {
    let mut zone = zone(&["192.0.2.1"]);
    assert!(!zone.text().contains("rua="), "nobody has asked for them");
    zone.reports = Some("dmarc+relay!x@corp.example".parse().unwrap());
    let text = zone.text();
    assert_eq!(
        text.matches("rua=mailto:dmarc+relay%21x@corp.example")
            .count(),
        6
    );
    for domain in [
        "relay.example",
        "send.relay.example",
        "bounce.relay.example",
    ] {
        // It lies in a zone that is not here: a comment, or no name server would load this one.
        let line = format!("\n; {domain}._report._dmarc.corp.example. IN TXT \"v=DMARC1\"\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
    zone.reports = Some("reports@office.relay.example".parse().unwrap());
    let text = zone.text();
    assert!(!text.contains("_report"), "one organisation: {text}");
}

#[test]
fn an_address_is_named_backwards() {
    for (address, name) in [
        ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
        (
            "2001:db8::25",
            "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ] {
        assert_eq!(reverse(address.parse().unwrap()), name);
    }
}

#[test]
fn a_zone_begins_where_all_its_names_are_below() {
    let at = |names: [&str; 2]| {
        let domains = names.map(|name| Domain::parse(name).unwrap());
        names::common(&domains.iter().collect::<Vec<_>>())
    };
    assert_eq!(
        at(["mail.a.example", "send.a.example"]).unwrap(),
        "a.example"
    );
    assert_eq!(at(["a.example", "send.a.example"]).unwrap(), "a.example");
    assert_eq!(at(["a.example", "b.example"]), None);
    assert_eq!(at(["a.co.uk", "b.co.uk"]), None);
    assert_eq!(at(["mail.a.co.uk", "send.a.co.uk"]).unwrap(), "a.co.uk");
    assert_eq!(at(["mail.abc.de", "send.abc.de"]).unwrap(), "abc.de");
}

#[test]
fn names_of_two_parents_are_two_zones_and_reports_about_the_other_are_allowed() {
    let mut zone = zone(&["192.0.2.1"]);
    zone.send = Domain::parse("send.other.example").unwrap();
    zone.dkim[0].name = "k1._domainkey.send.other.example".to_owned();
    zone.reports = Some("reports@relay.example".parse().unwrap());
    let text = zone.text();
    let (before, after) = text
        .split_once("; ---- The zone send.other.example")
        .unwrap();
    let report = "send.other.example._report._dmarc.relay.example. IN TXT \"v=DMARC1\"";
    assert!(before.contains(report), "{text}");
    assert!(!text.contains("bounce.relay.example._report"), "{text}");
    for (part, origin) in [(before, "relay.example"), (after, "send.other.example")] {
        assert_eq!(part.matches("$ORIGIN").count(), 1, "{text}");
        assert!(part.contains(&format!("$ORIGIN {origin}.\n")), "{text}");
        let records = part.lines().filter(|line| line.contains(" IN "));
        for line in records.filter(|line| !line.starts_with([';', '@'])) {
            let name = line.split_once(". IN").unwrap().0;
            assert!(name.ends_with(origin), "{line}");
        }
    }
    assert!(after.contains("DKIM1"), "{text}");
}

#[test]
fn who_answers_for_the_relay_is_named_in_its_zone() {
    let mut zone = zone(&[]);
    zone.contact = Some("ann.b+dns@corp.example".parse().unwrap());
    let soa = " IN SOA relay.example. ann\\.b\\+dns.corp.example. 1 ";
    assert!(zone.text().contains(soa), "{}", zone.text());
}
