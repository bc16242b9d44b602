//! What becomes of a shop by what the owner of its reply address does, or does not.

use std::time::Duration;

use postrider_gate::AskOutcome;
use postrider_model::ReplyStatus;
use postrider_store::{Mail as _, MailFilter, MailPage, PageStart, TenantUpdate};
use serde_json::{Value, json};

use super::scene::{JOE, Scene};
use crate::harness::mail;
use crate::pages::link;

pub(super) const ANN: &str = "ann@joesgarage.example";

async fn says_no(scene: &Scene, told: &Value, address: &str) {
    let tenant = scene.tenant(told);
    let (address, now) = (address.parse().unwrap(), scene.relay.clock.now());
    let directory = &scene.relay.provision.directory;
    let said = directory.answer_reply_address(tenant.id, &address, ReplyStatus::Refused, now);
    assert_eq!(said.await.unwrap(), ReplyStatus::Refused);
    scene.refresh().await;
}

pub(super) async fn comes_back(scene: &Scene, address: &str) {
    let (directory, address) = (&scene.relay.provision.directory, address.parse().unwrap());
    let broken = directory.break_reply_address(&address);
    assert!(!broken.await.unwrap().is_empty());
    scene.refresh().await;
}

async fn sends(scene: &Scene, told: &Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", told["http"]["key"].as_str().unwrap());
    let fields = [("authorization", bearer.as_str())];
    let sent = scene.relay.ask("POST", "/emails", &fields, mail("")).await;
    (sent.status, sent.json["refusal"].clone())
}

#[tokio::test]
async fn a_shop_whose_owner_says_no_is_told_so_and_mends_it_with_another_address() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    says_no(&scene, &told, JOE).await;
    assert_eq!(scene.enrol(&token, JOE).await.json["status"], "refused");
    assert_eq!(scene.status(&token).await.json["status"], "refused");
    assert_eq!(sends(&scene, &told).await, (403, json!("PR-606")));
    // Nobody's word stands over the owner's.
    let vouched = json!({"attested": JOE, "iat": scene.seconds() - 5});
    let vouched = scene.enrol(&scene.token("L-1", &vouched), JOE).await;
    assert_eq!(vouched.json["refusal"], "PR-712", "{}", vouched.json);

    let old = scene.enrol(&token, ANN).await;
    assert_eq!(old.json["refusal"], "PR-710", "{}", old.json);
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let mended = scene.enrol(&newer, ANN).await.json;
    assert_eq!(mended["status"], "pending", "{mended}");
    assert_eq!(
        (&mended["reply_to"], &mended["next_reply_to"]),
        (&json!(ANN), &Value::Null)
    );
    assert_eq!(mended["from"], told["from"]);
    assert_eq!(sends(&scene, &told).await, (403, json!("PR-601")));
    scene.confirm(told["tenant"].as_str().unwrap(), ANN).await;
    assert_eq!(scene.status(&newer).await.json["status"], "active");
    assert_eq!(sends(&scene, &told).await.0, 200);
}

#[tokio::test]
async fn a_shop_whose_letter_came_back_is_told_so_and_mends_it_with_another_address() {
    let scene = Scene::start().await;
    let token = scene.token("L-1", &json!({}));
    let told = scene.enrol(&token, JOE).await.json;
    comes_back(&scene, JOE).await;
    assert_eq!(scene.enrol(&token, JOE).await.json["status"], "broken");
    assert_eq!(scene.status(&token).await.json["status"], "broken");
    assert_eq!(sends(&scene, &told).await, (403, json!("PR-605")));

    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let mended = scene.enrol(&newer, ANN).await.json;
    assert_eq!(mended["status"], "pending", "{mended}");
    assert_eq!(
        (&mended["reply_to"], &mended["next_reply_to"]),
        (&json!(ANN), &Value::Null)
    );
    assert_eq!(sends(&scene, &told).await, (403, json!("PR-601")));
    scene.confirm(told["tenant"].as_str().unwrap(), ANN).await;
    // What took no mail later was somebody's, and mail goes out with it.
    comes_back(&scene, ANN).await;
    assert_eq!(scene.status(&newer).await.json["status"], "active");
    assert_eq!(sends(&scene, &told).await.0, 200);
}

#[tokio::test]
async fn an_address_that_no_shop_may_wish_any_more_stays_with_whom_it_is() {
    let scene = Scene::start().await;
    let told = scene.enrol(&scene.token("L-1", &json!({})), JOE).await.json;
    let (tenant, old) = (scene.tenant(&told), "joe@localhost");
    let provision = &scene.relay.provision;
    let (address, status) = (old.parse().unwrap(), ReplyStatus::Unconfirmed);
    let update = TenantUpdate {
        tenant: tenant.id,
        name: None,
        language: None,
        plan: None,
        reply_to: Some(provision.new_reply_address(tenant.id, address, status)),
    };
    provision.directory.update_tenant(update).await.unwrap();
    scene.refresh().await;
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let again = scene.enrol(&newer, old).await;
    assert_eq!((again.status, &again.json["reply_to"]), (200, &json!(old)));
    let other = scene.enrol(&newer, "ann@relay.example").await;
    assert_eq!(other.status, 422, "{}", other.json);
    let said = &other.json["errors"][0]["message"];
    let says = "Replies cannot go to ann@relay.example: mail to relay.example comes to this relay";
    assert!(said.as_str().unwrap().starts_with(says), "{said}");
}

/// What the page says after the yes of whom the last letter went to.
async fn says_yes(scene: &Scene, language: &str) -> String {
    let page = MailPage {
        limit: 1,
        start: PageStart::Newest,
    };
    let (relay, house) = (&scene.relay, scene.relay.roster.house().unwrap());
    let all = MailFilter::default();
    let listed = relay.store.list(house.id, &all, page);
    let letter = listed.await.unwrap().unwrap().emails.remove(0).id;
    let letter = relay.store.body(house.id, letter).await.unwrap().unwrap();
    let path = link(&letter, "https://relay.example/c/");
    let asked = ("POST", path.as_str(), "answer=yes");
    relay.page_in(language, asked).await.2
}

#[tokio::test]
async fn the_page_after_a_yes_says_which_replies_come() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    let page = says_yes(&scene, "en").await;
    let says = "Replies to mail from Joe&#39;s Garage go to joe@joesgarage.example from now on.";
    assert!(page.contains(says), "{page}");
    for address in [ANN, "bob@joesgarage.example"] {
        scene.relay.clock.advance(Duration::from_mins(1));
        let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
        let changed = scene.enrol(&newer, address).await.json;
        assert_eq!(changed["next_reply_to"], address, "{changed}");
    }
    let tenant = scene.tenant(&told).id;
    let ann = ANN.parse().unwrap();
    let asked = scene.relay.gate.ask_again(tenant, &ann);
    assert_eq!(asked.await.unwrap(), AskOutcome::Asked);
    // The shop has changed its mind: Ann's is confirmed, and not what replies go to.
    for (language, says) in [
        (
            "en",
            "is confirmed, but Joe&#39;s Garage has another address",
        ),
        ("fr", "confirmée, mais Joe&#39;s Garage a maintenant une"),
    ] {
        let page = says_yes(&scene, language).await;
        assert!(page.contains(says), "{page}");
    }
}

#[tokio::test]
async fn a_changed_address_whose_owner_says_no_leaves_the_one_before() {
    let scene = Scene::start().await;
    let told = scene.enrol(&scene.token("L-1", &json!({})), JOE).await.json;
    scene.confirm(told["tenant"].as_str().unwrap(), JOE).await;
    let newer = scene.token("L-1", &json!({"iat": scene.seconds()}));
    let changed = scene.enrol(&newer, ANN).await.json;
    assert_eq!(
        (&changed["status"], &changed["next_reply_to"]),
        (&json!("active"), &json!(ANN))
    );
    says_no(&scene, &told, ANN).await;
    let status = scene.status(&newer).await.json;
    assert_eq!(
        (&status["status"], &status["reply_to"]),
        (&json!("active"), &json!(JOE))
    );
    assert_eq!(status["next_reply_to"], Value::Null);
}

/// Letters of the service.
async fn letters(scene: &Scene) -> usize {
    let house = scene.relay.roster.house().unwrap();
    let page = MailPage {
        limit: 100,
        start: PageStart::Newest,
    };
    let store = &scene.relay.store;
    let listed = store.list(house.id, &MailFilter::default(), page).await;
    listed.unwrap().unwrap().emails.len()
}

/// A shop that enrolled and was asked once.
pub(super) async fn asked_once(scene: &Scene) -> Value {
    let contact = "postmaster@relay.example".parse().unwrap();
    let provision = &scene.relay.provision;
    provision.house("Postrider", contact).await.unwrap();
    scene.refresh().await;
    let told = scene.enrol(&scene.token("L-1", &json!({})), JOE).await.json;
    let tenant = scene.tenant(&told).id;
    assert_eq!(letters(scene).await, 0, "the gate writes it by itself");
    let gate = &scene.relay.gate;
    let asked = gate.ask_again(tenant, &JOE.parse().unwrap()).await;
    assert_eq!(asked.unwrap(), AskOutcome::Asked);
    told
}

#[tokio::test]
async fn a_program_that_enrols_every_day_does_not_write_to_a_stranger_for_ever() {
    let scene = Scene::start().await;
    asked_once(&scene).await;
    for want in [2, 3, 4, 5, 5, 5, 5] {
        scene.relay.clock.advance(Duration::from_hours(24));
        let again = scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
        assert_eq!(again.json["status"], "pending", "{}", again.json);
        assert_eq!(letters(&scene).await, want);
    }
    scene.relay.clock.advance(Duration::from_hours(7 * 24));
    scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
    assert_eq!(letters(&scene).await, 6, "the pause is over");
}

#[tokio::test]
async fn a_shop_whose_letter_was_lost_enrols_again_and_gets_another() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    for (minutes, want, why) in [
        (0, 1, "at once"),
        (9, 1, "too soon"),
        (1, 2, "ten minutes later"),
        (10, 3, "and later"),
        (60, 3, "enough for a day"),
    ] {
        scene.relay.clock.advance(Duration::from_mins(minutes));
        let again = scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
        assert_eq!(again.json["status"], "pending", "{}", again.json);
        assert_eq!(letters(&scene).await, want, "{why}");
    }
    let now = scene.relay.clock.now();
    scene.relay.clock.advance(now.next_day().since(now));
    scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
    assert_eq!(letters(&scene).await, 4, "another day");
    scene.confirm(told["tenant"].as_str().unwrap(), JOE).await;
    scene.relay.clock.advance(Duration::from_mins(10));
    let status = scene.enrol(&scene.token("L-1", &json!({})), JOE).await.json;
    assert_eq!(
        (&status["status"], letters(&scene).await),
        (&json!("active"), 4)
    );
}

#[tokio::test]
async fn a_shop_whose_letter_came_back_from_a_right_address_enrols_again_and_gets_another() {
    let scene = Scene::start().await;
    let told = asked_once(&scene).await;
    comes_back(&scene, JOE).await;
    for (minutes, want, why) in [
        (9, 1, "too soon"),
        (1, 2, "ten minutes later"),
        (10, 3, "and later"),
        (60, 3, "enough for a day"),
    ] {
        scene.relay.clock.advance(Duration::from_mins(minutes));
        let again = scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
        assert_eq!(again.json["status"], "broken", "{}", again.json);
        assert_eq!(letters(&scene).await, want, "{why}");
    }
    let page = says_yes(&scene, "en").await;
    assert!(page.contains(JOE), "{page}");
    assert_eq!(sends(&scene, &told).await.0, 200);
    // Once it was somebody's, the shop sends, and enrols at each start: nobody is asked for that.
    comes_back(&scene, JOE).await;
    scene.relay.clock.advance(Duration::from_hours(24));
    let again = scene.enrol(&scene.token("L-1", &json!({})), JOE).await;
    assert_eq!(again.json["status"], "active", "{}", again.json);
    assert_eq!(letters(&scene).await, 3);
}
