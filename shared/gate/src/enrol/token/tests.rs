use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use postrider_model::VendorId;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_770_000_000;

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn key(status: KeyStatus) -> Arc<VendorKey> {
    Arc::new(VendorKey {
        kid: "k1".to_owned(),
        vendor: VendorId::from_bytes([1; 16]),
        public_key: pair().public_key().as_ref().try_into().unwrap(),
        status,
        created_at: Timestamp::from_micros(0),
    })
}

fn signed(header: &Value, payload: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", part(header), part(payload));
    let signature = pair().sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"})
}

fn payload() -> Value {
    json!({
        "iss": "acme", "sub": "L-1", "plan": "gold", "iat": NOW - 60, "exp": NOW + 60,
        "attested": "joe@garage.example", "other": [1, 2],
    })
}

fn with(json: Value, name: &str, value: Value) -> Value {
    let mut json = json;
    json[name] = value;
    json
}

fn checked(token: &str) -> Result<Claims, TokenFault> {
    let find = |name: KeyName<'_>| match name {
        KeyName::Kid("k1") | KeyName::Issuer("acme") => vec![key(KeyStatus::Active)],
        _ => Vec::new(),
    };
    let now = Timestamp::from_micros(NOW * 1_000_000);
    check(token, find, now).map(|(claims, _)| claims)
}

#[test]
fn a_vendors_word_is_taken_as_it_stands() {
    let claims = checked(&signed(&header(), &payload())).unwrap();
    let issuer = claims.issuer.as_deref();
    assert_eq!((issuer, claims.licence.as_str()), (Some("acme"), "L-1"));
    assert_eq!(claims.plan.unwrap().as_str(), "gold");
    assert_eq!(claims.issued_at.as_micros(), (NOW - 60) * 1_000_000);
    assert_eq!(claims.attested.unwrap().to_string(), "joe@garage.example");
    assert_eq!(claims.reply_to, None);
    let half: Value = serde_json::from_str(&format!("{NOW}.5")).unwrap();
    let bare = json!({"iss": "acme", "sub": "L-1", "iat": half, "exp": NOW + 1});
    assert_eq!(checked(&signed(&header(), &bare)).unwrap().plan, None);
    let nameless = signed(&json!({"alg": "EdDSA"}), &payload());
    assert!(checked(&nameless).is_ok(), "by one of the issuer's keys");
}

#[test]
fn a_token_that_somebody_else_may_have_made_is_refused() {
    let good = signed(&header(), &payload());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let forged = with(payload(), "sub", json!("L-2"));
    let forged = signed(&header(), &forged);
    let (forged, _) = forged.rsplit_once('.').unwrap();
    let not_of_k1 = TokenFault::Signature {
        kid: "k1".to_owned(),
    };
    assert_eq!(
        checked(&format!("{forged}.{signature}")),
        Err(not_of_k1.clone())
    );
    assert_eq!(checked(&format!("{input}.")), Err(not_of_k1));
    for alg in ["none", "HS256", "RS256", "Ed448", "eddsa", ""] {
        let token = signed(&with(header(), "alg", json!(alg)), &payload());
        let alg = alg.to_owned();
        assert_eq!(checked(&token), Err(TokenFault::Algorithm { alg }));
    }
    let kid = "k2".to_owned();
    let other = signed(&with(header(), "kid", json!(kid)), &payload());
    assert_eq!(checked(&other), Err(TokenFault::UnknownKey { kid }));
    let revoked = check(
        &good,
        |_| vec![key(KeyStatus::Revoked)],
        Timestamp::from_micros(0),
    );
    assert!(matches!(revoked, Err(TokenFault::UnknownKey { .. })));
}

#[test]
fn a_token_without_a_kid_is_told_by_its_issuer() {
    let nameless = |issuer: &str| {
        let payload = with(payload(), "iss", json!(issuer));
        signed(&json!({"alg": "EdDSA"}), &payload)
    };
    let unknown = TokenFault::UnknownIssuer {
        issuer: "wrench".to_owned(),
    };
    assert_eq!(checked(&nameless("wrench")), Err(unknown));
    let good = nameless("acme");
    let (input, _) = good.rsplit_once('.').unwrap();
    let foreign = TokenFault::NoKeyOf {
        issuer: "acme".to_owned(),
    };
    assert_eq!(checked(&format!("{input}.")), Err(foreign));
}

#[test]
fn what_is_no_token_is_refused_before_any_key_is_asked_for() {
    let good = signed(&header(), &payload());
    let long = format!("{good}.{}", "a".repeat(TOKEN_MOST));
    let critical = signed(&with(header(), "crit", json!(["b64"])), &payload());
    let nameless = with(payload(), "iss", Value::Null);
    let nameless = signed(&json!({"alg": "EdDSA"}), &nameless);
    for token in [
        "",
        "a.b",
        "..",
        &format!("{good}.x"),
        &good.replace('.', ". "),
        &format!("{good}="),
        &long,
        &critical,
        &nameless,
    ] {
        let fault = checked(token).unwrap_err();
        assert!(
            matches!(fault, TokenFault::Malformed(_)),
            "{token}: {fault}"
        );
    }
    let text = signed(&header(), &json!("text"));
    assert!(matches!(checked(&text), Err(TokenFault::Malformed(_))));
}

#[test]
fn a_claim_that_is_missing_or_no_such_thing_is_named() {
    for (name, value) in [
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(" a")),
        ("plan", json!("")),
        ("exp", Value::Null),
        ("exp", json!(1e300)),
        ("iat", Value::Null),
        ("iat", json!(-1)),
        ("reply_to", json!("joe")),
        ("attested", json!("joe@")),
    ] {
        let token = signed(&header(), &with(payload(), name, value));
        match checked(&token) {
            Err(TokenFault::Claim { claim, .. }) => assert_eq!(claim, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_token_has_its_time() {
    let at =
        |name, seconds: i64| checked(&signed(&header(), &with(payload(), name, json!(seconds))));
    assert!(matches!(at("exp", NOW), Err(TokenFault::Expired { .. })));
    assert!(at("exp", NOW + 1).is_ok());
    assert!(at("iat", NOW + 299).is_ok(), "a clock that is ahead");
    assert!(matches!(
        at("iat", NOW + 301),
        Err(TokenFault::TooEarly { .. })
    ));
    assert!(matches!(
        at("nbf", NOW + 301),
        Err(TokenFault::TooEarly { .. })
    ));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[A-Za-z0-9_.-]{0,200}") {
        proptest::prop_assert!(checked(&text).is_err());
    }
}
