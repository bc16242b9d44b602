//! What the admin API says of a value that it does not take, of a time that it is asked from, and of mail
//! that is stopped.

use std::time::Duration;

use postrider::admin::{VendorAct, Verb};
use postrider_fakenet::{Phase, Script};
use serde_json::{Value, json};

use super::scene::Scene;

#[tokio::test]
async fn what_is_not_taken_is_named_by_its_path_with_its_value_and_what_is_taken() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let keys = format!("{tenant}/keys");
    for (method, path, body, field, says) in [
        (
            "PATCH",
            &tenant,
            json!({"language": "de"}),
            "language",
            "\"de\" is not taken: give en or fr.",
        ),
        (
            "PATCH",
            &tenant,
            json!({"limits": {"per_minute": -1, "requests_per_second": null}}),
            "limits.per_minute",
            "-1 is not taken: give a whole number from 0",
        ),
        (
            "PATCH",
            &tenant,
            json!({"limits": {"per_year": 1}}),
            "limits.per_year",
            "there are requests_per_second",
        ),
        (
            "POST",
            &keys,
            json!({"networks": ["10.0.0.0/8", "home"]}),
            "networks[1]",
            "\"home\" is not taken: give an address or a network",
        ),
        (
            "POST",
            &keys,
            json!({"kind": "pop3"}),
            "kind",
            "give api or smtp",
        ),
    ] {
        let refused = scene.ask(&token, method, path, &body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text());
        let errors = refused.json()["errors"].clone();
        assert_eq!(errors.as_array().unwrap().len(), 1, "{errors}");
        assert_eq!(errors[0]["field"], field, "{errors}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains(says), "{message}");
        assert!(!message.contains("expected"), "{message}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_in_a_body_is_refused_and_nothing_is_changed() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let tenant = format!("/tenants/{}", scene.acmes);
    let was = scene.done(&token, "GET", &tenant, &Value::Null).await;
    for (body, name) in [
        (r#"{"name": "Ann's", "name": "Bob's"}"#, "name"),
        (r#"{"limits": {"per_day": 1, "per_day": 2}}"#, "per_day"),
    ] {
        let refused = scene.ask_text(&token, "PATCH", &tenant, body).await;
        assert_eq!(refused.status, 422, "{body}: {}", refused.text());
        let message = refused.json()["message"].clone();
        let says = format!("the name {name:?} twice");
        assert!(message.as_str().unwrap().contains(&says), "{message}");
    }
    let now = scene.done(&token, "GET", &tenant, &Value::Null).await;
    assert_eq!(
        (&now["name"], &now["limits"]),
        (&was["name"], &was["limits"])
    );
}

#[tokio::test]
async fn since_is_a_span_a_day_or_a_time_wherever_it_is_asked() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("read", None).await;
    for path in ["/report", "/audit"] {
        let ahead = path;
        for since in ["1h", "2020-01-31", "2020-01-31T08:00:00Z"] {
            let path = format!("{path}?since={since}");
            scene.done(&token, "GET", &path, &Value::Null).await;
        }
        let path = format!("{path}?since=yesterday");
        let refused = scene.ask(&token, "GET", &path, &Value::Null).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("2026-11-22;"), "{}", refused.text());
        let ahead = format!("{ahead}?since=2999-01-01");
        let refused = scene.ask(&token, "GET", &ahead, &Value::Null).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("lies ahead"), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_message_that_is_stopped_says_by_whom() {
    let scene = Scene::start().await;
    let (token, _) = scene.token("admin", None).await;
    let keys = format!("/tenants/{}/keys", scene.acmes);
    let key = scene.done(&token, "POST", &keys, &json!({})).await;
    let key = key["api_key"].as_str().unwrap();
    let shop = scene.inside.place.as_tenant(key, &scene.acmes);
    let later = Script::new().once(Phase::Rcpt, "451 4.3.0 later");
    scene.inside.net.domain("later.test").mx(later);
    let id = shop.send_to("ann@later.test").await;
    shop.events_when(&id, |timeline| timeline.has("deferred"))
        .await;
    let shown = async || {
        let path = format!("/messages/{id}");
        let message = scene.done(&token, "GET", &path, &Value::Null).await;
        message["recipients"][0].clone()
    };
    let waits = shown().await;
    assert_eq!(
        (&waits["cause"], &waits["held_by"], &waits["reason"]),
        (&json!("retry"), &json!([]), &Value::Null)
    );
    let vendor = || "acme".to_owned();
    let act = VendorAct::Suspend { vendor: vendor() };
    scene.execute(Verb::Vendor { act }).await;
    scene.inside.advance(Duration::from_hours(1));
    let stopped = shown().await;
    assert_eq!(
        (&stopped["cause"], &stopped["held_by"]),
        (&json!("held"), &json!(["vendor"])),
        "{stopped}"
    );
    let reason = stopped["reason"].as_str().unwrap();
    assert!(reason.contains("acme is suspended"), "{reason}");
}
