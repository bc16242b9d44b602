//! Inform: each user's own address, and campaigns.

use serde_json::json;

use crate::arrived::arrived_with;
use crate::harness::mail::header;
use crate::harness::{unique, until};
use crate::line::id_of;
use crate::scene::{Scene, field};

#[tokio::test]
async fn informs_users_get_replies_at_their_own_domain_and_its_campaigns_have_a_way_out() {
    let place = field().await.0.another("Inform Distribution").await;
    let scene = Scene::of(place, &[]).await;
    let place = &scene.place;
    let (first, second) = (
        "sales@distribution-inform.test",
        "ann@distribution-inform.test",
    );
    place.command(&["reply", "add", &place.tenant, first]);
    place.command(&["reply", "confirm", &place.tenant, first]);
    place.command(&["tenant", "set", &place.tenant, "--own-domain", "yes"]);
    let mut line = scene.line().await;
    // Its own domain counts as soon as the door has heard of it.
    until("the own domain counts", async || {
        let to = scene.to(&unique());
        let message = format!("From: {second}\r\nTo: {to}\r\nSubject: Report\r\n\r\nEnclosed.\r\n");
        let id = id_of(&line.mail(second, &[&to], message.as_bytes()).await);
        (place.email(&id).await["reply_to"] == json!([second])).then_some(())
    })
    .await;
    // A campaign: each recipient has a message and a link of its own.
    let all = [scene.to("campaign1"), scene.to("campaign2")];
    let message = format!(
        "From: {second}\r\nTo: {}\r\nSubject: Spring\r\nX-Postrider-Stream: bulk\r\n\
         X-Postrider-Tag: campaign=spring\r\n\r\nAll new.\r\n",
        all.join(", ")
    );
    let to: Vec<&str> = all.iter().map(String::as_str).collect();
    id_of(&line.mail(second, &to, message.as_bytes()).await);
    let mut links = Vec::new();
    for one in &all {
        let raw = arrived_with(&scene, one, second).await;
        let way_out = header(&raw, "List-Unsubscribe");
        assert_eq!(
            header(&raw, "List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click"
        );
        assert!(!header(&raw, "DKIM-Signature").is_empty());
        assert_eq!(header(&raw, "X-Postrider-Stream"), "");
        assert_eq!(header(&raw, "X-Postrider-Tag"), "");
        links.push(way_out.trim_matches(['<', '>']).to_owned());
    }
    assert_ne!(links[0], links[1]);
    unsubscribed(&scene, &links[0], &all[0]).await;
}

// The bulk stream stops, and an invoice still arrives.
async fn unsubscribed(scene: &Scene, way_out: &str, who: &str) {
    let path = &way_out[way_out.find("/u/").unwrap()..];
    let door = &scene.place.http;
    for language in ["en", "fr"] {
        let page = door
            .ask("GET", path, &[("accept-language", language)], b"")
            .await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(
            page.text().contains(&format!("lang=\"{language}\"")),
            "{}",
            page.text()
        );
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = door
        .ask("POST", path, &form, b"List-Unsubscribe=One-Click")
        .await;
    assert_eq!(post.status, 200, "{}", post.text());
    let mut line = scene.line().await;
    let bulk = b"Subject: Summer\r\nX-Postrider-Stream: bulk\r\n\r\nAll new.\r\n";
    let id = id_of(&line.mail("a@b.test", &[who], bulk).await);
    assert_eq!(scene.place.settled(&id).await.outcomes(), ["suppressed"]);
    let invoice = b"Subject: Invoice\r\n\r\nEnclosed.\r\n";
    let id = id_of(&line.mail("a@b.test", &[who], invoice).await);
    assert!(scene.place.settled(&id).await.has("delivered"));
}
