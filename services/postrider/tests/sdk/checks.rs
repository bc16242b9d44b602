//! What each step of the story must have told, whichever SDK walked it.

mod errors;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_model::Timestamp;
use serde_json::{Value, json};

use crate::harness::mail::{header, header_count};
use crate::story::{REPLY_TO, Story, Told, content};

use errors::refusals;
pub(crate) use errors::{concurrent, too_many};

/// All of it, but for what only some SDKs can do.
pub(crate) async fn story(story: &Story, told: &Told) {
    sent(story, told).await;
    attached(story, told).await;
    batched(story, told).await;
    repeated(story, told).await;
    scheduled(story, told);
    listed(story, told).await;
    refusals(told);
}

async fn sent(story: &Story, told: &Told) {
    let place = &story.place;
    place.settled(told.id("short")).await;
    place.received_once(&story.to("short")).await;

    let id = told.id("full");
    place.settled(id).await;
    let ann = story.to("ann");
    for who in ["ann", "bo", "cc", "bcc"] {
        let (_, raw) = place.received_once(&story.to(who)).await;
        assert_eq!(header(&raw, "X-Entity-Ref-ID"), story.word);
        assert!(header(&raw, "Reply-To").contains(REPLY_TO));
        assert!(header(&raw, "To").contains(&ann), "{who}");
        assert!(header(&raw, "Cc").contains(&story.to("cc")));
        assert_eq!(header_count(&raw, "Bcc"), 0);
    }
    shown(story, told).await;
}

async fn shown(story: &Story, told: &Told) {
    let (email, id) = (told.ok("get"), told.id("full"));
    for (name, want) in [
        ("id", json!(id)),
        ("subject", json!("Grüße 😀")),
        ("last_event", json!("delivered")),
        ("cc", json!([story.to("cc")])),
        ("bcc", json!([story.to("bcc")])),
        ("reply_to", json!([REPLY_TO])),
    ] {
        assert_eq!(email[name], want, "{name}");
    }
    for (name, part) in [
        ("/from", "@send.relay.test>"),
        ("/to/0", story.to("ann").as_str()),
        ("/to/1", "Bo, Müller"),
        ("/text", "It is ready."),
        ("/html", "<b>ready</b>"),
        ("/message_id", id),
    ] {
        let told = email.pointer(name).unwrap().as_str().unwrap();
        assert!(told.contains(part), "{name}: {told}");
    }
    // Not every SDK has a place for them.
    let tags =
        json!([{"name": "kind", "value": "estimate"}, {"name": "word", "value": story.word}]);
    assert_eq!(story.place.email(id).await["tags"], tags);
}

async fn attached(story: &Story, told: &Told) {
    let id = told.id("attach");
    let files = told.ok("attachments")["data"].as_array().unwrap();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(file["size"], content().len(), "{file}");
        let place = match file["filename"].as_str().unwrap() {
            "logo.png" => ("inline", json!("logo")),
            _ => ("attachment", Value::Null),
        };
        let told = (
            file["content_disposition"].as_str().unwrap(),
            file["content_id"].clone(),
        );
        assert_eq!(told, place, "{file}");
    }
    story.place.settled(id).await;
    let (_, raw) = story.place.received_once(&story.to("files")).await;
    let raw = String::from_utf8(raw).unwrap();
    let came = raw.matches(&BASE64_STANDARD.encode(content())).count();
    assert_eq!(came, 4, "{raw}");
}

async fn batched(story: &Story, told: &Told) {
    let place = &story.place;
    let sent = told.ids("batch");
    assert_eq!(sent.len(), 3);
    for (id, who) in sent.iter().zip(["b0", "b1", "b2"]) {
        assert_eq!(place.email(id).await["to"], json!([story.to(who)]));
    }
    let some = told.ids("batch_permissive");
    assert_eq!(some.len(), 2);
    let errors = told.ok("batch_permissive")["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["index"]), (1, &json!(1)));
    let message = errors[0]["message"].as_str().unwrap();
    assert!(
        message.contains("bob@") && message.contains("to[0]"),
        "{message}"
    );
    for (id, who) in some.iter().zip(["b3", "b4"]) {
        place.settled(id).await;
        // Once: nothing of the strict batch was taken.
        place.received_once(&story.to(who)).await;
    }
    assert_eq!(told.ids("batch_once").len(), 2);
    assert_eq!(told.ids("batch_once"), told.ids("batch_again"));
}

async fn repeated(story: &Story, told: &Told) {
    assert_eq!(told.id("once"), told.id("again"));
    story.place.settled(told.id("once")).await;
    story.place.received_once(&story.to("once")).await;
}

fn scheduled(story: &Story, told: &Told) {
    let id = told.id("schedule");
    for (step, event, at) in [
        ("scheduled", "scheduled", "in_an_hour"),
        ("updated", "scheduled", "in_two_hours"),
        ("cancelled", "canceled", "in_two_hours"),
    ] {
        let email = told.ok(step);
        assert_eq!(
            (&email["id"], &email["last_event"]),
            (&json!(id), &json!(event)),
            "{step}"
        );
        assert_eq!(email["scheduled_at"], story.word(at), "{step}");
    }
    assert_eq!((told.id("update"), told.id("cancel")), (id, id));
    let words = told.ok("scheduled_words");
    assert_eq!(words["last_event"], "scheduled");
    let time = |name: &str| Timestamp::parse(words[name].as_str().unwrap()).unwrap();
    let waits = time("scheduled_at").since(time("created_at"));
    let off = waits.abs_diff(Duration::from_mins(1));
    assert!(off < Duration::from_secs(1), "{words}");
    assert_eq!(told.id("cancel_words"), told.id("schedule_words"));
}

async fn listed(story: &Story, told: &Told) {
    let all = story.place.get("/emails?limit=100").await.json();
    let all: Vec<_> = all["data"].as_array().unwrap().iter().collect();
    let newest: Vec<_> = all
        .iter()
        .map(|email| email["id"].as_str().unwrap())
        .collect();
    assert_eq!(newest[0], told.id("schedule_words"));
    assert_eq!(told.ids("list"), newest[..2]);
    assert_eq!(told.ids("list_after"), newest[2..4]);
    assert_eq!(told.ids("list_before"), newest[..2]);
    for (step, has_more) in [("list", true), ("list_after", true), ("list_before", false)] {
        assert_eq!(told.ok(step)["has_more"], has_more, "{step}");
    }
    assert_eq!(told.ok("list")["data"][0]["subject"], "Your car");
    let domain = &told.ok("domains")["data"][0];
    assert_eq!(
        (&domain["name"], &domain["status"]),
        (&json!("send.relay.test"), &json!("verified"))
    );
    assert_eq!(told.ok("slash"), told.ok("domains"));
}
