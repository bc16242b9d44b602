//! The server side: a certificate that can be replaced while connections come in.

use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;

use crate::pem::{self, Pem};
use crate::{ServerStream, TlsError};

/// Makes TLS connections of accepted TCP ones. Cheap to clone; clones share the certificate,
/// so that one `reload` reaches all of them.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    identity: Arc<Identity>,
}

#[derive(Debug)]
struct Identity(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Acceptor {
    /// From two files: the certificate with its chain, and its key.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::new(identity_of_files(certificate, key)?)
    }

    /// From PEM in memory: the certificate with its chain, and its key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(pem::identity(&Pem::given(certificate), &Pem::given(key))?)
    }

    fn new(identity: Arc<CertifiedKey>) -> Result<Self, TlsError> {
        let identity = Arc::new(Identity(ArcSwap::new(identity)));
        let config = ServerConfig::builder_with_provider(crate::provider())
            .with_protocol_versions(crate::VERSIONS)
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Identity>::clone(&identity));
        Ok(Self {
            config: Arc::new(config),
            identity,
        })
    }

    /// The same, offering these protocols by ALPN (RFC 7301), the one we like best first:
    /// `["h2", "http/1.1"]`. A client that names only others is refused.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &[&str]) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self.config = Arc::new(config);
        self
    }

    /// The handshake. It has no timeout of its own: whoever calls sets one.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<ServerStream> {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
            .accept(tcp)
            .await
    }

    /// Takes another certificate for all handshakes from here on. On an error the old one stays.
    pub fn reload(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.identity
            .0
            .store(pem::identity(&Pem::given(certificate), &Pem::given(key))?);
        Ok(())
    }

    /// As `reload`, from files.
    pub fn reload_files(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        self.identity.0.store(identity_of_files(certificate, key)?);
        Ok(())
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

fn identity_of_files(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, private) = (pem::read(certificate)?, pem::read(key)?);
    pem::identity(&Pem::of(certificate, &chain), &Pem::of(key, &private))
}
