//! How limits are shown, and given.

use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test]
async fn a_limit_that_there_is_not_is_null_and_may_be_given_back_as_it_was_shown() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let keys = format!("{tenant}/keys");
    let made = scene.done(&token, "POST", &keys, &json!({})).await;
    let key = format!("{keys}/{}", made["id"].as_str().unwrap());
    for (path, none, some) in [
        (&key, json!({"per_day": null}), json!({"per_day": 5})),
        (
            &"/vendors/acme".to_owned(),
            json!({"per_day": null, "tenant_limits": {"per_month": null}}),
            json!({"per_day": 5, "tenant_limits": {"per_month": 7}}),
        ),
        (
            &tenant,
            json!({"limits": {"per_day": null, "connections": null}}),
            json!({"limits": {"per_day": 5, "connections": 2}}),
        ),
    ] {
        for wish in [&some, &none] {
            let shown = scene.done(&token, "PATCH", path, wish).await;
            for (name, value) in wish.as_object().unwrap() {
                let told = match value {
                    Value::Object(limits) => limits
                        .iter()
                        .all(|(limit, value)| shown[name].get(limit) == Some(value)),
                    value => shown.get(name) == Some(value),
                };
                assert!(told, "{path} {wish}: {shown}");
            }
        }
    }
    let shown = scene.done(&token, "GET", &tenant, &Value::Null).await;
    let named = json!({"per_day": null, "connections": null});
    assert_eq!(shown["operators_limits"], named);
}
