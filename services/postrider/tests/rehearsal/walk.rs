//! The walk itself: the guide's first page, from its first command to its last.

use serde_json::Value;

use super::authority::Authority;
use super::guide::Guide;
use super::network::Running;
use super::scene::{Scene, word};
use crate::harness::until;

/// What a browser does with a page of the relay's, on the shop's machine.
fn fetched(scene: &Scene, words: &[&str]) -> Option<String> {
    let curl = ["curl", "--silent", "--fail"];
    let done = scene.network.shop.run(&[&curl, words].concat());
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    done.status.success().then_some(said)
}

/// What the relay says of the shop, to whom has its key.
fn status(scene: &Scene, answer: &Value) -> String {
    let key = format!("Authorization: Bearer {}", word(&answer["http"], "key"));
    let url = "https://relay.example/enroll/status";
    let said = fetched(scene, &["--header", &key, url]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    word(&said, "status").to_owned()
}

// As it stands in what arrived: a line of its own.
fn link(letter: &str) -> String {
    let mut lines = letter.lines();
    let link = lines.find(|line| line.starts_with("https://relay.example/c/"));
    link.unwrap_or_else(|| panic!("{letter}")).to_owned()
}

/// Steps 2 to 4: a relay whose records are all seen, and which serves.
async fn relay(scene: &Scene, guide: &mut Guide) -> [Running; 2] {
    let mut names = scene.without_records();
    guide.types("postrider init");
    scene.is_all_red().await;
    let waiting = "postrider doctor --wait";
    let mut doctor = guide.starts(waiting);
    until("the doctor says what to publish", async || {
        let is_red = guide.has_said(waiting, "Mail may NOT leave");
        is_red.then_some(())
    })
    .await;
    names.stop();
    let names = scene.with_zone_and_ptr();
    until("the doctor is content", async || doctor.has_ended()).await;
    assert!(
        doctor.ended(),
        "the doctor ended, and not for being content"
    );
    for words in ["UTC: hard findings: 0", "Mail may leave"] {
        assert!(guide.has_said(waiting, words), "{words}");
    }
    let serving = guide.starts("postrider serve");
    until("the relay is ready", async || {
        fetched(scene, &["https://relay.example/readyz"])
    })
    .await;
    [names, serving]
}

/// Steps 5 and 6: a vendor whose program brings a shop; gives the answer that it got.
fn shop(guide: &mut Guide) -> Value {
    guide.types("openssl genpkey -algorithm ed25519");
    guide.types("postrider vendor key add wrench wrench.pem");
    guide.types("openssl pkeyutl -sign");
    let answer = guide.types("https://relay.example/enroll");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"], "pending", "{answer}");
    assert_eq!(answer["reply_to"], "joe@shop.example", "{answer}");
    answer
}

/// Step 7: the link in the letter, whose look changes nothing, and the button behind it.
async fn confirm(scene: &Scene, guide: &mut Guide, answer: &Value) {
    let letter = until("the letter arrives", async || {
        scene.shop.arrived("https://relay.example/c/")
    });
    let letter = letter.await;
    scene.is_trusted(&letter);
    let contact = "Reply-To: you@your-company.example";
    assert!(letter.lines().any(|line| line == contact), "{letter}");
    let link = link(&letter);
    let page = fetched(scene, &[&link]).unwrap();
    assert!(page.contains("name=\"answer\" value=\"yes\""), "{page}");
    assert_eq!(status(scene, answer), "pending");
    guide.put("LINK", &link);
    guide.types("answer=yes");
    assert_eq!(status(scene, answer), "active");
}

#[tokio::test]
async fn who_walks_the_guide_s_first_page_ends_with_a_shop_whose_mail_passes_every_check() {
    let Some(scene) = Scene::new() else { return };
    let network = &scene.network;
    let trusted = &network.shop.trusted;
    let authority = Authority::start(&network.names, &scene.authority, trusted).await;
    let mut guide = Guide::open(&scene);
    guide.put("--acme", &format!("--acme {}", authority.words()));
    let _running = relay(&scene, &mut guide).await;
    let answer = shop(&mut guide);
    confirm(&scene, &mut guide, &answer).await;

    // With the settings as they were given, and no other.
    let smtp = &answer["smtp"];
    let port = smtp["ports"][0].to_string();
    let told = [
        ("HOST", word(smtp, "host")),
        ("PORT", &port),
        ("USER", word(smtp, "user")),
        ("PASSWORD", word(smtp, "password")),
    ];
    for (name, value) in told {
        guide.put(name, value);
    }
    guide.types("swaks");
    let mail = until("the mail arrives", async || {
        scene.shop.arrived("Subject: Your estimate")
    });
    let mail = mail.await;
    scene.is_trusted(&mail);
    let from = format!("From: \"Joe's Garage\" <{}>", word(&answer, "from"));
    for line in [from.as_str(), "Reply-To: joe@shop.example"] {
        assert!(mail.lines().any(|has| has == line), "{line}: {mail}");
    }
    let found = guide.types("postrider find bob@shop.example");
    assert!(found.contains("Delivered at"), "{found}");
    assert!(guide.is_over(), "steps are left that nobody took");
}
