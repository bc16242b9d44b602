//! Who a message is from, and where replies go.

use serde_json::{Value, json};

use crate::harness::mail::header;
use crate::harness::{Place, unique};

in_both_arrangements!(
    an_unconfirmed_from_is_replaced_and_an_event_says_so,
    a_confirmed_from_gets_the_replies,
    an_explicit_reply_to_counts_once_it_is_confirmed,
);

struct Sent {
    raw: Vec<u8>,
    events: crate::harness::Timeline,
    email: Value,
}

async fn sent(place: &Place, from: Value, reply_to: Value) -> Sent {
    let recipient = format!("ann-{}@example.org", unique());
    let message =
        json!({"from": from, "reply_to": reply_to, "to": recipient, "subject": "x", "text": "y"});
    let id = place.send(message).await;
    let events = place.settled(&id).await;
    Sent {
        raw: place.received_once(&recipient).await.1,
        events,
        email: place.email(&id).await,
    }
}

fn own_address(place: &Place) -> String {
    let shown = place.command(&["tenant", "show", &place.tenant]);
    shown["from"].as_str().unwrap().to_owned()
}

async fn an_unconfirmed_from_is_replaced_and_an_event_says_so(place: &Place) {
    let own = own_address(place);
    let sent = sent(place, json!("Boss <boss@elsewhere.test>"), Value::Null).await;
    assert_eq!(header(&sent.raw, "From"), format!("\"Boss\" <{own}>"));
    assert!(own.ends_with("@send.relay.test"), "{own}");
    assert_eq!(header(&sent.raw, "Reply-To"), "owner@sandbox.test");
    let replaced = sent.events.first("reply_to_replaced");
    assert!(
        replaced["note"]
            .as_str()
            .unwrap()
            .contains("boss@elsewhere.test"),
        "{replaced}"
    );
    assert_eq!(sent.email["original_from"], "Boss <boss@elsewhere.test>");
    assert_eq!(sent.email["reply_to"], json!(["owner@sandbox.test"]));
}

async fn a_confirmed_from_gets_the_replies(place: &Place) {
    let tenant = place.another("Confirmed Garage").await;
    let desk = "desk@confirmed.test";
    tenant.command(&["tenant", "reply-to", "add", &tenant.tenant, desk]);
    let before = sent(&tenant, json!(desk), Value::Null).await;
    assert_eq!(header(&before.raw, "Reply-To"), "owner@another.test");
    assert!(before.events.has("reply_to_replaced"));
    tenant.command(&["tenant", "reply-to", "confirm", &tenant.tenant, desk]);
    let after = sent(&tenant, json!(desk), Value::Null).await;
    assert_eq!(header(&after.raw, "Reply-To"), desk);
    assert!(!after.events.has("reply_to_replaced"));
    let own = own_address(&tenant);
    assert!(header(&after.raw, "From").contains(&own));
    tenant.command(&["tenant", "reply-to", "remove", &tenant.tenant, desk]);
    let removed = sent(&tenant, json!(desk), Value::Null).await;
    assert_eq!(header(&removed.raw, "Reply-To"), "owner@another.test");
}

async fn an_explicit_reply_to_counts_once_it_is_confirmed(place: &Place) {
    let tenant = place.another("Reply Garage").await;
    let (good, bad) = ("good@reply.test", "bad@reply.test");
    tenant.command(&["tenant", "reply-to", "add", &tenant.tenant, good]);
    tenant.command(&["tenant", "reply-to", "confirm", &tenant.tenant, good]);
    let several = sent(&tenant, Value::Null, json!([bad, good])).await;
    assert_eq!(header(&several.raw, "Reply-To"), good);
    let note = several.events.first("reply_to_replaced")["note"].to_string();
    assert!(note.contains(bad), "{note}");
    let alone = sent(&tenant, Value::Null, json!(bad)).await;
    assert_eq!(header(&alone.raw, "Reply-To"), "owner@another.test");
}
