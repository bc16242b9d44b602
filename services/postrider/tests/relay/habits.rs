//! What the sandbox's local parts and domains do to a message. Those that wait, wait together.

use serde_json::Value;

use crate::harness::mail::{codes, header};
use crate::harness::{Place, Timeline, unique};

in_both_arrangements!(
    what_a_remote_refuses_for_good_is_bounced_with_its_words,
    what_a_remote_puts_off_is_tried_again_and_delivered,
    where_no_mail_is_taken_it_is_known_at_once,
    where_nothing_can_be_known_now_it_is_tried_again,
    a_refusal_of_one_is_no_refusal_of_the_others,
);

async fn what_a_remote_refuses_for_good_is_bounced_with_its_words(place: &Place) {
    let bounced = format!("bounced+{}@example.org", unique());
    let timeline = place.settled(&place.send_to(&bounced).await).await;
    assert_eq!(timeline.outcomes(), ["accepted", "bounced"]);
    let event = timeline.first("bounced");
    assert_eq!(codes(event), "550 5.1.1");
    assert_eq!(event["reply"]["text"], "no such user here");
    assert_eq!(event["mx"]["host"], "mx.example.org");
    assert_eq!(event["tls"]["version"], "TLSv1.3");
    assert!(place.received(&bounced).await.is_empty());
}

async fn what_a_remote_puts_off_is_tried_again_and_delivered(place: &Place) {
    tokio::join!(
        greylisted(place),
        dropped(place),
        slow(place),
        without_tls(place),
        with_bad_tls(place),
        deferred(place, "deferred", "451 4.3.0"),
        deferred(place, "full", "452 4.2.2"),
    );
}

async fn greylisted(place: &Place) {
    let recipient = format!("greylisted+{}@example.org", unique());
    let timeline = place.settled(&place.send_to(&recipient).await).await;
    // The exchanger lets it in only from the same MAIL FROM: that it came is the proof.
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    assert_eq!(codes(timeline.first("deferred")), "451 4.7.1");
    assert_eq!(timeline.first("deferred")["attempt"], 1);
    assert_eq!(timeline.first("delivered")["attempt"], 2);
    place.received_once(&recipient).await;
}

async fn dropped(place: &Place) {
    let recipient = format!("dropped+{}@example.org", unique());
    let timeline = place.settled(&place.send_to(&recipient).await).await;
    assert_eq!(timeline.count("ambiguous"), 1, "{timeline:#?}");
    assert_eq!(timeline.count("delivered"), 1, "{timeline:#?}");
    let kinds = timeline.kinds();
    let place_of = |kind| kinds.iter().position(|other| *other == kind);
    assert!(place_of("ambiguous") < place_of("delivered"), "{kinds:?}");
    assert_eq!(timeline.first("ambiguous")["recipient"], recipient);
    assert_eq!(timeline.first("delivered")["attempt"], 2);
    place.received_once(&recipient).await;
}

async fn slow(place: &Place) {
    let recipient = format!("slow+{}@example.org", unique());
    let timeline = place.settled(&place.send_to(&recipient).await).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    let took = timeline.first("delivered")["duration_ms"].as_u64().unwrap();
    assert!(took >= 5_000, "{took} ms");
}

async fn without_tls(place: &Place) {
    let recipient = format!("ann-{}@notls.test", unique());
    let timeline = place.settled(&place.send_to(&recipient).await).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    assert_eq!(timeline.first("delivered")["tls"], Value::Null);
    let (entry, _) = place.received_once(&recipient).await;
    assert_eq!(entry["tls"], Value::Null);
}

// Opportunistic TLS (RFC 7435) asks for no certificate: a self-signed one is better than none.
async fn with_bad_tls(place: &Place) {
    let recipient = format!("ann-{}@badtls.test", unique());
    let timeline = place.settled(&place.send_to(&recipient).await).await;
    assert_eq!(timeline.outcomes(), ["accepted", "delivered"]);
    assert_eq!(timeline.first("delivered")["tls"]["verdict"], "unverified");
}

async fn deferred(place: &Place, word: &str, wanted: &str) {
    let recipient = format!("{word}+{}@example.org", unique());
    let id = place.send_to(&recipient).await;
    let timeline = place
        .events_when(&id, |timeline| timeline.count("deferred") == 2)
        .await;
    assert_eq!(codes(timeline.first("deferred")), wanted);
    assert!(timeline.end().is_none(), "{timeline:#?}");
    let email = place.email(&id).await;
    assert_eq!(email["last_event"], "delivery_delayed");
    assert!(email["recipients"][0]["due_at"].is_string(), "{email}");
    assert!(
        email["recipients"][0]["attempts"].as_u64().unwrap() >= 2,
        "{email}"
    );
}

async fn where_no_mail_is_taken_it_is_known_at_once(place: &Place) {
    for (domain, code) in [
        ("nxdomain.test", "5.1.2"),
        ("nullmx.test", "5.1.10"),
        ("private.test", "5.4.4"),
    ] {
        let recipient = format!("ann-{}@{domain}", unique());
        let id = place.send_to(&recipient).await;
        let timeline = place.settled(&id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "bounced"], "{domain}");
        let event = timeline.first("bounced");
        assert_eq!(event["attempt"], 1, "{event}");
        assert!(says(event, code), "{domain}: {event}");
        assert_eq!(place.email(&id).await["last_event"], "bounced");
        assert!(place.received(&recipient).await.is_empty());
    }
}

// The code stands in the reply that we give ourselves, or in the note.
fn says(event: &Value, code: &str) -> bool {
    event["reply"]["enhanced"] == code
        || event["note"]
            .as_str()
            .is_some_and(|note| note.contains(code))
}

async fn where_nothing_can_be_known_now_it_is_tried_again(place: &Place) {
    for domain in ["servfail.test", "down.test"] {
        let id = place.send_to(&format!("ann-{}@{domain}", unique())).await;
        let timeline = place
            .events_when(&id, |timeline| timeline.has("deferred"))
            .await;
        assert!(timeline.end().is_none(), "{domain}: {timeline:#?}");
        let event = timeline.first("deferred");
        assert!(
            event["note"].is_string() || event["reply"].is_object(),
            "a wait has a reason: {event}"
        );
    }
}

async fn a_refusal_of_one_is_no_refusal_of_the_others(place: &Place) {
    let word = unique();
    let address = |who: &str| format!("{who}+{word}@example.org");
    let (ann, bounced, full) = (address("ann"), address("bounced"), address("full"));
    let message = serde_json::json!({"to": [bounced, ann, full], "subject": "x", "text": "y"});
    let id = place.send(message).await;
    let seen = |timeline: &Timeline| {
        timeline.of(&full).has("deferred")
            && timeline.of(&ann).end().is_some()
            && timeline.of(&bounced).end().is_some()
    };
    let timeline = place.events_when(&id, seen).await;
    assert_eq!(timeline.of(&ann).outcomes(), ["accepted", "delivered"]);
    assert_eq!(timeline.of(&bounced).outcomes(), ["accepted", "bounced"]);
    let (entry, raw) = place.received_once(&ann).await;
    assert!(
        !entry["rcpt_to"]
            .as_array()
            .unwrap()
            .contains(&bounced.into())
    );
    assert!(header(&raw, "To").contains(&address("full")));
}
