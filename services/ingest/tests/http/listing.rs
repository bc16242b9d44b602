//! A tenant's messages, a page at a time.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Relay, mail};

// One after another, a second apart.
async fn sent(relay: &Relay, members: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for members in members {
        relay.clock.advance(Duration::from_secs(1));
        ids.push(relay.send(mail(members)).await.id());
    }
    ids
}

async fn page(relay: &Relay, query: &str) -> (Vec<String>, bool) {
    let answer = relay.get(&format!("/emails{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.json);
    let data = answer.json["data"].as_array().unwrap();
    let id = |email: &Value| email["id"].as_str().unwrap().to_owned();
    let more = answer.json["has_more"].as_bool().unwrap();
    (data.iter().map(id).collect(), more)
}

fn newest_first(ids: &[String]) -> Vec<String> {
    ids.iter().rev().cloned().collect()
}

#[tokio::test]
async fn a_list_shows_each_message_as_it_is_but_for_its_texts_and_recipients() {
    let relay = Relay::start().await;
    assert_eq!(page(&relay, "").await, (vec![], false));
    let members = r#","cc":"bo@example.org","tags":[{"name":"kind","value":"estimate"}],"scheduled_at":"in 1 hour""#;
    let ids = sent(&relay, &["", members]).await;
    let list = relay.get("/emails").await.json;
    assert_eq!(list["object"], "list");
    for (listed, id) in list["data"]
        .as_array()
        .unwrap()
        .iter()
        .zip(newest_first(&ids))
    {
        let mut alone = relay.email(&id).await;
        for part in ["html", "text", "recipients"] {
            assert!(listed.get(part).is_none(), "{part}");
            alone.as_object_mut().unwrap().remove(part);
        }
        assert_eq!(*listed, alone);
    }
}

#[tokio::test]
async fn pages_follow_one_another_in_both_directions() {
    let relay = Relay::start().await;
    let ids = newest_first(&sent(&relay, &[""; 5]).await);
    assert_eq!(page(&relay, "?limit=5").await, (ids.clone(), false));
    assert_eq!(page(&relay, "?limit=2").await, (ids[..2].to_vec(), true));
    let after = |id: &str| format!("?limit=2&after={id}");
    assert_eq!(
        page(&relay, &after(&ids[1])).await,
        (ids[2..4].to_vec(), true)
    );
    assert_eq!(
        page(&relay, &after(&ids[3])).await,
        (ids[4..].to_vec(), false)
    );
    assert_eq!(page(&relay, &after(&ids[4])).await, (vec![], false));
    let before = |id: &str| format!("?limit=2&before={id}");
    assert_eq!(
        page(&relay, &before(&ids[4])).await,
        (ids[2..4].to_vec(), true)
    );
    assert_eq!(
        page(&relay, &before(&ids[2])).await,
        (ids[..2].to_vec(), false)
    );
    assert_eq!(page(&relay, &before(&ids[0])).await, (vec![], false));
    // More that comes in does not move a page.
    let more = sent(&relay, &[""]).await;
    assert_eq!(
        page(&relay, &after(&ids[1])).await,
        (ids[2..4].to_vec(), true)
    );
    assert_eq!(page(&relay, &before(&ids[0])).await, (more, false));
}

#[tokio::test]
async fn a_page_has_twenty_where_nothing_is_said() {
    let relay = Relay::start().await;
    let items = vec![mail(""); 21].join(",");
    relay.batch(None, format!("[{items}]")).await;
    let (first, more) = page(&relay, "").await;
    assert_eq!((first.len(), more), (20, true));
    let (rest, more) = page(&relay, &format!("?after={}", first[19])).await;
    assert_eq!((rest.len(), more), (1, false));
}

#[tokio::test]
async fn filters_hold_together_and_with_cursors() {
    let relay = Relay::start().await;
    let ids = sent(
        &relay,
        &[
            r#","tags":[{"name":"kind","value":"estimate"}],"stream":"bulk""#,
            r#","bcc":"Bo+x@Example.ORG","tags":[{"name":"kind","value":"bill"}]"#,
            r#","bcc":"bo+x@example.org","tags":[{"name":"kind","value":"estimate"}]"#,
            "",
        ],
    )
    .await;
    let of = |places: &[usize]| places.iter().map(|at| ids[*at].clone()).collect::<Vec<_>>();
    for (query, want) in [
        ("?recipient=ann@example.org", &[3, 2, 1, 0][..]),
        ("?recipient=BO%2Bx@example.org", &[2, 1]),
        ("?recipient=nobody@example.org", &[]),
        ("?tag=kind:estimate", &[2, 0]),
        ("?tag=kind:est", &[]),
        ("?tag=kind:%25", &[]),
        ("?tag=none:estimate", &[]),
        ("?stream=bulk", &[0]),
        ("?stream=transactional", &[3, 2, 1]),
        ("?recipient=bo%2Bx@example.org&tag=kind:bill", &[1]),
        ("?tag=kind:bill&stream=bulk", &[]),
    ] {
        assert_eq!(page(&relay, query).await, (of(want), false), "{query}");
    }
    let next = format!("?recipient=ann@example.org&limit=2&after={}", ids[3]);
    assert_eq!(page(&relay, &next).await, (of(&[2, 1]), true));
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_not_passed_over() {
    let relay = Relay::start().await;
    let id = relay.send(mail("")).await.id();
    let both = format!("after={id}&before={id}");
    let twice = format!("after={id}&after={id}");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=+5", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=5&limit=5", "limit"),
        (both.as_str(), "before"),
        (twice.as_str(), "after"),
        ("after=", "after"),
        ("after=7", "after"),
        ("before=00000000-0000-7000-8000-000000000000", "before"),
        ("after=00000000-0000-7000-8000-000000000000", "after"),
        ("recipient=ann", "recipient"),
        ("recipient=a+b@example.org", "recipient"),
        ("recipient=", "recipient"),
        ("tag=kind", "tag"),
        ("tag=:x", "tag"),
        ("stream=all", "stream"),
        ("recipients=ann@example.org", "recipients"),
        ("tags=kind:bill", "tags"),
        ("page=2", "page"),
    ] {
        let answer = relay.get(&format!("/emails?{query}")).await;
        assert_eq!(answer.refusal(), (422, "invalid_parameter"), "{query}");
        assert_eq!(answer.json["errors"][0]["field"], field, "{query}");
    }
}

#[tokio::test]
async fn a_list_and_its_cursors_are_the_tenants_own() {
    let mut relay = Relay::start().await;
    let ours = sent(&relay, &["", ""]).await;
    let (_, mut other) = relay.tenant("Other", 10_000).await;
    std::mem::swap(&mut relay.key, &mut other);
    assert_eq!(page(&relay, "").await, (vec![], false));
    let theirs = sent(&relay, &[""]).await;
    assert_eq!(page(&relay, "").await, (theirs, false));
    for name in ["after", "before"] {
        let answer = relay.get(&format!("/emails?{name}={}", ours[0])).await;
        assert_eq!(answer.refusal(), (422, "invalid_parameter"), "{name}");
    }
    let nobody = relay.ask("GET", "/emails", &[], "").await;
    assert_eq!(nobody.refusal(), (401, "missing_api_key"));
}
