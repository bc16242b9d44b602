//! What a vendor says of a licence: a compact JWS (RFC 7515 §7.1) with `EdDSA` (RFC 8037 §3.1),
//! read and checked. Pure: keys and the time are given.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_model::{EmailAddress, KeyStatus, Licence, Plan, Timestamp, VendorKey};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A token's bytes at most.
pub(crate) const TOKEN_MOST: usize = 8_192;
/// By how much a vendor's clock may be ahead of ours.
const AHEAD_MICROS: i64 = 5 * 60 * 1_000_000;
/// How long a token may be good, from when it was issued: one that leaks is not one for ever.
const DAYS_MOST: i64 = 32;
/// The last second of the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What a checked token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The vendor's slug or id, where the token names it.
    pub(crate) issuer: Option<String>,
    pub(crate) licence: Licence,
    pub(crate) plan: Option<Plan>,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// The only reply address that it may be used with.
    pub(crate) reply_to: Option<EmailAddress>,
    /// As `reply_to`, and the vendor vouches that it is the licence holder's.
    pub(crate) attested: Option<EmailAddress>,
}

impl Claims {
    /// The reply addresses that it may be used with, where it names any.
    pub(crate) fn bound(&self) -> impl Iterator<Item = &EmailAddress> {
        [&self.reply_to, &self.attested].into_iter().flatten()
    }
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not three parts of base64url, or not JSON in the first two.
    #[error("the token cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the token is signed with {alg:?}, not EdDSA")]
    Algorithm { alg: String },
    /// Unknown and revoked ones are not told apart.
    #[error("no vendor has the key {kid:?}")]
    UnknownKey { kid: String },
    /// It has no `kid`. A vendor without keys and one that is not there are not told apart.
    #[error("no vendor with a key is called {issuer:?}")]
    UnknownIssuer { issuer: String },
    #[error("the token's signature is not that of the key {kid:?}")]
    Signature { kid: String },
    /// It has no `kid`.
    #[error("the token's signature is not that of any key of {issuer:?}")]
    NoKeyOf { issuer: String },
    #[error("the claim {claim} {reason}")]
    Claim { claim: &'static str, reason: String },
    #[error("the token ended at {at}")]
    Expired { at: Timestamp },
    #[error("the token begins at {at}")]
    TooEarly { at: Timestamp },
}

/// RFC 7515 §4.1.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// RFC 7519 §4.1, and ours.
#[derive(Deserialize)]
struct Given {
    iss: Option<String>,
    sub: Option<String>,
    plan: Option<String>,
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
    reply_to: Option<String>,
    attested: Option<String>,
}

/// By what a token names the key that it is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyName<'a> {
    Kid(&'a str),
    /// No `kid`: one of this vendor's.
    Issuer(&'a str),
}

/// Reads a token at `now` that is signed with one of the keys that `find` knows by this name.
/// Gives its claims, and the key: whose it is the caller compares with `issuer`.
pub(crate) fn check<K: AsRef<VendorKey>>(
    token: &str,
    find: impl FnOnce(KeyName<'_>) -> Vec<K>,
    now: Timestamp,
) -> Result<(Claims, K), TokenFault> {
    if token.len() > TOKEN_MOST {
        return Err(TokenFault::Malformed("it is longer than 8192 characters"));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, payload, signature] = parts.as_slice() else {
        return Err(TokenFault::Malformed(
            "it has not three parts with dots between them",
        ));
    };
    let given: Header = read(header)?;
    // Never `none`, and nothing that takes a public key for a shared secret.
    if given.alg != "EdDSA" {
        return Err(TokenFault::Algorithm { alg: given.alg });
    }
    if given.crit.is_some() {
        return Err(TokenFault::Malformed(
            "its header has crit, and no extension is known",
        ));
    }
    let said: Given = read(payload)?;
    let name = match (&given.kid, &said.iss) {
        (Some(kid), _) => KeyName::Kid(kid),
        (None, Some(issuer)) => KeyName::Issuer(issuer),
        (None, None) => return Err(TokenFault::Malformed("it has neither kid nor iss")),
    };
    let signature = decoded(signature)?;
    let mut keys = find(name);
    keys.retain(|key| key.as_ref().status == KeyStatus::Active);
    if keys.is_empty() {
        return Err(name.unknown());
    }
    let signed = token.get(..header.len() + 1 + payload.len());
    let signed = signed.unwrap_or_default().as_bytes();
    let mut keys = keys.into_iter();
    let key = keys.find(|key| has_signed(key.as_ref(), signed, &signature));
    let key = key.ok_or_else(|| name.not_signed())?;
    Ok((claims(said, now)?, key))
}

impl KeyName<'_> {
    /// There is none of this name.
    fn unknown(self) -> TokenFault {
        match self {
            Self::Kid(kid) => TokenFault::UnknownKey { kid: kid.into() },
            Self::Issuer(issuer) => TokenFault::UnknownIssuer {
                issuer: issuer.into(),
            },
        }
    }

    /// None of this name has signed it.
    fn not_signed(self) -> TokenFault {
        match self {
            Self::Kid(kid) => TokenFault::Signature { kid: kid.into() },
            Self::Issuer(issuer) => TokenFault::NoKeyOf {
                issuer: issuer.into(),
            },
        }
    }
}

fn has_signed(key: &VendorKey, signed: &[u8], signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&ED25519, key.public_key);
    key.verify(signed, signature).is_ok()
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::Malformed("a part of it is not base64url without padding"))
}

fn read<T: DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| {
        TokenFault::Malformed("its header or payload is no JSON object of the claims it has")
    })
}

fn claims(given: Given, now: Timestamp) -> Result<Claims, TokenFault> {
    let fault = |claim, reason: &str| TokenFault::Claim {
        claim,
        reason: reason.to_owned(),
    };
    let missing = |claim| fault(claim, "is missing");
    let licence = given.sub.ok_or_else(|| missing("sub"))?;
    let licence = Licence::parse(&licence).map_err(|error| fault("sub", &said(&error)))?;
    let plan = given.plan.as_deref().map(Plan::parse).transpose();
    let plan = plan.map_err(|error| fault("plan", &said(&error)))?;
    let expires_at = moment("exp", given.exp)?.ok_or_else(|| missing("exp"))?;
    let issued_at = moment("iat", given.iat)?.ok_or_else(|| missing("iat"))?;
    if expires_at <= now {
        return Err(TokenFault::Expired { at: expires_at });
    }
    let micros = expires_at.as_micros() - issued_at.as_micros();
    if micros > DAYS_MOST * 86_400 * 1_000_000 {
        let reason = format!("is more than {DAYS_MOST} days after iat: sign a shorter one");
        return Err(TokenFault::Claim {
            claim: "exp",
            reason,
        });
    }
    let begins = moment("nbf", given.nbf)?.map_or(issued_at, |nbf| nbf.max(issued_at));
    if begins.as_micros() > now.as_micros() + AHEAD_MICROS {
        return Err(TokenFault::TooEarly { at: begins });
    }
    Ok(Claims {
        issuer: given.iss,
        licence,
        plan,
        issued_at,
        expires_at,
        reply_to: address("reply_to", given.reply_to.as_deref())?,
        attested: address("attested", given.attested.as_deref())?,
    })
}

fn said(error: &impl std::fmt::Display) -> String {
    format!("is not {error}")
}

// RFC 7519 §2: a NumericDate is seconds, which need not be whole.
fn moment(claim: &'static str, seconds: Option<f64>) -> Result<Option<Timestamp>, TokenFault> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    if !(0.0..=LAST_SECOND).contains(&seconds) {
        let reason = format!("is {seconds}, not seconds since 1970 before the year 10000");
        return Err(TokenFault::Claim { claim, reason });
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked: below 2^58 microseconds"
    )]
    let micros = (seconds * 1_000_000.0) as i64;
    Ok(Some(Timestamp::from_micros(micros)))
}

fn address(claim: &'static str, text: Option<&str>) -> Result<Option<EmailAddress>, TokenFault> {
    let Some(text) = text else {
        return Ok(None);
    };
    let parsed = EmailAddress::parse(text).map(Some);
    parsed.map_err(|error| TokenFault::Claim {
        claim,
        reason: format!("is not an address ({error})"),
    })
}

#[cfg(test)]
mod tests;
