//! The resolver against a name server that says what the test wants.

#![cfg(test)]

mod server;

use std::time::Duration;

use postrider_dns::{DnsConfig, Failure, Mx, MxName, Resolver};
use postrider_model::Domain;
use postrider_telemetry::Registry;
use server::{A, AAAA, CNAME, MX, NS, Script, Server, TXT};
use server::{answers, code, ip, mx, record, soa, wire_name};

fn resolver(servers: &[&Server]) -> Resolver {
    counted(servers, &Registry::new())
}

fn counted(servers: &[&Server], metrics: &Registry) -> Resolver {
    let config = DnsConfig {
        servers: servers.iter().map(|server| server.address).collect(),
        timeout: Duration::from_millis(400),
        attempts: 2,
    };
    Resolver::new(config, metrics).unwrap()
}

fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn host(preference: u16, name: &str) -> Mx {
    Mx {
        preference,
        host: MxName::Host(name.to_owned()),
    }
}

#[tokio::test]
async fn exchangers_come_as_they_are_and_only_hosts_are_left_beside_others() {
    let server = Server::start().await;
    let given = [
        "MX1.Example.test",
        "mail_in.example.test",
        "",
        "a b.example.test",
    ];
    let given = given
        .iter()
        .zip(0..)
        .map(|(name, preference)| record("example.test", MX, mx(preference, name)));
    server.set("example.test", MX, answers(given.collect()));
    let root = vec![record("null.test", MX, mx(0, ""))];
    server.set("null.test", MX, answers(root));
    let resolver = resolver(&[&server]);
    assert_eq!(
        resolver.mx(&domain("example.test")).await,
        Ok(vec![
            host(0, "mx1.example.test"),
            host(1, "mail_in.example.test")
        ])
    );
    let alone = Mx {
        preference: 0,
        host: MxName::Root,
    };
    assert_eq!(resolver.mx(&domain("null.test")).await, Ok(vec![alone]));
}

#[tokio::test]
async fn each_way_to_have_no_answer_is_one_of_three() {
    let server = Server::start().await;
    let with = |code, authorities| Script::Answer {
        code,
        answers: Vec::new(),
        authorities,
    };
    let other = record("other.test", MX, mx(1, "mx.other.test"));
    let referral = record("test", NS, wire_name("ns.test"));
    let temporary = Failure::Temporary(String::new());
    for (name, script, want) in [
        (
            "nx.test",
            with(3, vec![soa("test", 60)]),
            Failure::NoSuchName,
        ),
        ("nx-bare.test", code(3), Failure::NoSuchName),
        (
            "nodata.test",
            with(0, vec![soa("test", 60)]),
            Failure::NoRecords,
        ),
        ("nodata-bare.test", code(0), Failure::NoRecords),
        ("servfail.test", code(2), temporary.clone()),
        ("refused.test", code(5), temporary.clone()),
        ("formerr.test", code(1), temporary.clone()),
        ("unknown.test", code(12), temporary.clone()),
        ("lame.test", with(0, vec![referral]), temporary.clone()),
        ("garbage.test", Script::Garbage, temporary.clone()),
        ("silence.test", Script::Silence, temporary.clone()),
        ("cut-off.test", Script::CutOff, temporary.clone()),
        ("foreign.test", answers(vec![other]), temporary.clone()),
    ] {
        server.set(name, MX, script);
        let got = resolver(&[&server]).mx(&domain(name)).await.unwrap_err();
        let same = std::mem::discriminant(&got) == std::mem::discriminant(&want);
        assert!(same, "{name}: {got:?}");
    }
}

#[tokio::test]
async fn aliases_are_followed_within_an_answer_and_over_several() {
    let server = Server::start().await;
    let alias = |from: &str, to: &str| record(from, CNAME, wire_name(to));
    let whole = vec![
        alias("a.test", "b.test"),
        record("b.test", MX, mx(10, "mx.test")),
    ];
    server.set("a.test", MX, answers(whole));
    server.set("c.test", MX, answers(vec![alias("c.test", "a.test")]));
    for name in ["a.test", "c.test"] {
        let got = resolver(&[&server]).mx(&domain(name)).await;
        assert_eq!(got, Ok(vec![host(10, "mx.test")]), "{name}");
    }
    // RFC 6604 §3: NXDOMAIN is about the end of the chain. RFC 2308 §2.2: so is «no records».
    let dangling = Script::Answer {
        code: 3,
        answers: vec![alias("d.test", "gone.test")],
        authorities: Vec::new(),
    };
    server.set("d.test", MX, dangling);
    server.set("e.test", MX, answers(vec![alias("e.test", "plain.test")]));
    let resolver = resolver(&[&server]);
    assert_eq!(
        resolver.mx(&domain("d.test")).await,
        Err(Failure::NoSuchName)
    );
    assert_eq!(
        resolver.mx(&domain("e.test")).await,
        Err(Failure::NoRecords)
    );
}

#[tokio::test]
async fn ten_aliases_are_followed_and_a_loop_or_an_eleventh_is_temporary() {
    let server = Server::start().await;
    for n in 0..11 {
        let (from, to) = (format!("n{n}.test"), format!("n{}.test", n + 1));
        server.set(
            &from,
            MX,
            answers(vec![record(&from, CNAME, wire_name(&to))]),
        );
    }
    server.set(
        "n11.test",
        MX,
        answers(vec![record("n11.test", MX, mx(1, "mx.test"))]),
    );
    for (from, to) in [
        ("self.test", "self.test"),
        ("x.test", "y.test"),
        ("y.test", "x.test"),
    ] {
        server.set(from, MX, answers(vec![record(from, CNAME, wire_name(to))]));
    }
    let resolver = resolver(&[&server]);
    assert_eq!(
        resolver.mx(&domain("n1.test")).await,
        Ok(vec![host(1, "mx.test")])
    );
    for name in ["n0.test", "self.test", "x.test"] {
        let got = resolver.mx(&domain(name)).await;
        assert!(matches!(got, Err(Failure::Temporary(_))), "{name}: {got:?}");
    }
}

#[tokio::test]
async fn a_cut_off_answer_is_fetched_by_tcp() {
    let server = Server::start().await;
    let many: Vec<_> = (0..200)
        .map(|n| record("big.test", MX, mx(n, &format!("mx{n}.example.test"))))
        .collect();
    server.set("big.test", MX, Script::OnlyByTcp(many));
    let got = resolver(&[&server]).mx(&domain("big.test")).await.unwrap();
    assert_eq!(got.len(), 200);
}

#[tokio::test]
async fn both_families_are_kept_and_one_is_enough() {
    let server = Server::start().await;
    let v4 = |name: &str| {
        answers(vec![
            record(name, A, ip("192.0.2.2")),
            record(name, A, ip("192.0.2.1")),
        ])
    };
    let v6 = |name: &str| answers(vec![record(name, AAAA, ip("2001:db8::1"))]);
    server.set("both.test", A, v4("both.test"));
    server.set("both.test", AAAA, v6("both.test"));
    server.set("four.test", A, v4("four.test"));
    server.set("half.test", A, v4("half.test"));
    server.set("half.test", AAAA, code(2));
    server.set("bad.test", AAAA, code(2));
    let resolver = resolver(&[&server]);
    for (name, want) in [
        ("both.test", vec!["2001:db8::1", "192.0.2.2", "192.0.2.1"]),
        ("four.test", vec!["192.0.2.2", "192.0.2.1"]),
        ("half.test", vec!["192.0.2.2", "192.0.2.1"]),
        ("localhost", vec!["::1", "127.0.0.1"]),
    ] {
        let want = want.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(resolver.addresses(name).await, Ok(want), "{name}");
    }
    assert_eq!(
        resolver.addresses("none.test").await,
        Err(Failure::NoRecords)
    );
    // A is known to be empty, AAAA is not: nothing final may be said.
    let got = resolver.addresses("bad.test").await;
    assert!(matches!(got, Err(Failure::Temporary(_))), "{got:?}");
}

#[tokio::test]
async fn the_strings_of_a_text_record_are_joined() {
    let server = Server::start().await;
    let data = b"\x0av=DKIM1; k\x05=rsa;".to_vec();
    server.set(
        "s._domainkey.test",
        TXT,
        answers(vec![record("s._domainkey.test", TXT, data)]),
    );
    assert_eq!(
        resolver(&[&server]).txt("s._domainkey.test").await,
        Ok(vec!["v=DKIM1; k=rsa;".to_owned()])
    );
}

#[tokio::test]
async fn names_that_are_never_asked_for_are_not() {
    let server = Server::start().await;
    let resolver = resolver(&[&server]);
    for name in ["a.invalid", "b.onion"] {
        assert_eq!(
            resolver.mx(&domain(name)).await,
            Err(Failure::NoSuchName),
            "{name}"
        );
        assert_eq!(server.asked(name, MX), 0);
    }
    assert_eq!(
        resolver.mx(&domain("localhost")).await,
        Err(Failure::NoRecords)
    );
}

#[tokio::test]
async fn an_answer_is_remembered_and_a_confirmation_asks_anew() {
    let server = Server::start().await;
    server.set(
        "a.test",
        MX,
        answers(vec![record("a.test", MX, mx(1, "mx.test"))]),
    );
    let resolver = resolver(&[&server]);
    for _ in 0..3 {
        assert_eq!(resolver.mx(&domain("a.test")).await.unwrap().len(), 1);
        assert_eq!(
            resolver.clone().mx(&domain("nodata.test")).await,
            Err(Failure::NoRecords)
        );
    }
    assert_eq!(server.asked("a.test", MX), 1);
    assert_eq!(server.asked("nodata.test", MX), 1);
    assert_eq!(
        resolver.confirm_mx(&domain("a.test")).await.unwrap().len(),
        1
    );
    assert_eq!(server.asked("a.test", MX), 2);
    assert_eq!(
        resolver.confirm_addresses("x.test").await,
        Err(Failure::NoRecords)
    );
}

#[tokio::test]
async fn a_confirmation_asks_every_server_and_who_finds_something_is_believed() {
    let (lying, honest, broken) = (
        Server::start().await,
        Server::start().await,
        Server::start().await,
    );
    for server in [&lying, &broken] {
        server.set("a.test", MX, code(3));
    }
    broken.set("b.test", MX, code(2));
    lying.set("b.test", MX, code(3));
    honest.set("b.test", MX, code(3));
    honest.set(
        "a.test",
        MX,
        answers(vec![record("a.test", MX, mx(1, "mx.test"))]),
    );
    let resolver = resolver(&[&lying, &honest, &broken]);
    assert_eq!(
        resolver.confirm_mx(&domain("a.test")).await,
        Ok(vec![host(1, "mx.test")])
    );
    assert_eq!(
        resolver.confirm_mx(&domain("b.test")).await,
        Err(Failure::NoSuchName)
    );
    for server in [&lying, &honest, &broken] {
        assert_eq!(server.asked("a.test", MX), 1);
    }
}

#[tokio::test]
async fn a_huge_answer_is_used_and_not_kept() {
    let server = Server::start().await;
    for (name, count) in [("few.test", 30_u8), ("many.test", 40)] {
        let records = (0..count)
            .map(|number| record(name, A, ip(&format!("198.51.100.{number}"))))
            .collect();
        server.set(name, A, answers(records));
        server.set(name, AAAA, answers(Vec::new()));
    }
    let resolver = resolver(&[&server]);
    for (name, count, asked) in [("few.test", 30, 1), ("many.test", 40, 2)] {
        for _ in 0..2 {
            let found = resolver.addresses(name).await;
            assert_eq!(found.map(|all| all.len()), Ok(count), "{name}");
        }
        assert_eq!(server.asked(name, A), asked, "{name}");
    }
}

#[tokio::test]
async fn each_question_is_counted_by_what_came_of_it() {
    let server = Server::start().await;
    let records = vec![record("example.test", MX, mx(1, "mx.example.test"))];
    server.set("example.test", MX, answers(records));
    server.set("broken.test", MX, code(2));
    server.set("nodata.test", TXT, code(0));
    let metrics = Registry::new();
    let resolver = counted(&[&server], &metrics);
    resolver.mx(&domain("example.test")).await.unwrap();
    resolver.mx(&domain("example.test")).await.unwrap();
    resolver.mx(&domain("broken.test")).await.unwrap_err();
    resolver.txt("nodata.test").await.unwrap_err();
    let page = metrics.page();
    for (outcome, kind, count) in [
        ("found", "mx", 1),
        ("remembered", "mx", 1),
        ("failed", "mx", 1),
        ("no_records", "txt", 1),
        ("found", "a", 0),
    ] {
        let line =
            format!("postrider_dns_lookups_total{{outcome=\"{outcome}\",type=\"{kind}\"}} {count}");
        assert!(page.lines().any(|one| one == line), "{line}: {page}");
    }
    let asked = "postrider_dns_lookup_seconds_count 3";
    assert!(page.lines().any(|one| one == asked), "{page}");
}
