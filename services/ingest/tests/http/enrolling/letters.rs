//! What a program is told of the letter that its shop's reply address is asked by.

use std::time::Duration;

use postrider_model::{ReplyStatus, Timestamp};
use postrider_store::{AskCaps, TenantUpdate};
use serde_json::{Value, json};

use super::owner::{ANN, asked_once, comes_back};
use super::scene::{JOE, Scene};

fn letter(to: &str, sent_at: Timestamp, next_after: Timestamp) -> Value {
    json!({"to": to, "sent_at": sent_at, "next_after": next_after})
}

/// No letter went there for this shop.
fn unsent(to: &str) -> Value {
    json!({"to": to, "sent_at": null, "next_after": null})
}

/// A letter of which it is not told when another may go.
fn sent(to: &str, sent_at: Timestamp) -> Value {
    json!({"to": to, "sent_at": sent_at, "next_after": null})
}

/// As the gate does by itself for who was never asked.
async fn named(scene: &Scene, told: &Value, address: &str) {
    let (address, provision) = (address.parse().unwrap(), &scene.relay.provision);
    let status = ReplyStatus::Unconfirmed;
    let seen = provision.new_reply_address(scene.tenant(told).id, address, status);
    let week = Duration::from_hours(7 * 24);
    let caps = AskCaps {
        per_day: 5,
        pause: week,
        letters_per_day: 0,
        letters_in_a_row: 0,
        rest: week,
    };
    let observed = provision.directory.observe_reply_address(seen, caps).await;
    assert!(!observed.unwrap().ask, "it was written to this week");
    scene.refresh().await;
}

/// The shop enrols again; gives the letter that it is told of, there and by its status.
async fn enrolled_again(scene: &Scene) -> Value {
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json["letter"].clone();
    assert_eq!(scene.status(&token).await.json["letter"], told);
    told
}

#[tokio::test]
async fn a_program_knows_when_the_letter_went_and_when_another_may() {
    let scene = Scene::start().await;
    let other = scene.token("L-2", &json!({}));
    let first = scene.enrol(&other, ANN).await.json;
    assert_eq!(first["letter"], Value::Null, "nobody to write as: {first}");

    let told = asked_once(&scene).await;
    let first = scene.enrol(&scene.token("L-3", &json!({})), ANN).await.json;
    for first in [first, scene.status(&other).await.json] {
        assert_eq!(first["letter"], unsent(ANN), "{first}");
    }
    let (clock, minutes) = (&scene.relay.clock, Duration::from_mins);
    let asked = clock.now();
    for (wait, sent, next) in [
        (0, asked, asked.after(minutes(10))),
        (9, asked, asked.after(minutes(10))),
        (1, asked.after(minutes(10)), asked.after(minutes(20))),
        // The third of the day.
        (10, asked.after(minutes(20)), asked.next_day()),
        (60, asked.after(minutes(20)), asked.next_day()),
    ] {
        clock.advance(minutes(wait));
        assert_eq!(enrolled_again(&scene).await, letter(JOE, sent, next));
    }
    clock.advance(asked.next_day().since(clock.now()));
    let fourth = clock.now();
    let want = letter(JOE, fourth, fourth.after(minutes(10)));
    assert_eq!(enrolled_again(&scene).await, want);
    clock.advance(minutes(10));
    let fifth = clock.now();
    let rested = fifth.after(Duration::from_hours(7 * 24));
    assert_eq!(
        enrolled_again(&scene).await,
        letter(JOE, fifth, rested),
        "the fifth in a row"
    );
    scene.confirm(told["tenant"].as_str().unwrap(), JOE).await;
    assert_eq!(enrolled_again(&scene).await, Value::Null);
}

#[tokio::test]
async fn a_changed_address_whose_letter_comes_back_is_told_as_broken() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    scene.confirm(told["tenant"].as_str().unwrap(), JOE).await;
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let changed = scene.enrol(&newer, ANN).await.json;
    assert_eq!(changed["next_reply_to_status"], "pending", "{changed}");
    let asked = scene.relay.clock.now();
    let (tenant, ann) = (scene.tenant(&told).id, ANN.parse().unwrap());
    scene.relay.gate.ask_again(tenant, &ann).await.unwrap();
    comes_back(&scene, ANN).await;

    let want = letter(ANN, asked, asked.after(Duration::from_mins(10)));
    for told in [
        scene.status(&newer).await.json,
        scene.enrol(&newer, ANN).await.json,
    ] {
        assert_eq!(told["next_reply_to"], ANN, "{told}");
        assert_eq!(told["next_reply_to_status"], "broken", "{told}");
        assert_eq!(
            (&told["status"], &told["reply_to"]),
            (&json!("active"), &json!(JOE))
        );
        assert_eq!(told["letter"], want, "{told}");
    }

    scene.relay.clock.advance(Duration::from_mins(1));
    let newest = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let mended = scene.enrol(&newest, "bob@joesgarage.example").await.json;
    assert_eq!(mended["next_reply_to"], "bob@joesgarage.example");
    assert_eq!(mended["next_reply_to_status"], "pending", "{mended}");
}

#[tokio::test]
async fn a_shop_is_told_of_its_own_letters_and_never_of_another_shops() {
    let scene = Scene::start().await;
    let first = || scene.token("L-1", &json!({}));
    let second = || scene.token("L-2", &json!({}));
    asked_once(&scene).await;
    let (clock, ten) = (&scene.relay.clock, Duration::from_mins(10));
    let asked = clock.now();
    clock.advance(Duration::from_mins(1));
    let told = scene.enrol(&second(), JOE).await.json;
    named(&scene, &told, JOE).await;
    assert_eq!(scene.status(&second()).await.json["letter"], unsent(JOE));
    let own = letter(JOE, asked, asked.after(ten));
    assert_eq!(scene.status(&first()).await.json["letter"], own);

    clock.advance(ten);
    let again = clock.now();
    let own = letter(JOE, again, again.after(ten));
    assert_eq!(scene.enrol(&second(), JOE).await.json["letter"], own);
    assert_eq!(scene.status(&second()).await.json["letter"], own);
    let was = scene.status(&first()).await.json["letter"].clone();
    assert_eq!(was, sent(JOE, asked), "the last one was another's");
}

#[tokio::test]
async fn a_shop_whose_address_broke_by_anothers_letter_waits_for_none_until_it_asks() {
    let scene = Scene::start().await;
    let second = || scene.token("L-2", &json!({}));
    asked_once(&scene).await;
    scene.enrol(&second(), JOE).await;
    comes_back(&scene, JOE).await;
    let told = scene.status(&second()).await.json;
    assert_eq!(
        (&told["status"], &told["letter"]),
        (&json!("broken"), &Value::Null)
    );
    let (clock, ten) = (&scene.relay.clock, Duration::from_mins(10));
    clock.advance(ten);
    let told = scene.enrol(&second(), JOE).await.json;
    let own = letter(JOE, clock.now(), clock.now().after(ten));
    assert_eq!(
        (&told["status"], &told["letter"]),
        (&json!("broken"), &own),
        "until its owner says yes"
    );
}

#[tokio::test]
async fn an_address_that_was_the_shops_and_broke_is_asked_when_it_is_wished_again() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    let tenant = told["tenant"].as_str().unwrap();
    scene.confirm(tenant, JOE).await;
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    scene.enrol(&newer, ANN).await;
    scene.confirm(tenant, ANN).await;
    comes_back(&scene, JOE).await;

    let (clock, ten) = (&scene.relay.clock, Duration::from_mins(10));
    clock.advance(ten);
    let newest = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let again = scene.enrol(&newest, JOE).await.json;
    assert_eq!(
        (&again["reply_to"], &again["next_reply_to"]),
        (&json!(ANN), &json!(JOE))
    );
    assert_eq!(again["next_reply_to_status"], "broken", "{again}");
    let own = letter(JOE, clock.now(), clock.now().after(ten));
    assert_eq!(again["letter"], own);
    scene.confirm(tenant, JOE).await;
    let mended = scene.status(&newest).await.json;
    assert_eq!(
        (&mended["reply_to"], &mended["letter"]),
        (&json!(JOE), &Value::Null)
    );
}

#[tokio::test]
async fn who_cannot_have_another_sent_now_is_told_of_no_time() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    let asked = scene.relay.clock.now();
    // It tells of new keys, which nothing is to hold up.
    let rotated = scene.rotate(&scene.token("L-1", &json!({}))).await.json;
    assert!(rotated["http"]["key"].is_string(), "{rotated}");
    assert_eq!(rotated["letter"], sent(JOE, asked));

    // It has no licence, and so no program that enrols.
    let (tenant, provision) = (&scene.relay.tenant, &scene.relay.provision);
    let (ann, status) = (ANN.parse().unwrap(), ReplyStatus::Unconfirmed);
    let update = TenantUpdate {
        tenant: tenant.id,
        name: None,
        language: None,
        plan: None,
        reply_to: Some(provision.new_reply_address(tenant.id, ann, status)),
    };
    provision.directory.update_tenant(update).await.unwrap();
    scene.refresh().await;
    let ann = ANN.parse().unwrap();
    scene.relay.gate.ask_again(tenant.id, &ann).await.unwrap();
    let of_key = scene.status(&scene.relay.key).await.json;
    assert_eq!(of_key["letter"], sent(ANN, asked), "{of_key}");

    let house = scene.relay.roster.house().unwrap();
    scene.relay.suspend(&house).await;
    let token = scene.token("L-1", &json!({}));
    let told_now = scene.status(&token).await.json;
    assert_eq!(told_now["tenant"], told["tenant"]);
    assert_eq!(told_now["letter"], sent(JOE, asked), "nobody writes");
}
