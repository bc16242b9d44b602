//! The client side: what a server's certificate must prove.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use tokio::net::TcpStream;

use crate::pem::{self, Pem};
use crate::{ClientStream, TlsError};

/// Makes TLS connections to servers. Cheap to clone.
pub type Connector = tokio_rustls::TlsConnector;

/// Opportunistic TLS (RFC 7435): any certificate for any name, expired and self-signed ones
/// too, because the other choice is plain text. The server must still hold its certificate's
/// key: the signatures of the handshake are checked.
#[expect(
    clippy::missing_panics_doc,
    reason = "it cannot: the provider has both versions"
)]
pub fn opportunistic() -> Connector {
    let provider = crate::provider();
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(crate::VERSIONS)
        .map(|builder| {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        });
    #[expect(
        clippy::expect_used,
        reason = "the provider has suites for both versions; tested"
    )]
    let config = config.expect("the provider knows TLS 1.2 and 1.3");
    Connector::from(Arc::new(config))
}

/// TLS that trusts the certificates under these authorities (PEM) and no others, for the name
/// that is dialled.
pub fn trusting(ca_pem: &[u8]) -> Result<Connector, TlsError> {
    let given = Pem::given(ca_pem);
    let mut roots = RootCertStore::empty();
    for authority in pem::certificates(&given)? {
        let added = roots.add(authority);
        added.map_err(|error| TlsError::BadCertificate(given.name.clone(), error))?;
    }
    under(roots)
}

/// TLS that trusts the authorities that browsers trust, for the name that is dialled. They are
/// built in: a machine need not have a list of its own.
pub fn trusting_the_web() -> Result<Connector, TlsError> {
    under(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

fn under(roots: RootCertStore) -> Result<Connector, TlsError> {
    let config = ClientConfig::builder_with_provider(crate::provider())
        .with_protocol_versions(crate::VERSIONS)
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::from(Arc::new(config)))
}

/// A client's settings that trust nobody, for a library that wants some and opens no TLS.
/// Fails only where the provider lacks both versions.
pub fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(crate::provider())
        .with_protocol_versions(crate::VERSIONS)
        .map_err(TlsError::Setup)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// The same connector, offering these protocols by ALPN (RFC 7301).
#[must_use]
pub fn offering(connector: &Connector, protocols: &[&str]) -> Connector {
    let mut config = (**connector.config()).clone();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Connector::from(Arc::new(config))
}

/// The handshake with a server of this name. It has no timeout of its own.
pub async fn connect(
    connector: &Connector,
    name: &str,
    tcp: TcpStream,
) -> io::Result<ClientStream> {
    let name = ServerName::try_from(name.to_owned());
    let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    connector.connect(name, tcp).await
}

#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
