//! Certificates and keys from PEM (RFC 7468), and what is wrong with them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};

/// Why TLS cannot be set up. Each names the file (or `the given PEM`) and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0} cannot be read; check that it exists and that this user may read it")]
    Unreadable(String, #[source] io::Error),
    #[error("{0} holds no certificate; put the server's certificate and its chain there, as PEM")]
    NoCertificate(String),
    #[error("{0} holds no private key; put the unencrypted key there, as PEM")]
    NoKey(String),
    #[error("{0} is not valid PEM; write it anew from where it came from")]
    BadPem(String, #[source] pem::Error),
    #[error(
        "the key in {key} does not match the first certificate in {certificate}; put the pair that was issued together there"
    )]
    KeyMismatch { certificate: String, key: String },
    #[error("the key in {0} cannot be used; give an RSA (≥ 2048 bit), ECDSA or Ed25519 key")]
    BadKey(String, #[source] rustls::Error),
    #[error("the certificate in {0} cannot be used; write it anew from where it came from")]
    BadCertificate(String, #[source] rustls::Error),
    #[error("a certificate cannot be made for these names")]
    NotMade(#[source] rcgen::Error),
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// PEM text and what to call it in an error.
pub(crate) struct Pem<'a> {
    pub(crate) name: String,
    pub(crate) text: &'a [u8],
}

impl<'a> Pem<'a> {
    pub(crate) fn given(text: &'a [u8]) -> Self {
        Self {
            name: "the given PEM".to_owned(),
            text,
        }
    }

    pub(crate) fn of(path: &Path, text: &'a [u8]) -> Self {
        Self {
            name: path.display().to_string(),
            text,
        }
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path)
        .map_err(|error| TlsError::Unreadable(PathBuf::from(path).display().to_string(), error))
}

/// The certificates in the order they stand; at least one.
pub(crate) fn certificates(pem: &Pem<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.text).collect();
    let chain = chain.map_err(|error| TlsError::BadPem(pem.name.clone(), error))?;
    if chain.is_empty() {
        Err(TlsError::NoCertificate(pem.name.clone()))
    } else {
        Ok(chain)
    }
}

/// A chain with its key, checked to belong together.
pub(crate) fn identity(
    certificate: &Pem<'_>,
    key: &Pem<'_>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(key.text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(key.name.clone()),
        error => TlsError::BadPem(key.name.clone(), error),
    })?;
    let provider = crate::provider();
    let signer = provider.key_provider.load_private_key(private);
    let signer = signer.map_err(|error| TlsError::BadKey(key.name.clone(), error))?;
    let identity = CertifiedKey::new(chain, signer);
    match identity.keys_match() {
        // A signer that cannot tell its public key proves nothing against the pair.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(identity))
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch {
            certificate: certificate.name.clone(),
            key: key.name.clone(),
        }),
        Err(error) => Err(TlsError::BadCertificate(certificate.name.clone(), error)),
    }
}
