use postrider_model::Domain;

use super::*;

fn zone() -> Zone {
    let domain = |name| Domain::parse(name).unwrap();
    Zone {
        host: domain("relay.example"),
        send: domain("send.relay.example"),
        bounce: domain("bounce.relay.example"),
        addresses: vec![
            "192.0.2.1".parse().unwrap(),
            "2001:db8::25".parse().unwrap(),
        ],
        contact: None,
        reports: Some("reports@corp.example".parse().unwrap()),
        dkim: Vec::new(),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn why(judgement: Judgement) -> String {
    match judgement {
        Wrong(why) | Doubtful(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn spf_is_right_where_it_names_all_addresses_whatever_else_it_says() {
    let zone = zone();
    for good in [
        zone.spf().as_str(),
        "V=SPF1  ip6:2001:db8::/32 ip4:192.0.2.0/24 include:other.example ~all",
        "v=spf1 +ip4:192.0.2.1 ip6:2001:db8::25 mx -all",
        "v=spf1 ip4:192.0.2.1 ip6:2001:db8::25 a:x.example/24//64 exists:%{i}.x.example exp=y.example -all",
    ] {
        let seen = texts(&[good, "google-site-verification=x"]);
        assert_eq!(spf(&zone, &seen), Right, "{good}");
    }
}

#[test]
fn spf_that_is_nearly_right_is_told_in_what() {
    let zone = zone();
    let ours = zone.spf();
    for (seen, says) in [
        (
            &[ours.as_str(), "v=spf1 mx -all"][..],
            "there are 2 SPF records",
        ),
        (&["v=spf1 ip4:192.0.2.1 -all"], "does not name 2001:db8::25"),
        (&["v=spf1 ip4:192.0.2.1 ip6:2001:db8::25 +all"], "everybody"),
        (
            &["v=spf1 -all ip4:192.0.2.1 ip6:2001:db8::25"],
            "does not name",
        ),
        (
            &["v=spf1 ip4:192.0.2.1 ip6:2001:db8::25 ipv6:2001:db8::26 -all"],
            "«ipv6:2001:db8::26» is not a term",
        ),
        (
            &["v=spf1 ip4:192.0.2.1/33 ip6:2001:db8::25 -all"],
            "«ip4:192.0.2.1/33» is not a term",
        ),
        (&["\"v=spf1 -all\""], "without quotes"),
        (&["spf1 -all"], "must begin with v=spf1"),
        (
            &["v=spf1 include:spf.host.example -all"],
            "names other records",
        ),
    ] {
        let judged = why(spf(&zone, &texts(seen)));
        assert!(judged.contains(says), "{seen:?}: {judged}");
    }
    assert_eq!(spf(&zone, &texts(&["something else"])), Missing);
    let led_on = spf(&zone, &texts(&["v=spf1 mx -all"]));
    assert!(matches!(led_on, Doubtful(_)), "{led_on:?}");
}

#[test]
fn a_key_is_the_key_or_it_is_told_what_became_of_it() {
    let wanted = format!("v=DKIM1; k=rsa; p={}", "ABCDEFGH".repeat(49));
    let (first, second) = wanted.split_at(255);
    let spaced = wanted.replace("; ", ";");
    assert_eq!(dkim(&wanted, &texts(&[&wanted])), Right);
    assert_eq!(dkim(&wanted, &texts(&[&spaced])), Right);
    assert_eq!(dkim(&wanted, &[]), Missing);
    for (seen, says) in [
        (
            vec![format!("\"{first}\" \"{second}\"")],
            "became part of it",
        ),
        (
            vec![second.to_owned(), first.to_owned()],
            "must be strings of one record",
        ),
        (vec![first.to_owned()], "cut off after 255 of"),
        (vec!["v=DKIM1; k=rsa; p=WRONG".to_owned()], "another key"),
        (
            vec![wanted.clone(), "v=DKIM1; p=".to_owned()],
            "one is ours",
        ),
    ] {
        let judged = why(dkim(&wanted, &seen));
        assert!(judged.contains(says), "{seen:?}: {judged}");
    }
}

#[test]
fn dmarc_has_one_record_and_a_policy() {
    let mut zone = zone();
    let good = "v=DMARC1; p=quarantine; rua=mailto:a@corp.example";
    assert_eq!(dmarc(&zone, &texts(&[good, "else"])), Right);
    assert_eq!(dmarc(&zone, &texts(&["else"])), Missing);
    for (seen, says) in [
        (&[good, good][..], "there are 2"),
        (&["v=DMARC1; rua=mailto:a@relay.example"], "no policy"),
        (&["v=DMARC1; p=hard"], "which there is not"),
        (&["v=DMARC1; p=none"], "no reports"),
        (
            &["v=DMARC1; p=none; rua=mailto:a@corp.example,mailto:b@Relay.Example!10m"],
            "sent to mailto:b@relay.example!10m, whose mail comes to this relay",
        ),
        (&["p=none; v=DMARC1"], "must begin"),
    ] {
        let judged = why(dmarc(&zone, &texts(seen)));
        assert!(judged.contains(says), "{seen:?}: {judged}");
    }
    zone.reports = None;
    assert_eq!(dmarc(&zone, &texts(&["v=DMARC1; p=none"])), Right);
}

#[test]
fn tls_reports_that_nobody_asked_for_and_nobody_reads_are_told_of() {
    let mut zone = zone();
    zone.reports = None;
    let old = "v=TLSRPTv1; rua=mailto:tls-reports@relay.example";
    let told = tls_reports(&zone, &texts(&["else", old])).unwrap();
    assert!(
        told.contains("to mailto:tls-reports@relay.example, whose"),
        "{told}"
    );
    for fine in [
        "v=TLSRPTv1; rua=mailto:tls@corp.example",
        "v=TLSRPTv1; rua=https://relay.example/reports",
        "v=TLSRPTv1",
        "rua=mailto:tls-reports@relay.example",
    ] {
        assert_eq!(tls_reports(&zone, &texts(&[fine])), None, "{fine}");
    }
}

#[test]
fn a_receiver_of_reports_may_say_more_than_that_it_takes_them() {
    let more = "v=DMARC1; rua=mailto:other@corp.example";
    for seen in [&["v=DMARC1"][..], &[more], &["v=DMARC1;", more, "else"]] {
        assert_eq!(takes_reports(&texts(seen)), Right, "{seen:?}");
    }
    assert_eq!(takes_reports(&texts(&["else"])), Missing);
}
