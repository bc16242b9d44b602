//! What the owner of a reply address says stops mail that was accepted before.

use std::time::Duration;

use postrider_fakenet::{Phase, Script};
use serde_json::{Value, json};

use crate::harness::mail::header;
use crate::harness::{Inside, Page, Place, Timeline, until};

pub(crate) const ANN: &str = "ann@colleagues.test";
/// Longer than any wait between two of the first attempts.
const LATER: Duration = Duration::from_hours(2);

/// Whatever link the letter to Ann has.
pub(crate) async fn link(relay: &Inside) -> String {
    until("the letter to Ann", async || {
        let messages = relay.net.mailbox().messages();
        let mut hers = messages.iter().filter(|one| one.rcpt_to == [ANN]);
        let text = String::from_utf8_lossy(&hers.next()?.raw).into_owned();
        let link = text.lines().find(|line| line.contains("/c/"))?;
        let (_, token) = link.split_once("/c/")?;
        Some(format!("/c/{}", token.trim_end()))
    })
    .await
}

pub(crate) async fn press(place: &Place, path: &str, form: &str) {
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let http = &place.http;
    let pressed = http.ask("POST", path, &kind, form.as_bytes()).await;
    assert_eq!(pressed.status, 200, "{}", pressed.text());
}

/// A message from this sender that its first remote puts off once.
async fn put_off(relay: &Inside, from: &str, to: &str) -> String {
    greylists(relay, to);
    let place = &relay.place;
    let message = json!({"from": from, "to": to, "subject": "Your car", "text": "is ready"});
    let id = place.send(message).await;
    deferred(place, &id).await;
    id
}

fn greylists(relay: &Inside, to: &str) {
    let (_, domain) = to.split_once('@').unwrap();
    let script = Script::new().once(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain(domain).mx(script);
}

async fn deferred(place: &Place, id: &str) {
    let has = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(id, has).await;
}

/// A relay where Ann has said that she knows the shop.
async fn ann_knows() -> (Inside, String) {
    let relay = Inside::start().await;
    relay
        .command(&["reply", "add", &relay.place.tenant, ANN])
        .await;
    let path = link(&relay).await;
    press(&relay.place, &path, "answer=yes").await;
    (relay, path)
}

/// After the first attempts and all the time that a message has, nothing came there and nothing ended.
async fn waits_for_ever(relay: &Inside, id: &str, to: &str) {
    for span in [LATER, Duration::from_hours(73)] {
        relay.advance(span);
        relay.others_go_on().await;
        assert_eq!(relay.came(to), 0);
    }
    assert_eq!(relay.place.events(id).await.end(), None);
}

fn entry<'a>(audit: &'a Value, verb: &str) -> Option<&'a Value> {
    let mut entries = audit.as_array().unwrap().iter();
    entries.find(|entry| entry["verb"] == verb)
}

/// So many messages wait for an owner, as the metrics page has it.
async fn set_aside(place: &Place, messages: u64) {
    until("messages that are set aside", async || {
        let page = Page::of(place).await;
        let count = page.count(
            "postrider_delivery_set_aside_messages",
            &[("word", "owner")],
        );
        (count == messages).then_some(())
    })
    .await;
}

#[tokio::test]
async fn mail_that_names_somebody_who_says_no_waits_and_all_other_mail_goes_on() {
    let relay = Inside::start().await;
    let place = relay.place.clone();
    relay.command(&["reply", "add", &place.tenant, ANN]).await;
    let path = link(&relay).await;
    press(&place, &path, "answer=yes").await;
    let held = put_off(&relay, ANN, "cy@first.test").await;
    let free = put_off(&relay, "joe@joesgarage.test", "di@second.test").await;

    press(&place, &path, "answer=no").await;
    relay.advance(LATER);
    let timeline = place.settled(&free).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    relay.others_go_on().await;
    assert_eq!(relay.came("cy@first.test"), 0);
    set_aside(&place, 1).await;
    let found = relay.command(&["find", "cy@first.test"]).await;
    let message = &found["messages"][0];
    assert_eq!(message["held_by"], json!(["owner"]), "{message}");
    let next = message["next"].as_str().unwrap();
    let command = format!("`postrider reply confirm {} {ANN}`", place.tenant);
    assert!(next.contains(&command), "{next}");
    let retry = ["queue", "retry-now", "--tenant", &place.tenant];
    let told = relay.command(&retry).await;
    assert_eq!(told["perhaps_held"], 1, "{told}");
    let audit = relay.command(&["audit"]).await;
    let said = entry(&audit, "reply_disown").unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(
        (&said["actor"], &said["subject"], &said["detail"]["address"]),
        (
            &json!("owner of the address"),
            &json!(place.tenant),
            &json!(ANN)
        )
    );

    // Neither a restart nor the end of its time lets it go, or ends it.
    let relay = relay.restart().await;
    relay.advance(Duration::from_hours(73));
    relay.others_go_on().await;
    assert_eq!(relay.came("cy@first.test"), 0);
    let place = relay.place.clone();
    let ended = place.events(&held).await.end().cloned();
    assert_eq!(ended, None);
    relay.stop().await;
}

#[tokio::test]
async fn mail_that_names_somebody_goes_when_their_no_is_taken_back() {
    let relay = Inside::start().await;
    let place = relay.place.clone();
    relay.command(&["reply", "add", &place.tenant, ANN]).await;
    let path = link(&relay).await;
    press(&place, &path, "answer=yes").await;
    let held = put_off(&relay, ANN, "cy@first.test").await;
    press(&place, &path, "answer=no").await;
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("cy@first.test"), 0);
    relay
        .command(&["reply", "confirm", &place.tenant, ANN])
        .await;
    let timeline = place.settled(&held).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    set_aside(&place, 0).await;
    let messages = relay.net.mailbox().messages();
    let sent = messages.iter().find(|one| one.rcpt_to == ["cy@first.test"]);
    assert_eq!(header(&sent.unwrap().raw, "Reply-To"), ANN);
    relay.stop().await;
}

#[tokio::test]
async fn mail_that_is_past_its_time_expires_when_the_no_is_taken_back() {
    let (relay, path) = ann_knows().await;
    let place = relay.place.clone();
    let held = put_off(&relay, ANN, "cy@first.test").await;
    press(&place, &path, "answer=no").await;
    waits_for_ever(&relay, &held, "cy@first.test").await;
    let told = relay
        .command(&["reply", "confirm", &place.tenant, ANN])
        .await;
    let mail = told["mail"].as_str().unwrap();
    assert!(mail.contains("past its time expires"), "{told}");
    let timeline = place.settled(&held).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "expired"]);
    relay.stop().await;
}

#[tokio::test]
async fn mail_of_a_suspended_key_waits_beyond_its_time_and_over_restarts_too() {
    let relay = Inside::start().await;
    let tenant = relay.place.tenant.clone();
    let key = relay.command(&["tenant", "show", &tenant]).await["keys"][0]["id"].clone();
    let key = key.as_str().unwrap();
    let held = put_off(&relay, "joe@joesgarage.test", "cy@first.test").await;
    relay.command(&["key", "suspend", key]).await;
    relay.advance(Duration::from_hours(73));
    // What was known in memory is gone, and all of it is late.
    let relay = relay.restart().await;
    relay.others_go_on().await;
    let shown = relay.command(&["find", "cy@first.test"]).await;
    let message = &shown["messages"][0];
    assert_eq!(message["held_by"], json!(["key"]), "{message}");
    relay.command(&["key", "resume", key]).await;
    let timeline = relay.place.settled(&held).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "expired"]);
    relay.stop().await;
}

#[tokio::test]
async fn mail_that_asks_receipts_of_somebody_who_says_no_waits() {
    let (relay, path) = ann_knows().await;
    let place = relay.place.clone();
    greylists(&relay, "cy@first.test");
    let raw = format!(
        "From: joe@joesgarage.test\r\nTo: cy@first.test\r\nSubject: Your car\r\n\
         Disposition-Notification-To: {ANN}\r\n\r\nis ready\r\n"
    );
    let sent = place.post_raw(&["cy@first.test"], raw.as_bytes()).await;
    let id = sent.id();
    deferred(&place, &id).await;
    press(&place, &path, "answer=no").await;
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("cy@first.test"), 0);
    let found = relay.command(&["find", "cy@first.test"]).await;
    let message = &found["messages"][0];
    assert_eq!(message["held_by"], json!(["owner"]), "{message}");
    relay
        .command(&["reply", "confirm", &place.tenant, ANN])
        .await;
    place.settled(&id).await;
    let messages = relay.net.mailbox().messages();
    let sent = messages.iter().find(|one| one.rcpt_to == ["cy@first.test"]);
    let raw = &sent.unwrap().raw;
    assert_eq!(header(raw, "Disposition-Notification-To"), ANN);
    relay.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_that_names_somebody_who_says_no_waits() {
    let (relay, path) = ann_knows().await;
    let place = relay.place.clone();
    relay.net.domain("first.test").mx(Script::new());
    let tomorrow = relay.now().after(Duration::from_hours(24)).to_string();
    let message = |from: &str, to: &str| {
        json!({"from": from, "to": to, "subject": "Your car", "text": "is ready",
               "scheduled_at": tomorrow})
    };
    let held = place.send(message(ANN, "cy@first.test")).await;
    let free = message("joe@joesgarage.test", "di@first.test");
    let free = place.send(free).await;
    press(&place, &path, "answer=no").await;
    relay.advance(Duration::from_hours(25));
    place.settled(&free).await;
    waits_for_ever(&relay, &held, "cy@first.test").await;
    relay.stop().await;
}
