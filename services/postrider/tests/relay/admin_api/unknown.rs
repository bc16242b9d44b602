//! A reply address whose owner does not know the tenant: what the admin API says to whom.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::owners::{ANN, link, press};

#[tokio::test]
async fn who_said_no_is_named_with_what_the_caller_can_do() {
    let contact = "\n[operator]\ncontact = \"ops@garage.test\"\n";
    let scene = Scene::start_with(contact).await;
    let (vendors, _) = scene.token("operate", Some("acme")).await;
    let (operators, _) = scene.token("operate", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let replies = format!("{tenant}/reply-addresses");
    let entered = json!({"address": ANN});
    scene.done(&vendors, "POST", &replies, &entered).await;
    let path = link(&scene.inside).await;
    press(&scene.inside.place, &path, "answer=no").await;

    let one = format!("{replies}/{ANN}");
    let said = format!(
        "The owner of {ANN} has said that they do not know {}: give another reply address; if that was a mistake, ",
        scene.acmes
    );
    let operators_way = format!("POST {one}/confirm below /admin/v1.");
    let vendors_way = "the service's operator, ops@garage.test, can take that back.";
    let attested = json!({"address": ANN, "attested": true});
    let default = json!({"reply_to": ANN});
    for (token, method, path, body, way) in [
        (
            &vendors,
            "POST",
            format!("{one}/ask"),
            &Value::Null,
            vendors_way,
        ),
        (
            &vendors,
            "POST",
            format!("{one}/confirm"),
            &Value::Null,
            vendors_way,
        ),
        (&vendors, "POST", replies.clone(), &attested, vendors_way),
        (&vendors, "PATCH", tenant.clone(), &default, vendors_way),
        (
            &operators,
            "PATCH",
            tenant.clone(),
            &default,
            &operators_way,
        ),
    ] {
        let refused = scene.ask(token, method, &path, body).await;
        assert_eq!(refused.status, 409, "{path}: {}", refused.text());
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(message, format!("{said}{way}"), "{method} {path}");
    }
    let asked = format!("{one}/ask");
    let refused = scene.ask(&operators, "POST", &asked, &Value::Null).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    let begins = format!("{ANN} is not asked: ");
    assert!(message.starts_with(&begins), "{message}");
    is_taken_back(&scene, &operators, &one).await;
}

/// By the operator, and the audit names the tenant by its slug.
async fn is_taken_back(scene: &Scene, operators: &str, one: &str) {
    let confirm = format!("{one}/confirm");
    scene.done(operators, "POST", &confirm, &Value::Null).await;
    let audit = scene.done(operators, "GET", "/audit", &Value::Null).await;
    let entries = audit["data"].as_array().unwrap().iter();
    let confirmed = entries
        .clone()
        .find(|one| one["verb"] == "reply_to_confirm")
        .unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(confirmed["subject"], scene.acmes);
}
