use super::*;

fn zone(addresses: &[&str]) -> Zone {
    let domain = |name| Domain::parse(name).unwrap();
    Zone {
        host: domain("relay.example"),
        send: domain("send.relay.example"),
        bounce: domain("bounce.relay.example"),
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
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
}
