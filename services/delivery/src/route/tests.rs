use postrider_dns::DnsConfig;

use super::*;

fn router() -> Router {
    let own: Vec<IpAddr> = vec!["8.8.4.4".parse().unwrap()];
    Router {
        resolver: Resolver::new(
            DnsConfig {
                servers: vec!["127.0.0.1:9".parse().unwrap()],
                timeout: Duration::from_millis(100),
                attempts: 1,
            },
            &postrider_telemetry::Registry::new(),
        )
        .unwrap(),
        filter: Filter::new(Vec::new(), own.clone()),
        own: OwnNames {
            hosts: vec!["mx.relay.test".to_owned()],
            addresses: own,
        },
        simulator: None,
        rng: Rng::seeded(1),
    }
}

#[tokio::test]
async fn the_simulator_is_found_without_dns_and_nothing_beside_it() {
    let simulator = Simulated {
        domain: Domain::parse("simulator.relay.test").unwrap(),
        address: "127.0.0.1:4025".parse().unwrap(),
    };
    let router = Router {
        simulator: Some(simulator.clone()),
        ..router()
    };
    let to = async |domain| route(&router, &Domain::parse(domain).unwrap(), Duration::ZERO).await;
    let found = to("Simulator.Relay.Test").await;
    assert_eq!(found, Route::Simulated(simulator));
    // Nobody answers at the router's DNS.
    for other in ["relay.test", "x.simulator.relay.test", "127.0.0.1"] {
        assert!(matches!(to(other).await, Route::NotNow(_)), "{other}");
    }
}

fn mx(preference: u16, host: &str) -> Mx {
    let host = match host {
        "." => MxName::Root,
        name => MxName::Host(name.to_owned()),
    };
    Mx { preference, host }
}

fn temporary() -> Failure {
    Failure::Temporary("Server Failure".to_owned())
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|ip| ip.parse().unwrap())
        .collect()
}

/// The whole decision without the questions: what `route` does, with answers out of a table.
fn decide(mx: Result<Vec<Mx>, Failure>, hosts: &[(&str, Found)], age: Duration) -> Route {
    let (router, domain) = (router(), Domain::parse("example.test").unwrap());
    let (named, mut candidates) = match exchangers(mx, &domain, &router.rng) {
        Ok(exchangers) => exchangers,
        Err(route) => return route,
    };
    if let Err(route) = cut_at_own_name(&mut candidates, &router.own) {
        return route;
    }
    let answer = |candidate: Candidate| {
        let known = hosts.iter().find(|(name, _)| *name == candidate.name);
        let found = known.map_or(Err(Failure::NoSuchName), |(_, found)| found.clone());
        (found, candidate)
    };
    plan(
        named,
        candidates.into_iter().map(answer).collect(),
        &router,
        age,
    )
}

fn said(route: &Route) -> String {
    match route {
        Route::Hosts(hosts) => hosts
            .iter()
            .map(|host| format!("{} {} {:?}", host.preference, host.name, host.addresses))
            .collect::<Vec<_>>()
            .join("; "),
        Route::Never(why) => format!("never {}", why.code),
        Route::NotNow(why) => format!("not now {}", why.code),
        Route::Shut(why) => format!("shut {}", why.code),
        Route::Simulated(simulated) => format!("simulated {}", simulated.address),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of every state")]
fn each_state_of_a_domain_has_its_route() {
    let (young, old) = (Duration::from_hours(1), Duration::from_hours(24));
    let good = || ("a.test", Ok(ips("8.8.8.8")));
    let own_domain = |found: Found| vec![("example.test", found)];
    let private = ("p.test", Ok(ips("10.0.0.1 fd00::1")));
    for (case, mx, hosts, age, want) in [
        (
            "nxdomain",
            Err(Failure::NoSuchName),
            vec![],
            young,
            "never 5.1.2",
        ),
        (
            "servfail",
            Err(temporary()),
            own_domain(Ok(ips("8.8.8.8"))),
            young,
            "not now 4.4.3",
        ),
        (
            "implicit",
            Err(Failure::NoRecords),
            own_domain(Ok(ips("8.8.8.8"))),
            young,
            "0 example.test [8.8.8.8]",
        ),
        (
            "implicit, nothing",
            Err(Failure::NoRecords),
            own_domain(Err(Failure::NoRecords)),
            young,
            "never 5.1.2",
        ),
        (
            "implicit, unknown",
            Err(Failure::NoRecords),
            own_domain(Err(temporary())),
            young,
            "not now 4.4.3",
        ),
        (
            "implicit, private",
            Err(Failure::NoRecords),
            own_domain(Ok(ips("10.0.0.1"))),
            young,
            "never 5.4.4",
        ),
        (
            "implicit, ours",
            Err(Failure::NoRecords),
            own_domain(Ok(ips("8.8.4.4"))),
            young,
            "never 5.4.6",
        ),
        ("null", Ok(vec![mx(0, ".")]), vec![], young, "never 5.1.10"),
        (
            "null, odd preference",
            Ok(vec![mx(10, ".")]),
            vec![],
            young,
            "never 5.1.10",
        ),
        (
            "null among others",
            Ok(vec![mx(0, "."), mx(5, "a.test")]),
            vec![good()],
            young,
            "5 a.test [8.8.8.8]",
        ),
        (
            "null twice",
            Ok(vec![mx(0, "."), mx(5, ".")]),
            vec![],
            young,
            "not now 4.4.4",
        ),
        (
            "no usable name",
            Ok(vec![]),
            own_domain(Ok(ips("8.8.8.8"))),
            young,
            "not now 4.4.4",
        ),
        (
            "unresolved",
            Ok(vec![mx(1, "x.test")]),
            own_domain(Ok(ips("8.8.8.8"))),
            young,
            "not now 4.4.4",
        ),
        (
            "unresolved for a day",
            Ok(vec![mx(1, "x.test")]),
            vec![],
            old,
            "never 5.4.4",
        ),
        (
            "private",
            Ok(vec![mx(1, "p.test")]),
            vec![private.clone()],
            young,
            "never 5.4.4",
        ),
        (
            "private or unresolved",
            Ok(vec![mx(1, "p.test"), mx(2, "x.test")]),
            vec![private.clone()],
            young,
            "not now 4.4.4",
        ),
        (
            "private or unknown",
            Ok(vec![mx(1, "p.test"), mx(2, "x.test")]),
            vec![private.clone(), ("x.test", Err(temporary()))],
            old,
            "not now 4.4.3",
        ),
        (
            "private, then good",
            Ok(vec![mx(1, "p.test"), mx(2, "a.test")]),
            vec![private, good()],
            young,
            "2 a.test [8.8.8.8]",
        ),
        (
            "unknown, then good",
            Ok(vec![mx(1, "x.test"), mx(2, "a.test")]),
            vec![("x.test", Err(temporary())), good()],
            young,
            "2 a.test [8.8.8.8]",
        ),
        (
            "ours first",
            Ok(vec![mx(1, "mx.relay.test"), mx(2, "a.test")]),
            vec![good()],
            young,
            "never 5.4.6",
        ),
        (
            "ours beside another",
            Ok(vec![mx(2, "mx.relay.test"), mx(2, "a.test")]),
            vec![good()],
            young,
            "never 5.4.6",
        ),
        (
            "ours last",
            Ok(vec![
                mx(2, "mx.relay.test"),
                mx(1, "a.test"),
                mx(3, "b.test"),
            ]),
            vec![good()],
            young,
            "1 a.test [8.8.8.8]",
        ),
        (
            "our address first",
            Ok(vec![mx(1, "o.test"), mx(2, "a.test")]),
            vec![("o.test", Ok(ips("8.8.4.4 9.9.9.9"))), good()],
            young,
            "never 5.4.6",
        ),
        (
            "our address last",
            Ok(vec![mx(2, "o.test"), mx(1, "a.test")]),
            vec![("o.test", Ok(ips("::ffff:8.8.4.4"))), good()],
            young,
            "1 a.test [8.8.8.8]",
        ),
    ] {
        assert_eq!(said(&decide(mx, &hosts, age)), want, "{case}");
    }
}

#[test]
fn a_note_says_what_is_the_matter() {
    let Route::Never(why) = decide(Ok(vec![mx(0, ".")]), &[], Duration::ZERO) else {
        panic!("a null MX is for good");
    };
    assert_eq!(
        why.note,
        "5.1.10 the domain takes no mail (null MX, RFC 7505)"
    );
    let Route::NotNow(why) = decide(Err(temporary()), &[], Duration::ZERO) else {
        panic!("a failing DNS is not for good");
    };
    assert_eq!(
        why.note,
        "4.4.3 DNS gives no answer for the domain: Server Failure"
    );
}

#[test]
fn families_take_turns_and_addresses_are_shared_out() {
    assert_eq!(
        interleave(ips("2a00::1 2a00::2 2a00::3 8.8.8.8 9.9.9.9")),
        ips("2a00::1 8.8.8.8 2a00::2 9.9.9.9 2a00::3")
    );
    let many = |n: u8| (1..=n).map(|last| IpAddr::from([8, 8, 8, last])).collect();
    for (given, want) in [
        (vec![16], vec![10]),
        (vec![16, 1], vec![9, 1]),
        (vec![16, 16, 16, 16, 16], vec![2, 2, 2, 2, 2]),
        (vec![1, 1, 16, 16], vec![1, 1, 4, 4]),
        (vec![16, 16, 16], vec![4, 3, 3]),
    ] {
        let hosts = given.iter().map(|n| Host {
            name: "a.test".to_owned(),
            preference: 1,
            addresses: many(*n),
        });
        let shared = share_addresses(hosts.collect());
        let got: Vec<_> = shared.iter().map(|host| host.addresses.len()).collect();
        assert_eq!(got, want, "{given:?}");
    }
}

#[test]
fn at_most_five_hosts_are_tried_and_equals_in_every_order() {
    let names: Vec<String> = (0..8).map(|n| format!("m{n}.test")).collect();
    let hosts: Vec<(&str, Found)> = names
        .iter()
        .map(|name| (name.as_str(), Ok(ips("8.8.8.8"))))
        .collect();
    let records = || Ok(names.iter().map(|name| mx(10, name)).collect::<Vec<_>>());
    let Route::Hosts(five) = decide(records(), &hosts, Duration::ZERO) else {
        panic!("eight exchangers are a route");
    };
    assert_eq!(five.len(), 5);
    let domain = Domain::parse("example.test").unwrap();
    let mut firsts = std::collections::BTreeSet::new();
    let rng = Rng::seeded(3);
    for _ in 0..200 {
        let (_, mut all) = exchangers(records(), &domain, &rng).unwrap();
        firsts.insert(all.remove(0).name);
    }
    assert_eq!(firsts.len(), 8);
}

#[tokio::test]
async fn a_dns_that_is_down_is_no_answer_and_not_a_missing_domain() {
    let domain = Domain::parse("example.test").unwrap();
    let got = route(&router(), &domain, Duration::ZERO).await;
    assert_eq!(said(&got), "not now 4.4.3");
}
