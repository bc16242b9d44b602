//! No password, and no line of a sign-in, in anything that is kept.

use std::path::Path;

use crate::harness::{Sandbox, until};
use crate::line::{Line, id_of, pack};
use crate::scene::Scene;

/// Every file below it, and what a dump of the database has.
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

#[tokio::test]
async fn no_password_and_no_line_of_a_sign_in_is_in_a_file_or_a_log() {
    let mut sandbox = Sandbox::prepared().await;
    sandbox.configure(r#"filter = "warn""#, r#"filter = "trace""#);
    sandbox.serve().await;
    let place = sandbox.place.clone();
    let scene = Scene::of(place, &[]).await;
    let bare = scene.password.replace('-', "");
    let wrong = "GEHEIM-GEHEIM-GEHEIM-4711";
    let plain = |password: &str| pack(&format!("\0{}\0{password}", scene.user));
    let mut line = scene.line().await;
    let to = scene.to("secrets");
    let id = id_of(
        &line
            .mail("a@b.test", &[&to], b"Subject: x\r\n\r\ny\r\n")
            .await,
    );
    scene.place.settled(&id).await;
    let mut codes = vec![];
    for said in [
        vec![format!("AUTH PLAIN {}", plain(wrong))],
        vec!["AUTH LOGIN".to_owned(), pack(&scene.user), pack(wrong)],
        vec![format!("AUTH XOAUTH2 {}", pack(wrong))],
        vec![
            format!("AUTHPLAIN {}", plain(&bare)),
            format!("PASS {bare}"),
        ],
    ] {
        let mut line = Line::starttls(scene.smtp, "vm").await;
        for text in said {
            line.say(&text).await;
        }
        codes.push(crate::line::code_of(&line.say("VERB").await).to_owned());
        line.say("QUIT").await;
    }
    for code in &codes {
        let session = scene.session(code).await.to_string();
        until("the session is shown", async || {
            (!session.is_empty()).then_some(())
        })
        .await;
        for secret in [&bare, wrong, &plain(wrong), &plain(&bare), &pack(wrong)] {
            assert!(!session.contains(secret), "{secret}: {session}");
        }
    }
    sandbox.stop_relay().await;
    let everything = kept(sandbox.folder());
    assert!(
        everything
            .iter()
            .any(|(name, _)| name.ends_with("serve.log"))
    );
    for secret in [
        &scene.password,
        &bare,
        wrong,
        &plain(wrong),
        &plain(&bare),
        &pack(wrong),
        &pack(&bare),
        &pack(&scene.password),
    ] {
        for (name, bytes) in &everything {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} in {name}");
        }
    }
}
