//! The same request twice is one message.

use serde_json::json;

use crate::harness::{Answer, Place, unique};

in_both_arrangements!(
    a_repeated_request_is_answered_again_and_sent_once,
    twenty_equal_requests_at_once_are_one_message,
    a_refused_request_leaves_its_key_free,
);

async fn keyed(place: &Place, key: &str, body: &str) -> Answer {
    let fields = [
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    place.ask("POST", "/emails", &fields, body.as_bytes()).await
}

async fn a_repeated_request_is_answered_again_and_sent_once(place: &Place) {
    let (key, ann) = (unique(), format!("ann-{}@example.org", unique()));
    let body = json!({"to": ann, "subject": "x", "text": "y"}).to_string();
    let first = keyed(place, &key, &body).await;
    assert_eq!(first.field("idempotency-replayed"), None);
    place.settled(&first.id()).await;
    let again = keyed(place, &key, &body).await;
    assert_eq!(again.field("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, &again.body), (200, &first.body));
    let (status, name, _) = keyed(place, &key, &body.replace('y', "z")).await.refusal();
    assert_eq!((status, name.as_str()), (409, "invalid_idempotent_request"));
    place.received_once(&ann).await;
    // The key is this tenant's: another one's is another key.
    let other = keyed(&place.another("Same Key").await, &key, &body).await;
    assert_ne!(other.id(), first.id());
}

async fn twenty_equal_requests_at_once_are_one_message(place: &Place) {
    let (key, ann) = (unique(), format!("ann-{}@example.org", unique()));
    let body = json!({"to": ann, "subject": "x", "text": "y"}).to_string();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (place, key, body) = (place.clone(), key.clone(), body.clone());
        all.spawn(async move { keyed(&place, &key, &body).await });
    }
    let answers = all.join_all().await;
    let ids: std::collections::HashSet<_> = answers.iter().map(Answer::id).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let replayed = |answer: &&Answer| answer.field("idempotency-replayed").is_some();
    assert_eq!(answers.iter().filter(replayed).count(), 19);
    place.settled(ids.iter().next().unwrap()).await;
    place.received_once(&ann).await;
}

async fn a_refused_request_leaves_its_key_free(place: &Place) {
    let key = unique();
    let bad = keyed(place, &key, r#"{"to":"bob@","subject":"x","text":"y"}"#).await;
    assert_eq!(bad.status, 422);
    let good = format!(r#"{{"to":"ann-{key}@example.org","subject":"x","text":"y"}}"#);
    let answer = keyed(place, &key, &good).await;
    assert_eq!(answer.field("idempotency-replayed"), None);
    answer.id();
    for bad in ["", &"k".repeat(257), "two words", "schlüssel"] {
        let (status, name, _) = keyed(place, bad, &good).await.refusal();
        assert_eq!(
            (status, name.as_str()),
            (400, "invalid_idempotency_key"),
            "{bad:?}"
        );
    }
}
