//! A certificate by nobody, so that doors open before an authority has been asked.

use crate::TlsError;

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

/// Makes a certificate for these names that is signed by its own key (ECDSA on P-256). Who checks
/// certificates refuses it.
pub fn self_signed(names: &[String]) -> Result<Issued, TlsError> {
    let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::NotMade)?;
    Ok(Issued {
        certificate_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    })
}
