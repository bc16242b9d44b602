//! Programs as they are, to a message that is stored.

use crate::harness::{Relay, mail, pack};
use crate::line::Line;

async fn hand_over(line: &mut Line, content: &str) -> String {
    for (said, want) in [
        ("MAIL FROM:<joe@joesgarage.example>", "250 2.1.0"),
        ("RCPT TO:<ann@example.org>", "250 2.1.5"),
        ("DATA", "354"),
    ] {
        let reply = line.say(said).await;
        assert!(reply.starts_with(want), "{said}: {reply}");
    }
    line.send(content.as_bytes()).await;
    line.say(".").await
}

#[tokio::test]
async fn a_message_is_taken_on_either_port_in_either_mode_of_tls() {
    let relay = Relay::start().await;
    for line in [
        Line::implicit(relay.slow).await,
        Line::implicit(relay.quick).await,
        Line::starttls(relay.quick).await,
        // It waits for its greeting longer.
        Line::starttls(relay.slow).await,
    ] {
        let mut line = line;
        line.say("EHLO vm").await;
        line.say(&relay.auth_plain()).await;
        let before = relay.accepted().await.len();
        let reply = hand_over(&mut line, &mail()).await;
        let id = reply.strip_prefix("250 2.0.0 queued as ");
        let id = id.unwrap_or_else(|| panic!("{reply}")).split(' ').next();
        let accepted = relay.accepted().await;
        assert_eq!(accepted.len(), before + 1);
        assert_eq!(id, Some(accepted[0].to_string().as_str()));
        assert!(line.say("QUIT").await.starts_with("221"));
        assert_eq!(line.reply().await, "");
    }
}

#[tokio::test]
async fn a_program_that_opens_in_plain_text_is_greeted_at_once_on_the_slow_port() {
    let relay = Relay::start().await;
    let begun = tokio::time::Instant::now();
    let mut line = Line::open(relay.slow).await;
    line.send(b"EHLO vm\r\n").await;
    assert!(line.reply().await.starts_with("220 relay.example"));
    assert!(line.reply().await.contains("STARTTLS"));
    assert!(begun.elapsed() < std::time::Duration::from_secs(3));
}

#[tokio::test]
async fn a_program_that_opens_tls_after_a_second_is_still_in_time_on_the_slow_port() {
    let relay = Relay::start().await;
    let line = Line::open(relay.slow).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut line = line.secure().await.unwrap();
    assert!(line.reply().await.starts_with("220 relay.example"));
}

#[tokio::test]
async fn a_session_serves_many_messages() {
    let relay = Relay::start().await;
    let mut line = relay.client().await;
    for number in 0..100 {
        let content = mail().replace("is ready", &format!("number {number} is ready"));
        let reply = hand_over(&mut line, &content).await;
        assert!(reply.starts_with("250 2.0.0 queued as "), "{reply}");
    }
    assert_eq!(relay.accepted().await.len(), 100);
}

#[tokio::test]
async fn the_password_is_taken_in_any_dress() {
    let relay = Relay::start().await;
    let groups: Vec<String> = relay
        .password
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8(group.to_vec()).unwrap())
        .collect();
    for password in [
        relay.password.clone(),
        relay.password.to_lowercase(),
        groups.join("-"),
        groups.join(" "),
        format!("{}\r\n", groups.join(" - ")),
        relay.key.clone(),
    ] {
        for user in ["joe", "", "joe@joesgarage.example", "apikey"] {
            let mut line = Line::implicit(relay.quick).await;
            line.say("EHLO vm").await;
            assert_eq!(line.say("AUTH LOGIN").await, "334 VXNlcm5hbWU6");
            assert_eq!(line.say(&pack(user)).await, "334 UGFzc3dvcmQ6");
            let reply = line.say(&pack(&password)).await;
            assert!(
                reply.starts_with("235 2.7.0"),
                "{user:?} {password:?}: {reply}"
            );
        }
    }
}

#[tokio::test]
async fn the_same_message_twice_is_one() {
    let relay = Relay::start().await;
    let content = format!("Message-ID: <1@joesgarage.example>\r\n{}", mail());
    let mut line = relay.client().await;
    let first = hand_over(&mut line, &content).await;
    let id = first.split(' ').nth(4).unwrap().to_owned();
    let mut line = relay.client().await;
    let second = hand_over(&mut line, &content).await;
    assert!(
        second.starts_with(&format!("250 2.0.0 duplicate of {id}")),
        "{second}"
    );
    assert_eq!(relay.accepted().await.len(), 1);
}
