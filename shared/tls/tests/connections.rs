//! Both sides over real sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where what it stands on breaks"
)]

use std::io;
use std::net::Ipv4Addr;

use postrider_tls::{
    Acceptor, ClientStream, Connector, Facts, ServerStream, TlsError, client_facts, connect,
    offering, opportunistic, server_facts, server_protocol, trusting,
};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn made_for(name: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

async fn meet(
    acceptor: &Acceptor,
    connector: &Connector,
    name: &str,
) -> (io::Result<ServerStream>, io::Result<ClientStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    tokio::join!(acceptor.accept(accepted), connect(connector, name, dialled))
}

#[tokio::test]
async fn what_one_side_writes_the_other_reads_and_both_know_how() {
    let (certificate, key) = made_for("mx.example.org");
    let acceptor = Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let connector = trusting(certificate.as_bytes()).unwrap();
    let (server, client) = meet(&acceptor, &connector, "mx.example.org").await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());

    server.write_all(b"220 hello\r\n").await.unwrap();
    server.flush().await.unwrap();
    let mut heard = [0; 11];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 hello\r\n");

    let want = Facts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
    };
    assert_eq!(client_facts(&client), want);
    assert_eq!(server_facts(&server), want);
}

#[tokio::test]
async fn another_authority_or_name_is_refused_by_trusting_and_taken_by_opportunistic() {
    let (certificate, key) = made_for("mx.example.org");
    let (other, _) = made_for("mx.example.org");
    let acceptor = Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    for (connector, name, want) in [
        (
            trusting(certificate.as_bytes()).unwrap(),
            "mx.example.org",
            true,
        ),
        (
            trusting(certificate.as_bytes()).unwrap(),
            "other.example",
            false,
        ),
        (trusting(other.as_bytes()).unwrap(), "mx.example.org", false),
        (opportunistic(), "other.example", true),
    ] {
        let (_, client) = meet(&acceptor, &connector, name).await;
        assert_eq!(client.is_ok(), want, "{name}");
    }
}

#[tokio::test]
async fn a_reload_reaches_clones_and_a_bad_one_changes_nothing() {
    let (first, first_key) = made_for("a.example");
    let (second, second_key) = made_for("a.example");
    let acceptor = Acceptor::from_pem(first.as_bytes(), first_key.as_bytes()).unwrap();
    let clone = acceptor.clone().with_alpn(&["h2", "http/1.1"]);

    let refused = acceptor.reload(second.as_bytes(), first_key.as_bytes());
    assert!(
        matches!(refused, Err(TlsError::KeyMismatch { .. })),
        "{refused:?}"
    );
    let (_, client) = meet(&clone, &trusting(first.as_bytes()).unwrap(), "a.example").await;
    client.unwrap();

    acceptor
        .reload(second.as_bytes(), second_key.as_bytes())
        .unwrap();
    let (_, client) = meet(&clone, &trusting(second.as_bytes()).unwrap(), "a.example").await;
    client.unwrap();
}

#[test]
fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (certificate, key) = made_for("a.example");
    let stranger = KeyPair::generate().unwrap().serialize_pem();
    for (name, text) in [
        ("cert.pem", certificate.as_str()),
        ("key.pem", key.as_str()),
        ("stranger.pem", stranger.as_str()),
        ("empty.pem", ""),
        ("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB"),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    for (certificate, key, want) in [
        ("none.pem", "key.pem", "none.pem cannot be read"),
        ("empty.pem", "key.pem", "empty.pem holds no certificate"),
        ("key.pem", "key.pem", "key.pem holds no certificate"),
        ("cut.pem", "key.pem", "cut.pem is not valid PEM"),
        ("cert.pem", "cert.pem", "cert.pem holds no private key"),
        ("cert.pem", "stranger.pem", "stranger.pem does not match"),
    ] {
        let error = Acceptor::from_pem_files(&path(certificate), &path(key)).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }
    Acceptor::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
}

#[tokio::test]
async fn alpn_chooses_what_the_server_likes_best_and_refuses_strangers() {
    let (certificate, key) = made_for("a.example");
    let acceptor = Acceptor::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    let acceptor = acceptor.with_alpn(&["h2", "http/1.1"]);
    for (offered, want) in [
        (&["http/1.1", "h2"][..], Some(&b"h2"[..])),
        (&["http/1.1"][..], Some(&b"http/1.1"[..])),
        (&[][..], None),
    ] {
        let (server, _) = meet(&acceptor, &offering(&opportunistic(), offered), "a.example").await;
        assert_eq!(server_protocol(&server.unwrap()), want);
    }
    let (server, _) = meet(
        &acceptor,
        &offering(&opportunistic(), &["smtp"]),
        "a.example",
    )
    .await;
    server.unwrap_err();
}
