//! The programs of the field, each as its settings form is filled in by its manual: their port's
//! mode, sign-in, EHLO name, sender, and attachments. The mail arrives whole, from the tenant, with
//! replies to whom they belong.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use postrider_ingest::catalogue::Entry;
use serde_json::json;

use crate::arrived::{REPLY_TO, arrived, arrived_with};
use crate::harness::mail::header;
use crate::harness::until;
use crate::line::{Line, code_of, id_of, pack};
use crate::scene::{Scene, field, key, refused};

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

/// English, Spanish, Chinese and German, as a work order has them.
pub(crate) const LANGUAGES: &str = "Work order: change the oil.\nOrden de trabajo: cambiar el \
    aceite mañana.\n工作单：更换机油。\nArbeitsauftrag: Öl wechseln, Größe prüfen.";

#[tokio::test]
async fn express_maintenance_sends_four_languages_by_login_behind_starttls() {
    let scene = Scene::begin().await;
    let mut line = Line::starttls(scene.smtp, "mas-dev1.local").await;
    line.login(&scene.user, &scene.password).await;
    let to = scene.to("mas");
    // Its stray spaces, and its flag.
    for said in [
        "MAIL FROM: <mas@maintenance.test>",
        &format!("RCPT TO: <{to}>"),
        "DATA",
    ] {
        let reply = line.say(said).await;
        assert!(reply.starts_with(['2', '3']), "{said}: {reply}");
    }
    let message = format!(
        "From: mas@maintenance.test\r\nTo: {to}\r\nSubject: =?utf-8?B?{}?=\r\nX-Priority: 1\r\n\
         X-MSMail-Priority: High\r\nImportance: high\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        pack("工作单 – Arbeitsauftrag"),
        LANGUAGES.replace('\n', "\r\n")
    );
    let reply = line.content(message.as_bytes()).await;
    id_of(&reply);
    let raw = arrived(&scene, &to).await;
    for (name, value) in [
        ("X-Priority", "1"),
        ("X-MSMail-Priority", "High"),
        ("Importance", "high"),
    ] {
        assert_eq!(header(&raw, name), value);
    }
    // The same by the other door.
    let also = scene.to("json");
    let id = scene
        .place
        .send(json!({"to": also, "subject": "x", "text": LANGUAGES}))
        .await;
    scene.place.settled(&id).await;
    let (_, json) = scene.place.received_once(&also).await;
    let text = |raw: &[u8]| {
        postrider_message::texts(raw)
            .text
            .unwrap()
            .trim_end()
            .to_owned()
    };
    assert_eq!(
        (text(&raw), text(&json)),
        (LANGUAGES.to_owned(), LANGUAGES.to_owned())
    );
}

#[tokio::test]
async fn express_maintenances_test_utility_is_shown_what_was_said() {
    let scene = Scene::begin().await;
    let mut line = Line::starttls(scene.smtp, "mas-dev1.local").await;
    let wrong = "FALSCHES-PASSWORT-42";
    line.say("AUTH LOGIN").await;
    line.say(&pack(&scene.user)).await;
    let reply = line.say(&pack(wrong)).await;
    refused(&reply, &Entry::PASSWORD_UNKNOWN, &[]);
    line.login(&scene.user, &scene.password).await;
    let to = scene.to("utility");
    let reply = line
        .mail(
            "mas@maintenance.test",
            &[&to],
            b"Subject: Test\r\n\r\nIt works.\r\n",
        )
        .await;
    let (id, code) = (id_of(&reply), code_of(&reply).to_owned());
    line.say("QUIT").await;
    scene.session(&code).await;
    let shown = scene.place.get(&format!("/sessions/{code}")).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let session = shown.json();
    assert_eq!(
        (&session["object"], &session["code"]),
        (&json!("session"), &json!(code))
    );
    assert_eq!(session["emails"], json!([id]));
    assert!(
        session["verdict"].as_str().unwrap().contains("PR-201"),
        "{session}"
    );
    let dialogue = session["dialogue"].as_array().unwrap();
    let has = |from: &str, line: &str| {
        let is = |one: &serde_json::Value| one["from"] == from && one["line"] == line;
        assert!(dialogue.iter().any(is), "{line}: {session:#}");
    };
    has("client", "EHLO mas-dev1.local");
    has("client", "MAIL FROM:<mas@maintenance.test>");
    has("server", &reply);
    let text = shown.text();
    for secret in [
        &scene.password.replace('-', ""),
        &scene.password,
        &pack(&scene.password),
        wrong,
        &pack(wrong),
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    // To nobody else.
    let other = scene.place.another("Other").await;
    assert_eq!(other.get(&format!("/sessions/{code}")).await.status, 404);
    let events = scene.place.events(&id).await;
    assert!(
        events
            .0
            .iter()
            .any(|event| event.to_string().contains(&code)),
        "{events:?}"
    );
}

#[tokio::test]
async fn accredos_batches_are_taken_at_once_from_every_user_and_never_without_one() {
    let scene = Scene::begin().await;
    let place = &scene.place;
    // Authorisation «none» is refused with the reason, encrypted or not.
    let mut line = Line::starttls(scene.smtp, "ACCREDO-PC").await;
    refused(
        &line.say("MAIL FROM:<ap@accounts.test>").await,
        &Entry::AUTH_FIRST,
        &[],
    );
    let began = std::time::Instant::now();
    let mut line = Line::plain(scene.smtp).await;
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    line.say("EHLO ACCREDO-PC").await;
    refused(
        &line.say("MAIL FROM:<ap@accounts.test>").await,
        &Entry::TLS_FIRST,
        &[],
    );
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
        let to = scene.to(&crate::harness::unique());
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
        let link = header(&raw, "List-Unsubscribe");
        assert_eq!(
            header(&raw, "List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click"
        );
        assert!(!header(&raw, "DKIM-Signature").is_empty());
        assert_eq!(header(&raw, "X-Postrider-Stream"), "");
        assert_eq!(header(&raw, "X-Postrider-Tag"), "");
        links.push(link.trim_matches(['<', '>']).to_owned());
    }
    assert_ne!(links[0], links[1]);
    unsubscribed(&scene, &links[0], &all[0]).await;
}

// The bulk stream stops, and an invoice still arrives.
async fn unsubscribed(scene: &Scene, link: &str, who: &str) {
    let path = &link[link.find("/u/").unwrap()..];
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
        assert_eq!(crate::harness::mail::body(&raw), b".profile\r\n.\r\n..\r\n");
    }
    assert!(line.say("QUIT").await.starts_with("221 "));
}
