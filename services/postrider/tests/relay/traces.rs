//! `postrider send --trace`: a message is followed from the command line to what came of it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::process::run;
use crate::harness::{Place, Sandbox, unique};

in_both_arrangements!(
    a_followed_message_is_shown_from_its_mx_to_its_delivery,
    a_refusal_for_good_ends_the_command_with_1_in_the_remotes_words,
    a_message_that_is_put_off_ends_the_command_with_75_and_its_next_try,
    a_tenants_test_comes_from_the_tenant_and_each_line_is_data_on_demand,
    a_message_is_followed_to_one_recipient,
);

/// The command as a person calls it.
fn follow(place: &Place, words: &[&str]) -> (Output, Vec<String>) {
    let config = place.config();
    let config = ["--config".as_ref(), config.as_path()];
    let command = ["send", "--trace"].iter().chain(words).map(Path::new);
    let output = run(command.chain(config));
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    (output, printed.lines().map(str::to_owned).collect())
}

/// Commands have the dialogue of the process that has the database for itself; beside several, events.
fn is_live(place: &Place) -> bool {
    let config = std::fs::read_to_string(place.config()).unwrap();
    !config.contains("postgres")
}

/// That these stand in it, in this order.
fn in_order(lines: &[String], wanted: &[&str]) {
    let mut rest = lines.iter();
    for want in wanted {
        assert!(rest.any(|line| line.contains(want)), "{want}: {lines:#?}");
    }
}

async fn a_followed_message_is_shown_from_its_mx_to_its_delivery(place: &Place) {
    // The second time there is a connection that could be used again.
    for _ in 0..2 {
        let to = format!("ann-{}@example.org", unique());
        let (output, lines) = follow(place, &["--to", &to]);
        assert_eq!(output.status.code(), Some(0), "{lines:#?}");
        assert!(lines[0].starts_with("accepted: "), "{lines:#?}");
        assert!(lines[0].ends_with(&format!("to {to}")), "{lines:#?}");
        if is_live(place) {
            let rcpt = format!("> RCPT TO:<{to}>");
            in_order(
                &lines,
                &[
                    "* MX: 10 mx.example.org (127.",
                    "* connecting to mx.example.org at 127.",
                    "< 220 ",
                    "> EHLO relay.test",
                    "> STARTTLS",
                    "* inside TLS from here: TLSv1.3",
                    "> EHLO relay.test",
                    "> MAIL FROM:<",
                    &rcpt,
                    "> DATA",
                    "< 354 ",
                    "* the message was sent, ",
                    "> .",
                    "< 250 ",
                    "delivered: 250 ",
                ],
            );
        } else {
            in_order(
                &lines,
                &["another process", "* delivered by mx.example.org"],
            );
        }
        let end = lines.last().unwrap();
        assert!(end.starts_with("delivered: 250 "), "{lines:#?}");
        assert!(end.ends_with("(by mx.example.org)"), "{lines:#?}");
        let (entry, _) = place.received_once(&to).await;
        assert_eq!(entry["subject"], "Test of relay.test");
    }
}

async fn a_refusal_for_good_ends_the_command_with_1_in_the_remotes_words(place: &Place) {
    let to = format!("bounced+{}@example.org", unique());
    let (output, lines) = follow(place, &["--to", &to]);
    assert_eq!(output.status.code(), Some(1), "{lines:#?}");
    let end = lines.last().unwrap();
    let want = "refused for good: 550 5.1.1 no such user here";
    assert!(end.starts_with(want), "{lines:#?}");
    if is_live(place) {
        in_order(
            &lines,
            &["> RCPT TO:<bounced+", "< 550 5.1.1 no such user here"],
        );
    }
    assert_eq!(output.stderr, b"", "what it came to is said once");
}

async fn a_message_that_is_put_off_ends_the_command_with_75_and_its_next_try(place: &Place) {
    let to = format!("full+{}@example.org", unique());
    let (output, lines) = follow(place, &["--to", &to]);
    assert_eq!(output.status.code(), Some(75), "{lines:#?}");
    let end = lines.last().unwrap();
    assert!(end.starts_with("waits: 452 4.2.2 "), "{lines:#?}");
    let (_, next) = end.split_once(", next try at 20").unwrap();
    assert!(next.ends_with(" UTC"), "{lines:#?}");
}

async fn a_tenants_test_comes_from_the_tenant_and_each_line_is_data_on_demand(place: &Place) {
    let tenant = place.another("Traced").await;
    let to = format!("ann-{}@example.org", unique());
    let words = [
        "--to",
        &to,
        "--tenant",
        &tenant.tenant,
        "--subject",
        "Hello",
        "--json",
    ];
    let (output, lines) = follow(place, &words);
    assert_eq!(output.status.code(), Some(0), "{lines:#?}");
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown = place.command(&["tenant", "show", &tenant.tenant]);
    assert_eq!(lines[0]["from"], shown["from"], "{lines:?}");
    assert_eq!(lines[0]["live"], is_live(place));
    assert!(lines.len() > 2, "{lines:?}");
    assert_eq!(lines.last().unwrap()["kind"], "delivered");
    let (entry, _) = place.received_once(&to).await;
    assert_eq!(entry["subject"], "Hello");
    // It is a message like any other.
    let email = tenant.email(lines[0]["id"].as_str().unwrap()).await;
    assert_eq!(email["last_event"], "delivered");
}

async fn a_message_is_followed_to_one_recipient(place: &Place) {
    let (output, lines) = follow(place, &["--to", "a@example.org", "--to", "b@example.org"]);
    assert_eq!((output.status.code(), lines), (Some(1), Vec::new()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("give --to once"), "{said}");
    let (output, _) = follow(place, &["--to", "a@example.org", "--tenant", "nobody-0000"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("there is no tenant \"nobody-0000\""),
        "{said}"
    );
}

#[tokio::test]
async fn where_nobody_delivers_it_waits_and_leaves_when_somebody_does() {
    let mut sandbox = Sandbox::prepared().await;
    let place = sandbox.place.clone();
    let to = format!("ann-{}@example.org", unique());
    let (output, lines) = follow(&place, &["--to", &to]);
    assert_eq!(output.status.code(), Some(75), "{lines:#?}");
    assert!(lines.last().unwrap().starts_with("waits: "), "{lines:#?}");
    sandbox.serve().await;
    crate::harness::until("it leaves", async || {
        (place.received(&to).await.len() == 1).then_some(())
    })
    .await;
}
