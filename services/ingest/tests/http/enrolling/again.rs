//! What a shop meets that enrols again, or wants new keys.

use postrider_gate::{KeyWishes, TenantDefaults};
use postrider_model::{
    Authority, Credential, CredentialStatus, KeyKind, Language, Licence, Plan, Vendor,
};
use postrider_store::{NewLimits, Vendors};
use serde_json::{Value, json};

use super::scene::{JOE, Scene};

/// The keys of enrolment that a tenant has, by the API or by SMTP.
fn keys_of(scene: &Scene, told: &Value, kind: KeyKind) -> Vec<Credential> {
    let roster = &scene.relay.roster;
    let tenant = roster
        .tenant_named(told["tenant"].as_str().unwrap())
        .unwrap();
    let keys = roster.credentials_of(tenant.id).into_iter();
    keys.filter(|key| key.kind == kind)
        .map(|key| (*key).clone())
        .collect()
}

#[tokio::test]
async fn a_suspended_key_is_not_got_around_by_rotating() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    let leaked = keys_of(&scene, &told, KeyKind::Api).remove(0);
    let directory = &scene.relay.provision.directory;
    let set = async |status| {
        let done =
            directory.set_credential_status(leaked.tenant, leaked.id, status, Authority::Operator);
        done.await.unwrap();
        scene.refresh().await;
    };
    set(CredentialStatus::Suspended).await;
    let refused = scene.rotate(&token).await;
    assert_eq!(
        (refused.status, refused.json["refusal"].as_str()),
        (403, Some("PR-215"))
    );
    set(CredentialStatus::Active).await;
    assert_eq!(scene.rotate(&token).await.status, 200);
}

#[tokio::test]
async fn a_new_key_is_as_narrow_as_the_one_before() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    let directory = &scene.relay.provision.directory;
    for kind in [KeyKind::Api, KeyKind::Smtp] {
        let narrow = Credential {
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            per_day: 7,
            skips_duplicates: false,
            ..keys_of(&scene, &told, kind).remove(0)
        };
        directory.change_credential(narrow).await.unwrap();
    }
    scene.refresh().await;
    assert_eq!(scene.rotate(&token).await.status, 200);
    for kind in [KeyKind::Api, KeyKind::Smtp] {
        let keys = keys_of(&scene, &told, kind);
        assert_eq!(keys.len(), 2);
        for key in keys {
            let manners = (key.per_day, key.skips_duplicates, key.networks.len());
            assert_eq!(manners, (7, false, 1), "{key:?}");
        }
    }
}

#[tokio::test]
async fn an_older_token_or_one_of_another_address_gives_no_new_keys() {
    let scene = Scene::start().await;
    let old = scene.token("L-1", &json!({"iat": scene.seconds() - 60}));
    let newer = scene.token("L-1", &json!({}));
    scene.enrol(&newer, JOE).await;
    let other = json!({"reply_to": "ann@x.example"});
    let vouched = json!({"attested": "ann@x.example"});
    for (token, entry) in [
        (old, "PR-715"),
        (scene.token("L-1", &other), "PR-709"),
        (scene.token("L-1", &vouched), "PR-709"),
    ] {
        let refused = scene.rotate(&token).await;
        let got = (refused.status, refused.json["refusal"].as_str());
        assert_eq!(got, (409, Some(entry)), "{}", refused.json);
    }
    let bound = scene.token("L-1", &json!({"reply_to": JOE}));
    assert_eq!(scene.rotate(&bound).await.status, 200);
}

#[tokio::test]
async fn a_token_is_good_for_a_month_at_most() {
    let scene = Scene::start().await;
    let now = scene.seconds();
    for (days, status) in [(33, 422), (32, 200)] {
        let claims = json!({"iat": now, "exp": now + days * 86_400});
        let answer = scene.enrol(&scene.token("L-1", &claims), JOE).await;
        assert_eq!(answer.status, status, "{days}: {}", answer.json);
        if status == 422 {
            assert_eq!(answer.json["refusal"], "PR-705");
            assert!(answer.json["message"].as_str().unwrap().contains("exp"));
        }
    }
}

#[tokio::test]
async fn the_same_token_again_changes_nothing() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    let generation = scene.relay.roster.generation();
    let again = json!({"name": "Other", "own_domain": true});
    let again = scene.enrol_with(&token, JOE, &again).await;
    assert_eq!(again.status, 200, "{}", again.json);
    scene.refresh().await;
    assert_eq!(scene.relay.roster.generation(), generation);
    let slug = told["tenant"].as_str().unwrap();
    let tenant = scene.relay.roster.tenant_named(slug).unwrap();
    assert_eq!(
        (tenant.name.as_str(), tenant.own_domain),
        ("Joe's Garage", false)
    );
}

#[tokio::test]
async fn a_bad_wish_does_not_use_the_token_up() {
    let scene = Scene::start().await;
    let first = scene.token("L-1", &json!({}));
    scene.enrol(&first, JOE).await;
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let bad = scene
        .enrol_with(&newer, "ann@x.example", &json!({"name": "a@b"}))
        .await;
    assert_eq!(bad.status, 422, "{}", bad.json);
    let good = scene.enrol(&newer, JOE).await;
    assert_eq!(good.status, 200, "not used with ann: {}", good.json);
}

#[tokio::test]
async fn a_shop_that_came_otherwise_gets_its_keys_when_it_enrols() {
    let scene = Scene::start().await;
    let defaults = TenantDefaults {
        vendor: scene.vendor.id,
        licence: Licence::parse("L-1").ok(),
        ..TenantDefaults::default()
    };
    let made = scene
        .relay
        .provision
        .tenant("Joe's Garage", JOE.parse().unwrap(), defaults);
    made.await.unwrap();
    scene.refresh().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    assert!(scene.opens(&told["http"]["key"]).await, "{told}");
    assert!(scene.opens(&told["smtp"]["password"]).await);
    let again = scene.enrol(&token, JOE).await.json;
    assert_eq!(again["http"]["key"], Value::Null);
}

#[tokio::test]
async fn a_language_that_the_vendor_does_not_have_is_its_first() {
    let scene = Scene::start().await;
    let tenant = |told: &Value| {
        let slug = told["tenant"].as_str().unwrap();
        scene.relay.roster.tenant_named(slug).unwrap()
    };
    let vendor = scene.relay.roster.vendor_named("acme").unwrap();
    let french = Vendor {
        languages: vec![Language::Fr],
        ..(*vendor).clone()
    };
    let now = scene.relay.clock.now();
    scene.relay.store.change_vendor(french, now).await.unwrap();
    scene.refresh().await;
    let english = json!({"language": "en"});
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol_with(&token, JOE, &english).await;
    assert_eq!(told.status, 200, "{}", told.json);
    assert_eq!(tenant(&told.json).language, Language::Fr);
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let told = scene.enrol_with(&newer, JOE, &english).await;
    assert_eq!(told.status, 200, "{}", told.json);
    assert_eq!(tenant(&told.json).language, Language::Fr);
    // Nor is one that we do not have, or none.
    for (at, language) in ["de", "de-CH", "", " ", "zh_Hant_TW.UTF-8", "x-klingon"]
        .iter()
        .enumerate()
    {
        let token = scene.token(&format!("L-2{at}"), &json!({}));
        let told = scene
            .enrol_with(&token, JOE, &json!({"language": language}))
            .await;
        assert_eq!(told.status, 200, "{language}: {}", told.json);
        assert_eq!(tenant(&told.json).language, Language::Fr, "{language}");
    }
}

#[tokio::test]
async fn another_plan_raises_no_limit() {
    let scene = Scene::start().await;
    let told = scene.enrol(&scene.token("L-1", &json!({})), JOE).await.json;
    let tenant = scene
        .relay
        .roster
        .tenant_named(told["tenant"].as_str().unwrap());
    let tenant = tenant.unwrap().id;
    let lowered = NewLimits {
        per_day: Some(3),
        ..NewLimits::default()
    };
    let directory = &scene.relay.provision.directory;
    let set = directory.set_limits(tenant, lowered, Authority::Operator);
    set.await.unwrap();
    scene.refresh().await;
    let change = json!({"iat": scene.seconds(), "plan": "gold"});
    let told = scene.enrol(&scene.token("L-1", &change), JOE).await;
    assert_eq!(told.status, 200, "{}", told.json);
    assert_eq!(told.json["limits"]["per_day"], 3);
    let now = scene.relay.roster.tenant(tenant).unwrap();
    assert_eq!(now.plan.as_ref().map(Plan::as_str), Some("gold"));
}

#[tokio::test]
async fn another_note_changes_nothing_of_what_enrolment_renews() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    let directory = &scene.relay.provision.directory;
    for kind in [KeyKind::Api, KeyKind::Smtp] {
        let noted = Credential {
            note: "till 3".to_owned(),
            ..keys_of(&scene, &told, kind).remove(0)
        };
        directory.change_credential(noted).await.unwrap();
    }
    // Of an operator's own making, and called as enrolment calls its keys.
    let provision = &scene.relay.provision;
    let tenant = keys_of(&scene, &told, KeyKind::Api)[0].tenant;
    let wishes = KeyWishes {
        note: "enrolment".to_owned(),
        ..KeyWishes::default()
    };
    let (own, _) = provision.credential(tenant, wishes).await.unwrap();
    scene.refresh().await;
    let again = scene.enrol(&token, JOE).await.json;
    assert!(again["http"]["key"].is_null(), "it has its keys: {again}");
    assert_eq!(scene.rotate(&token).await.status, 200);
    scene.refresh().await;
    let ends = |key: &Credential| key.expires_at.is_some();
    let api = keys_of(&scene, &told, KeyKind::Api);
    let ended: Vec<_> = api.iter().filter(|key| ends(key)).collect();
    assert_eq!(ended.len(), 1, "the one that was noted");
    assert_eq!(ended[0].note, "till 3");
    assert!(api.iter().any(|key| key.id == own.id && !ends(key)));
}
