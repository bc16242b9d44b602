//! The envelope decides; and what comes twice is sent once.

use crate::arrived::arrived;
use crate::line::id_of;
use crate::scene::Scene;

#[tokio::test]
async fn a_bcc_is_a_recipient_and_nowhere_in_the_mail() {
    let scene = Scene::begin().await;
    let (to, cc, bcc) = (scene.to("to"), scene.to("cc"), scene.to("bcc"));
    // Two ways of programs: with the field, and without.
    for (n, field) in [(1, String::new()), (2, format!("Bcc: {bcc}\r\n"))] {
        let (to, cc, bcc) = (format!("{n}{to}"), format!("{n}{cc}"), format!("{n}{bcc}"));
        let message = format!(
            "From: a@b.test\r\nTo: {to}\r\nCc: {cc}\r\n{field}Subject: To all\r\n\r\nHello.\r\n"
        );
        let mut line = scene.line().await;
        let reply = line
            .mail("a@b.test", &[&to, &cc, &bcc], message.as_bytes())
            .await;
        let id = id_of(&reply);
        for who in [&to, &cc, &bcc] {
            let raw = String::from_utf8(arrived(&scene, who).await).unwrap();
            assert!(!raw.contains("bcc-"), "{raw}");
        }
        let mut all = scene.place.settled(&id).await.recipients().join(" ");
        assert!(all.contains(&bcc), "{all}");
        all.clear();
    }
    // A header names nobody who is not in the envelope.
    let only = scene.to("only");
    let message = format!("To: {only}, stranger-{only}\r\nSubject: x\r\n\r\nHello.\r\n");
    let mut line = scene.line().await;
    let id = id_of(&line.mail("", &[&only], message.as_bytes()).await);
    assert_eq!(scene.place.settled(&id).await.recipients(), [&only]);
}

#[tokio::test]
async fn the_same_mail_once_more_is_not_sent_twice() {
    let scene = Scene::begin().await;
    let to = scene.to("once");
    let message = format!(
        "Message-ID: <{}@client.test>\r\nTo: {to}\r\nSubject: Invoice\r\n\r\nEnclosed.\r\n",
        scene.word
    );
    let mut line = scene.line().await;
    let first = id_of(&line.mail("a@b.test", &[&to], message.as_bytes()).await);
    // The program saw no answer, and comes again.
    let mut line = scene.line().await;
    let again = line.mail("a@b.test", &[&to], message.as_bytes()).await;
    let want = format!("250 2.0.0 duplicate of {first}");
    assert!(again.starts_with(&want), "{again}");
    let events = scene
        .place
        .events_when(&first, |events| {
            events.has("duplicate") && events.is_settled()
        })
        .await;
    assert_eq!(events.count("delivered"), 1, "{events:?}");
    arrived(&scene, &to).await;
    // Another key of another user is another sender.
    let other = Scene::of(scene.place.clone(), &["--allow-duplicates"]).await;
    for _ in 0..2 {
        let mut line = other.line().await;
        let id = id_of(&line.mail("a@b.test", &[&to], message.as_bytes()).await);
        assert_ne!(id, first);
        other.place.settled(&id).await;
    }
    assert_eq!(scene.place.received(&to).await.len(), 3);
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_not_written_to_again() {
    let scene = Scene::begin().await;
    // The sandbox's exchangers do as a recipient's name says, at any domain.
    let to = format!("bounced@{}.test", scene.word);
    let mut line = scene.line().await;
    let message = b"Subject: x\r\n\r\ny\r\n";
    let id = id_of(&line.mail("a@b.test", &[&to], message).await);
    let events = scene.place.settled(&id).await;
    assert!(events.has("bounced"), "{events:?}");
    let id = id_of(&line.mail("a@b.test", &[&to], message).await);
    let events = scene.place.settled(&id).await;
    assert_eq!(events.outcomes(), ["suppressed"], "{events:?}");
    let list = scene.place.get("/suppressions").await.json();
    assert_eq!(list["data"][0]["reason"], "hard_bounce", "{list}");
    let lifted = scene
        .place
        .command(&["suppression", "lift", &scene.place.tenant, &to]);
    assert!(!lifted.is_null());
}
