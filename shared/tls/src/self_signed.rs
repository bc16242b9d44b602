//! A certificate by nobody, so that doors open before an authority has been asked.

use rcgen::CertificateParams;

use crate::request::new_key;
use crate::{KeyKind, TlsError};

/// A certificate with its chain, and its key: PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        write!(f, "Issued({} bytes)", self.certificate_pem.len())
    }
}

/// Makes a certificate for these names that is signed by its own new key. Who checks certificates
/// refuses it.
pub fn self_signed(names: &[String], kind: KeyKind) -> Result<Issued, TlsError> {
    let key = new_key(kind)?;
    let made = CertificateParams::new(names).and_then(|params| params.self_signed(&key));
    let made = made.map_err(TlsError::NotMade)?;
    Ok(Issued {
        certificate_pem: made.pem(),
        key_pem: key.serialize_pem(),
    })
}
