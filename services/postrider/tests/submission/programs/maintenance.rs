//! Express Maintenance: Unicode by LOGIN behind STARTTLS, and a utility that shows what was said.

use postrider_ingest::catalogue::Entry;
use serde_json::json;

use crate::arrived::arrived;
use crate::harness::mail::header;
use crate::line::{Line, code_of, id_of, pack};
use crate::scene::{Scene, refused};

/// English, Spanish, Chinese and German, as a work order has them.
const LANGUAGES: &str = "Work order: change the oil.\nOrden de trabajo: cambiar el \
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
