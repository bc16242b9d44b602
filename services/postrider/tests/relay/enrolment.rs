//! The road of a shop: a vendor's program brings it, its owner presses the button, mail leaves.

use std::time::Duration;

use postrider_gate::VendorSigner;
use postrider_runtime::Clock;
use serde_json::{Value, json};

use crate::harness::{Answer, Place, unique, until};

in_both_arrangements!(
    a_shop_that_a_vendor_brings_sends_once_its_owner_has_pressed_the_button,
    a_shop_whose_owner_says_no_is_told_so_and_writes_to_the_simulator_alone,
    a_licence_is_told_the_same_again_and_its_secrets_once,
);

/// The sandbox's vendor signs.
fn token(place: &Place, licence: &str) -> String {
    let state = std::fs::read(place.folder.join("sandbox.json")).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    let signer = VendorSigner::read(state["vendor_key"].as_str().unwrap()).unwrap();
    let now = Clock::system().now().as_micros() / 1_000_000;
    let claims = json!({"iss": "sandbox", "sub": licence, "iat": now, "exp": now + 600});
    signer.sign(None, &claims)
}

async fn enrol(place: &Place, token: &str, reply_to: &str) -> Answer {
    let body = json!({"token": token, "reply_to": reply_to, "name": "Joe's Garage"});
    let fields = [("content-type", "application/json")];
    let http = &place.http;
    http.ask("POST", "/enroll", &fields, body.to_string().as_bytes())
        .await
}

async fn a_shop_that_a_vendor_brings_sends_once_its_owner_has_pressed_the_button(place: &Place) {
    let reply_to = format!("joe-{}@garage.test", unique());
    let told = enrol(place, &token(place, &unique()), &reply_to).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!(told["status"], "pending");
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let shop = place.as_tenant(&word(&told["http"]["key"]), &word(&told["tenant"]));
    let stranger = format!("ann-{}@example.org", unique());
    let message = json!({"to": stranger, "subject": "x", "text": "y"}).to_string();
    let refused = shop.post(&message).await.json();
    assert_eq!(refused["refusal"], "PR-601", "{refused}");
    until("the letter", async || place.received(&reply_to).await.pop()).await;
    let (_, letter) = place.received_once(&reply_to).await;
    let path = link(&String::from_utf8_lossy(&letter));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let pressed = place.http.ask("POST", &path, &form, b"answer=yes").await;
    assert_eq!(pressed.status, 200, "{}", pressed.text());
    until("the shop to be active", async || {
        let status = shop.get("/enroll/status").await.json();
        (status["status"] == "active").then_some(())
    })
    .await;
    let id = shop.post(&message).await.id();
    let timeline = shop.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");
}

async fn a_shop_whose_owner_says_no_is_told_so_and_writes_to_the_simulator_alone(place: &Place) {
    let reply_to = format!("joe-{}@garage.test", unique());
    let token = token(place, &unique());
    let told = enrol(place, &token, &reply_to).await.json();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let shop = place.as_tenant(&word(&told["http"]["key"]), &word(&told["tenant"]));
    until("the letter", async || place.received(&reply_to).await.pop()).await;
    let (_, letter) = place.received_once(&reply_to).await;
    let letter = String::from_utf8_lossy(&letter);
    assert!(letter.contains("with software by"), "{letter}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let http = &place.http;
    let pressed = http.ask("POST", &link(&letter), &form, b"answer=no").await;
    assert_eq!(pressed.status, 200, "{}", pressed.text());
    until("the shop to be refused", async || {
        let told = enrol(place, &token, &reply_to).await.json();
        (told["status"] == "refused").then_some(())
    })
    .await;
    let to = |to: &str| json!({"to": to, "subject": "x", "text": "y"}).to_string();
    for recipient in [reply_to.as_str(), "ann@example.org"] {
        let refused = shop.post(to(recipient)).await.json();
        assert_eq!(refused["refusal"], "PR-606", "{refused}");
    }
    // Nobody reads it there, and a program can be tried out.
    let id = shop.post(to("delivered@simulator.relay.test")).await.id();
    let timeline = shop.settled(&id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered", "{timeline:?}");
}

// As it stands in what arrived: a line of its own, whose path is asked for.
fn link(letter: &str) -> String {
    let mut lines = letter.lines();
    let link = lines.find(|line| line.starts_with("http") && line.contains("/c/"));
    let (_, token) = link
        .unwrap_or_else(|| panic!("{letter}"))
        .split_once("/c/")
        .unwrap();
    format!("/c/{token}")
}

async fn a_licence_is_told_the_same_again_and_its_secrets_once(place: &Place) {
    let reply_to = format!("joe-{}@garage.test", unique());
    let token = token(place, &unique());
    let first = enrol(place, &token, &reply_to).await.json();
    let mut again = enrol(place, &token, &reply_to).await.json();
    assert_eq!(again["smtp"]["password"], Value::Null, "{again}");
    assert_eq!(again["http"]["key"], Value::Null);
    again["smtp"]["password"] = first["smtp"]["password"].clone();
    again["http"]["key"] = first["http"]["key"].clone();
    assert_eq!(again, first);
    let other = enrol(place, &token, "other@garage.test").await;
    assert_eq!(other.status, 409, "{}", other.text());
    let key = first["http"]["key"].as_str().unwrap();
    let shop = place.as_tenant(key, first["tenant"].as_str().unwrap());
    tokio::time::timeout(Duration::from_secs(30), shop.get("/usage"))
        .await
        .unwrap();
}
