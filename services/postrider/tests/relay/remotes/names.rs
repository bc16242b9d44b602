//! What DNS says of a domain, and what follows from it.

use std::net::IpAddr;
use std::time::Duration;

use postrider_fakenet::{Act, Answer, Kind, Phase, Script};

use super::{NEXT, first_attempt, relay, until_settled};

#[tokio::test]
async fn one_exchanger_that_fails_is_followed_by_the_next() {
    let relay = relay().await;
    let zone = relay.net.domain("several.test");
    let first = zone.add_mx(
        10,
        "a.several.test",
        Script::new().always(Phase::Connect, "421 4.3.2 busy"),
    );
    let second = zone.add_mx(
        20,
        "b.several.test",
        Script::new().always(Phase::Ehlo, Act::close()),
    );
    zone.add_mx(30, "c.several.test", Script::new());
    let (_, timeline) = first_attempt(&relay, "several.test").await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "delivered"],
        "{timeline:#?}"
    );
    assert_eq!(timeline.first("delivered")["mx"]["host"], "c.several.test");
    assert!(first.counts().connections >= 1 && second.counts().connections >= 1);
    // RFC 5321 §5.1: without MX the domain itself is its exchanger.
    relay.net.domain("bare.test").address_only(Script::new());
    let (_, timeline) = first_attempt(&relay, "bare.test").await;
    assert_eq!(timeline.first("delivered")["mx"]["host"], "bare.test");
    relay.stop().await;
}

#[tokio::test]
async fn a_dns_that_lies_is_late_or_is_away_defers_and_never_bounces() {
    let relay = relay().await;
    let zone = |word: &str| relay.net.domain(&format!("{word}.test"));
    zone("silent").silent();
    zone("garbled").garbage();
    zone("servfailing").servfail();
    zone("refusing").refused();
    zone("wrongquestion").wrong_question();
    zone("slowdns").slow(Duration::from_secs(30));
    let mut waiting = Vec::new();
    for word in [
        "silent",
        "garbled",
        "servfailing",
        "refusing",
        "wrongquestion",
        "slowdns",
    ] {
        waiting.push((word, relay.place.send_to(&format!("ann@{word}.test")).await));
    }
    for (word, id) in &waiting {
        let timeline = relay
            .place
            .events_when(id, |timeline| {
                timeline.has("deferred") || timeline.is_settled()
            })
            .await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "deferred"],
            "{word}: {timeline:#?}"
        );
    }
    // The DNS comes back: nothing was lost.
    for (word, _) in &waiting {
        zone(word).forget();
    }
    let relay = relay.restart().await;
    relay.advance(NEXT);
    for (word, id) in &waiting {
        let timeline = relay.place.settled(id).await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "deferred", "delivered"],
            "{word}"
        );
    }
    let zone = |word: &str| relay.net.domain(&format!("{word}.test"));
    zone("truncated").truncated();
    let (_, timeline) = first_attempt(&relay, "truncated.test").await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"], "over TCP");
    zone("alias").cname("target.test");
    let (_, timeline) = first_attempt(&relay, "alias.test").await;
    assert!(timeline.has("delivered"), "{timeline:#?}");
    relay.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_on_the_public_internet_is_never_dialled() {
    let relay = relay().await;
    let addresses = [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ];
    for (n, address) in addresses.into_iter().enumerate() {
        let domain = format!("inside{n}.test");
        let parsed: IpAddr = address.parse().unwrap();
        relay.net.domain(&domain).addresses(&[parsed]);
        let (_, timeline) = first_attempt(&relay, &domain).await;
        assert_eq!(
            timeline.outcomes(),
            ["accepted", "bounced"],
            "{address}: {timeline:#?}"
        );
        let event = timeline.first("bounced").to_string();
        assert!(event.contains("5.4.4"), "{address}: {event}");
    }
    // One that is good among them is used.
    let good = relay.net.exchanger("good.test").unwrap().address().ip();
    relay
        .net
        .domain("mixed.test")
        .addresses(&["10.0.0.1".parse().unwrap(), good]);
    let (_, timeline) = first_attempt(&relay, "mixed.test").await;
    assert_eq!(
        timeline.first("delivered")["mx"]["address"],
        good.to_string()
    );
    relay.stop().await;
}

#[tokio::test]
async fn exchangers_that_no_name_leads_to_are_waited_for_a_day() {
    let relay = relay().await;
    let zone = relay.net.domain("nohost.test");
    zone.mx_records(&[(10, "mx.nohost.test")]);
    relay
        .net
        .set_answers("mx.nohost.test", Kind::A, Answer::NxDomain);
    relay
        .net
        .set_answers("mx.nohost.test", Kind::Aaaa, Answer::NxDomain);
    let (id, timeline) = first_attempt(&relay, "nohost.test").await;
    assert!(
        timeline.first("deferred").to_string().contains("4.4.4"),
        "{timeline:#?}"
    );
    let began = relay.now();
    until_settled(&relay, &id).await;
    let timeline = relay.place.events(&id).await;
    assert!(
        timeline.first("bounced").to_string().contains("5.4.4"),
        "{timeline:#?}"
    );
    let hours = relay.now().since(began).as_secs() / 3_600;
    assert!((23..=30).contains(&hours), "{hours} h");
    relay.stop().await;
}

#[tokio::test]
async fn mail_is_never_sent_to_ourselves() {
    let relay = relay().await;
    relay
        .net
        .domain("self.test")
        .mx_records(&[(10, "relay.test")]);
    let (_, timeline) = first_attempt(&relay, "self.test").await;
    let event = timeline.first("bounced").to_string();
    assert!(event.contains("5.4.6"), "a loop: {event}");
    relay.stop().await;
}
