//! What a program is told of the letter that its shop's reply address is asked by.

use std::time::Duration;

use postrider_model::Timestamp;
use serde_json::{Value, json};

use super::owner::{ANN, asked_once, comes_back};
use super::scene::{JOE, Scene};

fn letter(to: &str, sent_at: Timestamp, next_after: Timestamp) -> Value {
    json!({"to": to, "sent_at": sent_at, "next_after": next_after})
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
    let first = scene.enrol(&scene.token("L-2", &json!({})), ANN).await.json;
    let about_to = json!({"to": ANN, "sent_at": null, "next_after": null});
    assert_eq!(first["letter"], about_to, "{first}");

    let told = asked_once(&scene).await;
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
