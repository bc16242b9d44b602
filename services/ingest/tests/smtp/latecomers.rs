//! A program that is slow to start TLS.

use std::time::Duration;

use crate::harness::Relay;
use crate::line::Line;

#[tokio::test]
async fn who_met_the_greeting_with_a_handshake_has_more_time_when_it_comes_again() {
    let relay = Relay::start().await;
    // It speaks TLS, after the greeting has come.
    let greeted = Line::plain(relay.quick).await;
    assert!(greeted.secure().await.is_err());
    // The very same again works, although it is no quicker.
    let again = Line::open(relay.quick).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut again = again.secure().await.unwrap();
    assert!(again.reply().await.starts_with("220 "));
    // Another one from there waits for the greeting; it comes, and soon the next time.
    let _waits = Line::plain(relay.quick).await;
    let began = tokio::time::Instant::now();
    let _next = Line::plain(relay.quick).await;
    assert!(began.elapsed() < Duration::from_secs(3));
}
