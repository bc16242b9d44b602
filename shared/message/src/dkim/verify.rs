//! Verdicts on the signatures of a message, by mail-auth, with key records as an argument. Its
//! own entry point owns a DNS resolver; here its parser, canonical forms, hashes and keys are
//! put together without one.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::common::headers::Header;
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::{Canonicalization, Signature};
use mail_auth::{AuthenticatedMessage, Error};

use crate::field::split;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DkimVerdict {
    Pass,
    /// Why it does not verify.
    Fail(String),
}

/// One DKIM-Signature field and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureCheck {
    /// `d=` and `s=`; empty where the field cannot be read.
    pub domain: String,
    pub selector: String,
    pub verdict: DkimVerdict,
}

/// The names of the TXT records that `verify` will ask for: `selector._domainkey.domain`.
pub fn signature_names(message: &[u8]) -> Vec<String> {
    let parsed = AuthenticatedMessage::parse(message).unwrap_or_default();
    parsed
        .dkim_headers
        .iter()
        .map(|header| key_name(&header.header))
        .collect()
}

/// Verifies each DKIM-Signature field, in order. `lookup` gives the text of the TXT record of a
/// name. Reads the machine's clock for `x=`.
pub fn verify(message: &[u8], lookup: &dyn Fn(&str) -> Option<String>) -> Vec<SignatureCheck> {
    let now = u64::try_from(super::now().as_seconds()).unwrap_or_default();
    let Some(mut parsed) = AuthenticatedMessage::parse(message) else {
        return vec![];
    };
    let trimmed = trimmed(message);
    let relaxed_hashes = match &trimmed {
        Cow::Borrowed(_) => parsed.body_hashes.clone(),
        Cow::Owned(text) => {
            AuthenticatedMessage::parse(text)
                .unwrap_or_default()
                .body_hashes
        }
    };
    let mut checks: Vec<(usize, SignatureCheck)> =
        parsed.errors.iter().filter_map(unreadable).collect();
    for header in std::mem::take(&mut parsed.dkim_headers) {
        let place = header.value.as_ptr().addr();
        let signature = header.header.clone();
        let is_relaxed = signature.cb == Canonicalization::Relaxed;
        let hashes = if is_relaxed {
            &relaxed_hashes
        } else {
            &parsed.body_hashes
        };
        let algorithm = HashAlgorithm::from(signature.a);
        let body_is_good = hashes.iter().any(|(form, hash, length, value)| {
            (form, hash, length) == (&signature.cb, &algorithm, &signature.l)
                && *value == signature.bh
        });
        let verdict = if body_is_good {
            check(&mut parsed, header, lookup, now)
        } else {
            Err("the body hash does not match".to_owned())
        };
        let verdict = verdict.map_or_else(DkimVerdict::Fail, |()| DkimVerdict::Pass);
        checks.push((
            place,
            SignatureCheck {
                domain: signature.d,
                selector: signature.s,
                verdict,
            },
        ));
    }
    checks.sort_by_key(|(place, _)| *place);
    checks.into_iter().map(|(_, check)| check).collect()
}

fn unreadable(header: &Header<'_, Error>) -> Option<(usize, SignatureCheck)> {
    let is_dkim = header
        .name
        .trim_ascii()
        .eq_ignore_ascii_case(b"DKIM-Signature");
    let verdict = DkimVerdict::Fail(header.header.to_string());
    let check = SignatureCheck {
        domain: String::new(),
        selector: String::new(),
        verdict,
    };
    is_dkim.then(|| (header.value.as_ptr().addr(), check))
}

// RFC 6376 §6.1, the body hash being good.
fn check<'x>(
    message: &mut AuthenticatedMessage<'x>,
    header: Header<'x, Signature>,
    lookup: &dyn Fn(&str) -> Option<String>,
    now: u64,
) -> Result<(), String> {
    let signature = header.header.clone();
    if signature.x != 0 && (signature.x <= signature.t || signature.x <= now) {
        return Err("it has expired".to_owned());
    }
    if !signature
        .h
        .iter()
        .any(|name| name.eq_ignore_ascii_case("From"))
    {
        return Err("it does not cover From".to_owned());
    }
    if !is_within(&signature.i, &signature.d) {
        return Err("i= is not within d=".to_owned());
    }
    let name = key_name(&signature);
    let record = lookup(&name).ok_or_else(|| format!("there is no key record {name}"))?;
    let key = DomainKey::parse(record.as_bytes()).map_err(|error| error.to_string())?;
    // mail-auth gives the canonical header of the first signature it holds.
    message.dkim_headers = vec![header];
    let signed = ready(message.get_canonicalized_header());
    message.dkim_headers.clear();
    let signed = signed
        .unwrap_or(Err(Error::ParseError))
        .map_err(|error| error.to_string())?;
    key.p
        .verify_bytes(&signed, &signature.b, signature.a)
        .map_err(|error| error.to_string())
}

fn key_name(signature: &Signature) -> String {
    format!("{}._domainkey.{}", signature.s, signature.d)
}

// RFC 6376 §3.5: the domain of i= is d= or below it.
fn is_within(identity: &str, domain: &str) -> bool {
    let Some((_, of)) = identity.rsplit_once('@') else {
        return identity.is_empty();
    };
    let (of, domain) = (of.to_ascii_lowercase(), domain.to_ascii_lowercase());
    of == domain
        || of
            .strip_suffix(&domain)
            .is_some_and(|parent| parent.ends_with('.'))
}

// mail-auth before 0.15 keeps lines of nothing but white space at the end of a relaxed body
// (its issue 62). Without them the relaxed form is the same and its hash is right.
fn trimmed(message: &[u8]) -> Cow<'_, [u8]> {
    let Ok(parts) = split(message) else {
        return Cow::Borrowed(message);
    };
    let header = message.len() - parts.body.len();
    let Some(last) = parts.body.iter().rposition(|b| !b.is_ascii_whitespace()) else {
        return Cow::Owned(message.get(..header).unwrap_or_default().to_vec());
    };
    let after = parts.body.get(last + 1..).unwrap_or_default();
    let Some(end) = memchr::memmem::find(after, b"\r\n") else {
        return Cow::Borrowed(message);
    };
    if end + 2 == after.len() {
        return Cow::Borrowed(message);
    }
    Cow::Owned(
        message
            .get(..header + last + 1 + end + 2)
            .unwrap_or_default()
            .to_vec(),
    )
}

// The future of a function that is async in name only.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_a_verdict_in_its_order() {
        let raw = b"DKIM-Signature: nonsense\r\n\
            DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=k; h=From; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA; c=relaxed/relaxed\r\n\
            DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=k; h=From; bh=AAAA; b=AAAA; c=relaxed/relaxed\r\n\
            From: a@a.example\r\n\r\n";
        assert_eq!(
            signature_names(raw),
            ["k._domainkey.a.example", "k._domainkey.b.example"]
        );
        let checks = verify(raw, &|_| None);
        let domains: Vec<_> = checks.iter().map(|check| check.domain.as_str()).collect();
        assert_eq!(domains, ["", "a.example", "b.example"]);
        let fail = |text: &str| DkimVerdict::Fail(text.to_owned());
        assert_eq!(
            checks[1].verdict,
            fail("there is no key record k._domainkey.a.example")
        );
        assert_eq!(checks[2].verdict, fail("the body hash does not match"));
        assert!(matches!(checks[0].verdict, DkimVerdict::Fail(_)));
    }

    #[test]
    fn an_identity_lies_within_its_domain() {
        for (identity, want) in [
            ("", true),
            ("@a.example", true),
            ("x@A.example", true),
            ("@b.a.example", true),
            ("@ba.example", false),
            ("@example", false),
            ("x", false),
        ] {
            assert_eq!(is_within(identity, "a.example"), want, "{identity}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_verifier(
            raw in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200),
            field in "[ -~]{0,100}",
        ) {
            verify(&raw, &|_| Some("v=DKIM1; p=AAAA".to_owned()));
            let mut message = format!("DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=k; {field}\r\n").into_bytes();
            message.extend_from_slice(&raw);
            verify(&message, &|_| Some("v=DKIM1; p=AAAA".to_owned()));
            signature_names(&message);
        }
    }
}
