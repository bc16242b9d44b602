//! The operator's commands, beside a running relay and alone.

use serde_json::Value;

use crate::harness::process::{run, run_into};
use crate::harness::{Database, Place, Sandbox, one_process, unique};

in_both_arrangements!(
    a_new_tenant_is_shown_with_its_first_key_and_can_send_at_once,
    the_records_to_publish_are_shown_whole,
    a_message_is_sent_by_command,
    a_command_about_nothing_says_what_to_do,
);

fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

async fn a_new_tenant_is_shown_with_its_first_key_and_can_send_at_once(place: &Place) {
    let made = place.command(&[
        "tenant",
        "add",
        "--name",
        "Joe's Garage",
        "--reply-to",
        "joe@joes.test",
    ]);
    assert_eq!(
        names(&made),
        [
            "id",
            "name",
            "slug",
            "from",
            "reply_to",
            "reply_to_status",
            "vendor",
            "api_key"
        ]
    );
    assert_eq!(made["name"], "Joe's Garage");
    assert_eq!(made["reply_to"], "joe@joes.test");
    assert_eq!(made["reply_to_status"], "confirmed");
    let slug = made["slug"].as_str().unwrap();
    assert!(slug.starts_with("joes-garage"), "{slug}");
    let from = made["from"].as_str().unwrap();
    assert!(
        from.starts_with("joes-garage-") && from.ends_with("@send.relay.test"),
        "{from}"
    );
    let key = made["api_key"].as_str().unwrap();
    assert_eq!(
        (key.len(), key.starts_with("pr_live_")),
        (57, true),
        "{key}"
    );
    let tenant = place.as_tenant(key, slug);
    tenant
        .send_to(&format!("ann-{}@example.org", unique()))
        .await;

    let shown = place.command(&["tenant", "show", made["id"].as_str().unwrap()]);
    assert_eq!(shown, place.command(&["tenant", "show", slug]));
    assert_eq!(shown["reply_addresses"][0]["status"], "confirmed");
    assert!(!shown.to_string().contains(key));
    let list = place.command(&["tenant", "list"]);
    let ids: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert!(ids.contains(&&made["id"]));
}

async fn the_records_to_publish_are_shown_whole(place: &Place) {
    let records = place.command(&["dkim", "show"]);
    let records = records.as_array().unwrap();
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(names(record), ["name", "value"]);
        let name = record["name"].as_str().unwrap();
        assert!(name.ends_with("._domainkey.send.relay.test"), "{name}");
        let value = record["value"].as_str().unwrap();
        assert!(
            value.starts_with("v=DKIM1") && value.contains("p="),
            "{value}"
        );
        assert!(!value.contains('"'), "unsplit: {value}");
    }
    let kinds: Vec<_> = records.iter().map(|one| one["value"].to_string()).collect();
    assert!(
        kinds.iter().any(|kind| kind.contains("k=ed25519")),
        "{kinds:?}"
    );
    // RFC 6376 §3.3.3: 2048 bits are 392 characters of base64 with what stands around them.
    assert!(kinds.iter().any(|kind| kind.len() > 390), "{kinds:?}");
}

async fn a_message_is_sent_by_command(place: &Place) {
    let recipient = format!("ann-{}@example.org", unique());
    let sent = place.command(&[
        "send",
        "--tenant",
        &place.tenant,
        "--to",
        &recipient,
        "--subject",
        "By command",
        "--text",
        "Hello.",
    ]);
    let id = sent["id"].as_str().unwrap();
    let timeline = place.settled(id).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
    let (entry, _) = place.received_once(&recipient).await;
    assert_eq!(entry["subject"], "By command");
}

async fn a_command_about_nothing_says_what_to_do(place: &Place) {
    for (words, says) in [
        (&["tenant", "show", "nobody"][..], "tenant list"),
        (&["tenant", "suspend", "nobody"], "tenant list"),
        (&["key", "revoke", "nothing"], "key list"),
        (
            &[
                "tenant",
                "reply-to",
                "confirm",
                &place.tenant,
                "never@added.test",
            ],
            "reply address",
        ),
    ] {
        let output = place.try_command(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let fault = String::from_utf8(output.stderr).unwrap();
        assert!(
            fault.starts_with("postrider: ") && fault.contains(says),
            "{words:?}: {fault}"
        );
    }
    let bad = place.try_command(&["tenant", "add", "--name", "x", "--reply-to", "bob@"]);
    assert_eq!(bad.status.code(), Some(2));
}

#[tokio::test]
async fn commands_work_alone_and_the_relay_finds_what_they_made() {
    let mut sandbox = Sandbox::prepared().await;
    let place = sandbox.place.clone();
    let tenant = place.added("Made Alone");
    let recipient = format!("ann-{}@example.org", unique());
    let sent = tenant.command(&[
        "send",
        "--tenant",
        &tenant.tenant,
        "--to",
        &recipient,
        "--subject",
        "x",
        "--text",
        "y",
    ]);
    place.command(&["migrate"]);
    sandbox.serve().await;
    let timeline = tenant.settled(sent["id"].as_str().unwrap()).await;
    assert_eq!(timeline.end().unwrap()["type"], "delivered");
    place.received_once(&recipient).await;
}

#[tokio::test]
async fn a_new_folder_is_made_once_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let data = data.to_str().unwrap();
    let database = Database::fresh().await;
    let words = || ["init", data, "--json"].into_iter().chain(database.words());
    let made = run(words());
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let records = run(["dkim", "show", "--json", "--data", data]);
    let records: Value = serde_json::from_slice(&records.stdout).unwrap();
    assert_eq!(records.as_array().unwrap().len(), 2);
    let again = run(words());
    assert_eq!(again.status.code(), Some(1));
    let default = String::from_utf8(run(["config", "--default"]).stdout).unwrap();
    let kept = std::fs::read_to_string(folder.path().join("relay/postrider.toml")).unwrap();
    assert_eq!(
        default.replace("sqlite://postrider.db", database.url()),
        kept
    );
    let nowhere = run(["tenant", "list", "--data", "/nonexistent"]);
    let fault = String::from_utf8(nowhere.stderr).unwrap();
    assert!(fault.contains("postrider init"), "{fault}");
}

#[tokio::test]
async fn a_relay_that_nobody_could_write_to_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let named = ["init", data.to_str().unwrap(), "--domain", "relay.example"];
    for (words, says) in [
        (&[][..], "--contact is missing"),
        (
            &["--contact", "postmaster@relay.example"],
            "mail to relay.example comes to this relay itself",
        ),
    ] {
        let refused = run(named.iter().chain(words));
        assert_eq!(refused.status.code(), Some(1));
        let fault = String::from_utf8(refused.stderr).unwrap();
        assert!(fault.contains(says), "{fault}");
        assert!(!data.exists(), "{words:?}");
    }
}

#[tokio::test]
async fn a_key_of_the_configuration_that_is_not_known_is_refused_with_its_line() {
    let sandbox = Sandbox::prepared().await;
    sandbox.configure("[service]\n", "[service]\nhots = \"x\"\n");
    let config = sandbox.place.config();
    let output = run([std::path::Path::new("serve"), "--config".as_ref(), &config]);
    assert_eq!(output.status.code(), Some(1));
    let fault = String::from_utf8(output.stderr).unwrap();
    assert!(
        fault.contains("hots") && fault.contains("line 6"),
        "{fault}"
    );
}

#[tokio::test]
async fn who_reads_no_further_has_seen_enough() {
    let place = one_process().await;
    let config = place.config();
    let config = config.to_str().unwrap();
    for words in [
        &["config", "--default"][..],
        &["config", "--config", config],
        &["dkim", "show", "--config", config],
        &["tenant", "list", "--json", "--config", config],
        &["key", "create", "--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = run_into(words, writer);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), said.as_str()),
            (Some(0), ""),
            "{words:?}"
        );
    }
}
