//! The admin API: who may do what, whose things are there for whom, and what is written down.

mod bounds;
mod claimed;
mod dialogue;
mod granted;
mod limits;
mod nothing;
mod report;
mod scene;
mod told;
mod unknown;

use postrider::admin::{TokenAct, VendorAct, VendorChange, Verb};
use serde_json::{Value, json};

use crate::harness::{Place, unique};
use scene::{ROLES, Scene, body_of, operations};

#[tokio::test]
async fn every_endpoint_takes_the_role_it_says_and_no_less() {
    let scene = Scene::start().await;
    let all = operations();
    assert!(all.len() > 30, "{}", all.len());
    for (rank, role) in ROLES.into_iter().enumerate() {
        let (token, _) = scene.token(role, None).await;
        for operation in &all {
            let path = Scene::about(operation, &scene.acmes);
            let body = body_of(operation);
            let answer = scene.ask(&token, &operation.method, &path, &body).await;
            let needed = ROLES.iter().position(|one| *one == operation.role).unwrap();
            let is_refused = answer.status == 403;
            let which = format!("{role}: {} {path}", operation.method);
            assert_eq!(is_refused, rank < needed, "{which}: {}", answer.text());
            if is_refused {
                assert_eq!(answer.refusal().1, "restricted_api_key", "{which}");
            }
        }
    }
}

#[tokio::test]
async fn no_endpoint_is_open_without_a_good_token() {
    let scene = Scene::start().await;
    let (revoked, id) = scene.token("admin", None).await;
    let act = TokenAct::Revoke {
        id: id.parse().unwrap(),
    };
    scene.execute(Verb::Token { act }).await;
    let unknown = format!("pra_{}", "A".repeat(43));
    for operation in operations() {
        let path = Scene::about(&operation, &scene.acmes);
        let whole = format!("/admin/v1{path}");
        let bare = scene.door.ask(&operation.method, &whole, &[], b"").await;
        assert_eq!(bare.status, 401, "{path}: {}", bare.text());
        for token in [revoked.as_str(), &unknown, "x", &scene.inside.place.key] {
            let answer = scene
                .ask(token, &operation.method, &path, &body_of(&operation))
                .await;
            let (status, name, _) = answer.refusal();
            assert_eq!((status, name.as_str()), (403, "invalid_api_key"), "{path}");
        }
    }
}

#[tokio::test]
async fn to_a_vendor_nothing_of_anothers_is_there() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", Some("acme")).await;
    for operation in operations() {
        let is_about_one = operation.path.contains("{tenant}");
        if !is_about_one && !operation.is_operators {
            continue;
        }
        let path = Scene::about(&operation, &scene.others);
        let answer = scene
            .ask(&token, &operation.method, &path, &body_of(&operation))
            .await;
        let which = format!("{} {path}", operation.method);
        assert_eq!(answer.status, 404, "{which}: {}", answer.text());
    }
    let listed = scene.done(&token, "GET", "/tenants", &Value::Null).await;
    let slugs: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["slug"])
        .collect();
    assert_eq!(slugs, [&json!(scene.acmes)]);
    for path in ["/tenants?vendor=other", "/audit?vendor=other"] {
        let answer = scene.ask(&token, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let new = json!({"name": "X", "reply_to": "x@x.test", "vendor": "other"});
    let answer = scene.ask(&token, "POST", "/tenants", &new).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let audit = scene.done(&token, "GET", "/audit", &Value::Null).await;
    let entries = audit["data"].as_array().unwrap();
    assert!(
        !entries.is_empty() && entries.iter().all(|one| one["vendor"] == "acme"),
        "{audit}"
    );
}

#[tokio::test]
async fn mail_is_found_by_what_a_person_has_in_hand_and_by_its_vendor_alone() {
    let scene = Scene::start().await;
    let (operator, _) = scene.token("operate", None).await;
    let (own, _) = scene.token("read", Some("acme")).await;
    let (foreign, _) = scene.token("read", Some("other")).await;
    let keys = format!("/tenants/{}/keys", scene.acmes);
    let key = scene
        .done(&operator, "POST", &keys, &json!({"note": "till"}))
        .await;
    let shop = scene
        .inside
        .place
        .as_tenant(key["api_key"].as_str().unwrap(), &scene.acmes);
    let to = format!("ann-{}@example.org", unique());
    let id = shop.send_to(&to).await;
    let shown = scene
        .done(&own, "GET", &format!("/messages/{id}"), &Value::Null)
        .await;
    assert_eq!(
        (&shown["tenant"], &shown["key"]),
        (&json!(scene.acmes), &key["id"])
    );
    assert_eq!(shown["recipients"][0]["address"], to.as_str());
    let message_id = shown["message_id"].as_str().unwrap();
    let by_id = format!("/messages?message_id={message_id}").replace(['<', '>'], "");
    let of_tenant = format!("/tenants/{}/messages?recipient={to}", scene.acmes);
    for path in [
        format!("/messages?recipient={to}"),
        by_id.clone(),
        of_tenant,
    ] {
        for token in [&operator, &own] {
            let found = scene.done(token, "GET", &path, &Value::Null).await;
            assert_eq!(found["data"][0]["id"], id.as_str(), "{path}");
        }
    }
    for path in [format!("/messages?recipient={to}"), by_id] {
        let found = scene.done(&foreign, "GET", &path, &Value::Null).await;
        assert_eq!(found["data"], json!([]), "{path}");
    }
    let hidden = scene
        .ask(&foreign, "GET", &format!("/messages/{id}"), &Value::Null)
        .await;
    assert_eq!(hidden.status, 404);
}

#[tokio::test]
async fn what_is_changed_holds_at_once_and_is_in_the_audit_under_the_tokens_id() {
    let scene = Scene::start().await;
    let (token, id) = scene.token("admin", Some("acme")).await;
    let new = json!({"name": "Ann's Shop", "reply_to": "ann@shop.test", "licence": "L-7", "attested": true});
    let made = scene.done(&token, "POST", "/tenants", &new).await;
    assert_eq!(
        (&made["vendor"], &made["licence"]),
        (&json!("acme"), &json!("L-7"))
    );
    assert_eq!(made["confirmed"], true);
    let twice = scene.ask(&token, "POST", "/tenants", &new).await;
    assert_eq!(twice.status, 409, "{}", twice.text());
    let slug = made["slug"].as_str().unwrap();
    let tenant = format!("/tenants/{slug}");
    let change = json!({"name": "Ann & Co", "language": "fr", "limits": {"per_day": 70}});
    let changed = scene.done(&token, "PATCH", &tenant, &change).await;
    assert_eq!(
        (&changed["name"], &changed["language"]),
        (&json!("Ann & Co"), &json!("fr"))
    );
    assert_eq!(changed["limits"]["per_day"], 70);
    let shop = scene
        .inside
        .place
        .as_tenant(made["api_key"].as_str().unwrap(), slug);
    assert_eq!(shop.get("/usage").await.status, 200);
    let keys = scene
        .done(&token, "GET", &format!("{tenant}/keys"), &Value::Null)
        .await;
    let key = format!("{tenant}/keys/{}", keys["data"][0]["id"].as_str().unwrap());
    doors_follow(&scene, (&token, &shop), (&tenant, &key)).await;
    lists_follow(&scene, &token, &tenant).await;
    scene.done(&token, "DELETE", &key, &Value::Null).await;
    assert_eq!(shop.get("/usage").await.status, 403);
    let audit = scene
        .done(&token, "GET", "/audit?limit=100", &Value::Null)
        .await;
    let mine = audit["data"].as_array().unwrap().iter();
    let mine: Vec<_> = mine
        .filter(|one| one["actor"] == format!("token {id}"))
        .collect();
    assert_eq!(mine.len(), 16, "{audit}");
    assert!(!audit.to_string().contains("pr_live_"), "{audit}");
}

/// A key and its tenant are stopped and go on.
async fn doors_follow(scene: &Scene, (token, shop): (&str, &Place), (tenant, key): (&str, &str)) {
    for (path, status) in [
        (format!("{key}/suspend"), 403),
        (format!("{key}/resume"), 200),
        (format!("{tenant}/suspend"), 403),
        (format!("{tenant}/resume"), 200),
    ] {
        scene.done(token, "POST", &path, &Value::Null).await;
        assert_eq!(shop.get("/usage").await.status, status, "{path}");
    }
    let noted = scene
        .done(token, "PATCH", key, &json!({"note": "till"}))
        .await;
    assert_eq!(noted["note"], "till");
}

/// What is entered and taken out again.
async fn lists_follow(scene: &Scene, token: &str, tenant: &str) {
    let suppress = format!("{tenant}/suppressions");
    scene
        .done(token, "POST", &suppress, &json!({"address": "no@x.test"}))
        .await;
    scene
        .done(
            token,
            "DELETE",
            &format!("{suppress}/no@x.test"),
            &Value::Null,
        )
        .await;
    let replies = format!("{tenant}/reply-addresses");
    scene
        .done(
            token,
            "POST",
            &replies,
            &json!({"address": "desk@shop.test"}),
        )
        .await;
    let confirmed = format!("{replies}/desk@shop.test/confirm");
    let confirmed = scene.done(token, "POST", &confirmed, &Value::Null).await;
    assert_eq!(confirmed["status"], "confirmed");
    assert!(confirmed["attested_by"].as_str().unwrap().contains("acme"));
    scene
        .done(
            token,
            "DELETE",
            &format!("{replies}/desk@shop.test"),
            &Value::Null,
        )
        .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of inputs")]
async fn bad_input_is_told_field_by_field() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let (keys, replies) = (
        format!("{tenant}/keys"),
        format!("{tenant}/reply-addresses"),
    );
    for (method, path, body, field) in [
        ("POST", "/tenants", json!({"reply_to": "x@x.test"}), "name"),
        (
            "POST",
            "/tenants",
            json!({"name": "X", "reply_to": "x"}),
            "reply_to",
        ),
        (
            "POST",
            "/tenants",
            json!({"name": "X", "reply_to": "x@x.test", "licence": " "}),
            "licence",
        ),
        (
            "POST",
            "/tenants",
            json!({"name": "X", "reply_to": "x@localhost"}),
            "reply_to",
        ),
        (
            "PATCH",
            &tenant,
            json!({"reply_to": "x@relay.test"}),
            "reply_to",
        ),
        (
            "POST",
            &replies,
            json!({"address": "x@simulator.relay.test"}),
            "address",
        ),
        (
            "PATCH",
            tenant.as_str(),
            json!({"name": "x@x.test"}),
            "name",
        ),
        (
            "PATCH",
            &tenant,
            json!({"limits": {"per_dya": 1}}),
            "limits.per_dya",
        ),
        ("PATCH", &tenant, json!({"per_day": 1}), "per_day"),
        (
            "POST",
            &keys,
            json!({"expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
        ("POST", &keys, json!({"networks": ["x"]}), "networks[0]"),
        ("GET", "/tenants?limit=0", Value::Null, "limit"),
        ("GET", "/tenants?after=x", Value::Null, "after"),
        ("GET", "/audit?since=x", Value::Null, "since"),
        ("GET", "/messages", Value::Null, "recipient"),
    ] {
        let answer = scene.ask(&token, method, path, &body).await;
        assert_eq!(
            answer.status,
            422,
            "{method} {path} {body}: {}",
            answer.text()
        );
        assert_eq!(
            answer.json()["errors"][0]["field"],
            field,
            "{}",
            answer.text()
        );
    }
    let (vendors, _) = scene.token("admin", Some("acme")).await;
    let act = VendorAct::Set {
        vendor: "acme".to_owned(),
        name: None,
        contact: None,
        change: VendorChange {
            tenant_limits: serde_json::from_value(json!({"per_day": 100})).unwrap(),
            ..VendorChange::default()
        },
    };
    scene.execute(Verb::Vendor { act }).await;
    for (per_day, status) in [(100, 200), (101, 422), (0, 422)] {
        let body = json!({"limits": {"per_day": per_day}});
        let answer = scene.ask(&vendors, "PATCH", &tenant, &body).await;
        assert_eq!(answer.status, status, "{per_day}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_message_id_is_found_however_much_was_sent_since() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("read", Some("acme")).await;
    let (operator, _) = scene.token("operate", None).await;
    let keys = format!("/tenants/{}/keys", scene.acmes);
    let key = scene.done(&operator, "POST", &keys, &json!({})).await;
    let key = key["api_key"].as_str().unwrap();
    let shop = scene.inside.place.as_tenant(key, &scene.acmes);
    let to = format!("ann-{}@example.org", unique());
    let first = shop.send_to(&to).await;
    shop.send_to(&to).await;
    shop.send_to(&to).await;
    let shown = format!("/messages/{first}");
    let shown = scene.done(&token, "GET", &shown, &Value::Null).await;
    let message_id = shown["message_id"]
        .as_str()
        .unwrap()
        .replace(['<', '>'], "");
    let path = format!("/messages?recipient={to}&message_id={message_id}&limit=1");
    let found = scene.done(&token, "GET", &path, &Value::Null).await;
    assert_eq!(found["data"][0]["id"], first, "{found}");
    let path = format!("/messages?recipient={to}&after={first}");
    let refused = scene.ask(&token, "GET", &path, &Value::Null).await;
    assert_eq!(refused.json()["errors"][0]["field"], "after");
}
