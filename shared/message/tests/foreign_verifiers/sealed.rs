//! Mail that its sender signed, after our stamp, before a verifier that others wrote: OpenSSL.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use postrider_message::{MessageError, Stamp, normalise, stamp};
use postrider_model::{EmailAddress, Mailbox, Timestamp};

use crate::not_run;

fn ours() -> Stamp {
    let mailbox = |address| Mailbox::from(EmailAddress::parse(address).unwrap());
    Stamp {
        from: mailbox("joes-garage-7k2f@send.relay.example"),
        reply_to: vec![mailbox("joe@joesgarage.example")],
        receipts: Vec::new(),
        date: Timestamp::parse("2026-01-31T08:09:10Z").unwrap(),
        message_id: "0190@send.relay.example".to_owned(),
        feedback_id: "c:t:transactional:relay".to_owned(),
        received: "by relay.example with ESMTPSA id 1; Sat, 31 Jan 2026 08:09:10 +0000".to_owned(),
        unsubscribe: Some("https://relay.example/u/abc".to_owned()),
    }
}

fn openssl(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder);
    command.output().unwrap()
}

// S/MIME as mail programs send it (RFC 8551 §3.5.3): multipart/signed, with a text of this content.
fn signed(folder: &Path, content: &str) -> Vec<u8> {
    let part = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{content}\r\n"
    );
    fs::write(folder.join("part"), part).unwrap();
    let made = openssl(
        folder,
        "cms -sign -binary -crlfeol -in part -signer cert -inkey key -subject Estimate -from joe@joesgarage.example -to ann@example.org -out mail",
    );
    assert!(made.status.success(), "{made:?}");
    fs::read(folder.join("mail")).unwrap()
}

fn verifies(folder: &Path, mail: &[u8]) -> bool {
    fs::write(folder.join("arrived"), mail).unwrap();
    let verified = openssl(folder, "cms -verify -in arrived -CAfile cert -out content");
    verified.status.success()
}

#[test]
fn what_its_sender_signed_verifies_after_us_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    if Command::new("openssl").arg("version").output().is_err() {
        return not_run("a signed mail before OpenSSL", "openssl");
    }
    let made = openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 30 -subj /CN=joe@joesgarage.example -addext extendedKeyUsage=emailProtection",
    );
    assert!(made.status.success(), "{made:?}");
    for content in [
        "plain text",
        "two lines,\r\nand  spaces at the end  \t\r\n\r\n.\r\nFrom here on",
        &"a".repeat(998),
    ] {
        let raw = normalise(signed(folder, content));
        assert!(verifies(folder, &raw), "as it was handed in: {content:?}");
        let stamped = stamp(&raw, &ours()).unwrap().bytes;
        assert!(stamped.starts_with(b"Received: by relay.example"));
        assert!(verifies(folder, &stamped), "as it leaves: {content:?}");
        let text = String::from_utf8(stamped).unwrap();
        let changed = text.replacen(
            "\r\nContent-Transfer-Encoding: 8bit",
            "\r\nContent-Transfer-Encoding: 7bit",
            1,
        );
        assert!(
            !verifies(folder, changed.as_bytes()),
            "the verifier sees every change"
        );
    }
    for content in ["viele Grüße", &"a".repeat(999)] {
        let raw = normalise(signed(folder, content));
        assert!(verifies(folder, &raw), "as it was handed in: {content:?}");
        let refused = stamp(&raw, &ours()).map(|_| ());
        assert_eq!(refused, Err(MessageError::Sealed), "{content:?}");
    }
}
