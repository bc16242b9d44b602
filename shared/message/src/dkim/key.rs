//! Signing keys: made, and read once for many signatures.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use postrider_model::{DkimAlgorithm, Domain};

use super::sign::SignError;
use crate::words::BASE64;

/// Least bits of an RSA key (RFC 8301 §3.2: signers SHOULD use 2,048).
const RSA_LEAST_BITS: usize = 2_048;

/// Why a key is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is not a {0} private key in PKCS#8")]
    Rejected(DkimAlgorithm),
    #[error("the RSA key has {bits} bits, 2048 is the least")]
    TooShort { bits: usize },
    #[error("the selector {0:?} is not a domain name of labels from a-z, 0-9 and -")]
    Selector(String),
    #[error("the cryptographic library could not make a key")]
    Generate,
}

/// A private key with the name under which its public half is found.
pub struct SigningKey {
    secret: Secret,
    domain: Domain,
    selector: String,
}

enum Secret {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Reads a private key in PKCS#8 DER. `domain` becomes `d=`, `selector` becomes `s=`.
    pub fn from_pkcs8(
        algorithm: DkimAlgorithm,
        pkcs8: &[u8],
        domain: &Domain,
        selector: &str,
    ) -> Result<Self, KeyError> {
        // RFC 6376 §3.1: a selector has the form of a domain name.
        Domain::parse(selector)
            .ok()
            .filter(|parsed| parsed.as_str() == selector)
            .ok_or_else(|| KeyError::Selector(selector.to_owned()))?;
        let rejected = |_| KeyError::Rejected(algorithm);
        let secret = match algorithm {
            DkimAlgorithm::RsaSha256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?;
                let bits = pair.public_modulus_len() * 8;
                if bits < RSA_LEAST_BITS {
                    return Err(KeyError::TooShort { bits });
                }
                Secret::Rsa(pair)
            }
            DkimAlgorithm::Ed25519Sha256 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(rejected)?;
                Secret::Ed25519(pair)
            }
        };
        Ok(Self {
            secret,
            domain: domain.clone(),
            selector: selector.to_owned(),
        })
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub fn selector(&self) -> &str {
        &self.selector
    }

    pub fn algorithm(&self) -> DkimAlgorithm {
        match self.secret {
            Secret::Rsa(_) => DkimAlgorithm::RsaSha256,
            Secret::Ed25519(_) => DkimAlgorithm::Ed25519Sha256,
        }
    }

    /// Signs the canonical header, RFC 6376 §3.7.
    pub(crate) fn sign(&self, header: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.secret {
            Secret::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    header,
                    &mut signature,
                )
                .map_err(|_| SignError::Refused)?;
                Ok(signature)
            }
            // RFC 8463 §3: pure Ed25519 over the SHA-256 hash.
            Secret::Ed25519(pair) => Ok(pair
                .sign(digest(&SHA256, header).as_ref())
                .as_ref()
                .to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({} {}._domainkey.{})",
            self.algorithm(),
            self.selector,
            self.domain
        )
    }
}

/// A new key pair.
pub struct Generated {
    /// The private key, PKCS#8 DER.
    pub pkcs8: Vec<u8>,
    /// The text of the TXT record, unsplit: `v=DKIM1; k=rsa; p=…`.
    pub record: String,
}

/// Makes an RSA key of 2,048 bits or an Ed25519 key. RSA takes long: not on an async thread.
pub fn generate_key(algorithm: DkimAlgorithm) -> Result<Generated, KeyError> {
    let (pkcs8, kind, public) = match algorithm {
        DkimAlgorithm::RsaSha256 => rsa()?,
        DkimAlgorithm::Ed25519Sha256 => ed25519()?,
    };
    let record = format!("v=DKIM1; k={kind}; p={}", BASE64.encode(public));
    Ok(Generated { pkcs8, record })
}

// RFC 6376 §3.6.1: p= is a SubjectPublicKeyInfo for RSA; RFC 8463 §4.2: the 32 bytes for Ed25519.
fn rsa() -> Result<(Vec<u8>, &'static str, Vec<u8>), KeyError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate)?;
    let secret: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Generate)?;
    let public: PublicKeyX509Der<'_> =
        pair.public_key().as_der().map_err(|_| KeyError::Generate)?;
    Ok((secret.as_ref().to_vec(), "rsa", public.as_ref().to_vec()))
}

fn ed25519() -> Result<(Vec<u8>, &'static str, Vec<u8>), KeyError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?;
    let secret: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Generate)?;
    Ok((
        secret.as_ref().to_vec(),
        "ed25519",
        pair.public_key().as_ref().to_vec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_serves_many_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<SigningKey>();
    }

    #[test]
    fn keys_are_read_back_and_nothing_else_is() {
        let domain = Domain::parse("send.relay.example").unwrap();
        for algorithm in DkimAlgorithm::ALL.iter().copied() {
            let made = generate_key(algorithm).unwrap();
            let key =
                SigningKey::from_pkcs8(algorithm, &made.pkcs8, &domain, "202601-a-r").unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(
                format!("{key:?}"),
                format!("SigningKey({algorithm} 202601-a-r._domainkey.send.relay.example)")
            );
            for selector in ["", "a b", "a;b", "A", "a..b", "é"] {
                let got = SigningKey::from_pkcs8(algorithm, &made.pkcs8, &domain, selector);
                assert_eq!(got.err(), Some(KeyError::Selector(selector.into())));
            }
            let broken = SigningKey::from_pkcs8(algorithm, &made.pkcs8[1..], &domain, "a");
            assert_eq!(broken.err(), Some(KeyError::Rejected(algorithm)));
        }
    }
}
