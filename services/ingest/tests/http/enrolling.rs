//! What a vendor's program meets that brings a shop.

mod again;
mod letters;
mod owner;
mod scene;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postrider_model::{Language, VendorStatus};
use postrider_store::Vendors as _;
use serde_json::{Value, json};

use crate::harness::{OVERLAP, mail};
use scene::{JOE, Scene, add_vendor, pair};

#[tokio::test]
async fn a_shop_is_told_all_that_its_program_needs_and_the_secrets_once() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let first = scene.enrol(&token, JOE).await;
    assert_eq!(first.status, 200, "{}", first.json);
    let told = &first.json;
    assert_eq!(
        (&told["status"], &told["reply_to"]),
        (&json!("pending"), &json!(JOE))
    );
    assert_eq!(told["smtp"]["host"], "relay.example");
    assert_eq!(told["smtp"]["ports"], json!([465, 587]));
    assert_eq!(told["http"]["base"], "https://relay.example");
    assert_eq!(told["limits"]["per_day"], 2_000);
    let ramp = json!({"per_day": 50, "new_recipients_per_hour": 25});
    assert_eq!(told["ramp"], ramp, "what holds on its first day");
    assert_eq!(told["next_reply_to"], Value::Null);
    // No limit is null, as in `GET /usage`.
    assert_eq!(told["limits"].get("per_month"), Some(&Value::Null));
    assert_eq!(told["batch_per_minute"], 120);
    assert!(scene.opens(&told["http"]["key"]).await);
    assert!(scene.opens(&told["smtp"]["password"]).await);
    let again = scene.enrol(&token, JOE).await;
    let mut want = told.clone();
    want["smtp"]["password"] = Value::Null;
    want["http"]["key"] = Value::Null;
    assert_eq!(again.json, want);
    let tenant = scene
        .relay
        .roster
        .tenant_named(told["tenant"].as_str().unwrap());
    let tenant = tenant.unwrap();
    assert_eq!(
        (tenant.vendor, tenant.language),
        (scene.vendor.id, Language::Fr)
    );
    assert_eq!(
        tenant.plan.as_ref().map(postrider_model::Plan::as_str),
        Some("gold")
    );
    assert!(!tenant.ramp.is_past(), "nobody has seen it send yet");
}

#[tokio::test]
async fn a_shop_is_made_once_however_often_it_is_asked_for_at_once() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let (a, b, c) = tokio::join!(
        scene.enrol(&token, JOE),
        scene.enrol(&token, JOE),
        scene.enrol(&token, JOE)
    );
    let all = [a.json, b.json, c.json];
    assert!(all.iter().all(|told| told["tenant"] == all[0]["tenant"]));
    let told = all.iter().filter(|told| told["http"]["key"].is_string());
    assert_eq!(told.count(), 1, "{all:?}");
}

#[tokio::test]
async fn a_shop_whose_address_the_vendor_vouches_for_may_send_at_once() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({"attested": JOE}));
    let told = scene.enrol(&token, JOE).await.json;
    assert_eq!(told["status"], "active");
    let bearer = format!("Bearer {}", told["http"]["key"].as_str().unwrap());
    let fields = [("authorization", bearer.as_str())];
    let sent = scene.relay.ask("POST", "/emails", &fields, mail("")).await;
    assert_eq!(sent.status, 200, "{}", sent.json);
    // The address is vouched for; how much a new shop may send is another matter.
    assert_eq!(told["ramp"]["per_day"], 50);
    let tenant = scene
        .relay
        .roster
        .tenant_named(told["tenant"].as_str().unwrap());
    let entry = scene
        .relay
        .roster
        .reply_address(tenant.unwrap().id, &JOE.parse().unwrap());
    let by = entry.unwrap().attested_by.clone().unwrap();
    assert!(by.contains("acme") && by.contains(&scene.kid), "{by}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of tokens")]
async fn a_token_that_is_not_good_makes_nothing_and_is_told_why() {
    let scene = Scene::start().await;
    add_vendor(&scene.relay, "other", 2).await;
    let now = scene.seconds();
    let good = scene.token("L-1", &json!({}));
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let claims = json!({"iss": "acme", "sub": "L-1", "iat": now, "exp": now + 60});
    let named = |issuer: &str| json!({"iss": issuer, "sub": "L-1", "iat": now, "exp": now + 60});
    let (input, _) = good.rsplit_once('.').unwrap();
    let foreign = URL_SAFE_NO_PAD.encode(pair(2).sign(input.as_bytes()));
    for (token, status, entry, why) in [
        (String::from("nonsense"), 422, "PR-701", "no token"),
        (
            scene.signed(&header("none", &scene.kid), &claims),
            403,
            "PR-702",
            "none",
        ),
        (
            scene.signed(&header("HS256", &scene.kid), &claims),
            403,
            "PR-702",
            "HS256",
        ),
        (
            scene.signed(&header("EdDSA", "x"), &claims),
            403,
            "PR-703",
            "an unknown key",
        ),
        (
            format!("{input}.{foreign}"),
            403,
            "PR-704",
            "another's signature",
        ),
        (
            scene.token("L-1", &json!({"sub": ""})),
            422,
            "PR-705",
            "no licence",
        ),
        (
            scene.token("L-1", &json!({"exp": now})),
            403,
            "PR-706",
            "over",
        ),
        (
            scene.token("L-1", &json!({"iat": now + 900})),
            403,
            "PR-707",
            "not yet",
        ),
        (
            scene.token("L-1", &json!({"iss": "other"})),
            403,
            "PR-708",
            "another vendor",
        ),
        (
            scene.token("L-1", &json!({"reply_to": "ann@x.example"})),
            409,
            "PR-709",
            "bound",
        ),
        (
            scene.token("L-1", &json!({"attested": "ann@x.example"})),
            409,
            "PR-709",
            "vouched",
        ),
        (
            scene.signed(&json!({"alg": "EdDSA"}), &named("nobody")),
            403,
            "PR-714",
            "an unknown issuer",
        ),
        (
            scene.signed(&json!({"alg": "EdDSA"}), &named("other")),
            403,
            "PR-704",
            "another vendor's name",
        ),
    ] {
        let answer = scene.enrol(&token, JOE).await;
        let got = (answer.status, answer.json["refusal"].as_str());
        assert_eq!(got, (status, Some(entry)), "{why}: {}", answer.json);
    }
    let none = scene.status(&good).await;
    assert_eq!(
        (none.status, none.json["refusal"].as_str()),
        (404, Some("PR-711"))
    );
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_told_field_by_field() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    for (reply_to, more, field) in [
        ("joe", json!({}), "reply_to"),
        ("joe@send.relay.example", json!({}), "reply_to"),
        ("joe@relay.example", json!({}), "reply_to"),
        ("joe@localhost", json!({}), "reply_to"),
        (JOE, json!({"name": "joe@x.example"}), "name"),
        (JOE, json!({"name": " "}), "name"),
        (JOE, json!({"name": 7}), "name"),
        (JOE, json!({"language": "Fran\u{e7}ais"}), "language"),
        (JOE, json!({"language": "en\r\nx"}), "language"),
        (JOE, json!({"language": "a".repeat(36)}), "language"),
        (JOE, json!({"own_domain": "yes"}), "own_domain"),
        (JOE, json!({"token": null}), "token"),
    ] {
        let answer = scene.enrol_with(&token, reply_to, &more).await;
        assert_eq!(answer.status, 422, "{more}: {}", answer.json);
        assert_eq!(answer.json["errors"][0]["field"], field, "{}", answer.json);
    }
    let large = json!({"name": "x".repeat(20_000)});
    assert_eq!(scene.enrol_with(&token, JOE, &large).await.status, 413);
    assert_eq!(scene.status(&token).await.status, 404, "nothing was made");
}

#[tokio::test]
async fn another_reply_address_needs_a_newer_token_and_keeps_the_from_address() {
    let scene = Scene::start().await;
    let old = scene.token("L-1", &json!({}));
    let told = scene.enrol(&old, JOE).await.json;
    let tenant = told["tenant"].as_str().unwrap();
    scene.confirm(tenant, JOE).await;
    let replayed = scene.enrol(&old, "ann@joesgarage.example").await;
    assert_eq!(replayed.status, 409, "{}", replayed.json);
    assert_eq!(replayed.json["refusal"], "PR-710");
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let changed = scene.enrol(&newer, "ann@joesgarage.example").await;
    assert_eq!(changed.status, 200, "{}", changed.json);
    assert_eq!(changed.json["from"], told["from"]);
    assert_eq!(
        changed.json["reply_to"], JOE,
        "until the new one is confirmed"
    );
    assert_eq!(changed.json["next_reply_to"], "ann@joesgarage.example");
    let status = scene.status(&newer).await.json;
    assert_eq!(status["next_reply_to"], "ann@joesgarage.example");
    scene.confirm(tenant, "ann@joesgarage.example").await;
    let status = scene.status(&old).await.json;
    assert_eq!(status["reply_to"], "ann@joesgarage.example");
    assert_eq!(status["status"], "active");
    let back = scene.enrol(&old, JOE).await;
    assert_eq!(back.status, 409, "an old token brings nothing back");
}

#[tokio::test]
async fn new_keys_leave_the_old_ones_their_time() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({"exp": scene.seconds() + 31 * 86_400}));
    let first = scene.enrol(&token, JOE).await.json;
    let second = scene.rotate(&token).await;
    assert_eq!(second.status, 200, "{}", second.json);
    let second = second.json;
    assert_eq!(second["tenant"], first["tenant"]);
    for told in [&first, &second] {
        assert!(scene.opens(&told["http"]["key"]).await);
        assert!(scene.opens(&told["smtp"]["password"]).await);
    }
    scene.relay.clock.advance(OVERLAP);
    assert!(!scene.opens(&first["http"]["key"]).await);
    assert!(!scene.opens(&first["smtp"]["password"]).await);
    assert!(scene.opens(&second["http"]["key"]).await);
    assert!(scene.opens(&second["smtp"]["password"]).await);
    for _ in 0..4 {
        assert_eq!(scene.rotate(&token).await.status, 200);
    }
    let refused = scene.rotate(&token).await;
    assert_eq!(
        (refused.status, refused.json["refusal"].as_str()),
        (429, Some("PR-713"))
    );
    let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    scene.relay.clock.advance(Duration::from_secs(seconds - 2));
    assert_eq!(
        scene.rotate(&token).await.status,
        429,
        "the first lives yet"
    );
    scene.relay.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.rotate(&token).await.status, 200, "as it was told");
}

#[tokio::test]
async fn whoever_is_stopped_is_told_so() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    let key = told["http"]["key"].as_str().unwrap();
    assert_eq!(scene.status(key).await.json["status"], "pending");
    let tenant = scene
        .relay
        .roster
        .tenant_named(told["tenant"].as_str().unwrap());
    scene.relay.suspend(&tenant.unwrap()).await;
    assert_eq!(scene.status(&token).await.json["status"], "suspended");
    for answer in [scene.enrol(&token, JOE).await, scene.rotate(&token).await] {
        assert_eq!(
            (answer.status, answer.json["refusal"].as_str()),
            (403, Some("PR-208"))
        );
    }
    let status = VendorStatus::Suspended;
    let vendors = &scene.relay.store;
    vendors
        .set_vendor_status(scene.vendor.id, status)
        .await
        .unwrap();
    scene.refresh().await;
    let fresh = scene.token("L-2", &json!({}));
    let answer = scene.enrol(&fresh, JOE).await;
    assert_eq!(
        (answer.status, answer.json["refusal"].as_str()),
        (403, Some("PR-214"))
    );
}
