use std::net::IpAddr;
use std::time::Duration;

use hickory_server::proto::op::{Message, ResponseCode};
use hickory_server::proto::rr::RecordType::{self, A, AAAA, MX, NS, TXT};
use postrider_fakenet::{Answer, Answers, FakeInternet, Kind, Script};
use tokio::net::TcpStream;

use crate::client::{Client, ID, ask, ask_tcp, records, start};

async fn code(net: &FakeInternet, name: &str, kind: RecordType) -> ResponseCode {
    ask(net, name, kind).await.unwrap().metadata.response_code
}

async fn found(net: &FakeInternet, name: &str, kind: RecordType) -> Vec<String> {
    records(&ask(net, name, kind).await.unwrap())
}

async fn address(net: &FakeInternet, name: &str) -> IpAddr {
    let found = found(net, name, A).await;
    found[0].strip_prefix("A ").unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_domain_has_an_exchanger_at_an_own_address() {
    let net = start().await;
    assert_eq!(
        found(&net, "Example.ORG.", MX).await,
        ["MX 10 mx.example.org."]
    );
    let one = address(&net, "mx.example.org.").await;
    let two = address(&net, "mx.example.com.").await;
    assert_ne!(one, two);
    for address in [one, two] {
        let IpAddr::V4(v4) = address else {
            panic!("{address}")
        };
        assert_eq!(v4.octets()[..2], [127, 1]);
        let mut client = Client::dial((address, net.smtp_port()).into()).await;
        assert!(client.reply().await.starts_with("220 mx.example."));
    }
    assert_eq!(address(&net, "mx.example.org.").await, one);
    assert!(found(&net, "mx.example.org.", AAAA).await.is_empty());
    assert_eq!(
        code(&net, "mx.example.org.", AAAA).await,
        ResponseCode::NoError
    );
    assert!(found(&net, "example.org.", NS).await.is_empty());
}

#[tokio::test]
async fn special_domains_are_as_they_are_called() {
    let net = start().await;
    assert_eq!(
        code(&net, "nxdomain.test.", MX).await,
        ResponseCode::NXDomain
    );
    assert_eq!(
        code(&net, "nxdomain.test.", A).await,
        ResponseCode::NXDomain
    );
    assert_eq!(
        code(&net, "servfail.test.", MX).await,
        ResponseCode::ServFail
    );
    assert_eq!(found(&net, "nullmx.test.", MX).await, ["MX 0 ."]);
    assert_eq!(
        found(&net, "private.test.", MX).await,
        ["MX 10 mx.private.test."]
    );
    assert_eq!(found(&net, "mx.private.test.", A).await, ["A 10.0.0.1"]);
    let down = address(&net, "mx.down.test.").await;
    let refused = TcpStream::connect((down, net.smtp_port()))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn questions_are_remembered() {
    let net = start().await;
    ask(&net, "Example.org.", MX).await;
    ask_tcp(&net, "mx.example.org.", AAAA).await;
    let asked = net.dns_queries();
    let asked: Vec<_> = asked
        .iter()
        .map(|(n, k)| (n.as_str(), k.as_str()))
        .collect();
    assert_eq!(asked, [("example.org", "MX"), ("mx.example.org", "AAAA")]);
}

#[tokio::test]
async fn a_domain_answers_as_it_was_told() {
    let net = start().await;
    let zone = net.domain("example.org");
    zone.nxdomain();
    assert_eq!(code(&net, "example.org.", MX).await, ResponseCode::NXDomain);
    assert_eq!(
        code(&net, "mx.example.org.", A).await,
        ResponseCode::NXDomain
    );
    zone.refused();
    assert_eq!(code(&net, "example.org.", MX).await, ResponseCode::Refused);
    zone.null_mx();
    assert_eq!(found(&net, "example.org.", MX).await, ["MX 0 ."]);
    let ips = [
        "10.1.2.3",
        "169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
    ];
    zone.addresses(&ips.map(|ip| ip.parse().unwrap()));
    let v4 = ["A 10.1.2.3", "A 169.254.169.254"];
    assert_eq!(found(&net, "mx.example.org.", A).await, v4);
    let v6 = ["AAAA ::ffff:10.0.0.1", "AAAA 64:ff9b::a00:1"];
    assert_eq!(found(&net, "mx.example.org.", AAAA).await, v6);
    let only = zone.address_only(Script::new());
    assert!(found(&net, "example.org.", MX).await.is_empty());
    assert_eq!(address(&net, "example.org.").await, only.address().ip());
    zone.forget();
    assert_eq!(
        found(&net, "example.org.", MX).await,
        ["MX 10 mx.example.org."]
    );
}

#[tokio::test]
async fn a_domain_has_the_exchangers_it_was_given() {
    let net = start().await;
    let zone = net.domain("example.org");
    let first = zone.add_mx(10, "one.example.org", Script::new());
    let second = zone.add_mx(20, "two.example.net", Script::new());
    let want = ["MX 10 one.example.org.", "MX 20 two.example.net."];
    assert_eq!(found(&net, "example.org.", MX).await, want);
    assert_eq!(
        address(&net, "one.example.org.").await,
        first.address().ip()
    );
    assert_eq!(
        address(&net, "two.example.net.").await,
        second.address().ip()
    );
    let hosts: Vec<_> = (1..=50)
        .map(|n| (n, format!("mx.h{n}.example.org")))
        .collect();
    let fifty: Vec<_> = hosts.iter().map(|(n, host)| (*n, host.as_str())).collect();
    zone.mx_records(&fifty).ttl(0);
    assert!(
        ask(&net, "example.org.", MX)
            .await
            .unwrap()
            .metadata
            .truncation
    );
    let all = ask_tcp(&net, "example.org.", MX).await;
    assert_eq!(all.answers.len(), 50);
    assert!(all.answers.iter().all(|record| record.ttl == 0));
}

#[tokio::test]
async fn aliases_are_followed_and_loops_end() {
    let net = start().await;
    net.domain("a.example").cname("b.example");
    net.domain("b.example").cname("c.example");
    let want = [
        "CNAME b.example.",
        "CNAME c.example.",
        "MX 10 mx.c.example.",
    ];
    assert_eq!(found(&net, "a.example.", MX).await, want);
    net.domain("c.example").cname("a.example");
    let looped = ask_tcp(&net, "a.example.", MX).await;
    assert!(
        records(&looped)
            .iter()
            .all(|record| record.starts_with("CNAME"))
    );
    net.domain("d.example")
        .mx_records(&[(10, "alias.d.example")]);
    net.domain("alias.d.example").cname("mx.e.example");
    let target = found(&net, "alias.d.example.", A).await;
    assert_eq!(target[0], "CNAME mx.e.example.");
    assert!(target[1].starts_with("A 127.1."));
    net.domain("gone.example").cname("nxdomain.test");
    assert_eq!(
        code(&net, "gone.example.", MX).await,
        ResponseCode::NXDomain
    );
}

#[tokio::test]
async fn answers_change_by_turn() {
    let net = start().await;
    let zone = net.domain("example.org");
    zone.mx_answers(Answers::first(2, Answer::ServFail).then(Answer::NxDomain));
    for want in [
        ResponseCode::ServFail,
        ResponseCode::ServFail,
        ResponseCode::NXDomain,
    ] {
        assert_eq!(code(&net, "example.org.", MX).await, want);
    }
}

#[tokio::test]
async fn a_lying_dns_lies() {
    let net = start().await;
    let zone = net.domain("example.org");
    let honest = |message: &Message| message.metadata.id == ID;
    zone.wrong_id();
    assert!(!honest(&ask(&net, "example.org.", MX).await.unwrap()));
    zone.forget().wrong_question();
    let other = ask(&net, "example.org.", MX).await.unwrap();
    assert!(honest(&other));
    assert_eq!(
        other.queries[0].name().to_ascii(),
        "not-what-you-asked.invalid."
    );
    zone.garbage();
    assert!(ask(&net, "example.org.", MX).await.is_none());
    zone.silent();
    assert!(ask(&net, "example.org.", MX).await.is_none());
    zone.forget().truncated();
    let cut = ask(&net, "example.org.", MX).await.unwrap();
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let whole = ask_tcp(&net, "example.org.", MX).await;
    assert_eq!(records(&whole), ["MX 10 mx.example.org."]);
    zone.forget().slow(Duration::from_millis(50));
    let begun = std::time::Instant::now();
    assert_eq!(
        found(&net, "example.org.", MX).await,
        ["MX 10 mx.example.org."]
    );
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn texts_are_served_in_strings_of_255_octets() {
    let net = start().await;
    let name = "s1._domainkey.example.org";
    let long = "x".repeat(400);
    net.set_txt(name, vec![long.clone(), "v=DKIM1".to_owned()]);
    let (a, b) = long.split_at(255);
    let want = [format!("TXT {a}|{b}"), "TXT v=DKIM1".to_owned()];
    assert_eq!(
        records(&ask_tcp(&net, &format!("{name}."), TXT).await),
        want
    );
    net.clear_txt(name);
    assert!(found(&net, &format!("{name}."), TXT).await.is_empty());
    net.set_answers(name, Kind::Txt, Answer::ServFail);
    assert_eq!(
        code(&net, &format!("{name}."), TXT).await,
        ResponseCode::ServFail
    );
}

#[tokio::test]
async fn a_domain_may_be_named_by_its_unicode_form() {
    let net = start().await;
    net.domain("Bücher.example").null_mx();
    assert_eq!(found(&net, "xn--bcher-kva.example.", MX).await, ["MX 0 ."]);
}
