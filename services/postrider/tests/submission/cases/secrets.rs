//! No password, and no line of a sign-in, in anything that is kept.

use std::path::Path;

use crate::harness::Sandbox;
use crate::line::{Line, code_of, id_of, pack};
use crate::scene::Scene;

/// Every file below it.
fn kept(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(kept(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            all.push((path.display().to_string(), bytes));
        }
    }
    all
}

/// What must be nowhere: in every dress that it is said in.
fn secrets(scene: &Scene) -> Vec<String> {
    let bare = scene.password.replace('-', "");
    let mut all = Vec::new();
    for password in [&scene.password, &bare, WRONG] {
        let plain = pack(&format!("\0{}\0{password}", scene.user));
        all.extend([password.to_owned(), pack(password), plain]);
    }
    all
}

const WRONG: &str = "GEHEIM-GEHEIM-GEHEIM-4711";

/// Sign-ins that go wrong in each way; the codes of their sessions.
async fn wrong_ones(scene: &Scene) -> Vec<String> {
    let all = secrets(scene);
    let (bare, bare_plain) = (&all[3], &all[5]);
    let (wrong, wrong_plain) = (&all[7], &all[8]);
    let mut codes = Vec::new();
    for said in [
        vec![format!("AUTH PLAIN {wrong_plain}")],
        vec!["AUTH LOGIN".to_owned(), pack(&scene.user), wrong.to_owned()],
        vec![format!("AUTH XOAUTH2 {wrong}")],
        vec![format!("AUTHPLAIN {bare_plain}"), format!("PASS {bare}")],
    ] {
        let mut line = Line::starttls(scene.smtp, "vm").await;
        for text in said {
            line.say(&text).await;
        }
        codes.push(code_of(&line.say("VERB").await).to_owned());
        line.say("QUIT").await;
    }
    codes
}

#[tokio::test]
async fn no_password_and_no_line_of_a_sign_in_is_in_a_file_or_a_log() {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.log_as("trace");
    sandbox.serve().await;
    let scene = Scene::of(sandbox.place.clone(), &[]).await;
    let mut line = scene.line().await;
    let to = scene.to("secrets");
    let reply = line
        .mail("a@b.test", &[&to], b"Subject: x\r\n\r\ny\r\n")
        .await;
    scene.place.settled(&id_of(&reply)).await;
    let codes = wrong_ones(&scene).await;
    assert_eq!(codes.len(), 4);
    for code in &codes {
        let session = scene.session(code).await.to_string();
        for secret in secrets(&scene) {
            assert!(!session.contains(&secret), "{secret}: {session}");
        }
    }
    sandbox.stop_relay().await;
    let mut everything = kept(sandbox.folder());
    let has_log = everything
        .iter()
        .any(|(name, _)| name.ends_with("serve.log"));
    assert!(has_log);
    if let Some(dump) = sandbox.database.dump().await {
        everything.push(("the database".to_owned(), dump.into_bytes()));
    }
    // What may be kept is found: this looks where it says.
    assert_ne!(holders(&everything, &to), Vec::<&str>::new());
    for secret in secrets(&scene) {
        assert_eq!(
            holders(&everything, &secret),
            Vec::<&str>::new(),
            "{secret}"
        );
    }
}

/// Where this text stands.
fn holders<'a>(everything: &'a [(String, Vec<u8>)], text: &str) -> Vec<&'a str> {
    let holds = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let found = everything.iter().filter(|(_, bytes)| holds(bytes));
    found.map(|(name, _)| name.as_str()).collect()
}
