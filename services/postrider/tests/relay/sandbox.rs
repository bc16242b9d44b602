//! `postrider dev` as a person and other programs meet it.

use std::path::Path;
use std::time::Duration;

use postrider_fakenet::OwnNetwork;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::harness::process::run;
use crate::harness::sandbox::start_dev;
use crate::harness::{Database, Door, Place, Sandbox, one_process, unique, until};

in_both_arrangements!(
    the_mailbox_is_listed_for_programs_and_shown_to_people,
    metrics_are_served,
);

async fn the_mailbox_is_listed_for_programs_and_shown_to_people(place: &Place) {
    let recipient = format!("ann-{}@example.org", unique());
    place.settled(&place.send_to(&recipient).await).await;
    let (entry, raw) = place.received_once(&recipient).await;
    let names: Vec<_> = entry.as_object().unwrap().keys().collect();
    let want = [
        "id",
        "mail_from",
        "rcpt_to",
        "received_at",
        "size",
        "tls",
        "subject",
        "dkim",
    ];
    assert_eq!(names, want);
    assert_eq!(entry["rcpt_to"], json!([recipient]));
    assert!(entry["received_at"].as_str().unwrap().ends_with('Z'));
    assert!(raw.windows(4).any(|four| four == b"\r\n\r\n"));
    let page = place.mailbox.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.field("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains(&recipient));
    let id = entry["id"].as_str().unwrap();
    let page = place.mailbox.get(&format!("/message/{id}")).await;
    assert!(page.text().contains("It is ready."));
    for path in ["/dev/mailbox/0/raw", "/dev/mailbox/x/raw", "/else"] {
        assert_eq!(place.mailbox.get(path).await.status, 404, "{path}");
    }
}

async fn metrics_are_served(place: &Place) {
    let page = place.metrics.get("/metrics").await;
    assert_eq!(page.status, 200);
    assert!(
        page.field("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    let text = page.text();
    assert!(
        text.contains("\n# TYPE postrider_") || text.starts_with("# HELP"),
        "{text}"
    );
    assert_eq!(place.metrics.get("/").await.status, 404);
}

#[tokio::test]
async fn the_mailbox_can_be_emptied() {
    let sandbox = Sandbox::one_process().await;
    let place = &sandbox.place;
    assert_eq!(place.mailbox.get("/dev/mailbox").await.json(), json!([]));
    place.settled(&place.send_to("ann@example.org").await).await;
    place.received_once("ann@example.org").await;
    let emptied = place.mailbox.ask("DELETE", "/dev/mailbox", &[], b"").await;
    assert_eq!(emptied.status, 200);
    assert_eq!(place.mailbox.get("/dev/mailbox").await.json(), json!([]));
}

#[tokio::test]
async fn what_is_announced_is_whole_and_everything_in_it_answers() {
    let sandbox = Sandbox::one_process().await;
    let (place, dev) = (&sandbox.place, sandbox.relay.as_ref().unwrap());
    let text = std::fs::read_to_string(place.folder.join("dev.json")).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = said.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "http",
            "smtp",
            "api_key",
            "metrics",
            "admin",
            "admin_token",
            "vendor_key",
            "mailbox",
            "ca",
            "simulator"
        ]
    );
    let word = |name: &str| said[name].as_str().unwrap();
    let bearer = format!("Bearer {}", word("admin_token"));
    let fields = [("authorization", bearer.as_str())];
    let admin = Door::plain(word("admin"));
    let tenants = admin.ask("GET", "/admin/v1/tenants", &fields, b"").await;
    assert_eq!(tenants.json()["data"][0]["vendor"], "sandbox");
    assert!(word("vendor_key").starts_with("-----BEGIN PRIVATE KEY-----"));
    // Without a scheme: it is what a settings form takes apart into server and port.
    let smtp: std::net::SocketAddr = said["smtp"].as_str().unwrap().parse().unwrap();
    assert!(tokio::net::TcpStream::connect(smtp).await.is_ok());
    assert!(said["mailbox"].as_str().unwrap().ends_with("/dev/mailbox"));
    let ca = std::fs::read_to_string(said["ca"].as_str().unwrap()).unwrap();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(place.http.get("/readyz").await.status, 200);
    assert_eq!(place.metrics.get("/metrics").await.status, 200);
    assert_eq!(place.mailbox.get("/dev/mailbox").await.status, 200);
    let printed = until("the printed lines", async || {
        let printed = dev.printed();
        printed.contains("curl ").then_some(printed)
    })
    .await;
    for word in ["http", "smtp", "api_key"] {
        assert!(printed.contains(said[word].as_str().unwrap()), "{printed}");
    }
    // It stands as it was made: there is nothing to warn of.
    assert!(!printed.contains("WARN"), "{printed}");
    assert!(printed.contains("count as known"), "{printed}");
}

#[tokio::test]
async fn the_doctor_says_that_a_sandbox_is_one_and_looks_at_nothing_outside() {
    let place = one_process().await;
    let config = place.config();
    let examined = run([Path::new("doctor"), "--config".as_ref(), &config]);
    let said = String::from_utf8(examined.stdout).unwrap();
    assert!(examined.status.success(), "{said}");
    let verdict = "This is a sandbox, and no mail leaves this machine: hard findings: 0";
    assert!(said.contains(verdict), "{said}");
    let report: Value = place.command(&["doctor"]);
    assert_eq!(
        (&report["sandbox"], &report["hard"]),
        (&json!(true), &json!(0))
    );
    let findings = report["findings"].as_array().unwrap().iter();
    let mut ids: Vec<_> = findings.map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["disk", "fsync", "sandbox"]);
}

#[tokio::test]
async fn the_printed_line_delivers() {
    let sandbox = Sandbox::one_process().await;
    let dev = sandbox.relay.as_ref().unwrap();
    let line = until("the curl line", async || {
        let printed = dev.printed();
        let line = printed
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("curl "));
        line.map(str::to_owned)
    })
    .await;
    let pasted = std::process::Command::new("sh")
        .args(["-c", &line])
        .output();
    let pasted = pasted.unwrap();
    assert!(
        pasted.status.success(),
        "apt-get install curl: {}",
        String::from_utf8_lossy(&pasted.stderr)
    );
    let answer: Value = serde_json::from_slice(&pasted.stdout).unwrap();
    let timeline = sandbox.place.settled(answer["id"].as_str().unwrap()).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
}

#[tokio::test]
async fn a_restart_on_the_same_folder_accepts_within_two_seconds_with_the_same_key() {
    let mut sandbox = Sandbox::one_process().await;
    let place = sandbox.place.clone();
    let id = place.send_to("ann@example.org").await;
    place.settled(&id).await;
    let waiting = place.send_to("greylisted@example.org").await;
    place
        .events_when(&waiting, |timeline| timeline.has("deferred"))
        .await;
    // On a machine with other work each program takes longer, and a command is one as well.
    let mut took = Vec::new();
    let again = loop {
        let (again, span) = restarted(&mut sandbox).await;
        let began = Instant::now();
        again.command(&["tenant", "list"]);
        let command = began.elapsed();
        if span < Duration::from_secs(2) + 10 * command {
            break again;
        }
        took.push((span, command));
        assert!(took.len() < 5, "{took:?}");
    };
    assert_eq!(again.key, place.key);
    assert_eq!(again.metrics.address, place.metrics.address);
    assert_eq!(again.mailbox.address, place.mailbox.address);
    assert_eq!(again.email(&id).await["last_event"], "delivered");
    // What had not arrived before the stop arrives after it.
    assert_eq!(
        again.settled(&waiting).await.end().unwrap()["type"],
        "delivered"
    );
}

/// What a sandbox's own `dev` is started with once more.
fn again<'a>(sandbox: &'a Sandbox, words: &[&'a str]) -> Vec<&'a str> {
    [sandbox.database.words().as_slice(), words].concat()
}

/// The sandbox stopped and started again, and how long the start took.
async fn restarted(sandbox: &mut Sandbox) -> (Place, Duration) {
    sandbox.stop_relay().await;
    let folder = &sandbox.place.folder;
    assert!(
        !folder.join("dev.json").exists(),
        "nobody is told of what is gone"
    );
    let began = Instant::now();
    let mut dev = start_dev(folder, sandbox.network.host(), &again(sandbox, &["--fast"]));
    let again = Place::announced(folder, &mut dev).await;
    let span = began.elapsed();
    sandbox.relay = Some(dev);
    (again, span)
}

#[tokio::test]
async fn fresh_forgets_everything_and_touches_no_foreign_folder() {
    let mut sandbox = Sandbox::one_process().await;
    let place = sandbox.place.clone();
    let id = place.send_to("ann@example.org").await;
    sandbox.stop_relay().await;
    let words = again(&sandbox, &["--fast", "--fresh"]);
    let mut dev = start_dev(&place.folder, sandbox.network.host(), &words);
    let fresh = Place::announced(&place.folder, &mut dev).await;
    assert_ne!(fresh.key, place.key);
    assert_eq!(fresh.get(&format!("/emails/{id}")).await.status, 404);
    let forgotten = fresh.as_tenant(&place.key, &place.tenant);
    assert_eq!(forgotten.get(&format!("/emails/{id}")).await.status, 403);
    let again = fresh.send_to("ann@example.org").await;
    assert_eq!(
        fresh.settled(&again).await.end().unwrap()["type"],
        "delivered"
    );
    let foreign = TempDir::new().unwrap();
    let thesis = foreign.path().join("thesis.txt");
    std::fs::write(&thesis, "years of work").unwrap();
    let data = foreign.path().to_str().unwrap();
    let refused = run(["dev", "--http", "127.0.0.1:0", "--fresh", "--data", data]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&thesis).unwrap(), "years of work");
}

#[tokio::test]
async fn a_real_relays_folder_is_no_sandbox() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("relay");
    let data = data.to_str().unwrap();
    let database = Database::fresh().await;
    let words = ["init", data, "--host", "mail.test"].into_iter();
    let words = words.chain(["--contact", "ann@corp.test"]);
    assert!(run(words.chain(database.words())).status.success());
    let config = folder.path().join("relay/postrider.toml");
    let before = std::fs::read_to_string(&config).unwrap();
    assert!(before.contains("send_domain = \"send.mail.test\""));
    for more in ["--once", "--fresh"] {
        let refused = run(["dev", "--http", "127.0.0.1:0", more, "--data", data]);
        assert_eq!(refused.status.code(), Some(1));
        assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    }
}

#[tokio::test]
async fn a_public_sandbox_speaks_https_with_a_certificate_by_its_ca() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("relay");
    let (database, network) = (Database::fresh().await, OwnNetwork::take().unwrap());
    let more = ["--fast", "--public", "relay.sandbox.test"];
    let words = [database.words().as_slice(), &more].concat();
    let mut dev = start_dev(&data, network.host(), &words);
    let place = Place::announced(&data, &mut dev).await;
    let (_, name) = place.http.tls.as_ref().unwrap();
    assert_eq!(name, "relay.sandbox.test");
    let id = place.send_to("ann@example.org").await;
    assert_eq!(place.settled(&id).await.end().unwrap()["type"], "delivered");
    assert!(dev.stop().await.success());
}

#[tokio::test]
async fn once_sends_one_message_shows_what_arrived_and_exits_with_0() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("relay");
    let (database, network) = (Database::fresh().await, OwnNetwork::take().unwrap());
    let words = [database.words().as_slice(), &["--fast", "--once"]].concat();
    let mut dev = start_dev(&data, network.host(), &words);
    let status = dev.end().await;
    let printed = dev.printed();
    assert!(status.success(), "{printed}");
    for line in [
        "@send.relay.test>",
        "Reply-To  owner@sandbox.test",
        "DKIM      pass, pass",
        "TLS       TLSv1.3 ",
        "accepted",
        "delivered",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(!data.join("dev.json").exists());
}
