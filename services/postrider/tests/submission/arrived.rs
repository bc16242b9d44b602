//! What must be true of every mail that came in by the SMTP door and arrived.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::mail::{header, header_count};
use crate::harness::tools::missing;
use crate::harness::until;
use crate::scene::Scene;

/// Who answers for the tenants that tests make.
pub(crate) const REPLY_TO: &str = "owner@another.test";

/// The one message for this recipient, once it is there: its identity is the tenant's, and both of
/// its signatures stand before us and before a verifier that others wrote.
pub(crate) async fn arrived(scene: &Scene, to: &str) -> Vec<u8> {
    arrived_with(scene, to, REPLY_TO).await
}

/// The same where replies go elsewhere.
pub(crate) async fn arrived_with(scene: &Scene, to: &str, reply_to: &str) -> Vec<u8> {
    until(to, async || {
        (!scene.place.received(to).await.is_empty()).then_some(())
    })
    .await;
    let (entry, raw) = scene.place.received_once(to).await;
    identity(scene, &entry, &raw, reply_to);
    signatures(&scene.place.folder, &raw);
    raw
}

fn identity(scene: &Scene, entry: &Value, raw: &[u8], reply_to: &str) {
    let from = header(raw, "From");
    let own = scene.from();
    assert!(from.ends_with(&format!("<{own}>")) || from == own, "{from}");
    assert!(own.ends_with("@send.relay.test"), "{own}");
    let replies = header(raw, "Reply-To");
    assert!(
        replies == reply_to || replies.ends_with(&format!("<{reply_to}>")),
        "{replies}"
    );
    let path = entry["mail_from"].as_str().unwrap();
    assert!(
        path.starts_with("b+") && path.ends_with("@bounce.relay.test"),
        "{path}"
    );
    assert_eq!(entry["dkim"], json!(["pass", "pass"]));
    for name in ["From", "Reply-To", "Date", "Message-ID", "Subject"] {
        assert_eq!(header_count(raw, name), 1, "{name}");
    }
    for name in ["Bcc", "Sender", "Return-Path"] {
        assert_eq!(header_count(raw, name), 0, "{name}");
    }
}

const DKIMPY: &str = r"
import dkim, json, sys
records = {one['name']: one['value'] for one in json.load(open(sys.argv[1]))}
def answer(name, timeout=5):
    return records[name.decode().rstrip('.')].encode()
message = dkim.DKIM(open(sys.argv[2], 'rb').read())
print([message.verify(idx, dnsfunc=answer) for idx in (0, 1)])
";

fn signatures(folder: &Path, raw: &[u8]) {
    let python = "/usr/bin/python3";
    let has = Command::new(python)
        .args(["-c", "import dkim, nacl"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        return missing("DKIM by dkimpy: apt-get install python3-dkim python3-nacl");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), raw).unwrap();
    let records = folder.join("dkim-records.json");
    let output = Command::new(python)
        .args(["-c", DKIMPY])
        .args([&records, file.path()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let fault = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.trim(), "[True, True]", "{fault}");
}
