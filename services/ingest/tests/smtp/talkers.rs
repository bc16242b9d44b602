//! Clients that never stop talking.

use std::time::Duration;

use postrider_ingest::SmtpConfig;

use crate::harness::{Relay, impatient};
use crate::line::Line;

const BUDGET: u64 = 64 * 1024 * 1024;

#[tokio::test]
async fn who_talks_and_never_signs_in_has_an_end() {
    let smtp = SmtpConfig {
        // Longer than the greeting takes on a machine that does much else.
        before_sign_in: Duration::from_secs(2),
        ..impatient()
    };
    let relay = Relay::start_with(smtp, BUDGET).await;
    let mut line = Line::plain(relay.quick).await;
    line.say("EHLO vm").await;
    let mut reply = String::new();
    while !reply.starts_with("421 ") {
        reply = line.say("NOOP").await;
        assert!(!reply.is_empty(), "it was cut off without a word");
    }
    assert!(reply.contains("PR-511"), "{reply}");
}

#[tokio::test]
async fn a_session_ends_between_two_messages_however_busy_it_is() {
    let smtp = SmtpConfig {
        // Longer than signing in takes on a machine that does much else.
        session: Duration::from_secs(3),
        ..impatient()
    };
    let relay = Relay::start_with(smtp, BUDGET).await;
    let mut line = relay.client().await;
    let mut reply = String::new();
    while !reply.starts_with("421 ") {
        reply = line.say("RSET").await;
        assert!(!reply.is_empty(), "it was cut off without a word");
    }
    assert!(reply.contains("PR-513"), "{reply}");
}
