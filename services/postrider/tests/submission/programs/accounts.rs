//! Accredo: sign-in «none», and a user name for each of a company's users.

use postrider_ingest::catalogue::Entry;

use crate::arrived::{arrived, arrived_with};
use crate::line::{Line, id_of};
use crate::scene::{Scene, key, refused};

#[tokio::test]
async fn accredo_without_authorisation_is_told_to_sign_in_encrypted_or_not() {
    let scene = Scene::begin().await;
    // Authorisation «none» is refused with the reason, encrypted or not.
    let mut line = Line::starttls(scene.smtp, "ACCREDO-PC").await;
    refused(
        &line.say("MAIL FROM:<ap@accounts.test>").await,
        &Entry::AUTH_FIRST,
        &[],
    );
    let mut line = Line::plain(scene.smtp).await;
    line.say("EHLO ACCREDO-PC").await;
    refused(
        &line.say("MAIL FROM:<ap@accounts.test>").await,
        &Entry::TLS_FIRST,
        &[],
    );
}

#[tokio::test]
async fn accredos_users_have_keys_reply_addresses_and_limits_of_their_own() {
    let scene = Scene::begin().await;
    let place = &scene.place;
    // Each user has a key, a reply address and a limit of its own below the company's.
    let own = "ap@accounts.test";
    place.command(&["reply", "add", &place.tenant, own]);
    place.command(&["reply", "confirm", &place.tenant, own]);
    let (user, password) = key(
        place,
        &["--user", "ap", "--reply-to", own, "--per-day", "3"],
    )
    .await;
    assert_eq!(user, "ap");
    let mut line = Line::starttls(scene.smtp, "ACCREDO-PC").await;
    line.login(&user, &password).await;
    for n in 0..3 {
        let to = scene.to(&format!("invoice{n}"));
        let message = format!(
            "From: erp@accounts.test\r\nTo: {to}\r\nSubject: Invoice {n}\r\n\r\nEnclosed.\r\n"
        );
        id_of(
            &line
                .mail("erp@accounts.test", &[&to], message.as_bytes())
                .await,
        );
        arrived_with(&scene, &to, own).await;
    }
    let to = scene.to("invoice4");
    let reply = line
        .mail(
            "erp@accounts.test",
            &[&to],
            b"Subject: Invoice\r\n\r\nEnclosed.\r\n",
        )
        .await;
    assert!(
        reply.starts_with("452 4.7.1 PR-506 This password may send to 3 recipients a day"),
        "{reply}"
    );
    // The company's other users go on.
    let mut line = scene.line().await;
    id_of(
        &line
            .mail(
                "erp@accounts.test",
                &[&to],
                b"Subject: Invoice\r\n\r\nEnclosed.\r\n",
            )
            .await,
    );
    arrived(&scene, &to).await;
}
