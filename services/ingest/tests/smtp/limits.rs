//! What is bounded at the door, and what is said at each bound.

use std::time::Duration;

use postrider_ingest::SmtpConfig;
use postrider_store::Mail as _;

use crate::harness::{Relay, impatient, mail};
use crate::line::Line;

async fn relay(smtp: SmtpConfig) -> Relay {
    Relay::start_with(smtp, 64 * 1024 * 1024).await
}

#[tokio::test]
async fn a_message_over_the_size_is_refused_before_and_after_it_came() {
    let small = SmtpConfig {
        size_most: 10_000,
        ..impatient()
    };
    let relay = relay(small).await;
    let mut line = relay.client().await;
    let reply = line
        .say("MAIL FROM:<joe@joesgarage.example> SIZE=10001")
        .await;
    assert!(reply.starts_with("552 5.3.4 PR-401 "), "{reply}");
    line.say("MAIL FROM:<joe@joesgarage.example>").await;
    line.say("RCPT TO:<ann@example.org>").await;
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    line.send("x\r\n".repeat(8_000).as_bytes()).await;
    let reply = line.say(".").await;
    assert!(reply.starts_with("552 5.3.4 PR-401 "), "{reply}");
    assert!(!reply.contains("535"), "{reply}");
    assert!(line.say("NOOP").await.starts_with("250"));
    assert!(relay.accepted().await.is_empty());
}

#[tokio::test]
async fn one_recipient_too_many_is_asked_to_wait_and_the_others_are_served() {
    let few = SmtpConfig {
        recipients_most: 3,
        ..impatient()
    };
    let relay = relay(few).await;
    let mut line = relay.with_recipient().await;
    for number in 2..=3 {
        let reply = line
            .say(&format!("RCPT TO:<ann{number}@example.org>"))
            .await;
        assert!(reply.starts_with("250 2.1.5"), "{reply}");
    }
    let reply = line.say("RCPT TO:<ann4@example.org>").await;
    assert!(reply.starts_with("452 4.5.3 PR-305 "), "{reply}");
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    assert!(line.say(".").await.starts_with("250 2.0.0"));
    let id = relay.accepted().await[0];
    let email = relay
        .store
        .email(relay.tenant.id, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(email.recipients.len(), 3);
}

#[tokio::test]
async fn too_many_lines_of_one_client_or_of_all_are_turned_away_with_the_reason() {
    for (of_one, of_all, want) in [(2, 99, "421 4.7.0 PR-501 "), (99, 2, "421 4.3.2 PR-502 ")] {
        let few = SmtpConfig {
            connections_of_one_most: of_one,
            connections_most: of_all,
            ..impatient()
        };
        let relay = relay(few).await;
        let _first = Line::plain(relay.quick).await;
        let second = Line::plain(relay.quick).await;
        let mut third = Line::open(relay.quick).await;
        let replies = third.rest().await;
        assert!(
            replies.len() == 1 && replies[0].starts_with(want),
            "{replies:?}"
        );
        // A seat that is free again is given.
        let mut second = second;
        second.say("QUIT").await;
        second.rest().await;
        let begun = tokio::time::Instant::now();
        loop {
            let mut line = Line::open(relay.quick).await;
            if line.reply().await.starts_with("220 ") {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn who_says_nothing_or_not_enough_is_let_go_with_the_reason() {
    let short = SmtpConfig {
        // Longer than the greeting takes on a machine that does much else.
        before_sign_in: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        ..impatient()
    };
    let relay = relay(short).await;
    let mut line = Line::plain(relay.quick).await;
    let reply = line.reply().await;
    assert!(reply.starts_with("421 4.4.2 PR-51"), "{reply}");
    assert_eq!(line.reply().await, "");
}

#[tokio::test]
async fn who_sends_content_too_slowly_is_let_go() {
    let short = SmtpConfig {
        data_bytes_per_second: 1_000_000,
        data_grace: Duration::from_millis(400),
        ..impatient()
    };
    let relay = relay(short).await;
    let mut line = relay.with_recipient().await;
    line.say("DATA").await;
    line.send(b"Subject: x\r\n").await;
    let reply = line.reply().await;
    assert!(reply.starts_with("421 4.4.2 PR-514 "), "{reply}");
    assert!(relay.accepted().await.is_empty());
}

#[tokio::test]
async fn shutdown_says_goodbye_to_who_waits_and_serves_who_is_at_it() {
    let relay = relay(impatient()).await;
    let mut idle = relay.client().await;
    let mut busy = relay.with_recipient().await;
    busy.say("DATA").await;
    relay.shutdown.begin();
    let reply = idle.reply().await;
    assert!(reply.starts_with("421 4.3.2 PR-904 "), "{reply}");
    busy.send(mail().as_bytes()).await;
    let reply = busy.say(".").await;
    assert!(reply.starts_with("250 2.0.0 queued as "), "{reply}");
    let reply = busy.reply().await;
    assert!(reply.starts_with("421 4.3.2 PR-904 "), "{reply}");
    assert_eq!(relay.accepted().await.len(), 1);
}
