//! The certificate authority of this internet, made on the spot or read from its folder, and
//! the certificates that the exchangers show.

use std::io;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};

use crate::script::Certificate;

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("{0} cannot be read or written")]
    File(String, #[source] io::Error),
    #[error("a certificate cannot be made")]
    Certificate(#[source] rcgen::Error),
}

/// A certificate with its chain, and its key, both as PEM.
#[derive(Clone)]
pub struct Issued {
    pub certificate_pem: String,
    /// A secret; not printed.
    pub key_pem: String,
}

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKey {
    /// P-256, for the programs of today.
    Ecdsa,
    /// 2,048 bits, for old ones.
    Rsa,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// An authority for as long as this process lives.
    pub(crate) fn fresh() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Certificate)?;
        let certificate = params()
            .self_signed(&key)
            .map_err(AuthorityError::Certificate)?;
        Ok(Self {
            issuer: Issuer::new(params(), key),
            pem: certificate.pem(),
        })
    }

    /// The authority that this folder holds (`ca.pem`, `ca-key.pem`); made there if it is not.
    pub(crate) fn kept_in(dir: &Path) -> Result<Self, AuthorityError> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca-key.pem"));
        if certificate.exists() && key.exists() {
            let text = std::fs::read_to_string(&key).map_err(|error| at(&key, error))?;
            let pair = KeyPair::from_pem(&text).map_err(AuthorityError::Certificate)?;
            let pem =
                std::fs::read_to_string(&certificate).map_err(|error| at(&certificate, error))?;
            return Ok(Self {
                issuer: Issuer::new(params(), pair),
                pem,
            });
        }
        let made = Self::fresh()?;
        std::fs::create_dir_all(dir).map_err(|error| at(dir, error))?;
        write_secret(&key, &made.issuer.key().serialize_pem()).map_err(|error| at(&key, error))?;
        std::fs::write(&certificate, &made.pem).map_err(|error| at(&certificate, error))?;
        Ok(made)
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for all of these names and addresses, with a key of this kind.
    pub(crate) fn issue_for(&self, names: &[&str], key: LeafKey) -> Result<Issued, AuthorityError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let signed = || {
            let key = match key {
                LeafKey::Ecdsa => KeyPair::generate()?,
                LeafKey::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            };
            let leaf = leaf(names)?;
            Ok(Issued {
                certificate_pem: format!(
                    "{}{}",
                    leaf.signed_by(&key, &self.issuer)?.pem(),
                    self.pem
                ),
                key_pem: key.serialize_pem(),
            })
        };
        signed().map_err(AuthorityError::Certificate)
    }

    /// A certificate for this name.
    pub(crate) fn issue(&self, name: &str, kind: Certificate) -> Result<Issued, AuthorityError> {
        self.sign(name, kind).map_err(AuthorityError::Certificate)
    }

    fn sign(&self, name: &str, kind: Certificate) -> Result<Issued, rcgen::Error> {
        let named = if kind == Certificate::WrongName {
            "wrong-name.invalid"
        } else {
            name
        };
        let mut leaf = leaf(vec![named.to_owned()])?;
        leaf.use_authority_key_identifier_extension = kind != Certificate::SelfSigned;
        // Otherwise from 1975 to 4096: valid by whatever clock a test holds.
        if kind == Certificate::Expired {
            leaf.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate_pem = if kind == Certificate::SelfSigned {
            leaf.self_signed(&key)?.pem()
        } else {
            format!("{}{}", leaf.signed_by(&key, &self.issuer)?.pem(), self.pem)
        };
        Ok(Issued {
            certificate_pem,
            key_pem: key.serialize_pem(),
        })
    }
}

fn leaf(names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "postrider fake internet");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(leaf)
}

// The same at every start: an issuer is known by its name and its key.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Postrider fake internet CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn at(path: &Path, error: io::Error) -> AuthorityError {
    AuthorityError::File(path.display().to_string(), error)
}

fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
