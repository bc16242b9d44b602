//! A tenant's own mail, a page at a time, while more of it comes in.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Inside, Place};

/// A millisecond after the last: within one their order is any.
async fn send_next(relay: &Inside, to: &str, more: Value) -> String {
    relay.advance(Duration::from_millis(1));
    send(&relay.place, to, more).await
}

async fn send(place: &Place, to: &str, more: Value) -> String {
    let mut message = json!({"to": to, "subject": "x", "text": "y"});
    let fields = message.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    place.send(message).await
}

/// The ids of a page, and whether there are more.
async fn page(place: &Place, query: &str) -> (Vec<String>, bool) {
    let answer = place.get(&format!("/emails?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let list = answer.json();
    let data = list["data"].as_array().unwrap().iter();
    let ids = data.map(|one| one["id"].as_str().unwrap().to_owned());
    (ids.collect(), list["has_more"].as_bool().unwrap())
}

#[tokio::test]
async fn pages_neither_repeat_nor_lose_mail_while_more_comes_in() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let mut sent = Vec::new();
    for n in 0..45 {
        sent.push(send_next(&relay, &format!("a{n}@list.test"), json!({})).await);
    }
    let stood: Vec<String> = sent.iter().rev().cloned().collect();
    // Towards the old: what comes in meanwhile is not among it.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (ids, more) = page(place, &format!("limit=10{cursor}")).await;
        cursor = format!("&after={}", ids.last().unwrap());
        seen.extend(ids);
        if !more {
            break;
        }
        for n in 0..3 {
            sent.push(send_next(&relay, &format!("b{n}@list.test"), json!({})).await);
        }
    }
    assert_eq!(seen, stood);
    let (ids, more) = page(place, &cursor[1..]).await;
    assert_eq!((ids.len(), more), (0, false));
    // Towards the new: it is all there, and the list grows at its end.
    let (mut seen, mut cursor) = (vec![stood[44].clone()], stood[44].clone());
    loop {
        let (ids, more) = page(place, &format!("limit=7&before={cursor}")).await;
        cursor = ids.first().unwrap().clone();
        seen.extend(ids.into_iter().rev());
        if !more {
            break;
        }
    }
    assert_eq!(seen, sent);
    let newest = send_next(&relay, "late@list.test", json!({})).await;
    let (ids, more) = page(place, &format!("before={cursor}")).await;
    assert_eq!((ids, more), (vec![newest], false));
    relay.stop().await;
}

#[tokio::test]
async fn filters_show_what_they_name_and_nothing_else() {
    let relay = Inside::start().await;
    let place = &relay.place;
    let tag = |value: &str| json!({"tags": [{"name": "kind", "value": value}]});
    let mut bulk = tag("offer");
    bulk["stream"] = json!("bulk");
    let invoice = send_next(&relay, "ann@one.test", tag("invoice")).await;
    let offer = send_next(&relay, "ann@one.test", bulk.clone()).await;
    let plain = send_next(&relay, "Ann@One.test", json!({})).await;
    let eve = send_next(&relay, "eve@one.test", tag("invoice")).await;
    let also = send_next(&relay, "eve@one.test", bulk).await;
    for (query, want) in [
        ("recipient=ann@one.test", vec![&plain, &offer, &invoice]),
        ("recipient=ANN@one.test", vec![&plain, &offer, &invoice]),
        ("recipient=bob@one.test", vec![]),
        ("tag=kind:invoice", vec![&eve, &invoice]),
        ("tag=kind:Invoice", vec![]),
        ("stream=bulk", vec![&also, &offer]),
        ("stream=transactional", vec![&eve, &plain, &invoice]),
        ("recipient=ann@one.test&tag=kind:offer", vec![&offer]),
        ("recipient=eve@one.test&stream=bulk", vec![&also]),
        ("tag=kind:offer&stream=transactional", vec![]),
    ] {
        let (ids, more) = page(place, query).await;
        assert_eq!(ids.iter().collect::<Vec<_>>(), want, "{query}");
        assert!(!more, "{query}");
    }
    // A cursor is a place in the whole list, whether or not the filter shows it.
    let (ids, _) = page(place, &format!("tag=kind:invoice&after={plain}")).await;
    assert_eq!(ids, vec![invoice]);
    let (ids, more) = page(place, "recipient=ann@one.test&limit=2").await;
    assert_eq!((ids, more), (vec![plain, offer], true));
    relay.stop().await;
}

#[tokio::test]
async fn another_tenants_mail_is_nowhere_in_a_list() {
    let relay = Inside::start().await;
    let (mine, other) = (&relay.place, relay.another("Curious").await);
    let tags = json!({"tags": [{"name": "kind", "value": "secret"}]});
    let id = send(mine, "ann@mine.test", tags.clone()).await;
    for query in [
        "limit=100",
        "recipient=ann@mine.test",
        "tag=kind:secret",
        "stream=transactional",
    ] {
        let (ids, more) = page(&other, query).await;
        assert_eq!((ids.len(), more), (0, false), "{query}");
    }
    // A cursor that is somebody's and one that is nobody's are told apart by nothing but itself.
    let nobody = "0190a5b0-0000-7000-8000-000000000000";
    for way in ["after", "before"] {
        let refusal = async |id: &str| {
            let answer = other.get(&format!("/emails?{way}={id}")).await;
            let (status, name, message) = answer.refusal();
            (status, name, message.replace(id, ""))
        };
        let refused = refusal(&id).await;
        assert_eq!((refused.0, refused.1.as_str()), (422, "invalid_parameter"));
        assert_eq!(refused, refusal(nobody).await);
    }
    // The same address and tag in both accounts: each sees its own.
    let theirs = send(&other, "ann@mine.test", tags).await;
    for query in ["recipient=ann@mine.test", "tag=kind:secret"] {
        assert_eq!(page(&other, query).await.0, vec![theirs.clone()]);
        assert_eq!(page(mine, query).await.0, vec![id.clone()]);
    }
    let all: HashSet<_> = page(mine, "limit=100").await.0.into_iter().collect();
    assert_eq!(all, HashSet::from([id]));
    relay.stop().await;
}
