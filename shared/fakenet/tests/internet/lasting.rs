use std::path::Path;

use postrider_fakenet::{FakeInternet, Options, OwnNetwork};
use tokio::net::TcpStream;

use crate::client::{Client, start};

fn kept_in(dir: &Path) -> Options {
    Options {
        dir: Some(dir.to_owned()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_restart_keeps_the_ca_and_the_ports() {
    let dir = tempfile::tempdir().unwrap();
    let network = OwnNetwork::take().unwrap();
    let options = Options {
        host: network.host(),
        ..kept_in(dir.path())
    };
    let first = FakeInternet::start(options.clone()).await.unwrap();
    let (dns, smtp, ca) = (
        first.dns_addr(),
        first.smtp_port(),
        first.ca_pem().to_owned(),
    );
    let mx = first.exchanger("example.org").unwrap();
    let mut client = Client::greet(&mx).await;
    first.shutdown().await;
    assert!(client.is_closed().await);
    drop(first);
    // In a network of its own it finds them free, whoever took them elsewhere meanwhile.
    let elsewhere = [dns.port(), smtp].map(|port| std::net::TcpListener::bind(("127.0.0.1", port)));
    let second = FakeInternet::start(options).await.unwrap();
    drop(elsewhere);
    assert_eq!((second.dns_addr(), second.smtp_port()), (dns, smtp));
    assert_eq!(second.ca_pem(), ca);
    let again = second.exchanger("example.org").unwrap();
    assert_eq!(again.address(), mx.address());
    let client = Client::greet(&again).await;
    assert!(client.starttls(&ca, "mx.example.org").await.is_ok());
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_gives_way_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = FakeInternet::start(kept_in(dir.path())).await.unwrap();
    let second = FakeInternet::start(kept_in(dir.path())).await.unwrap();
    assert_ne!(first.dns_addr(), second.dns_addr());
    assert_ne!(first.smtp_port(), second.smtp_port());
    let exactly = Options {
        smtp_port: second.smtp_port(),
        ..Options::default()
    };
    assert!(FakeInternet::start(exactly).await.is_err());
}

#[tokio::test]
async fn after_the_end_nothing_listens() {
    let net = start().await;
    let mx = net.exchanger("example.org").unwrap();
    net.shutdown().await;
    assert!(TcpStream::connect(mx.address()).await.is_err());
    assert!(TcpStream::connect(net.dns_addr()).await.is_err());
}

#[tokio::test]
async fn the_ca_vouches_for_other_names_too() {
    let net = start().await;
    for name in ["relay.example", "127.0.0.1"] {
        let issued = net.certificate(name).unwrap();
        assert!(issued.certificate_pem.ends_with(net.ca_pem()));
        assert!(issued.key_pem.contains("PRIVATE KEY"));
    }
}
