//! What a vendor's token does not get, whatever its role: the operator's word stands over it.

use postrider::admin::{VendorAct, VendorChange, Verb};
use postrider_model::{Authority, Language, Licence};
use serde_json::{Value, json};

use super::scene::{Scene, body_of, operations};

#[tokio::test]
async fn a_suspended_vendors_token_only_reads() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", Some("acme")).await;
    let vendor = || "acme".to_owned();
    let act = VendorAct::Suspend { vendor: vendor() };
    scene.execute(Verb::Vendor { act }).await;
    for operation in operations() {
        if operation.is_operators {
            continue;
        }
        let path = Scene::about(&operation, &scene.acmes);
        let body = body_of(&operation);
        let answer = scene.ask(&token, &operation.method, &path, &body).await;
        let which = format!("{} {path}: {}", operation.method, answer.text());
        assert_eq!(answer.status == 403, operation.role != "read", "{which}");
        if answer.status == 403 {
            assert_eq!(answer.json()["refusal"], "PR-214", "{which}");
            assert!(answer.text().contains("operator"), "{which}");
        }
    }
    let act = VendorAct::Resume { vendor: vendor() };
    scene.execute(Verb::Vendor { act }).await;
    let path = format!("/tenants/{}", scene.acmes);
    scene
        .done(&token, "PATCH", &path, &json!({"language": "fr"}))
        .await;
}

#[tokio::test]
async fn what_the_operator_stopped_a_vendor_does_not_let_go_on() {
    let scene = Scene::start().await;
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let (operators, _) = scene.token("operate", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let keys = format!("{tenant}/keys");
    let made = scene.done(&vendors, "POST", &keys, &json!({})).await;
    let key = format!("{keys}/{}", made["id"].as_str().unwrap());
    for path in [&tenant, &key] {
        let (suspend, resume) = (format!("{path}/suspend"), format!("{path}/resume"));
        scene.done(&vendors, "POST", &suspend, &Value::Null).await;
        scene.done(&vendors, "POST", &resume, &Value::Null).await;
        scene.done(&operators, "POST", &suspend, &Value::Null).await;
        scene.done(&vendors, "POST", &suspend, &Value::Null).await;
        let refused = scene.ask(&vendors, "POST", &resume, &Value::Null).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.text().contains("operator"), "{}", refused.text());
        scene.done(&operators, "POST", &resume, &Value::Null).await;
        scene.done(&vendors, "POST", &suspend, &Value::Null).await;
        scene.done(&operators, "POST", &resume, &Value::Null).await;
    }
}

#[tokio::test]
async fn a_vendor_raises_no_limit_over_its_own_and_keeps_what_it_does_not_touch() {
    let scene = Scene::start().await;
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let (operators, _) = scene.token("operate", None).await;
    let limits = json!({"per_day": 100, "per_minute": 60, "burst": 5});
    let act = VendorAct::Set {
        vendor: "acme".to_owned(),
        name: None,
        contact: None,
        change: VendorChange {
            tenant_limits: serde_json::from_value(limits).unwrap(),
            ..VendorChange::default()
        },
    };
    scene.execute(Verb::Vendor { act }).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let wider = json!({"limits": {"per_day": 500, "per_minute": 60, "burst": 5}});
    scene.done(&operators, "PATCH", &tenant, &wider).await;
    for (limits, field) in [
        (json!({"connections": 3}), None),
        (json!({"per_day": 500}), None),
        (json!({"per_day": 300}), None),
        // As far as the operator went with this tenant, and no farther.
        (json!({"per_day": 500}), None),
        (json!({"per_day": 501}), Some("limits.per_day")),
        (json!({"burst": 6}), Some("limits.burst")),
        (json!({"burst": 0}), Some("limits.burst")),
        (json!({"burst": 4}), None),
    ] {
        let body = json!({"limits": limits});
        let answer = scene.ask(&vendors, "PATCH", &tenant, &body).await;
        let got = answer.json()["errors"][0]["field"]
            .as_str()
            .map(str::to_owned);
        assert_eq!(got.as_deref(), field, "{limits}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_note_is_one_short_line() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", Some("acme")).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let (long, most) = ("x".repeat(201), "é".repeat(200));
    for (path, body) in [
        ("keys", json!({})),
        ("suppressions", json!({"address": "a@x.test"})),
    ] {
        let path = format!("{tenant}/{path}");
        for (note, status) in [(long.as_str(), 422), ("a\nb", 422), (&most, 201)] {
            let mut body = body.clone();
            body["note"] = json!(note);
            let answer = scene.ask(&token, "POST", &path, &body).await;
            assert_eq!(answer.status, status, "{path} {note}: {}", answer.text());
            if status == 422 {
                assert_eq!(answer.json()["errors"][0]["field"], "note");
            }
        }
    }
}

#[tokio::test]
async fn the_operator_as_a_vendor_is_not_suspended() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let path = "/vendors/operator/suspend";
    let refused = scene.ask(&token, "POST", path, &Value::Null).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused
            .text()
            .contains("POST /tenants/{tenant}/suspend below /admin/v1"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn what_the_operator_took_from_a_tenant_its_vendor_does_not_give_back() {
    let scene = Scene::start().await;
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let limits = |limits: &str| serde_json::from_str(limits).unwrap();
    let lowered = Verb::TenantLimit {
        tenant: scene.acmes.clone(),
        limits: limits(r#"{"per_day": 20, "per_minute": 6}"#),
        by: Authority::Operator,
    };
    scene.execute(lowered).await;
    for (limits, says) in [
        (
            json!({"per_day": 21}),
            Some("20 is what the service's operator set"),
        ),
        (json!({"per_day": 0}), Some("would be no limit")),
        (json!({"per_day": null}), Some("would be no limit")),
        (json!({"burst": 2}), Some("burst would be 2, and 1")),
        (json!({"per_day": 3}), None),
        (json!({"per_day": 20, "per_minute": 6}), None),
    ] {
        let body = json!({"limits": limits});
        let answer = scene.ask(&vendors, "PATCH", &tenant, &body).await;
        let status = if says.is_some() { 422 } else { 200 };
        assert_eq!(answer.status, status, "{limits}: {}", answer.text());
        let says = says.unwrap_or_default();
        assert!(answer.text().contains(says), "{limits}: {}", answer.text());
    }
    let shown = scene.done(&vendors, "GET", &tenant, &Value::Null).await;
    assert_eq!(
        shown["operators_limits"],
        json!({"per_day": 20, "per_minute": 6})
    );
}

#[tokio::test]
async fn null_takes_a_value_away_and_what_is_left_out_stays() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let end = json!({"expires_at": "2999-01-01T00:00:00Z", "note": "till"});
    let made = scene
        .done(&token, "POST", &format!("{tenant}/keys"), &end)
        .await;
    let key = format!("{tenant}/keys/{}", made["id"].as_str().unwrap());
    let plan = json!({"plan": "gold"});
    scene.done(&token, "PATCH", &tenant, &plan).await;
    for (path, body, field, is_there) in [
        (&key, json!({"note": "desk"}), "expires_at", true),
        (&key, json!({"expires_at": null}), "expires_at", false),
        (&key, json!({"note": "till"}), "expires_at", false),
        (&tenant, json!({"language": "fr"}), "plan", true),
        (&tenant, json!({"plan": null}), "plan", false),
        (&tenant, json!({"plan": "silver"}), "plan", true),
    ] {
        let shown = scene.done(&token, "PATCH", path, &body).await;
        assert_eq!(!shown[field].is_null(), is_there, "{body}: {shown}");
    }
    let vendor = "/vendors/acme".to_owned();
    for (path, field) in [
        (&key, "note"),
        (&key, "networks"),
        (&tenant, "name"),
        (&tenant, "reply_to"),
        (&tenant, "notices"),
        (&vendor, "contact"),
        (&vendor, "languages"),
    ] {
        let refused = scene
            .ask(&token, "PATCH", path, &json!({field: null}))
            .await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.text());
        let error = &refused.json()["errors"][0];
        assert_eq!(error["field"], field);
        assert!(error["message"].as_str().unwrap().contains("leave it out"));
    }
}

#[tokio::test]
async fn a_token_asks_a_hundred_times_a_second_and_wrong_ones_are_slowed_down() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("read", None).await;
    let (other, _) = scene.token("read", Some("acme")).await;
    let status = async |token: &str| {
        let answer = scene.ask(token, "GET", "/tenants", &Value::Null).await;
        let wait = answer.field("retry-after").map(str::to_owned);
        assert_eq!(answer.status == 429, wait.is_some(), "{}", answer.text());
        answer.status
    };
    for _ in 0..100 {
        assert_eq!(status(&token).await, 200);
    }
    assert_eq!(status(&token).await, 429);
    assert_eq!(status(&other).await, 200, "its own pace");
    let wrong = format!("pra_{}", "A".repeat(43));
    for _ in 0..300 {
        assert_eq!(status(&wrong).await, 403);
    }
    assert_eq!(status(&wrong).await, 429);
    assert_eq!(status(&other).await, 200, "a good one passes");
    scene.inside.advance(std::time::Duration::from_secs(1));
    assert_eq!(status(&token).await, 200);
    assert_eq!(status(&wrong).await, 403);
}

#[tokio::test]
async fn a_remedy_names_what_an_api_has() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let keys = format!("{tenant}/keys");
    let made = scene.done(&token, "POST", &keys, &json!({})).await;
    let key = format!("{keys}/{}", made["id"].as_str().unwrap());
    scene.done(&token, "DELETE", &key, &Value::Null).await;
    let replies = format!("{tenant}/reply-addresses");
    let asked = format!("{replies}/owner@acme.test/ask");
    let none = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (method, path, body, says) in [
        (
            "POST",
            format!("{key}/resume"),
            Value::Null,
            "keys below /admin/v1 makes another",
        ),
        (
            "POST",
            keys,
            json!({"kind": "smtp", "user": "a b"}),
            "user: Give 1 to 20",
        ),
        ("POST", asked, Value::Null, "it is confirmed"),
        (
            "GET",
            format!("{tenant}/suppressions?after={none}"),
            Value::Null,
            "after: ",
        ),
        (
            "POST",
            "/vendors".to_owned(),
            json!({"slug": "A b", "name": "x", "contact": "a@x.test"}),
            "slug: ",
        ),
        (
            "POST",
            "/vendors".to_owned(),
            json!({"slug": "ab", "name": " ", "contact": "a@x.test"}),
            "name: ",
        ),
    ] {
        let refused = scene.ask(&token, method, &path, &body).await;
        let text = refused.text();
        assert_eq!(refused.status, 422, "{path}: {text}");
        assert!(text.contains(says), "{path}: {text}");
        assert!(
            !text.contains("`postrider") && !text.contains("--"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_vendors_tenants_speak_what_it_does() {
    let scene = Scene::start().await;
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let (operators, _) = scene.token("admin", None).await;
    let french = json!({"languages": ["fr"]});
    scene
        .done(&operators, "PATCH", "/vendors/acme", &french)
        .await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let new = json!({"name": "X", "reply_to": "x@x.test", "language": "en"});
    let english = json!({"language": "en"});
    for (method, path, body) in [
        ("PATCH", tenant.as_str(), &english),
        ("POST", "/tenants", &new),
    ] {
        let refused = scene.ask(&vendors, method, path, body).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        let error = &refused.json()["errors"][0];
        assert_eq!(error["field"], "language");
        assert!(refused.text().contains("give fr"), "{}", refused.text());
    }
    let shown = scene.done(&operators, "PATCH", &tenant, &english).await;
    assert_eq!(shown["language"], "en");
    let row = |licence: &str, language| postrider::admin::ImportRow {
        licence: Licence::parse(licence).unwrap(),
        name: "Shop".to_owned(),
        reply_to: "shop@shops.test".parse().unwrap(),
        language,
        plan: None,
        attested: false,
    };
    let rows = vec![
        row("L1", Some(Language::En)),
        row("L2", Some(Language::Fr)),
        row("L3", None),
    ];
    let vendor = "acme".to_owned();
    let outcomes = scene.execute(Verb::TenantImport { vendor, rows }).await;
    assert_eq!(outcomes[0]["field"], "language");
    assert!(outcomes[0]["why"].as_str().unwrap().contains("give fr"));
    assert_eq!(outcomes[1]["outcome"], "added");
    assert_eq!(outcomes[2]["outcome"], "added");
}
