//! The server side: certificates that can be replaced while connections come in.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureAlgorithm};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::certificate::Certificate;
use crate::pem::{self, Pem};
use crate::{ServerStreamOver, TlsError};

/// Makes TLS connections of accepted TCP ones. Cheap to clone; clones share the certificates,
/// so that one `reload` reaches all of them.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    identities: Arc<Identities>,
}

/// Where a certificate with its chain and its key lie, as PEM. It may be one file for both, which is
/// then read once: who renames another into its place changes both in one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The certificates, those first that are given first where a client can check them: old clients
/// check RSA only, new ones are served sooner with ECDSA.
#[derive(Debug)]
struct Identities(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Identities {
    // Of TLS 1.2 rustls shows the schemes only that some offered suite can be used with.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let identities = self.0.load();
        let usable = |identity: &&Arc<CertifiedKey>| identity.key.choose_scheme(schemes).is_some();
        let found = identities.iter().find(usable);
        // Where none is usable rustls refuses the handshake itself, with the right alert.
        found.or_else(|| identities.first()).map(Arc::clone)
    }
}

impl Acceptor {
    /// From two files: the certificate with its chain, and its key.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::from_files(&[IdentityFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }])
    }

    /// From several pairs of files, one for each kind of key: a client is shown the first that it
    /// can check, ECDSA before RSA.
    pub fn from_files(files: &[IdentityFiles]) -> Result<Self, TlsError> {
        Self::new(identities_of_files(files)?)
    }

    /// From PEM in memory: the certificate with its chain, and its key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let identity = pem::identity(&Pem::given(certificate), &Pem::given(key))?;
        Self::new(vec![identity])
    }

    fn new(identities: Vec<Arc<CertifiedKey>>) -> Result<Self, TlsError> {
        let identities = Arc::new(Identities(ArcSwap::new(Arc::new(identities))));
        let config = ServerConfig::builder_with_provider(crate::provider())
            .with_protocol_versions(crate::VERSIONS)
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Identities>::clone(&identities));
        Ok(Self {
            config: Arc::new(config),
            identities,
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
    pub async fn accept<S>(&self, stream: S) -> io::Result<ServerStreamOver<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config))
            .accept(stream)
            .await
    }

    /// Takes another certificate for all handshakes from here on. On an error the old one stays.
    pub fn reload(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let identity = pem::identity(&Pem::given(certificate), &Pem::given(key))?;
        self.identities.0.store(Arc::new(vec![identity]));
        Ok(())
    }

    /// As `reload`, from files. Whether they hold others than before.
    pub fn reload_files(&self, files: &[IdentityFiles]) -> Result<bool, TlsError> {
        let identities = identities_of_files(files)?;
        let before = self.identities.0.swap(Arc::new(identities));
        let chains = |all: &[Arc<CertifiedKey>]| -> Vec<_> {
            all.iter().map(|identity| identity.cert.clone()).collect()
        };
        Ok(chains(&before) != chains(&self.identities.0.load()))
    }

    /// The servers' own certificates, as they are shown now.
    pub fn certificates(&self) -> Vec<Certificate> {
        let identities = self.identities.0.load();
        let own = identities
            .iter()
            .filter_map(|identity| identity.cert.first());
        own.filter_map(Certificate::read).collect()
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

fn identities_of_files(files: &[IdentityFiles]) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let read = |files: &IdentityFiles| {
        let chain = pem::read(&files.certificate)?;
        let private = if files.key == files.certificate {
            chain.clone()
        } else {
            pem::read(&files.key)?
        };
        pem::identity(
            &Pem::of(&files.certificate, &chain),
            &Pem::of(&files.key, &private),
        )
    };
    let mut identities = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    identities.sort_by_key(|identity| match identity.key.algorithm() {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::RSA => 1,
        _ => 2,
    });
    Ok(identities)
}
