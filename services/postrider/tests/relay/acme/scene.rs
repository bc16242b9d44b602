//! A relay that has its certificates by itself, and its authority.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use postrider_tls::Connector;
use serde_json::Value;

use super::authority::{Authority, Habits, LOOKS_AT, is_there};
use crate::harness::{Door, Sandbox, until, until_within};

/// For what an attempt brings: one order may take five minutes, and on a machine that does much else
/// the first may come to nothing.
const ATTEMPTS: Duration = Duration::from_mins(8);

/// A relay that does not run yet; its doors show what is had by ACME.
pub(super) struct Scene {
    pub(super) sandbox: Sandbox,
    pub(super) authority: Authority,
}

impl Scene {
    /// None where there is nothing that an authority is made of, which is told.
    pub(super) async fn with(habits: Habits) -> Option<Self> {
        if !is_there() {
            return None;
        }
        let sandbox = Sandbox::prepared().await;
        let authority = Authority::start(&sandbox, &habits).await;
        let directory = authority.directory();
        configure(&sandbox, &directory, &authority.root);
        Some(Self { sandbox, authority })
    }

    /// Asks there instead, from the next start on.
    pub(super) fn ask_at(&self, directory: &str) {
        let now = self.authority.directory();
        self.sandbox.configure(&now, directory);
    }
}

fn configure(sandbox: &Sandbox, directory: &str, root: &Path) {
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
    let (root, host) = (root.display(), sandbox.network.host());
    let acme = format!(
        "[acme]\ndirectory = \"{directory}\"\nroot = \"{root}\"\nlisten = [\"{host}:{LOOKS_AT}\"]\n\n[log]"
    );
    sandbox.configure("[log]", &acme);
}

/// A file of the folder `acme`; nothing where there is none.
pub(super) fn read(sandbox: &Sandbox, file: &str) -> String {
    let path = sandbox.place.folder.join("acme").join(file);
    std::fs::read_to_string(path).unwrap_or_default()
}

pub(super) fn remove(sandbox: &Sandbox, file: &str) {
    std::fs::remove_file(sandbox.place.folder.join("acme").join(file)).unwrap();
}

/// What came of the attempts.
pub(super) fn attempts(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&read(sandbox, "attempts.json")).unwrap_or_default()
}

/// Why the last attempt came to nothing; none where one is not over.
fn failed(sandbox: &Sandbox) -> Option<String> {
    let attempts = attempts(sandbox);
    let said = attempts["failure"]["said"].as_str()?;
    (!said.starts_with("an attempt was begun")).then(|| said.to_owned())
}

/// Has it asked again, as an operator does who has mended something.
pub(super) fn ask_again(sandbox: &Sandbox, why: &str) {
    eprintln!("asked again: {why}");
    remove(sandbox, "attempts.json");
}

/// Has the authority left alone for as long as this test runs, however slow the machine is.
pub(super) fn put_off(sandbox: &Sandbox) {
    let mut attempts = attempts(sandbox);
    attempts["failure"]["again_at"] = "2999-01-01T00:00:00Z".into();
    let path = sandbox.place.folder.join("acme/attempts.json");
    std::fs::write(path, attempts.to_string()).unwrap();
}

/// Waits for what an attempt brings that succeeds.
pub(super) async fn brought<T>(
    sandbox: &Sandbox,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    until_within(ATTEMPTS, what, async || {
        let seen = look().await;
        if seen.is_none()
            && let Some(why) = failed(sandbox)
        {
            ask_again(sandbox, &why);
        }
        seen
    })
    .await
}

/// Waits until all that were due are there.
pub(super) async fn given(sandbox: &Sandbox) {
    brought(sandbox, "the certificates", async || {
        attempts(sandbox)["succeeded_at"].as_str().map(drop)
    })
    .await;
}

/// Waits for an attempt that fails by this; gives its line of the log, and what the doctor says of it.
pub(super) async fn refused(sandbox: &Sandbox, word: &str) -> (String, Value) {
    until_within(ATTEMPTS, word, async || {
        let why = failed(sandbox)?;
        if !why.contains(word) {
            ask_again(sandbox, &why);
        }
        why.contains(word).then_some(())
    })
    .await;
    let line = logged(sandbox, &["no certificate: ", word]).await;
    let finding = found(sandbox, "acme");
    assert!(
        finding["seen"].as_str().unwrap().contains(word),
        "{finding}"
    );
    assert_eq!(finding["level"], "soft", "{finding}");
    (line, finding)
}

/// The newest line of the relay's log with these words.
pub(super) async fn logged(sandbox: &Sandbox, words: &[&str]) -> String {
    let relay = sandbox.relay.as_ref().unwrap();
    until(words[0], async || {
        let printed = relay.printed();
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        printed.lines().rfind(has_all).map(str::to_owned)
    })
    .await
}

/// What the doctor says of this.
pub(super) fn found(sandbox: &Sandbox, id: &str) -> Value {
    let output = sandbox.place.try_command(&["doctor"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut findings = report["findings"].as_array().unwrap().iter();
    let found = findings.find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("{id}: {report}")).clone()
}

/// The HTTP door, whose certificate has to be from there.
pub(super) fn https(sandbox: &Sandbox, connector: Connector) -> Door {
    Door {
        address: sandbox.place.http.address,
        tls: Some((connector, "relay.test".to_owned())),
    }
}

/// Whether the SMTP door shows one of RSA that this authority vouches for.
pub(super) fn smtp_shows_rsa(sandbox: &Sandbox, issuer: &Path) -> bool {
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
