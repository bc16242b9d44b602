//! What `postrider zone` prints is what a name server loads.

use std::path::Path;
use std::process::Command;

use crate::harness::process::run;
use crate::harness::{Database, tools};

const INSTALL: &str = "zone files are not loaded: apt-get install nsd";

/// The files that stand in a text, each with its zone.
fn files(text: &str) -> Vec<(String, String)> {
    let parts = text.split("\n; ---- ");
    let with_records = parts.filter(|part| part.contains("$ORIGIN"));
    let zone = |part: &str| {
        let begins = part.find("$ORIGIN").unwrap();
        let origin = part[begins..].split_whitespace().nth(1).unwrap();
        (
            origin.trim_end_matches('.').to_owned(),
            part[begins..].to_owned(),
        )
    };
    with_records.map(zone).collect()
}

fn loads(folder: &Path, (origin, text): &(String, String)) {
    let path = folder.join(origin);
    std::fs::write(&path, text).unwrap();
    let checked = Command::new("nsd-checkzone")
        .arg(origin)
        .arg(&path)
        .output();
    let checked = checked.unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{text}");
    // It loads what it can and tells of the rest.
    assert!(!said.contains("error"), "{said}");
}

#[tokio::test]
async fn names_of_one_parent_are_one_zone_that_loads_and_of_two_are_two() {
    if Command::new("nsd-checkzone").arg("-h").output().is_err() {
        return tools::missing(INSTALL);
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let data = data.to_str().unwrap();
    let database = Database::fresh().await;
    let domain = ["--domain", "relay.example", "--ip", "192.0.2.1"];
    let mailboxes = [
        "--contact",
        "ann@corp.example",
        "--reports",
        "dmarc@corp.example",
    ];
    let words = ["init", data].into_iter().chain(domain).chain(mailboxes);
    let made = run(words.chain(database.words()));
    assert!(made.status.success(), "{made:?}");
    let printed = || {
        let shown = run(["dkim", "show", "--data", data]);
        assert!(shown.status.success(), "{shown:?}");
        let printed = run(["zone", "--data", data]);
        files(&String::from_utf8(printed.stdout).unwrap())
    };
    let one = printed();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].0, "relay.example");
    loads(folder.path(), &one[0]);

    let path = folder.path().join("relay/postrider.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let moved = config.replace("send.relay.example", "send.other.example");
    assert_ne!(moved, config);
    std::fs::write(&path, moved).unwrap();
    let two = printed();
    let origins: Vec<_> = two.iter().map(|(origin, _)| origin.as_str()).collect();
    assert_eq!(origins, ["relay.example", "send.other.example"]);
    for zone in &two {
        loads(folder.path(), zone);
    }
}
