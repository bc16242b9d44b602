use std::time::Duration;

use postrider_fakenet::{FakeInternet, Options};
use postrider_model::Timestamp;
use postrider_runtime::Clock;

use crate::client::{Client, start};

const FROM: &str = "ann@sender.example";

#[tokio::test]
async fn the_local_part_selects_the_reply() {
    let net = start().await;
    let mx = net.exchanger("example.org").unwrap();
    let mut client = Client::greet(&mx).await;
    for (to, want) in [
        ("bounced@example.org", "550 5.1.1"),
        ("deferred@example.org", "451 4.3.0"),
        ("deferred@example.org", "451 4.3.0"),
        ("full@example.org", "452 4.2.2"),
        ("Bounced+tag@example.org", "550 5.1.1"),
        ("bob@example.org", "250 2.0.0"),
        ("bounced.not@example.org", "250 2.0.0"),
    ] {
        let reply = client.mail(FROM, to).await;
        assert!(reply.starts_with(want), "{to}: {reply}");
    }
    assert!(client.say("QUIT").await.starts_with("221"));
    assert!(client.is_closed().await);
    let received = mx.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].mail_from, FROM);
    assert_eq!(received[0].rcpt_to, ["bob@example.org"]);
    assert_eq!(received[0].tls, None);
    assert_eq!(received[0].raw, "Subject: hello\r\n\r\n.dot\r\nbody\r\n");
    assert_eq!(net.mailbox().messages(), received);
}

#[tokio::test]
async fn a_greylisted_recipient_passes_after_its_span() {
    let clock = Clock::held(Timestamp::from_micros(0));
    let options = Options {
        greylist: Duration::from_mins(1),
        clock: clock.clone(),
        ..Options::default()
    };
    let net = FakeInternet::start(options).await.unwrap();
    let mx = net.exchanger("example.org").unwrap();
    let mut client = Client::greet(&mx).await;
    let to = "greylisted@example.org";
    assert!(client.mail(FROM, to).await.starts_with("451 4.7.1"));
    clock.advance(Duration::from_secs(59));
    assert!(client.mail(FROM, to).await.starts_with("451 4.7.1"));
    clock.advance(Duration::from_secs(1));
    assert!(client.mail(FROM, to).await.starts_with("250"));
    let other = client.mail("eve@sender.example", to).await;
    assert!(other.starts_with("451 4.7.1"), "{other}");
    assert_eq!(mx.received()[0].received_at, clock.now());
}

#[tokio::test]
async fn a_dropped_message_is_cut_off_once_after_its_dot() {
    let net = start().await;
    let mx = net.exchanger("example.org").unwrap();
    let to = "dropped@example.org";
    let mut client = Client::greet(&mx).await;
    client.say(&format!("MAIL FROM:<{FROM}>")).await;
    client.say(&format!("RCPT TO:<{to}>")).await;
    assert!(client.say("DATA").await.starts_with("354"));
    client.send(b"x\r\n.\r\n").await;
    assert!(client.is_closed().await);
    assert!(mx.received().is_empty());
    let mut client = Client::greet(&mx).await;
    assert!(client.mail(FROM, to).await.starts_with("250"));
    assert_eq!(mx.received().len(), 1);
}

#[tokio::test]
async fn a_slow_exchanger_waits_five_seconds_before_each_reply() {
    let net = start().await;
    let mx = net.exchanger("example.org").unwrap();
    let mut client = Client::greet(&mx).await;
    client.say(&format!("MAIL FROM:<{FROM}>")).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert!(
        client
            .say("RCPT TO:<slow@example.org>")
            .await
            .starts_with("250")
    );
    assert!(begun.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn mail_goes_under_tls_that_the_ca_vouches_for() {
    let net = start().await;
    let mx = net.exchanger("example.org").unwrap();
    let client = Client::greet(&mx).await;
    let mut client = client
        .starttls(net.ca_pem(), "mx.example.org")
        .await
        .unwrap();
    let announced = client.say("EHLO client.example").await;
    assert!(!announced.contains("STARTTLS"), "{announced}");
    assert!(announced.contains("250-8BITMIME"), "{announced}");
    assert!(
        client
            .mail(FROM, "bob@example.org")
            .await
            .starts_with("250")
    );
    let tls = mx.received()[0].tls.clone().unwrap();
    assert!(tls.starts_with("TLSv1.3 TLS_"), "{tls}");
}

#[tokio::test]
async fn two_special_domains_have_no_tls_and_a_bad_one() {
    let net = start().await;
    let mut client = Client::dial(net.exchanger("notls.test").unwrap().address()).await;
    client.reply().await;
    assert!(!client.say("EHLO client.example").await.contains("STARTTLS"));
    assert!(client.say("STARTTLS").await.starts_with("502"));
    assert!(client.mail(FROM, "bob@notls.test").await.starts_with("250"));
    let bad = net.exchanger("badtls.test").unwrap();
    let client = Client::greet(&bad).await;
    assert!(
        client
            .starttls(net.ca_pem(), "mx.badtls.test")
            .await
            .is_err()
    );
}
