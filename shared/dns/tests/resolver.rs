//! The resolver against a server of a few lines that answers as each test says.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, NS, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use postrider_dns::{DnsConfig, DnsFailure, MxTarget, Resolver};
use postrider_model::Domain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

type Answer = fn(&str, RecordType, &mut Message);

struct Server {
    at: SocketAddr,
    asked: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(at).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&asked);
        tasks.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(reply) = reply(&buffer[..length], answer) {
                    udp.send_to(&reply, from).await.unwrap();
                }
            }
        });
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; length.into()];
                stream.read_exact(&mut query).await.unwrap();
                // Over TCP nothing is truncated.
                let whole = |name: &str, kind, message: &mut Message| {
                    message.metadata.truncation = false;
                    message.add_answer(record(name, a("192.0.2.9")));
                    assert_eq!(kind, RecordType::A);
                };
                let reply = reply(&query, whole).unwrap();
                let length = u16::try_from(reply.len()).unwrap();
                stream.write_u16(length).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        Self {
            at,
            asked,
            _tasks: tasks,
        }
    }

    fn resolver(&self) -> Resolver {
        let config = DnsConfig {
            servers: vec![self.at],
            timeout: Duration::from_millis(300),
            attempts: 0,
        };
        Resolver::new(&config).unwrap()
    }
}

fn reply(query: &[u8], answer: Answer) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(query).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.additionals.clear();
    let query = message.queries[0].clone();
    let name = query.name().to_ascii().to_ascii_lowercase();
    if name.starts_with("silent.") {
        return None;
    }
    if name.starts_with("garbage.") {
        return Some(b"not a message".to_vec());
    }
    answer(&name, query.query_type(), &mut message);
    Some(message.to_vec().unwrap())
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 300, data)
}

fn a(address: &str) -> RData {
    RData::A(A(address.parse().unwrap()))
}

fn soa(message: &mut Message) {
    let data = SOA::new(name("ns.test."), name("root.test."), 1, 60, 60, 60, 60);
    message.add_authority(record("test.", RData::SOA(data)));
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// A small zone with everything that goes wrong.
fn zone(asked: &str, kind: RecordType, message: &mut Message) {
    let mx = |preference, host: &str| RData::MX(MX::new(preference, name(host)));
    match (asked, kind) {
        ("nx.test.", _) => {
            message.metadata.response_code = ResponseCode::NXDomain;
            soa(message);
        }
        ("servfail.test.", _) | ("half.test.", RecordType::AAAA) => {
            message.metadata.response_code = ResponseCode::ServFail;
        }
        ("refused.test.", _) => message.metadata.response_code = ResponseCode::Refused,
        ("lame.test.", _) => {
            message.add_authority(record("test.", RData::NS(NS(name("ns.other.")))));
        }
        ("loop.test.", _) => {
            message.add_answer(record(asked, RData::CNAME(CNAME(name("pool.test.")))));
        }
        ("pool.test.", _) => {
            message.add_answer(record(asked, RData::CNAME(CNAME(name("loop.test.")))));
        }
        ("alias.test.", RecordType::MX) => {
            message.add_answer(record(asked, RData::CNAME(CNAME(name("good.test.")))));
        }
        ("good.test.", RecordType::MX) => {
            for data in [
                mx(20, "b.test."),
                mx(10, "a.test."),
                mx(5, "."),
                mx(7, "a_b.test."),
            ] {
                message.add_answer(record(asked, data));
            }
        }
        ("half.test.", RecordType::A) => {
            message.add_answer(record(asked, a("192.0.2.1")));
        }
        ("long.test.", RecordType::A) => message.metadata.truncation = true,
        ("text.test.", RecordType::TXT) => {
            let data = TXT::new(vec!["v=DKIM1; ".to_owned(), "p=abc".to_owned()]);
            message.add_answer(record(asked, RData::TXT(data)));
        }
        _ => soa(message),
    }
}

#[tokio::test]
async fn what_is_no_answer_is_never_taken_for_a_no() {
    let server = Server::start(zone).await;
    let resolver = server.resolver();
    for (asked, want) in [
        ("nx.test", Some(DnsFailure::NoSuchName)),
        ("empty.test", Some(DnsFailure::NoRecords)),
        ("servfail.test", None),
        ("refused.test", None),
        ("lame.test", None),
        ("loop.test", None),
        ("silent.test", None),
        ("garbage.test", None),
    ] {
        for got in [
            resolver.mx(&domain(asked)).await.unwrap_err(),
            resolver.confirm_mx(&domain(asked)).await.unwrap_err(),
            resolver.addresses(&domain(asked)).await.unwrap_err(),
        ] {
            match &want {
                Some(want) => assert_eq!(&got, want, "{asked}"),
                None => assert!(matches!(got, DnsFailure::Temporary(_)), "{asked}: {got:?}"),
            }
        }
    }
}

#[tokio::test]
async fn mx_records_are_sorted_and_no_host_name_is_trusted() {
    let server = Server::start(zone).await;
    for asked in ["good.test", "alias.test"] {
        let answer = server.resolver().mx(&domain(asked)).await.unwrap();
        let got: Vec<_> = answer
            .records
            .into_iter()
            .map(|mx| (mx.preference, mx.target))
            .collect();
        let want = [
            (5, MxTarget::Root),
            (7, MxTarget::NoHostName("a_b.test.".to_owned())),
            (10, MxTarget::Host(domain("a.test"))),
            (20, MxTarget::Host(domain("b.test"))),
        ];
        assert_eq!(got, want, "{asked}");
    }
}

#[tokio::test]
async fn one_family_that_fails_does_not_hide_the_other() {
    let server = Server::start(zone).await;
    let got = server
        .resolver()
        .addresses(&domain("half.test"))
        .await
        .unwrap();
    assert_eq!(got, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = Server::start(zone).await;
    let got = server
        .resolver()
        .addresses(&domain("long.test"))
        .await
        .unwrap();
    assert_eq!(got, ["192.0.2.9".parse::<std::net::IpAddr>().unwrap()]);
}

#[tokio::test]
async fn the_strings_of_a_text_record_are_one_text() {
    let server = Server::start(zone).await;
    let got = server.resolver().txt("text.test").await.unwrap();
    assert_eq!(got, ["v=DKIM1; p=abc"]);
}

#[tokio::test]
async fn answers_and_failures_are_remembered_and_confirm_asks_anew() {
    let server = Server::start(zone).await;
    let resolver = server.resolver();
    for asked in ["good.test", "nx.test", "servfail.test"] {
        let domain = domain(asked);
        let first = resolver.mx(&domain).await;
        let count = server.asked.load(Ordering::SeqCst);
        assert_eq!(resolver.mx(&domain).await, first, "{asked}");
        assert_eq!(
            server.asked.load(Ordering::SeqCst),
            count,
            "{asked}: asked twice"
        );
        for _ in 0..2 {
            let before = server.asked.load(Ordering::SeqCst);
            assert_eq!(
                resolver.confirm_mx(&domain).await.is_ok(),
                first.is_ok(),
                "{asked}"
            );
            assert!(
                server.asked.load(Ordering::SeqCst) > before,
                "{asked}: not asked"
            );
        }
    }
}
