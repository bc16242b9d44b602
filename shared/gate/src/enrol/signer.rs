//! The vendor's side: a key of its own, and the tokens it signs with it. For the sandbox's vendor
//! and for tests, as the reference of what a vendor's server does.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use postrider_runtime::Rng;
use serde_json::{Value, json};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const END: &str = "\n-----END PRIVATE KEY-----\n";
/// RFC 8410 §7: what stands before the 32 bytes in a `OneAsymmetricKey` of Ed25519.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// A vendor's private key. Has no `Display`, and `Debug` hides it.
pub struct VendorSigner {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl VendorSigner {
    /// A new one.
    pub fn mint(rng: &Rng) -> Option<Self> {
        Self::of(rng.bytes())
    }

    /// As `pem` writes it, and `openssl genpkey -algorithm ed25519`.
    pub fn read(pem: &str) -> Option<Self> {
        let (_, rest) = pem.split_once(BEGIN.trim_end())?;
        let (body, _) = rest.split_once(END.trim())?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).ok()?;
        Self::of(der.strip_prefix(&PKCS8)?.try_into().ok()?)
    }

    fn of(seed: [u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        Some(Self { seed, pair })
    }

    /// PKCS#8 in PEM. A secret.
    pub fn pem(&self) -> String {
        let der = [PKCS8.as_slice(), &self.seed].concat();
        format!("{BEGIN}{}{END}", STANDARD.encode(der))
    }

    /// The public half as a JWK has it in `x`.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// A compact JWS with these claims; `kid` names the key, where it is given.
    pub fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = match kid {
            Some(kid) => json!({"alg": "EdDSA", "kid": kid}),
            None => json!({"alg": "EdDSA"}),
        };
        self.sign_as(&header, claims)
    }

    /// The same under any header.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl std::fmt::Debug for VendorSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VendorSigner(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_file_and_never_printed() {
        let signer = VendorSigner::mint(&Rng::seeded(1)).unwrap();
        let again = VendorSigner::read(&signer.pem()).unwrap();
        assert_eq!(again.public(), signer.public());
        assert_eq!(format!("{signer:?}"), "VendorSigner(…)");
        assert!(VendorSigner::read("-----BEGIN PRIVATE KEY-----\nMC4=").is_none());
    }
}
