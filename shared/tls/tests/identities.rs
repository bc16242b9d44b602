//! Several certificates behind one door, and their renewal.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where what it stands on breaks"
)]

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use postrider_runtime::Shutdown;
use postrider_tls::{
    Acceptor, Connector, HandshakeFault, IdentityFiles, KeyKind, connect, keep_current,
    self_signed, trusting,
};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const NAME: &str = "mail.relay.example";

fn write_identity(folder: &Path, name: &str, key: &KeyPair) -> (IdentityFiles, Vec<u8>) {
    let certificate = CertificateParams::new([NAME.to_owned()]).unwrap();
    let certificate = certificate.self_signed(key).unwrap().pem().into_bytes();
    let files = IdentityFiles {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    };
    std::fs::write(&files.certificate, &certificate).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    (files, certificate)
}

/// A TLS 1.2 client as old systems have it: RSA suites only.
fn rsa_only(authority: &[u8]) -> Connector {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Connector::from(Arc::new(config))
}

async fn meets(acceptor: &Acceptor, connector: &Connector) -> (Option<io::Error>, bool) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (server, client) =
        tokio::join!(acceptor.accept(accepted), connect(connector, NAME, dialled));
    (server.err(), client.is_ok())
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_that_it_can_check() {
    let folder = tempfile::tempdir().unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let (rsa, rsa_authority) = write_identity(folder.path(), "rsa", &rsa);
    let ecdsa = KeyPair::generate().unwrap();
    let (ecdsa, ecdsa_authority) = write_identity(folder.path(), "ecdsa", &ecdsa);
    let acceptor = Acceptor::from_files(&[rsa, ecdsa.clone()]).unwrap();
    for (connector, want) in [
        (trusting(&ecdsa_authority).unwrap(), true),
        (trusting(&rsa_authority).unwrap(), false),
        (rsa_only(&rsa_authority), true),
    ] {
        assert_eq!(meets(&acceptor, &connector).await.1, want);
    }
    let alone = Acceptor::from_files(&[ecdsa]).unwrap();
    let (error, _) = meets(&alone, &rsa_only(&rsa_authority)).await;
    let fault = HandshakeFault::of(&error.unwrap());
    assert_eq!(fault, HandshakeFault::NothingInCommon);
}

#[tokio::test]
async fn a_client_that_refuses_our_certificate_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_identity(folder.path(), "a", &KeyPair::generate().unwrap());
    let (_, other) = write_identity(folder.path(), "b", &KeyPair::generate().unwrap());
    let acceptor = Acceptor::from_files(&[files]).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (accepted, dialled) = tokio::join!(listener.accept(), dialled);
    let client = trusting(&other).unwrap();
    let client = connect(&client, NAME, dialled.unwrap());
    let (server, client) = tokio::join!(acceptor.accept(accepted.unwrap().0), client);
    client.unwrap_err();
    let fault = HandshakeFault::of(&server.unwrap_err());
    assert!(matches!(fault, HandshakeFault::Alert(_)), "{fault:?}");
}

#[tokio::test]
async fn renewed_files_are_served_without_a_restart_and_half_written_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = KeyPair::generate().unwrap();
    let (files, first_authority) = write_identity(folder.path(), "a", &first);
    let acceptor = Acceptor::from_files(std::slice::from_ref(&files)).unwrap();
    let shutdown = Shutdown::new(Duration::ZERO);
    let mut tasks = JoinSet::new();
    let every = Duration::from_millis(5);
    let told = Arc::new(AtomicU32::new(0));
    let renewed = {
        let told = Arc::clone(&told);
        move || {
            let _before = told.fetch_add(1, Ordering::SeqCst);
        }
    };
    let watched = keep_current(
        acceptor.clone(),
        vec![files.clone()],
        every,
        shutdown,
        renewed,
    );
    tasks.spawn(watched);

    std::fs::write(&files.key, "-----BEGIN").unwrap();
    assert!(
        meets(&acceptor, &trusting(&first_authority).unwrap())
            .await
            .1
    );
    let second = KeyPair::generate().unwrap();
    let (_, second_authority) = write_identity(folder.path(), "a", &second);
    let connector = trusting(&second_authority).unwrap();
    while !meets(&acceptor, &connector).await.1 {}
    // Those that were there at the start were looked at then.
    while told.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn a_pair_in_one_file_is_whole_whenever_it_is_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let (file, beside) = (
        folder.path().join("both.pem"),
        folder.path().join("new.pem"),
    );
    let names = [NAME.to_owned()];
    let made = || {
        let issued = self_signed(&names, KeyKind::Ecdsa).unwrap();
        format!("{}{}", issued.certificate_pem, issued.key_pem)
    };
    let pairs = [made(), made()];
    std::fs::write(&file, &pairs[0]).unwrap();
    let files = [IdentityFiles {
        certificate: file.clone(),
        key: file.clone(),
    }];
    let acceptor = Acceptor::from_files(&files).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for pair in pairs.iter().cycle().take(2_000) {
                std::fs::write(&beside, pair).unwrap();
                std::fs::rename(&beside, &file).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut renewals = 0;
        while !is_over.load(Ordering::Relaxed) {
            // An error would be a pair that does not fit together.
            renewals += u32::from(acceptor.reload_files(&files).unwrap());
        }
        assert!(renewals > 0, "no renewal was met");
    });
}

#[test]
fn a_certificate_tells_its_names_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let (files, _) = write_identity(folder.path(), "a", &key);
    let acceptor = Acceptor::from_files(std::slice::from_ref(&files)).unwrap();
    let all = acceptor.certificates();
    assert_eq!(all.len(), 1);
    assert!(
        all[0].is_for(NAME) && !all[0].is_for("relay.example"),
        "{all:?}"
    );
    assert_eq!(all[0].ends_at.to_string(), "4096-01-01T00:00:00.000000Z");
}
