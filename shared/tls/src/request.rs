//! What an authority is asked with: a key of our own, and a request (PKCS#10, RFC 2986) for it.

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RsaKeySize,
};

use crate::TlsError;

/// What a certificate's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256: quick, and what programs of today check.
    Ecdsa,
    /// RSA of 2048 bits: old programs check nothing else. Making one takes a while.
    Rsa,
}

/// A request for a certificate, and the key that it is about.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// DER.
    pub der: Vec<u8>,
    pub key_pem: String,
}

impl std::fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        write!(f, "CertificateRequest({} bytes)", self.der.len())
    }
}

/// Makes a new key and a request for a certificate with these names. It computes for up to a
/// second with RSA.
pub fn certificate_request(
    names: &[String],
    kind: KeyKind,
) -> Result<CertificateRequest, TlsError> {
    let key = new_key(kind)?;
    let mut params = CertificateParams::new(names).map_err(TlsError::NotMade)?;
    // Authorities take nothing but the names from a request (RFC 8555 §7.4).
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key);
    let request = request.map_err(TlsError::NotMade)?;
    Ok(CertificateRequest {
        der: request.der().to_vec(),
        key_pem: key.serialize_pem(),
    })
}

pub(crate) fn new_key(kind: KeyKind) -> Result<KeyPair, TlsError> {
    let made = match kind {
        KeyKind::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    made.map_err(TlsError::NotMade)
}
