//! Certificates that a relay has by itself, from a real authority.

mod authority;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use postrider_tls::Connector;
use serde_json::Value;

use self::authority::{Authority, Habits, LOOKS_AT, is_there};
use crate::harness::{Door, Page, Sandbox, until};

/// A sandbox whose doors show what is had by ACME, and whose directory is there.
fn asking(directory: &str, root: &Path, sandbox: Sandbox, port: u16) -> Sandbox {
    let pair =
        |kind: &str| format!("{{ certificate = \"acme/{kind}.pem\", key = \"acme/{kind}.pem\" }}");
    let both = format!("certificates = [{}, {}]", pair("ecdsa"), pair("rsa"));
    let text = std::fs::read_to_string(sandbox.place.config()).unwrap();
    let shown = text
        .lines()
        .find(|line| line.starts_with("certificates = "));
    sandbox.configure(shown.unwrap(), &both);
    sandbox.configure("tls_certificate = \"\"", &both);
    sandbox.log_as("info");
    let acme = format!(
        "[acme]\ndirectory = \"{directory}\"\nroot = \"{}\"\nlisten = [\"{}:{port}\"]\n\n[log]",
        root.display(),
        sandbox.network.host()
    );
    sandbox.configure("[log]", &acme);
    sandbox
}

fn read(sandbox: &Sandbox, file: &str) -> String {
    let path = sandbox.place.folder.join("acme").join(file);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn attempts(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&read(sandbox, "attempts.json")).unwrap_or_default()
}

/// On a machine that does much else the authority may find nobody in the time it takes for that. Its
/// words are shown, and it is asked again, as by an operator who has mended something.
fn ask_again(sandbox: &Sandbox) {
    let failure = &attempts(sandbox)["failure"];
    if !failure.is_null() {
        eprintln!("asked again: {failure}");
        let file = sandbox.place.folder.join("acme/attempts.json");
        std::fs::remove_file(file).unwrap();
    }
}

/// The HTTP door, whose certificate has to be from there.
fn https(sandbox: &Sandbox, connector: Connector) -> Door {
    Door {
        address: sandbox.place.http.address,
        tls: Some((connector, "relay.test".to_owned())),
    }
}

/// Whether the SMTP door shows one of RSA that this authority vouches for.
fn smtp_shows_rsa(sandbox: &Sandbox, issuer: &Path) -> bool {
    let text = std::fs::read_to_string(sandbox.place.config()).unwrap();
    let address = text.split_once("listen = [{ address = \"").unwrap().1;
    let address = address.split('"').next().unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", address, "-servername", "relay.test"]);
    command.args(["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
    command.args([
        "-verify_hostname",
        "relay.test",
        "-verify_return_error",
        "-CAfile",
    ]);
    let output = command
        .arg(issuer)
        .stdin(std::process::Stdio::null())
        .output();
    String::from_utf8_lossy(&output.unwrap().stdout).contains("Verified peername: relay.test")
}

#[tokio::test]
async fn certificates_come_by_themselves_and_the_doors_show_them_without_a_restart() {
    if !is_there() {
        return;
    }
    let sandbox = Sandbox::prepared().await;
    let authority = Authority::start(&sandbox, &Habits::default()).await;
    let directory = authority.directory();
    let mut sandbox = asking(&directory, &authority.root, sandbox, LOOKS_AT);
    sandbox.serve().await;
    let (connector, issuer) = authority.trusted().await;
    let door = https(&sandbox, connector);
    until("a door that programs trust", async || {
        ask_again(&sandbox);
        let answer = door.say(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
        (answer.status == 200 && smtp_shows_rsa(&sandbox, &issuer)).then_some(())
    })
    .await;
    let page = Page::of(&sandbox.place).await;
    assert!(page.sum("postrider_acme_last_success_timestamp_seconds", &[]) > 1_700_000_000.0);
    assert!(read(&sandbox, "rsa.pem").contains("PRIVATE KEY"));
    secrets_are_the_owners(&sandbox);
    all_else_on_port_80_goes_to_https(&sandbox).await;

    // One that is gone comes again after a restart, by the same account.
    let account = read(&sandbox, "account.json");
    sandbox.stop_relay().await;
    let (kept, orders) = (read(&sandbox, "ecdsa.pem"), authority.orders());
    std::fs::remove_file(sandbox.place.folder.join("acme/rsa.pem")).unwrap();
    sandbox.serve().await;
    until("another certificate", async || {
        ask_again(&sandbox);
        smtp_shows_rsa(&sandbox, &issuer).then_some(())
    })
    .await;
    assert_eq!(read(&sandbox, "account.json"), account);
    assert_eq!(read(&sandbox, "ecdsa.pem"), kept);
    assert!(authority.orders() > orders, "{}", authority.printed());
}

fn secrets_are_the_owners(sandbox: &Sandbox) {
    use std::os::unix::fs::PermissionsExt;
    for file in ["account.json", "ecdsa.pem", "rsa.pem"] {
        let path = sandbox.place.folder.join("acme").join(file);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

async fn all_else_on_port_80_goes_to_https(sandbox: &Sandbox) {
    let door = Door {
        address: (sandbox.network.host(), LOOKS_AT).into(),
        tls: None,
    };
    for (method, path, want) in [
        ("GET", "/confirm/a%2Fb?to=a%20b", 301),
        ("POST", "/emails", 308),
    ] {
        let answer = door.ask(method, path, &[], b"").await;
        let place = format!("https://relay.test{path}");
        assert_eq!(
            (answer.status, answer.field("location")),
            (want, Some(&*place))
        );
    }
    let stranger = door.get("/.well-known/acme-challenge/abc").await;
    assert_eq!(stranger.status, 404);
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_ends() {
    if !is_there() {
        return;
    }
    let sandbox = Sandbox::prepared().await;
    let habits = Habits {
        seconds: 30,
        ..Habits::default()
    };
    let authority = Authority::start(&sandbox, &habits).await;
    let directory = authority.directory();
    let mut sandbox = asking(&directory, &authority.root, sandbox, LOOKS_AT);
    sandbox.serve().await;
    let first = until("the first certificate", async || {
        ask_again(&sandbox);
        attempts(&sandbox)["succeeded_at"].as_str()?;
        Some(read(&sandbox, "ecdsa.pem"))
    })
    .await;
    until("the next one", async || {
        ask_again(&sandbox);
        (read(&sandbox, "ecdsa.pem") != first).then_some(())
    })
    .await;
    let (connector, _) = authority.trusted().await;
    let door = https(&sandbox, connector);
    until("a door with one that is good", async || {
        door.say(b"GET /healthz HTTP/1.0\r\n\r\n").await
    })
    .await;
}

/// The log line of the newest failure, and what the doctor says of it.
async fn refused(sandbox: &Sandbox, word: &str) -> (String, Value) {
    let relay = sandbox.relay.as_ref().unwrap();
    let line = until(word, async || {
        let printed = relay.printed();
        let mut lines = printed.lines();
        let newest = lines.rfind(|line| line.contains("no certificate: ") && line.contains(word));
        newest.map(str::to_owned)
    })
    .await;
    let finding = until("the doctor's finding", async || {
        let output = sandbox.place.try_command(&["doctor"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut findings = report["findings"].as_array().unwrap().iter();
        let found = findings
            .find(|one| one["id"] == "acme" && one["seen"].as_str().unwrap().contains(word));
        found.cloned()
    })
    .await;
    assert_eq!(finding["level"], "soft", "{finding}");
    (line, finding)
}

#[tokio::test]
async fn a_refusal_is_told_in_the_authoritys_words_and_the_old_certificate_stays() {
    if !is_there() {
        return;
    }
    let sandbox = Sandbox::prepared().await;
    let authority = Authority::start(&sandbox, &Habits::default()).await;
    let directory = authority.directory();
    // Nobody answers where the authority looks.
    let mut sandbox = asking(&directory, &authority.root, sandbox, LOOKS_AT + 10);
    sandbox.serve().await;
    let placeholder = read(&sandbox, "ecdsa.pem");
    let (line, finding) = refused(&sandbox, "connection").await;
    for word in ["WARN", "relay.test", "again_at", "open port 80"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(
        finding["remedy"].as_str().unwrap().contains("port 80"),
        "{finding}"
    );
    assert_eq!(read(&sandbox, "ecdsa.pem"), placeholder);
    let page = Page::of(&sandbox.place).await;
    let count = |reason| page.count("postrider_acme_failures_total", &[("reason", reason)]);
    assert_eq!((count("refused"), count("failed")), (1, 0));

    // A restart is no reason to ask again.
    let (before, orders) = (attempts(&sandbox), authority.orders());
    sandbox.stop_relay().await;
    sandbox.serve().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((attempts(&sandbox), authority.orders()), (before, orders));
    let page = Page::of(&sandbox.place).await;
    let since = page.sum("postrider_acme_failing_since_timestamp_seconds", &[]);
    assert!(since > 1_700_000_000.0, "{since}");

    // Who has mended it need not wait for the next attempt.
    sandbox.stop_relay().await;
    let at = |port: u16| format!("{}:{port}\"", sandbox.network.host());
    sandbox.configure(&at(LOOKS_AT + 10), &at(LOOKS_AT));
    sandbox.serve().await;
    until("the certificate", async || {
        ask_again(&sandbox);
        attempts(&sandbox)["succeeded_at"].as_str()?;
        (read(&sandbox, "ecdsa.pem") != placeholder).then_some(())
    })
    .await;
}

#[tokio::test]
async fn other_names_or_another_authority_are_asked_for_at_once() {
    if !is_there() {
        return;
    }
    let sandbox = Sandbox::prepared().await;
    let habits = Habits {
        blocked: &["bounce.relay.test"],
        ..Habits::default()
    };
    let authority = Authority::start(&sandbox, &habits).await;
    let directory = authority.directory();
    let nowhere = directory.replace(":14000", ":14001");
    let mut sandbox = asking(&nowhere, &authority.root, sandbox, LOOKS_AT);
    sandbox.serve().await;
    let (line, finding) = refused(&sandbox, "cannot connect").await;
    assert!(line.contains("acme.directory"), "{line}");
    assert!(
        finding["seen"].as_str().unwrap().contains("refused"),
        "{finding}"
    );
    sandbox.stop_relay().await;
    sandbox.configure(&nowhere, &directory);
    sandbox.serve().await;
    let (line, finding) = refused(&sandbox, "rejectedIdentifier").await;
    assert!(line.contains("service.host"), "{line}");
    assert!(
        finding["seen"]
            .as_str()
            .unwrap()
            .contains("bounce.relay.test"),
        "{finding}"
    );
}

#[tokio::test]
async fn an_authority_that_has_forgotten_the_account_gives_another() {
    if !is_there() {
        return;
    }
    let sandbox = Sandbox::prepared().await;
    let authority = Authority::start(&sandbox, &Habits::default()).await;
    let directory = authority.directory();
    let mut sandbox = asking(&directory, &authority.root, sandbox, LOOKS_AT);
    sandbox.serve().await;
    until("the certificates", async || {
        ask_again(&sandbox);
        attempts(&sandbox)["succeeded_at"].as_str().map(drop)
    })
    .await;
    sandbox.stop_relay().await;
    let account = read(&sandbox, "account.json");
    // It keeps nothing.
    drop(authority);
    let _authority = Authority::start(&sandbox, &Habits::default()).await;
    std::fs::remove_file(sandbox.place.folder.join("acme/rsa.pem")).unwrap();
    sandbox.serve().await;
    let (line, _) = refused(&sandbox, "accountDoesNotExist").await;
    assert!(line.contains("new account"), "{line}");
    std::fs::remove_file(sandbox.place.folder.join("acme/attempts.json")).unwrap();
    until("another account", async || {
        attempts(&sandbox)["succeeded_at"].as_str()?;
        (read(&sandbox, "account.json") != account).then_some(())
    })
    .await;
}
