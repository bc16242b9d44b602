//! Greeting, EHLO, STARTTLS.

use super::*;
use crate::session::script::acceptor;

async fn open(
    listener: &TcpListener,
    peer: Peer,
    script: Vec<Act>,
) -> (Heard, Result<Session<Plain>, OpenFailure>) {
    tokio::join!(play(listener, script), greet(peer, patient()))
}

fn failed(failure: &OpenFailure) -> String {
    let code = failure.reply.as_ref().map(|reply| reply.code);
    format!(
        "{} {:?} {}",
        failure.phase.as_str(),
        code,
        cause(&failure.cause)
    )
}

#[tokio::test]
async fn a_host_that_does_not_greet_well_is_left_with_its_words() {
    for (script, want) in [
        (
            vec![Act::Say("554 5.7.1 go away\r\n")],
            "greeting Some(554) Refused",
        ),
        (vec![Act::Say("421 busy\r\n")], "greeting Some(421) Refused"),
        (vec![], "greeting None Closed"),
        (vec![Act::Say("220-hi\r\n")], "greeting None Closed"),
        (
            vec![Act::Say("SSH-2.0-OpenSSH\r\n")],
            "greeting None Garbage",
        ),
        (
            vec![Act::Say("220 \0\0\r\n\0\0\0\0\r\n"), Act::Hear("EHLO")],
            "EHLO None Garbage",
        ),
        (
            vec![Act::Send(vec![b'x'; 1_000_000])],
            "greeting None TooLong",
        ),
        (
            vec![Act::Flood("220-more\r\n".to_owned())],
            "greeting None TooLong",
        ),
        (
            vec![Act::Say("220 hi\r\n421 no\r\n"), Act::Hear("EHLO")],
            "EHLO Some(421) Refused",
        ),
        (
            vec![Act::Say("220 hi\r\n"), Act::Hear("EHLO")],
            "EHLO None Closed",
        ),
        (
            vec![
                Act::Say("220 hi\r\n"),
                Act::Hear("EHLO"),
                Act::Say("502 what?\r\n"),
                Act::Hear("HELO"),
                Act::Say("550 no\r\n"),
            ],
            "EHLO Some(550) Refused",
        ),
        (
            vec![
                Act::Say("220 hi\r\n"),
                Act::Hear("EHLO"),
                Act::Say("451 later\r\n"),
            ],
            "EHLO Some(451) Refused",
        ),
    ] {
        let (listener, peer) = listen().await;
        let (_, opened) = open(&listener, peer, script).await;
        assert_eq!(failed(&opened.err().unwrap()), want);
    }
}

#[tokio::test]
async fn a_host_without_ehlo_is_greeted_with_helo() {
    for refusal in ["500 ?\r\n", "502 ?\r\n", "504 ?\r\n", "550 ?\r\n"] {
        let (listener, peer) = listen().await;
        let script = vec![
            Act::Say("220 hi\r\n"),
            Act::Hear("EHLO relay.example.com"),
            Act::Say(refusal),
            Act::Hear("HELO relay.example.com"),
            Act::Say("250 hello\r\n"),
        ];
        let (_, opened) = open(&listener, peer, script).await;
        assert_eq!(
            *opened.ok().unwrap().capabilities(),
            Capabilities::default()
        );
    }
}

#[tokio::test]
async fn a_dripping_greeting_ends_at_its_deadline() {
    let (listener, peer) = listen().await;
    let limit = Duration::from_millis(200);
    let timeouts = Timeouts {
        greeting: limit,
        ..patient()
    };
    let start = Instant::now();
    let drip = vec![Act::Drip("220-x\r\n", Duration::from_millis(10))];
    let (_, opened) = tokio::join!(play(&listener, drip), async {
        let opened = greet(peer, timeouts).await;
        (start.elapsed(), opened.err().unwrap())
    });
    assert_eq!(failed(&opened.1), "greeting None TimedOut");
    assert!(opened.0 >= limit && opened.0 < limit * 5, "{:?}", opened.0);
}

#[tokio::test]
async fn starttls_forgets_what_was_offered_in_plain_text() {
    let (listener, peer) = listen().await;
    let mut script = hello("250-mx\r\n250-PIPELINING\r\n250-SIZE 5\r\n250 STARTTLS\r\n");
    script.extend([
        Act::Hear("STARTTLS"),
        Act::Say("220 go\r\n"),
        Act::Secure(acceptor()),
        Act::Hear("EHLO relay.example.com"),
        Act::Say("250-mx\r\n250 8BITMIME\r\n"),
        Act::Hear("QUIT"),
        Act::Say("221 bye\r\n"),
    ]);
    let client = async {
        let plain = greet(peer, patient()).await.unwrap();
        assert!(plain.capabilities().starttls);
        let mut tls = plain
            .starttls(&postrider_tls::opportunistic())
            .await
            .unwrap();
        assert_eq!(*tls.capabilities(), Capabilities::default());
        tls.hello(HELLO).await.unwrap();
        let want = Capabilities {
            eight_bit_mime: true,
            ..Capabilities::default()
        };
        assert_eq!(*tls.capabilities(), want);
        let facts = tls.tls_facts();
        assert_eq!(facts.version, "TLSv1.3");
        assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
        let phases: Vec<Phase> = tls.spent().0.iter().map(|(phase, _)| *phase).collect();
        let want = [
            Phase::Greeting,
            Phase::Hello,
            Phase::Starttls,
            Phase::Handshake,
        ];
        assert_eq!(phases, want);
        tls.quit().await;
    };
    tokio::join!(play(&listener, script), client);
}

#[tokio::test]
async fn tls_that_cannot_be_had_fails_in_its_own_phase() {
    for (acts, want) in [
        (
            vec![Act::Say("454 not now\r\n")],
            "STARTTLS Some(454) Refused",
        ),
        (vec![Act::Say("421 bye\r\n")], "STARTTLS Some(421) Refused"),
        (vec![], "STARTTLS None Closed"),
        (
            vec![Act::Say("220 go\r\n250 injected\r\n"), Act::Wait],
            "STARTTLS None Unasked",
        ),
        (
            vec![Act::Say("220 go\r\n2"), Act::Wait],
            "STARTTLS None Unasked",
        ),
        (
            vec![Act::Say("220 go\r\n"), Act::Read(1)],
            "TLS handshake None Io",
        ),
        (
            vec![
                Act::Say("220 go\r\n"),
                Act::Read(100),
                Act::Say("no TLS here\r\n"),
                Act::Wait,
            ],
            "TLS handshake None Tls",
        ),
    ] {
        let (listener, peer) = listen().await;
        let mut script = hello("250-mx\r\n250 STARTTLS\r\n");
        script.push(Act::Hear("STARTTLS"));
        script.extend(acts);
        let client = async {
            let plain = greet(peer, patient()).await.unwrap();
            plain
                .starttls(&postrider_tls::opportunistic())
                .await
                .err()
                .unwrap()
        };
        let (_, failure) = tokio::join!(play(&listener, script), client);
        assert_eq!(failed(&failure), want);
    }
}

#[tokio::test]
async fn a_silent_handshake_ends_at_its_deadline() {
    let (listener, peer) = listen().await;
    let mut script = hello("250-mx\r\n250 STARTTLS\r\n");
    script.extend([Act::Hear("STARTTLS"), Act::Say("220 go\r\n"), Act::Wait]);
    let client = async {
        let handshake = Duration::from_millis(50);
        let plain = greet(
            peer,
            Timeouts {
                handshake,
                ..patient()
            },
        )
        .await
        .unwrap();
        plain
            .starttls(&postrider_tls::opportunistic())
            .await
            .err()
            .unwrap()
    };
    let (_, failure) = tokio::join!(play(&listener, script), client);
    assert_eq!(failed(&failure), "TLS handshake None TimedOut");
}
