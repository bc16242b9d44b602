//! A tenant that nobody has vouched for: its own reply address alone until that has said yes, and
//! few strangers after it.

use postrider_ingest::catalogue::Entry;

use crate::harness::{Sandbox, until};
use crate::line::{Line, id_of};
use crate::scene::{Scene, refused};

const OWNER: &str = "owner@another.test";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\ny\r\n";

/// The path behind the link in the letter that asks the owner.
async fn asked(scene: &Scene) -> String {
    until("the letter", async || {
        for entry in scene.place.received(OWNER).await {
            let raw = scene.place.raw(&entry).await;
            let text = postrider_message::texts(&raw).text.unwrap_or_default();
            if let Some(at) = text.find("/c/") {
                let link = text[at..].split_whitespace().next();
                return Some(link.unwrap().to_owned());
            }
        }
        None
    })
    .await
}

async fn mail(line: &mut Line, to: &str) -> String {
    line.mail("a@b.test", &[to], MESSAGE).await
}

#[tokio::test]
async fn a_new_tenant_writes_to_itself_until_it_is_confirmed_and_then_to_few_strangers() {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.configure("vouched = true", "vouched = false");
    sandbox.serve().await;
    let place = sandbox.place.another("Newcomer").await;
    let scene = Scene::of(place, &[]).await;
    let mut line = scene.line().await;
    refused(
        &mail(&mut line, &scene.to("early")).await,
        &Entry::UNCONFIRMED,
        &[("address", OWNER)],
    );
    id_of(&mail(&mut line, OWNER).await);

    let path = asked(&scene).await;
    let door = &scene.place.http;
    for language in ["en", "fr"] {
        let page = door
            .ask("GET", &path, &[("accept-language", language)], b"")
            .await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("<button"), "{}", page.text());
    }
    // A look has changed nothing.
    refused(
        &mail(&mut line, &scene.to("early")).await,
        &Entry::UNCONFIRMED,
        &[("address", OWNER)],
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let pressed = door.ask("POST", &path, &form, b"answer=yes").await;
    assert_eq!(pressed.status, 200, "{}", pressed.text());
    let first = until("the door has heard of it", async || {
        let reply = mail(&mut line, &scene.to("n0")).await;
        reply.starts_with("250 ").then(|| id_of(&reply))
    })
    .await;
    scene.place.settled(&first).await;

    // The letter's answer counts as one whom it never wrote to; the rest are 24 or 25.
    let mut taken = 1;
    let refusal = loop {
        let reply = mail(&mut line, &scene.to(&format!("n{taken}"))).await;
        if !reply.starts_with("250 ") {
            break reply;
        }
        taken += 1;
        assert!(taken <= 25, "{taken} strangers in an hour");
    };
    assert!(taken >= 24, "{taken}: {refusal}");
    assert!(refusal.starts_with("452 4.7.1 PR-508 "), "{refusal}");
    // Whom it knows it may write to.
    id_of(&mail(&mut line, &scene.to("n1")).await);
}
