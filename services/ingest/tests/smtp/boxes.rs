//! The black box: what is kept of a session, and what never is.

use postrider_model::{Session, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Relay, mail, pack};
use crate::line::{Line, code_of};

fn said(session: &Session, side: Side) -> Vec<&str> {
    session
        .dialogue
        .iter()
        .filter(|line| line.from == side)
        .map(|line| line.line.as_str())
        .collect()
}

async fn get(relay: &Relay, path: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(relay.http).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: relay.example\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_session_is_kept_with_its_dialogue_its_verdict_and_its_messages() {
    let relay = Relay::start().await;
    let mut line = relay.with_recipient().await;
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    let reply = line.say(".").await;
    let code = code_of(&reply).to_owned();
    line.say("QUIT").await;
    let session = relay
        .session(&code, |session| session.ended_at.is_some())
        .await;
    assert_eq!(session.tenant, Some(relay.tenant.id));
    assert_eq!(session.emails, relay.accepted().await);
    assert!(
        session.verdict.starts_with("All is well: 1 message "),
        "{}",
        session.verdict
    );
    assert_eq!(session.tls.mode.as_deref(), Some("STARTTLS"));
    assert!(session.tls.version.is_some());
    let client = said(&session, Side::Client);
    assert_eq!(client[..4], ["EHLO vm", "STARTTLS", "EHLO vm", client[3]]);
    assert!(
        client[3].starts_with("AUTH PLAIN (") && client[3].ends_with(" bytes)"),
        "{client:?}"
    );
    assert_eq!(
        client[4..7],
        [
            "MAIL FROM:<joe@joesgarage.example>",
            "RCPT TO:<ann@example.org>",
            "DATA"
        ]
    );
    assert_eq!(client.last(), Some(&"QUIT"));
    assert!(said(&session, Side::Server).contains(&reply.as_str()));
    // To the tenant, and to nobody else.
    let answer = get(&relay, &format!("/sessions/{code}"), &relay.key).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("\"object\":\"session\"") && answer.contains("\"verdict\""),
        "{answer}"
    );
    assert!(
        answer.contains(&relay.accepted().await[0].to_string()),
        "{answer}"
    );
}

#[tokio::test]
async fn no_key_and_no_line_of_a_sign_in_is_kept() {
    let relay = Relay::start().await;
    let (password, key) = (relay.password.clone(), relay.key.clone());
    let packed = [
        pack(&password),
        pack(&key),
        pack(&format!("\0joe\0{password}")),
        pack(&format!("\0joe\0{key}")),
    ];
    let mut codes = Vec::new();
    for secret in packed.iter().chain([&password, &key]) {
        let dialogues = [
            vec![format!("AUTH PLAIN {secret}")],
            vec!["AUTH PLAIN".to_owned(), secret.clone()],
            vec!["AUTH LOGIN".to_owned(), secret.clone(), secret.clone()],
            vec![format!("AUTH LOGIN {secret}"), secret.clone()],
            vec![
                format!("AUTH {secret}"),
                secret.clone(),
                format!("PASS {secret}"),
            ],
            vec![format!("AUTH CRAM-MD5 {secret}"), secret.clone()],
            vec![
                format!("NOOP {secret}"),
                format!("HELP {secret}"),
                format!("DATA {secret}"),
            ],
        ];
        for secure in [false, true] {
            for dialogue in &dialogues {
                let mut line = if secure {
                    Line::implicit(relay.quick).await
                } else {
                    Line::plain(relay.quick).await
                };
                line.say("EHLO vm").await;
                // Whatever state it is in, one of the last two is refused with the session's code.
                let mut refused = String::new();
                for text in dialogue.iter().map(String::as_str).chain(["*", "FOO"]) {
                    let reply = line.say(text).await;
                    if reply.starts_with('5') {
                        refused = reply;
                    }
                }
                codes.push(code_of(&refused).to_owned());
            }
        }
    }
    for code in codes {
        let session = relay
            .session(&code, |session| session.ended_at.is_some())
            .await;
        let kept = format!("{session:?}");
        for secret in packed.iter().chain([&password, &key]) {
            assert!(!kept.contains(secret.as_str()), "{secret} in {kept}");
            let half = &secret[..secret.len() / 2];
            assert!(
                secret.len() < 20 || !kept.contains(half),
                "half of {secret} in {kept}"
            );
        }
    }
}

#[tokio::test]
async fn a_program_of_windows_7_learns_that_it_offered_tls_1_0() {
    let relay = Relay::start().await;
    // TLS 1.0, one suite, no extensions.
    let mut body = vec![3, 1];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let hello = [
        &[0x16, 3, 1, 0, length + 4, 1, 0, 0, length],
        body.as_slice(),
    ]
    .concat();
    // After STARTTLS, where the session's code is known.
    let mut line = Line::plain(relay.quick).await;
    line.say("EHLO vm").await;
    let refused = line.say("AUTH LOGIN").await;
    line.say("STARTTLS").await;
    line.send(&hello).await;
    line.drain().await;
    let session = relay
        .session(code_of(&refused), |session| session.ended_at.is_some())
        .await;
    assert!(
        session.verdict.contains("TLS 1.0") && session.verdict.contains("PR-111"),
        "{}",
        session.verdict
    );
    assert_eq!(session.tls.offered, ["TLS 1.0"]);
    assert!(session.tls.failure.is_some());
}

#[tokio::test]
async fn a_handshake_that_comes_after_the_greeting_ends_at_once() {
    let relay = Relay::start().await;
    let mut line = Line::plain(relay.quick).await;
    let begun = tokio::time::Instant::now();
    line.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .await;
    // Nothing that a TLS program could take for an answer.
    assert_eq!(line.drain().await, 0);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}
