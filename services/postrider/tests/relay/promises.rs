//! The process is killed at each step of the line. Nothing that was acknowledged is lost, and what
//! came twice is named. The fake internet is another process: it outlives the relay.

use serde_json::{Value, json};

use crate::harness::mail::header;
use crate::harness::{Answer, Page, Place, Sandbox, Timeline, until};

/// Refused by greylisting at first, so that the client has its answer long before the dot.
const LATER: &str = "greylisted@example.org";

struct Crash {
    sandbox: Sandbox,
    place: Place,
}

impl Crash {
    async fn armed(failpoint: &str) -> Self {
        let mut sandbox = Sandbox::prepared().await;
        sandbox.serve_armed(failpoint).await;
        let place = sandbox.place.clone();
        Self { sandbox, place }
    }

    async fn restart(&mut self) {
        self.sandbox.serve().await;
    }
}

/// The same request each time, with the same key.
async fn submit(place: &Place, recipient: &str) -> Option<Answer> {
    let body = json!({"to": recipient, "subject": "Once", "text": "and never lost"}).to_string();
    let bearer = format!("Bearer {}", place.key);
    let fields = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "order-7"),
        ("content-type", "application/json"),
    ];
    let request = crate::harness::client::request("POST", "/emails", &fields, body.as_bytes());
    place.http.say(&request).await
}

async fn stored(place: &Place) -> u64 {
    let page = Page::of(place).await;
    page.count("postrider_gate_recipients_accepted_total", &[])
}

#[tokio::test]
async fn killed_before_the_commit_nothing_was_promised_and_nothing_is_there() {
    let mut crash = Crash::armed("store.before_commit").await;
    assert!(
        submit(&crash.place, "ann@example.org").await.is_none(),
        "no answer"
    );
    crash.sandbox.relay_dies().await;
    crash.restart().await;
    let again = submit(&crash.place, "ann@example.org").await.unwrap();
    assert_eq!(
        again.field("idempotency-replayed"),
        None,
        "it is a new request"
    );
    let timeline = crash.place.settled(&again.id()).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    crash.place.received_once("ann@example.org").await;
}

#[tokio::test]
async fn killed_after_the_commit_the_message_goes_out_and_the_retry_finds_it() {
    let mut crash = Crash::armed("store.after_commit").await;
    assert!(
        submit(&crash.place, "ann@example.org").await.is_none(),
        "no answer"
    );
    crash.sandbox.relay_dies().await;
    assert!(crash.place.received("ann@example.org").await.is_empty());
    crash.restart().await;
    let again = submit(&crash.place, "ann@example.org").await.unwrap();
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!(stored(&crash.place).await, 0, "nothing new was stored");
    let timeline = crash.place.settled(&again.id()).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    crash.place.received_once("ann@example.org").await;
    let once_more = submit(&crash.place, "ann@example.org").await.unwrap();
    assert_eq!(once_more.id(), again.id());
}

#[tokio::test]
async fn killed_before_the_dot_nobody_has_it_and_it_is_delivered_once() {
    let (crash, id) = killed("delivery.before_dot").await;
    assert!(crash.place.received(LATER).await.is_empty());
    let (timeline, _) = delivered_again(crash, &id, 1).await;
    // The journal is written before the dot, and who died here cannot know that it was never sent.
    assert_eq!(timeline.count("ambiguous"), 1, "{timeline:#?}");
}

#[tokio::test]
async fn killed_after_the_dot_it_comes_twice_and_the_doubt_is_named() {
    let (crash, id) = killed("delivery.after_dot").await;
    came_once(&crash.place).await;
    doubled(crash, &id).await;
}

#[tokio::test]
async fn killed_after_the_reply_it_comes_twice_and_the_doubt_is_named() {
    let (crash, id) = killed("delivery.after_reply").await;
    came_once(&crash.place).await;
    doubled(crash, &id).await;
}

#[tokio::test]
async fn killed_before_the_settling_it_comes_twice_and_the_doubt_is_named() {
    let (crash, id) = killed("delivery.before_settle=2").await;
    came_once(&crash.place).await;
    doubled(crash, &id).await;
}

#[tokio::test]
async fn killed_before_the_settling_is_committed_it_comes_twice_and_the_doubt_is_named() {
    // The first thing that is settled is that it was greylisted.
    let (crash, id) = killed("store.before_settle=2").await;
    came_once(&crash.place).await;
    doubled(crash, &id).await;
}

/// Acknowledged, then killed at this point of its second attempt.
async fn killed(failpoint: &str) -> (Crash, String) {
    let mut crash = Crash::armed(failpoint).await;
    let id = submit(&crash.place, LATER).await.unwrap().id();
    crash.sandbox.relay_dies().await;
    (crash, id)
}

// The exchanger reads on for a moment after the client is gone.
async fn came_once(place: &Place) {
    until("the exchanger has it", async || {
        (place.received(LATER).await.len() == 1).then_some(())
    })
    .await;
}

async fn doubled(crash: Crash, id: &str) {
    let (timeline, messages) = delivered_again(crash, id, 2).await;
    assert_eq!(timeline.count("ambiguous"), 1, "{timeline:#?}");
    let at = |kind| timeline.kinds().iter().position(|other| *other == kind);
    assert!(at("ambiguous") < at("delivered"), "{timeline:#?}");
    let (first, second) = (&messages[0], &messages[1]);
    assert_eq!(first.1, second.1, "the stored bytes are the sent bytes");
    assert_eq!(first.0["mail_from"], second.0["mail_from"]);
    assert_eq!(
        header(&first.1, "Message-ID"),
        header(&second.1, "Message-ID")
    );
}

async fn delivered_again(
    mut crash: Crash,
    id: &str,
    times: usize,
) -> (Timeline, Vec<(Value, Vec<u8>)>) {
    crash.restart().await;
    let place = &crash.place;
    let timeline = place.settled(id).await;
    assert_eq!(timeline.count("delivered"), 1, "{timeline:#?}");
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
    let mut messages = Vec::new();
    for entry in place.received(LATER).await {
        let raw = place.raw(&entry).await;
        messages.push((entry, raw));
    }
    assert_eq!(messages.len(), times, "{timeline:#?}");
    // The client that repeats its request hears of the one message.
    let replay = submit(place, LATER).await.unwrap();
    assert_eq!(
        (replay.field("idempotency-replayed"), replay.id().as_str()),
        (Some("true"), id)
    );
    (timeline, messages)
}

#[tokio::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let mut sandbox = Sandbox::prepared().await;
    let place = sandbox.place.clone();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        sandbox.serve().await;
        let mut senders = tokio::task::JoinSet::new();
        for lane in 0..4 {
            let place = place.clone();
            senders
                .spawn(async move { send_until_gone(&place, &format!("r{round}l{lane}")).await });
        }
        let wanted = 20 * (round + 1);
        until("some came through", async || {
            let list = place.mailbox.get("/dev/mailbox").await.json();
            (list.as_array().unwrap().len() >= wanted).then_some(())
        })
        .await;
        sandbox.relay.take().unwrap().kill().await;
        acknowledged.extend(senders.join_all().await.concat());
    }
    sandbox.serve().await;
    assert!(acknowledged.len() >= 30, "{}", acknowledged.len());
    for (recipient, id) in &acknowledged {
        // Who was in flight at each of the three kills is held as what may have caused them.
        let at_rest = |seen: &Timeline| seen.is_settled() || seen.count("held") > 0;
        let timeline = place.events_when(id, at_rest).await;
        let is_poison = timeline.count("held") > 0 && timeline.count("ambiguous") == 3;
        let delivered = timeline.end().is_some_and(|end| end["type"] == "delivered");
        assert!(delivered || is_poison, "{recipient}: {:#?}", timeline.0);
    }
    let list = place.mailbox.get("/dev/mailbox").await.json();
    for (recipient, id) in &acknowledged {
        let came = list.as_array().unwrap().iter();
        let came = came
            .filter(|entry| entry["rcpt_to"][0] == **recipient)
            .count();
        let doubts = place.events(id).await.count("ambiguous");
        assert!(
            (1..=1 + doubts).contains(&came),
            "{recipient}: {came} came, {doubts} doubts"
        );
    }
}

/// Sends until the relay is gone; gives recipients and ids of what was acknowledged.
async fn send_until_gone(place: &Place, word: &str) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let recipient = format!("{word}n{n}@example.org");
        let body = json!({"to": recipient, "subject": "x", "text": "y"}).to_string();
        let bearer = format!("Bearer {}", place.key);
        let fields = [("authorization", bearer.as_str())];
        let request = crate::harness::client::request("POST", "/emails", &fields, body.as_bytes());
        match place.http.say(&request).await {
            Some(answer) => acknowledged.push((recipient, answer.id())),
            None => break,
        }
    }
    acknowledged
}
