//! The log: structured, one line for each attempt that can be read alone, nobody's address in it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Sandbox, Timeline, unique, until};

/// A relay that logs as a collector reads it.
async fn relay() -> Sandbox {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.log_as("info\"\nformat = \"json");
    sandbox.serve().await;
    sandbox
}

fn lines(sandbox: &Sandbox) -> Vec<Value> {
    let printed = sandbox.relay.as_ref().unwrap().printed();
    // What a command prints for people stands on its standard output.
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}")))
        .collect()
}

/// The line of a message's first attempt.
async fn attempt(sandbox: &Sandbox, id: &str) -> Value {
    until("the attempt's line", async || {
        let all = lines(sandbox).into_iter();
        all.into_iter().find(|line| {
            line["message.id"] == id && line["attempt"] == 1 && line.get("result").is_some()
        })
    })
    .await
}

fn fields(line: &Value) -> BTreeSet<&str> {
    let names = line.as_object().unwrap().keys();
    names.map(String::as_str).collect()
}

/// What every line of an attempt has.
const ALWAYS: [&str; 18] = [
    "timestamp",
    "level",
    "target",
    "message",
    "tenant.id",
    "message.id",
    "recipient.id",
    "attempt",
    "result",
    "provider",
    "mx",
    "address",
    "tls",
    "reply",
    "duration_ms",
    "connect_ms",
    "envelope_ms",
    "tls_ms",
];

#[tokio::test]
async fn one_line_names_every_address_that_is_listened_on() {
    let sandbox = relay().await;
    let line = until("the relay serves", async || {
        let all = lines(&sandbox).into_iter();
        all.into_iter()
            .find(|line| line["message"] == "postrider is serving")
    })
    .await;
    for (door, is_open) in [
        ("http", true),
        ("smtp", true),
        ("admin", true),
        ("metrics", true),
        ("inbound", false),
        ("acme", false),
    ] {
        let said = line[door]
            .as_str()
            .unwrap_or_else(|| panic!("{door}: {line}"));
        assert_eq!(said.contains("127."), is_open, "{door}: {line}");
    }
}

#[tokio::test]
async fn a_line_about_an_attempt_can_be_read_alone() {
    let sandbox = relay().await;
    let place = &sandbox.place;
    let (word, domain) = (unique(), format!("{}.test", unique()));
    let delivered = place.send_to(&format!("ann-{word}@{domain}")).await;
    let timeline = place.settled(&delivered).await;
    let line = attempt(&sandbox, &delivered).await;
    let with =
        |more: &[&'static str]| -> BTreeSet<&str> { ALWAYS.iter().chain(more).copied().collect() };
    assert_eq!(fields(&line), with(&["message_ms"]), "{line}");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "an attempt to deliver ended: delivered");
    assert_eq!(line["provider"], "other");
    assert_eq!(line["mx"], format!("mx.{domain}"));
    assert_eq!(line["tls"], "TLSv1.3");
    assert!(
        line["reply"].as_str().unwrap().starts_with("250 "),
        "{line}"
    );
    assert!(line["duration_ms"].is_u64(), "{line}");
    let event = timeline.first("delivered");
    assert_eq!(line["address"], event["mx"]["address"]);

    let bounced = place.send_to(&format!("bounced@{domain}")).await;
    place.settled(&bounced).await;
    let line = attempt(&sandbox, &bounced).await;
    assert_eq!(line["result"], "bounced");
    assert_eq!(line["class"], "unknown_recipient");
    let printed = sandbox.relay.as_ref().unwrap().printed();
    for secret in [
        format!("ann-{word}"),
        place.key.clone(),
        format!("bounced@{domain}"),
    ] {
        assert!(!printed.contains(&secret), "{secret} in {printed}");
    }
}

#[tokio::test]
async fn who_is_tried_again_has_the_time_and_the_reason_in_its_line() {
    let sandbox = relay().await;
    let place = &sandbox.place;
    let deferred = place.send_to(&format!("deferred@{}.test", unique())).await;
    let put_off = |timeline: &Timeline| timeline.has("deferred");
    place.events_when(&deferred, put_off).await;
    let line = attempt(&sandbox, &deferred).await;
    assert_eq!(line["result"], "deferred");
    assert_eq!(line["cause"], "retry");
    assert!(line["class"].is_string(), "{line}");
    assert!(line["next_at"].as_str().unwrap().ends_with('Z'), "{line}");
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(line["next_at"].as_str().unwrap() > timestamp, "{line}");
}

#[tokio::test]
async fn a_clean_stop_ends_with_what_was_done() {
    let mut sandbox = relay().await;
    let place = &sandbox.place;
    let id = place.send_to(&format!("ann@{}.test", unique())).await;
    place.settled(&id).await;
    sandbox.relay.as_ref().unwrap().terminate();
    let status = sandbox.relay.as_mut().unwrap().end().await;
    assert!(status.success(), "{status}");
    let all = lines(&sandbox);
    let last = all.last().unwrap();
    assert_eq!(last["message"], "postrider has stopped");
    assert_eq!(last["messages_accepted"], 1, "{last}");
    assert_eq!(last["recipients_delivered"], 1, "{last}");
    assert!(last["duration_ms"].as_u64().unwrap() < 30_000, "{last}");
}
