//! `GET /report`: counts, for whom they are.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::harness::{Place, unique, until};

/// A key of a tenant, used.
async fn shop(scene: &Scene, operator: &str, slug: &str) -> Place {
    let keys = format!("/tenants/{slug}/keys");
    let key = scene.done(operator, "POST", &keys, &json!({})).await;
    let key = key["api_key"].as_str().unwrap();
    scene.inside.place.as_tenant(key, slug)
}

/// One message that is taken and one that is refused in these words.
async fn sends(shop: &Place, words: &str, scene: &Scene) {
    let domain = format!("{}.test", unique());
    let refuses = postrider_fakenet::Script::new().recipient(&format!("no@{domain}"), words);
    scene.inside.net.domain(&domain).mx(refuses);
    for to in [format!("ann@{domain}"), format!("no@{domain}")] {
        let id = shop.send_to(&to).await;
        shop.settled(&id).await;
    }
}

async fn ask(scene: &Scene, token: &str, query: &str) -> Value {
    let path = format!("/report{query}");
    scene.done(token, "GET", &path, &Value::Null).await
}

#[tokio::test]
async fn a_vendors_report_has_nothing_of_anothers() {
    let scene = Scene::start().await;
    let (operator, _) = scene.token("operate", None).await;
    let (acme, _) = scene.token("read", Some("acme")).await;
    let (other, _) = scene.token("read", Some("other")).await;
    let shops = (
        shop(&scene, &operator, &scene.acmes).await,
        shop(&scene, &operator, &scene.others).await,
    );
    sends(&shops.0, "550 5.1.1 not known at Ann's", &scene).await;
    sends(&shops.0, "550 5.1.1 not known at Ann's", &scene).await;
    sends(&shops.1, "550 5.7.1 nothing from Bob's", &scene).await;
    let all = until("both are counted", async || {
        let report = ask(&scene, &operator, "?by=tenant&limit=100").await;
        (report["total"]["accepted"] == 6).then_some(report)
    })
    .await;
    assert_eq!(all["lines"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(all["refusals"].as_array().unwrap().len(), 2, "{all}");

    for (token, slug, count, words) in [
        (&acme, &scene.acmes, 2, "550 5.1.1 not known at Ann's"),
        (&other, &scene.others, 1, "550 5.7.1 nothing from Bob's"),
    ] {
        for query in ["", "?by=tenant", "?since=7d"] {
            let report = ask(&scene, token, query).await;
            let total = &report["total"];
            assert_eq!(total["accepted"], 2 * count, "{slug}{query}: {report}");
            assert_eq!(total["delivered"], count, "{slug}{query}: {report}");
            assert_eq!(total["bounced"], count, "{slug}{query}: {report}");
            let refusals = report["refusals"].as_array().unwrap();
            assert_eq!(refusals.len(), 1, "{slug}{query}: {report}");
            assert_eq!(refusals[0]["text"], words);
            assert_eq!(refusals[0]["count"], count);
        }
        let lines = ask(&scene, token, "?by=tenant").await["lines"].clone();
        assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
        assert_eq!(lines[0]["tenant"], slug.as_str());
        let lines = ask(&scene, token, "?by=vendor").await["lines"].clone();
        assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
        assert_eq!(lines[0]["accepted"], 2 * count, "{lines}");
    }
    let vendors = ask(&scene, &operator, "?by=vendor").await;
    let lines = vendors["lines"].as_array().unwrap();
    let seen: Vec<_> = lines
        .iter()
        .map(|one| (&one["vendor"], &one["bounced"]))
        .collect();
    let want = [(&json!("acme"), &json!(2)), (&json!("other"), &json!(1))];
    assert_eq!(seen, want, "{vendors}");
    let one = ask(&scene, &operator, "?by=vendor&limit=1").await;
    assert_eq!(
        (&one["lines"][0]["vendor"], &one["left_out"]),
        (&json!("acme"), &json!(1))
    );
}

#[tokio::test]
async fn a_report_by_provider_is_the_operators_and_what_is_not_understood_is_named() {
    let scene = Scene::start().await;
    let (operator, _) = scene.token("read", None).await;
    let (acme, _) = scene.token("read", Some("acme")).await;
    let report = ask(&scene, &operator, "?by=provider").await;
    assert_eq!(report["by"], "provider", "{report}");
    for (token, query, field) in [
        (&acme, "?by=provider", "by"),
        (&operator, "?by=weekday", "by"),
        (&operator, "?since=yesterday", "since"),
        (&operator, "?since=0h", "since"),
        (&operator, "?limit=101", "limit"),
        (&operator, "?tenant=x", "tenant"),
    ] {
        let path = format!("/report{query}");
        let answer = scene.ask(token, "GET", &path, &Value::Null).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
    // Longer ago than anything is kept: no more is looked through than there can be.
    let ages = ask(&scene, &operator, "?since=4000000000d").await;
    assert_eq!(ages["total"]["accepted"], 0, "{ages}");
}
