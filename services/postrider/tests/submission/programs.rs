//! The programs of the field, each as its settings form is filled in by its manual: their port's
//! mode, sign-in, EHLO name, sender, and attachments. The mail arrives whole, from the tenant, with
//! replies to whom they belong.

mod accounts;
mod campaigns;
mod maintenance;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::arrived::{REPLY_TO, arrived, arrived_with};
use crate::harness::mail::body;
use crate::line::{Line, id_of};
use crate::scene::{Scene, key};

/// What these programs print, of so many bytes.
fn pdf(size: usize) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut state: u32 = 7;
    while file.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        file.push(state.to_be_bytes()[0]);
    }
    file
}

/// A text and a file, as libraries of their age put them together.
fn with_file(from: &str, to: &str, subject: &str, file: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nX-Mailer: Old Program 7.0\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n\tboundary=\"----=_NextPart_000\"\r\n\r\n\
         This is a multi-part message in MIME format.\r\n\r\n------=_NextPart_000\r\n\
         Content-Type: text/plain;\r\n\tcharset=\"iso-8859-1\"\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nVotre estim=E9 est joint.\r\n\r\n\
         ------=_NextPart_000\r\nContent-Type: application/pdf;\r\n\tname=\"estimate.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n\
         \tfilename=\"estimate.pdf\"\r\n\r\n"
    );
    for line in BASE64_STANDARD.encode(file).as_bytes().chunks(76) {
        message.push_str(str::from_utf8(line).unwrap());
        message.push_str("\r\n");
    }
    message.push_str("\r\n------=_NextPart_000--\r\n");
    message.into_bytes()
}

/// The parts came through byte by byte.
fn has_file(raw: &[u8], file: &[u8]) {
    let raw = str::from_utf8(raw).unwrap();
    let lines: String = raw.lines().collect();
    assert!(lines.contains(&BASE64_STANDARD.encode(file)), "the file");
    assert!(raw.contains("Votre estim=E9 est joint.\r\n"), "the text");
    assert!(raw.contains("------=_NextPart_000--"), "the parts' ends");
}

#[tokio::test]
async fn mls_with_use_ssl_and_cdo_sends_estimates_with_nothing_but_a_reply_to() {
    let scene = Scene::begin().await;
    let key_of_appointments = key(&scene.place, &["--expires-after", "4h"]).await;
    for (size, (user, password)) in [
        (50_000, (scene.user.clone(), scene.password.clone())),
        (500_000, key_of_appointments),
    ] {
        // CDO means implicit TLS, whatever the port.
        let mut line = Line::implicit(scene.implicit).await;
        line.say("EHLO FRONTDESK").await;
        line.login(&user, &password).await;
        let (to, file) = (scene.to(&format!("mls{size}")), pdf(size));
        let from = "\"Shop\" <shop@mailbox.test>";
        let message = with_file(from, &to, "Your estimate", &file);
        let reply = line.mail("shop@mailbox.test", &[&to], &message).await;
        let id = id_of(&reply);
        assert!(line.say("QUIT").await.starts_with("221 "));
        let raw = arrived(&scene, &to).await;
        has_file(&raw, &file);
        let events = scene.place.settled(&id).await;
        assert!(events.has("reply_to_replaced"), "{events:?}");
        assert_eq!(
            scene.place.email(&id).await["original_from"],
            "Shop <shop@mailbox.test>"
        );
    }
}

#[tokio::test]
async fn gem_cars_advisors_get_the_replies_to_their_own_mail() {
    let scene = Scene::begin().await;
    let place = &scene.place;
    let advisor = "luc@garage-gemme.test";
    place.command(&["reply", "add", &place.tenant, advisor]);
    place.command(&["reply", "confirm", &place.tenant, advisor]);
    let file = pdf(120_000);
    for (n, from, reply_to) in [
        (1, advisor, advisor),
        (2, "new@garage-gemme.test", REPLY_TO),
    ] {
        for implicit in [true, false] {
            let mut line = if implicit {
                let mut line = Line::implicit(scene.implicit).await;
                line.say("EHLO [192.168.0.12]").await;
                line
            } else {
                Line::starttls(scene.smtp, "[192.168.0.12]").await
            };
            line.login(&scene.user, &scene.password).await;
            let to = scene.to(&format!("gem{n}{implicit}"));
            let message = with_file(from, &to, "Estimation", &file);
            id_of(&line.mail(from, &[&to], &message).await);
            has_file(&arrived_with(&scene, &to, reply_to).await, &file);
        }
    }
}

#[tokio::test]
async fn a_delphi_program_that_knows_login_alone_sends_two_mails_in_one_session() {
    // Indy's TIdSMTP with satDefault, as recorded: RSET after an error, a dot at a line's begin.
    let scene = Scene::begin().await;
    let mut line = Line::implicit(scene.implicit).await;
    let offered = line.say("EHLO WIN_XP").await;
    assert!(offered.contains("AUTH PLAIN LOGIN"), "{offered}");
    line.login(
        &scene.user,
        &scene.password.replace('-', " ").to_lowercase(),
    )
    .await;
    assert!(line.say("RSET").await.starts_with("250 "));
    assert!(
        line.say("MAIL FROM:<delphi@client.test>")
            .await
            .starts_with("250 ")
    );
    let reply = line.say("RCPT TO:<nobody@>").await;
    assert!(reply.starts_with("501 5.1.3 PR-303 "), "{reply}");
    assert!(line.say("RSET").await.starts_with("250 "));
    for who in ["delphi1", "delphi2"] {
        let to = scene.to(who);
        let message = format!(
            "From: delphi@client.test\r\nTo: {to}\r\nSubject: Devis\r\n\r\n.profile\r\n.\r\n..\r\n"
        );
        id_of(
            &line
                .mail("delphi@client.test", &[&to], message.as_bytes())
                .await,
        );
        let raw = arrived(&scene, &to).await;
        assert_eq!(body(&raw), b".profile\r\n.\r\n..\r\n");
    }
    assert!(line.say("QUIT").await.starts_with("221 "));
}
