//! The operator's verbs about the queue: what they do to mail that waits, is scheduled, or is just
//! being sent.

mod in_flight;
mod of_a_key;
mod resealed;

use std::time::Duration;

use postrider_fakenet::{Phase, Script};
use serde_json::{Value, json};

use crate::harness::{Inside, Place, Timeline};

/// Longer than any wait between two of the first attempts.
const LATER: Duration = Duration::from_hours(2);

/// A message that its first remote puts off once.
pub(crate) async fn put_off(relay: &Inside, place: &Place, to: &str) -> String {
    let (_, domain) = to.split_once('@').unwrap();
    let script = Script::new().once(Phase::Rcpt, "451 4.3.0 later");
    relay.net.domain(domain).mx(script);
    let id = place.send_to(to).await;
    let seen = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(&id, seen).await;
    id
}

/// `queue VERB --SCOPE WHICH`; its answer's form is checked.
async fn queue(relay: &Inside, verb: &str, scope: &str, which: &str) -> Value {
    let option = format!("--{scope}");
    let answer = relay.command(&["queue", verb, &option, which]).await;
    assert_eq!(answer["verb"], verb, "{answer}");
    assert!(answer[scope].is_string(), "{answer}");
    assert!(answer["too_late"].is_array(), "{answer}");
    assert_eq!(answer["not_answered"], json!([]), "{answer}");
    answer
}

/// The same, with how many recipients it changed.
async fn changed(relay: &Inside, verb: &str, scope: &str, which: &str) -> u64 {
    let answer = queue(relay, verb, scope, which).await;
    assert_eq!(answer["too_late"], json!([]), "{answer}");
    answer["changed"].as_u64().unwrap()
}

async fn recipient(place: &Place, id: &str) -> Value {
    place.email(id).await["recipients"][0].clone()
}

#[tokio::test]
async fn what_is_held_stays_until_it_is_released() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let id = put_off(&relay, place, "ann@held.test").await;
    let free = put_off(&relay, place, "ann@free.test").await;
    assert_eq!(changed(&relay, "hold", "domain", "held.test").await, 1);
    assert_eq!(recipient(place, &id).await["state"], "held");
    assert_eq!(place.email(&id).await["last_event"], "queued");
    relay.advance(LATER);
    place.settled(&free).await;
    assert_eq!(relay.came("ann@held.test"), 0);
    // What is accepted later is not held.
    let later = place.send_to("bob@held.test").await;
    place.settled(&later).await;

    let relay = relay.restart().await;
    let place = &relay.place;
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@held.test"), 0);
    assert_eq!(changed(&relay, "release", "domain", "held.test").await, 1);
    let timeline = place.settled(&id).await;
    let story = ["accepted", "deferred", "held", "released", "delivered"];
    assert_eq!(timeline.outcomes(), story);
    assert_eq!(changed(&relay, "release", "domain", "held.test").await, 0);
    relay.stop().await;
}

#[tokio::test]
async fn a_verb_is_about_its_tenant_its_domain_or_its_message_and_nothing_else() {
    let relay = Inside::start().await;
    let (one, other) = (relay.place.clone(), relay.another("Other").await);
    let mine = put_off(&relay, &one, "ann@mine.test").await;
    let mine_too = put_off(&relay, &one, "ann@minetoo.test").await;
    let others = put_off(&relay, &other, "ann@others.test").await;
    assert_eq!(changed(&relay, "hold", "tenant", &one.tenant).await, 2);
    assert_eq!(changed(&relay, "release", "message", &mine).await, 1);
    assert_eq!(
        one.settled(&mine).await.outcomes().last(),
        Some(&"delivered")
    );
    assert_eq!(recipient(&one, &mine_too).await["state"], "held");
    relay.advance(LATER);
    other.settled(&others).await;
    assert_eq!(relay.came("ann@minetoo.test"), 0);
    assert_eq!(changed(&relay, "cancel", "message", &mine_too).await, 1);
    let timeline = one.settled(&mine_too).await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "deferred", "held", "cancelled"]
    );
    // What is done with is nobody's to change.
    for verb in ["hold", "release", "cancel", "retry-now"] {
        assert_eq!(changed(&relay, verb, "message", &mine).await, 0, "{verb}");
    }
    relay.stop().await;
}

#[tokio::test]
async fn cancel_discards_what_waits_what_is_scheduled_and_what_is_held() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let waiting = put_off(&relay, place, "ann@waiting.test").await;
    let held = put_off(&relay, place, "ann@held.test").await;
    assert_eq!(changed(&relay, "hold", "message", &held).await, 1);
    let message = json!({
        "to": ["ann@scheduled.test", "bob@scheduled.test"], "subject": "x", "text": "y",
        "scheduled_at": "in 1 hour",
    });
    let scheduled = place.send(message).await;
    assert_eq!(changed(&relay, "cancel", "tenant", &place.tenant).await, 4);
    for id in [&waiting, &held, &scheduled] {
        let timeline = place.settled(id).await;
        assert_eq!(
            timeline.end().unwrap()["type"],
            "cancelled",
            "{timeline:#?}"
        );
        assert_eq!(place.email(id).await["last_event"], "canceled");
    }
    relay.advance(LATER);
    relay.others_go_on().await;
    let came = relay.net.mailbox().messages();
    assert_eq!(came.len(), 1, "the witness's: {came:#?}");
    relay.stop().await;
}

#[tokio::test]
async fn what_is_scheduled_and_held_leaves_when_it_is_released() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let message =
        json!({"to": "ann@late.test", "subject": "x", "text": "y", "scheduled_at": "in 1 hour"});
    let id = place.send(message).await;
    assert_eq!(changed(&relay, "hold", "tenant", &place.tenant).await, 1);
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@late.test"), 0);
    assert_eq!(changed(&relay, "release", "tenant", &place.tenant).await, 1);
    let timeline = place.settled(&id).await;
    assert_eq!(
        timeline.outcomes(),
        ["scheduled", "held", "released", "delivered"]
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_suspension_stops_what_is_accepted_later_too_until_it_is_resumed() {
    let relay = Inside::start().await;
    let place = relay.place.clone();
    let waiting = put_off(&relay, &place, "ann@stopped.test").await;
    queue(&relay, "suspend", "tenant", &place.tenant).await;
    let listed = relay.command(&["queue", "list"]).await;
    let standing = &listed["suspensions"];
    assert_eq!(standing.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(standing[0]["verb"], "suspend");
    assert_eq!(standing[0]["tenant"], place.tenant.as_str());
    // The door stands open.
    let later = place.send_to("bob@fresh.test").await;
    relay.advance(LATER);
    relay.others_go_on().await;
    for id in [&waiting, &later] {
        let shown = recipient(&place, id).await;
        assert_eq!(
            (&shown["state"], &shown["cause"]),
            (&json!("queued"), &json!("held"))
        );
        assert!(shown["reason"].is_string(), "{shown}");
    }

    let relay = relay.restart().await;
    let place = relay.place.clone();
    let after = place.send_to("eve@fresh.test").await;
    relay.others_go_on().await;
    assert_eq!(relay.net.mailbox().of_host("mx.fresh.test").len(), 0);
    assert_eq!(relay.came("ann@stopped.test"), 0);
    queue(&relay, "resume", "tenant", &place.tenant).await;
    for id in [&waiting, &later, &after] {
        let timeline = place.settled(id).await;
        assert_eq!(
            timeline.end().unwrap()["type"],
            "delivered",
            "{timeline:#?}"
        );
    }
    let listed = relay.command(&["queue", "list"]).await;
    assert_eq!(listed["suspensions"], json!([]));
    let words = ["queue", "resume", "--tenant", &place.tenant];
    let again = relay.try_command(&words).await;
    assert_eq!(again.status.code(), Some(1));
    let fault = String::from_utf8(again.stderr).unwrap();
    assert!(fault.contains("suspended"), "{fault}");
    relay.stop().await;
}

/// A vendor, and a tenant of it.
async fn of_a_vendor(relay: &Inside, slug: &str) -> Place {
    let contact = format!("help@{slug}.test");
    let words = ["vendor", "add", slug, "--name", slug, "--contact", &contact];
    relay.command(&words).await;
    another_of(relay, slug, "first").await
}

async fn another_of(relay: &Inside, vendor: &str, name: &str) -> Place {
    let reply_to = format!("{name}@{vendor}.test");
    let words = ["tenant", "add", "--name", name, "--reply-to", &reply_to];
    let words = [&words[..], &["--vendor", vendor, "--vouched"]].concat();
    let made = relay.command(&words).await;
    let word = |name: &str| made[name].as_str().unwrap();
    let place = relay.place.as_tenant(word("api_key"), word("slug"));
    let known = async || (place.get("/usage").await.status == 200).then_some(());
    crate::harness::until("the new tenant", known).await;
    place
}

#[tokio::test]
async fn a_verb_is_about_all_tenants_of_its_vendor_and_no_others() {
    let relay = Inside::start().await;
    let acme = of_a_vendor(&relay, "acme").await;
    let too = another_of(&relay, "acme", "second").await;
    let shop = of_a_vendor(&relay, "shop").await;
    let first = put_off(&relay, &acme, "ann@first.test").await;
    let second = put_off(&relay, &too, "ann@second.test").await;
    let others = put_off(&relay, &shop, "ann@others.test").await;
    assert_eq!(changed(&relay, "hold", "vendor", "acme").await, 2);
    assert_eq!(changed(&relay, "hold", "vendor", "acme").await, 0);
    relay.advance(LATER);
    shop.settled(&others).await;
    assert_eq!(relay.came("ann@first.test"), 0);
    assert_eq!(relay.came("ann@second.test"), 0);
    assert_eq!(changed(&relay, "release", "vendor", "shop").await, 0);
    assert_eq!(changed(&relay, "release", "message", &first).await, 1);
    acme.settled(&first).await;
    assert_eq!(changed(&relay, "cancel", "vendor", "acme").await, 1);
    let timeline = too.settled(&second).await;
    assert_eq!(timeline.outcomes().last(), Some(&"cancelled"));
    // What waits for another attempt does not wait any longer.
    let again = put_off(&relay, &too, "ann@again.test").await;
    assert_eq!(changed(&relay, "retry-now", "vendor", "acme").await, 1);
    too.settled(&again).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_vendors_suspended_queue_stops_also_tenants_that_come_later() {
    let relay = Inside::start().await;
    let acme = of_a_vendor(&relay, "acme").await;
    let waiting = put_off(&relay, &acme, "ann@stopped.test").await;
    queue(&relay, "suspend", "vendor", "acme").await;
    queue(&relay, "suspend", "tenant", &relay.place.tenant).await;
    let listed = relay.command(&["queue", "list", "--vendor", "acme"]).await;
    let standing = &listed["suspensions"];
    assert_eq!(standing.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(standing[0]["vendor"], "acme");
    queue(&relay, "resume", "tenant", &relay.place.tenant).await;
    let late = another_of(&relay, "acme", "second").await;
    let fresh = late.send_to("bob@fresh.test").await;
    relay.advance(LATER);
    relay.others_go_on().await;
    let relay = relay.restart().await;
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@stopped.test"), 0);
    assert!(relay.net.mailbox().of_host("mx.fresh.test").is_empty());
    let late = relay.place.as_tenant(&late.key, &late.tenant);
    let acme = relay.place.as_tenant(&acme.key, &acme.tenant);
    assert_eq!(recipient(&late, &fresh).await["cause"], "held");
    queue(&relay, "resume", "vendor", "acme").await;
    for (place, id) in [(&acme, &waiting), (&late, &fresh)] {
        let timeline = place.settled(id).await;
        assert_eq!(timeline.end().unwrap()["type"], "delivered");
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_suspended_destination_stops_all_tenants_mail_to_it_and_no_other() {
    let relay = Inside::start().await;
    let other = relay.another("Other").await;
    queue(&relay, "suspend", "domain", "stopped.test").await;
    queue(&relay, "suspend", "domain", "stopped.test").await;
    assert_eq!(
        relay.command(&["queue", "list"]).await["suspensions"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "suspended twice is suspended"
    );
    let stopped = [
        (&relay.place, relay.place.send_to("ann@stopped.test").await),
        (&other, other.send_to("bob@stopped.test").await),
    ];
    let free = relay.place.send_to("ann@free.test").await;
    relay.place.settled(&free).await;
    relay.others_go_on().await;
    assert!(relay.net.mailbox().of_host("mx.stopped.test").is_empty());
    // One of them is discarded while it stands still.
    assert_eq!(changed(&relay, "cancel", "message", &stopped[1].1).await, 1);
    queue(&relay, "resume", "domain", "stopped.test").await;
    let ends = ["delivered", "cancelled"];
    for ((place, id), end) in stopped.iter().zip(ends) {
        assert_eq!(place.settled(id).await.end().unwrap()["type"], end);
    }
    relay.stop().await;
}

#[tokio::test]
async fn retry_now_does_not_wait_for_the_next_attempt() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let id = put_off(&relay, place, "ann@back.test").await;
    assert!(recipient(place, &id).await["due_at"].is_string());
    assert_eq!(changed(&relay, "retry-now", "domain", "back.test").await, 1);
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    // What is scheduled keeps its time.
    let message =
        json!({"to": "ann@later.test", "subject": "x", "text": "y", "scheduled_at": "in 1 hour"});
    let scheduled = place.send(message).await;
    assert_eq!(changed(&relay, "retry-now", "message", &scheduled).await, 0);
    relay.others_go_on().await;
    assert_eq!(recipient(place, &scheduled).await["state"], "scheduled");
    relay.stop().await;
}

#[tokio::test]
async fn a_suspended_tenants_mail_waits_as_held() {
    let relay = Inside::start().await;
    let place = relay.place.clone();
    let id = put_off(&relay, &place, "ann@stopped.test").await;
    relay.command(&["tenant", "suspend", &place.tenant]).await;
    // Its time comes, and passes.
    for span in [Duration::from_mins(10), LATER] {
        relay.advance(span);
        relay.others_go_on().await;
    }
    assert_eq!(relay.came("ann@stopped.test"), 0);
    relay.command(&["tenant", "resume", &place.tenant]).await;
    let opened = async || (place.get(&format!("/emails/{id}")).await.status == 200).then_some(());
    crate::harness::until("the doors are open", opened).await;
    let timeline = place.settled(&id).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    let waited = &recipient(&place, &id).await["waited"];
    let held = waited["held"].as_f64().unwrap_or_default();
    assert!(held > 3_600_000.0, "{waited}");
    relay.stop().await;
}

#[tokio::test]
async fn a_verb_about_nothing_says_what_to_do() {
    let relay = Inside::start().await;
    for (words, code, says) in [
        (&["queue", "hold"][..], 2, "--tenant"),
        (&["queue", "hold", "--tenant", "nobody"], 1, "tenant list"),
        (&["queue", "hold", "--vendor", "nobody"], 1, "vendor list"),
        (&["queue", "hold", "--message", "nothing"], 2, "nothing"),
        (&["queue", "hold", "--domain", "a b"], 2, "a b"),
        (
            &["queue", "resume", "--domain", "free.test"],
            1,
            "suspended",
        ),
        (
            &["queue", "hold", "--domain", "a.test", "--tenant", "x"],
            2,
            "--tenant",
        ),
        (
            &["tenant", "limit", "nobody", "--per-minute", "1"],
            1,
            "tenant list",
        ),
    ] {
        let output = relay.try_command(words).await;
        let fault = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {fault}");
        assert!(fault.contains(says), "{words:?}: {fault}");
    }
    assert_eq!(changed(&relay, "hold", "domain", "unheard.test").await, 0);
    relay.stop().await;
}
