//! A vendor's public key as it is handed over: PEM, a JWK, or its bare 32 bytes in base64.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_model::{KeyStatus, Timestamp, VendorId, VendorKey};
use serde::Deserialize;

const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// RFC 8410 §4: what stands before the 32 bytes in a `SubjectPublicKeyInfo` of Ed25519.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Why a text is no Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorKeyError {
    #[error(
        "this is a private key: keep it secret, and give its public half (`openssl pkey -in FILE -pubout`)"
    )]
    Private,
    #[error(
        "the key is of another kind: make an Ed25519 key (`openssl genpkey -algorithm ed25519`)"
    )]
    OtherKind,
    #[error(
        "this is no public key: give a file with -----BEGIN PUBLIC KEY-----, a JWK, or 32 bytes in base64"
    )]
    Unreadable,
}

/// RFC 8037 §2: an Ed25519 key in JSON.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// A vendor's key of its public half, in whichever of the three forms.
pub fn vendor_key(
    vendor: VendorId,
    text: &str,
    created_at: Timestamp,
) -> Result<VendorKey, VendorKeyError> {
    let public_key = public_key(text.trim())?;
    Ok(VendorKey {
        kid: thumbprint(&public_key),
        vendor,
        public_key,
        status: KeyStatus::Active,
        created_at,
    })
}

fn public_key(text: &str) -> Result<[u8; 32], VendorKeyError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(VendorKeyError::Private);
    }
    if let Some((_, rest)) = text.split_once(PEM_BEGIN) {
        let (body, _) = rest.split_once(PEM_END).ok_or(VendorKeyError::Unreadable)?;
        return of_spki(&decoded(body)?);
    }
    if text.starts_with('{') {
        return of_jwk(text);
    }
    let bytes = decoded(text)?;
    <[u8; 32]>::try_from(bytes.as_slice()).or_else(|_| of_spki(&bytes))
}

fn of_jwk(text: &str) -> Result<[u8; 32], VendorKeyError> {
    let jwk: Jwk = serde_json::from_str(text).map_err(|_| VendorKeyError::Unreadable)?;
    if jwk.d.is_some() {
        return Err(VendorKeyError::Private);
    }
    if jwk.kty != "OKP" || jwk.crv.as_deref() != Some("Ed25519") {
        return Err(VendorKeyError::OtherKind);
    }
    let bytes = decoded(jwk.x.as_deref().unwrap_or(""))?;
    bytes.try_into().map_err(|_| VendorKeyError::Unreadable)
}

fn of_spki(der: &[u8]) -> Result<[u8; 32], VendorKeyError> {
    match der.strip_prefix(&SPKI) {
        Some(key) => key.try_into().map_err(|_| VendorKeyError::Unreadable),
        // A SEQUENCE, of something else.
        None if der.first() == Some(&0x30) => Err(VendorKeyError::OtherKind),
        None => Err(VendorKeyError::Unreadable),
    }
}

// Either alphabet, with or without padding, over several lines.
fn decoded(text: &str) -> Result<Vec<u8>, VendorKeyError> {
    let plain = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '=');
    let url: String = plain
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    URL_SAFE_NO_PAD
        .decode(url)
        .map_err(|_| VendorKeyError::Unreadable)
}

/// RFC 7638 §3 with the members of RFC 8037 §2.
fn thumbprint(key: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(key);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8037 appendix A.2 and A.3.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    fn read(text: &str) -> Result<VendorKey, VendorKeyError> {
        vendor_key(
            VendorId::from_bytes([1; 16]),
            text,
            Timestamp::from_micros(0),
        )
    }

    #[test]
    fn a_key_is_the_same_in_all_its_forms() {
        let bare = URL_SAFE_NO_PAD.decode(X).unwrap();
        let der = [SPKI.as_slice(), &bare].concat();
        let der = base64::engine::general_purpose::STANDARD.encode(der);
        let (first, second) = der.split_at(40);
        for text in [
            X.to_owned(),
            format!("{X}=\n"),
            base64::engine::general_purpose::STANDARD.encode(&bare),
            format!("{PEM_BEGIN}\n{first}\n{second}\n{PEM_END}\n"),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"other"}}"#),
        ] {
            let key = read(&text).unwrap();
            assert_eq!((key.public_key.as_slice(), key.kid.as_str()), (&*bare, KID));
        }
    }

    #[test]
    fn what_is_no_public_key_is_told_what_it_is() {
        let private = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","d":"{X}"}}"#);
        for (text, want) in [
            ("-----BEGIN PRIVATE KEY-----\nMC4=", VendorKeyError::Private),
            (private.as_str(), VendorKeyError::Private),
            (r#"{"kty":"RSA","n":"AQAB"}"#, VendorKeyError::OtherKind),
            (
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
                VendorKeyError::OtherKind,
            ),
            ("", VendorKeyError::Unreadable),
            ("{}", VendorKeyError::Unreadable),
            ("not a key", VendorKeyError::Unreadable),
            ("AAAA", VendorKeyError::Unreadable),
        ] {
            assert_eq!(read(text), Err(want), "{text}");
        }
    }
}
