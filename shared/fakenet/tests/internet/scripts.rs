use std::time::Duration;

use postrider_fakenet::{Act, Certificate, Exchanger, Feature, Gate, Phase, Script};
use postrider_fakenet::{FakeInternet, Phase::*};

use crate::client::{Client, start};

const FROM: &str = "ann@sender.example";
const TO: &str = "bob@example.org";
const SOON: Duration = Duration::from_millis(1);

async fn scripted(script: Script) -> (FakeInternet, Exchanger) {
    let net = start().await;
    let mx = net.domain("example.org").mx(script);
    (net, mx)
}

async fn to_data(mx: &Exchanger) -> Client {
    let mut client = Client::greet(mx).await;
    client.say(&format!("MAIL FROM:<{FROM}>")).await;
    client.say(&format!("RCPT TO:<{TO}>")).await;
    assert!(client.say("DATA").await.starts_with("354"));
    client
}

#[tokio::test]
async fn a_recipient_is_refused_once_and_then_accepted() {
    let (_net, mx) = scripted(Script::new().once(Rcpt, "450 4.7.1 greylisted")).await;
    let mut client = Client::greet(&mx).await;
    assert_eq!(client.mail(FROM, TO).await, "450 4.7.1 greylisted");
    assert!(client.mail(FROM, TO).await.starts_with("250"));
    assert_eq!(mx.received().len(), 1);
    assert_eq!(mx.connections(), 1);
    let said = mx.transcript();
    assert!(
        said.contains(&"S: 450 4.7.1 greylisted".to_owned()),
        "{said:?}"
    );
    assert!(said.contains(&format!("C: RCPT TO:<{TO}>")), "{said:?}");
}

#[tokio::test]
async fn each_recipient_has_its_own_reply_in_a_pipeline() {
    let script = Script::new()
        .recipient("b@example.org", "550 5.1.1 no b")
        .recipients(|to| to.starts_with('c'), "452 4.5.3 too many");
    let (_net, mx) = scripted(script).await;
    let mut client = Client::greet(&mx).await;
    let flight = "MAIL FROM:<> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<a@example.org>\r\n\
                  RCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n";
    client.send(flight.as_bytes()).await;
    for want in ["250 2.1.0", "250 2.1.5", "550 5.1.1", "452 4.5.3", "354"] {
        assert!(client.reply().await.starts_with(want), "{want}");
    }
    client.send(b"x\r\n.\r\nQUIT\r\n").await;
    assert!(client.reply().await.starts_with("250"));
    assert!(client.reply().await.starts_with("221"));
    assert_eq!(mx.received()[0].rcpt_to, ["a@example.org"]);
    assert_eq!(mx.received()[0].mail_from, "");
}

#[tokio::test]
async fn where_all_recipients_are_refused_a_script_may_still_say_354() {
    let script = Script::new()
        .always(Rcpt, "550 5.1.1 no")
        .always(Data, "354 go on");
    let (_net, mx) = scripted(script).await;
    let mut client = Client::greet(&mx).await;
    client.say("MAIL FROM:<>").await;
    client.say("RCPT TO:<a@example.org>").await;
    assert!(client.say("DATA").await.starts_with("354"));
    assert!(client.say(".").await.starts_with("554"));
    assert!(mx.received().is_empty());
}

#[tokio::test]
async fn replies_come_in_all_shapes() {
    let bytes: &[u8] = b"250 \0\xff\xfe bare line feed\n";
    let script = Script::new()
        .always(Connect, Act::raw("220 hi\r\n421 injected\r\n"))
        .once(Ehlo, "502 5.5.1 what?")
        .always(MailFrom, Act::lines(250, 40))
        .always(Rcpt, Act::drip("250 2.1.5 drop by drop\r\n", SOON))
        .once(Rset, Act::raw(bytes))
        .once(Rset, Act::long_line(250, 1 << 20))
        .once(Rset, "999 what");
    let (_net, mx) = scripted(script).await;
    let mut client = Client::dial(mx.address()).await;
    assert_eq!(client.reply().await, "220 hi");
    assert_eq!(client.reply().await, "421 injected");
    assert!(client.say("EHLO c.example").await.starts_with("502"));
    assert!(client.say("HELO c.example").await.starts_with("250"));
    assert_eq!(client.say("MAIL FROM:<>").await.lines().count(), 40);
    assert_eq!(
        client.say(&format!("RCPT TO:<{TO}>")).await,
        "250 2.1.5 drop by drop"
    );
    client.send(b"RSET\r\n").await;
    while client.heard().len() < bytes.len() {
        client.read().await.unwrap();
    }
    assert_eq!(std::mem::take(client.heard()), bytes);
    client.say("MAIL FROM:<>").await;
    assert_eq!(client.say("RSET").await.len(), (1 << 20) - 2);
    assert_eq!(client.say("RSET").await, "999 what");
}

#[tokio::test]
async fn connections_end_in_all_ways() {
    for (phase, act, in_order) in [
        (Connect, Act::close(), true),
        (Connect, Act::from("421 4.3.2 too busy"), true),
        (MailFrom, Act::reset(), false),
        (MailFrom, Act::close(), true),
        (Rcpt, Act::reset(), false),
        (Data, Act::close(), true),
        (Data, Act::from("421 4.3.2 going down"), true),
    ] {
        let (_net, mx) = scripted(Script::new().always(phase, act.clone())).await;
        let mut client = Client::dial(mx.address()).await;
        let all = format!("EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<{TO}>\r\nDATA\r\n");
        client.send(all.as_bytes()).await;
        let end = loop {
            match client.read().await {
                Ok(1..) => {}
                end => break end,
            }
        };
        assert_eq!(end.is_ok(), in_order, "{phase:?} {act:?} {end:?}");
        drop(client);
        mx.wait_until(|seen| seen.open == 0).await;
    }
}

#[tokio::test]
async fn the_connection_drops_after_the_dot_with_the_message_kept_or_not() {
    for (act, kept) in [
        (Act::close(), 0),
        (Act::reset(), 0),
        (Act::record().then(Act::close()), 1),
        (Act::from("550 5.7.1 no"), 0),
        (Act::from("250 yes").then(Act::close()), 1),
    ] {
        let (_net, mx) = scripted(Script::new().once(FinalDot, act.clone())).await;
        let mut client = to_data(&mx).await;
        client.send(b"x\r\n.\r\nQUIT\r\n").await;
        while let Ok(1..) = client.read().await {}
        assert_eq!(mx.received().len(), kept, "{act:?}");
    }
}

#[tokio::test]
async fn the_connection_drops_in_the_middle_of_the_message() {
    let (_net, mx) = scripted(Script::new().during_body(1_000, Act::reset())).await;
    let mut client = to_data(&mx).await;
    client.send(&[b'x'; 2_000]).await;
    assert!(client.read().await.is_err());
    assert!(mx.received().is_empty());
}

#[tokio::test]
async fn a_gate_holds_the_exchanger_until_it_is_released() {
    let gate = Gate::new();
    let (_net, mx) = scripted(Script::new().gate(FinalDot, &gate)).await;
    let mut client = to_data(&mx).await;
    client.send(b"x\r\n.\r\n").await;
    gate.reached().await;
    assert!(mx.received().is_empty());
    gate.release();
    assert!(client.reply().await.starts_with("250"));
    mx.wait_for(1).await;
}

#[tokio::test]
async fn an_exchanger_that_hangs_or_never_ends_says_nothing_of_use() {
    let script = Script::new()
        .once(MailFrom, Act::endless("250-more", Duration::ZERO))
        .once(MailFrom, Act::endless("250-more", SOON))
        .once(MailFrom, Act::hang());
    let (_net, mx) = scripted(script).await;
    for _ in 0..2 {
        let mut client = Client::greet(&mx).await;
        client.send(b"MAIL FROM:<>\r\n").await;
        while client.heard().len() < 100 {
            client.read().await.unwrap();
        }
        assert!(client.heard().starts_with(b"250-more\r\n250-more\r\n"));
    }
    let mut client = Client::greet(&mx).await;
    client.send(b"MAIL FROM:<>\r\n").await;
    drop(client);
    mx.wait_until(|seen| seen.connections == 3 && seen.open == 0)
        .await;
}

#[tokio::test]
async fn an_exchanger_lies_about_tls() {
    for act in [
        Act::raw(&b"\x15\x03\x03\x00\x02\x02\x28"[..]).then(Act::close()),
        Act::raw("this is no TLS\r\n").then(Act::close()),
        Act::reset(),
        Act::close(),
    ] {
        let (net, mx) = scripted(Script::new().always(Handshake, act.clone())).await;
        let client = Client::greet(&mx).await;
        let tls = client.starttls(net.ca_pem(), "mx.example.org").await;
        assert!(tls.is_err(), "{act:?}");
    }
    let injected = Act::raw("220 go\r\n250 injected\r\n");
    let (_net, mx) = scripted(Script::new().always(Starttls, injected)).await;
    let mut client = Client::greet(&mx).await;
    assert_eq!(client.say("STARTTLS").await, "220 go");
    assert_eq!(client.reply().await, "250 injected");
}

#[tokio::test]
async fn an_exchanger_shows_the_certificate_it_was_given() {
    for (certificate, trusted) in [
        (Certificate::Valid, true),
        (Certificate::SelfSigned, false),
        (Certificate::Expired, false),
        (Certificate::WrongName, false),
    ] {
        let (net, mx) = scripted(Script::new().certificate(certificate)).await;
        let client = Client::greet(&mx).await;
        let tls = client.starttls(net.ca_pem(), "mx.example.org").await;
        assert_eq!(tls.is_ok(), trusted, "{certificate:?}");
    }
}

#[tokio::test]
async fn what_was_heard_before_starttls_is_forgotten() {
    let (net, mx) = scripted(Script::new()).await;
    let mut client = Client::greet(&mx).await;
    client.say(&format!("MAIL FROM:<{FROM}>")).await;
    let mut client = client
        .starttls(net.ca_pem(), "mx.example.org")
        .await
        .unwrap();
    assert!(
        client
            .say(&format!("RCPT TO:<{TO}>"))
            .await
            .starts_with("503")
    );
    assert!(client.say("MAIL FROM:<>").await.starts_with("503"));
}

#[tokio::test]
async fn an_exchanger_announces_what_it_was_told_to() {
    let script = Script::new()
        .size(100)
        .without(Feature::Pipelining)
        .without(Feature::EightBitMime)
        .without(Feature::SmtpUtf8)
        .without(Feature::EnhancedStatusCodes)
        .without(Feature::StartTls);
    let (_net, mx) = scripted(script).await;
    let mut client = Client::dial(mx.address()).await;
    client.reply().await;
    let announced = client.say("EHLO c.example").await;
    assert_eq!(announced, "250-mx.example.org\r\n250 SIZE 100");
    for (line, want) in [
        ("MAIL FROM:<> SIZE=101", "552 too large"),
        ("MAIL FROM:<> BODY=8BITMIME", "555 unknown parameter"),
        ("MAIL FROM:<> SMTPUTF8", "555 unknown parameter"),
        ("MAIL FROM:<é@example.org>", "553 that needs SMTPUTF8"),
        ("RCPT TO:<a@example.org>", "503 say MAIL first"),
        ("MAIL FROM:<>", "250 ok"),
        ("RCPT TO:<a@example.org>", "250 ok"),
    ] {
        assert_eq!(client.say(line).await, want, "{line}");
    }
    client.say("DATA").await;
    let large = format!("{}\r\n.", "x".repeat(200));
    assert_eq!(client.say(&large).await, "552 too large");
    assert!(mx.received().is_empty());
}

#[tokio::test]
async fn a_script_can_be_changed_while_the_exchanger_runs() {
    let (_net, mx) = scripted(Script::new().always(Phase::Rcpt, "450 no")).await;
    let mut client = Client::greet(&mx).await;
    assert_eq!(client.mail(FROM, TO).await, "450 no");
    mx.set_script(Script::new());
    assert!(client.mail(FROM, TO).await.starts_with("250"));
}

#[tokio::test]
async fn a_message_of_ten_megabytes_arrives_as_it_was() {
    let (net, mx) = scripted(Script::new()).await;
    let line = "..a line that begins with a dot, and goes on for a while\r\n";
    let message = line.repeat((10 << 20) / line.len());
    let client = Client::greet(&mx).await;
    let tls = client.starttls(net.ca_pem(), "mx.example.org").await;
    let mut client = tls.unwrap();
    client.say("EHLO client.example").await;
    client.say("MAIL FROM:<>").await;
    client.say(&format!("RCPT TO:<{TO}>")).await;
    client.say("DATA").await;
    client.send(message.replace("..a", "...a").as_bytes()).await;
    assert!(client.say(".").await.starts_with("250"));
    assert_eq!(mx.received()[0].raw, message);
}
