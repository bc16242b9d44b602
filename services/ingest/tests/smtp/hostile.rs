//! Clients that are broken or mean. After each of them the door serves the next.

use crate::harness::{Relay, mail, pack};
use crate::line::Line;

/// Nobody else is worse off.
async fn all_is_well(relay: &Relay) {
    let before = relay.accepted().await.len();
    let mut line = relay.with_recipient().await;
    assert!(line.say("DATA").await.starts_with("354"));
    line.send(mail().as_bytes()).await;
    let reply = line.say(".").await;
    assert!(reply.starts_with("250 2.0.0 queued as "), "{reply}");
    assert_eq!(relay.accepted().await.len(), before + 1);
}

#[tokio::test]
async fn a_client_that_says_everything_in_one_packet_is_served_in_order() {
    let relay = Relay::start().await;
    let mut line = Line::implicit(relay.quick).await;
    let all = format!(
        "EHLO vm\r\n{}\r\nMAIL FROM:<joe@joesgarage.example>\r\nRCPT TO:<ann@example.org>\r\n\
         RCPT TO:<not an address>\r\nDATA\r\n{}.\r\nNOOP\r\nQUIT\r\n",
        relay.auth_plain(),
        mail()
    );
    line.send(all.as_bytes()).await;
    let replies = line.rest().await;
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(
        codes,
        [
            "250", "235", "250", "250", "501", "354", "250", "250", "221"
        ],
        "{replies:?}"
    );
    assert_eq!(relay.accepted().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_sends_one_byte_at_a_time_is_served() {
    let relay = Relay::start().await;
    let mut line = Line::open(relay.quick).await;
    for byte in b"EHLO vm\r\nSTARTTLS\r\n" {
        line.send(&[*byte]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for want in ["220 relay.example", "250-relay.example", "220 2.0.0"] {
        let reply = line.reply().await;
        assert!(reply.starts_with(want), "{reply}");
    }
    let mut line = line.secure().await.unwrap();
    let all = format!(
        "EHLO vm\r\n{}\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n{}.\r\nQUIT\r\n",
        relay.auth_plain(),
        mail()
    );
    for byte in all.as_bytes() {
        line.send(&[*byte]).await;
    }
    let replies = line.rest().await;
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["250", "235", "250", "250", "354", "250", "221"]);
}

#[tokio::test]
async fn what_was_acknowledged_stays_when_the_client_hangs_up_without_quit() {
    let relay = Relay::start().await;
    let mut line = relay.with_recipient().await;
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    assert!(line.say(".").await.starts_with("250 2.0.0"));
    drop(line);
    // In the middle of one nothing is kept.
    let mut line = relay.with_recipient().await;
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    drop(line);
    all_is_well(&relay).await;
    assert_eq!(relay.accepted().await.len(), 2);
}

#[tokio::test]
async fn bytes_behind_starttls_are_not_obeyed() {
    let relay = Relay::start().await;
    let mut line = Line::plain(relay.quick).await;
    line.send(b"EHLO vm\r\nSTARTTLS\r\nEHLO evil\r\nAUTH PLAIN AAAA\r\n")
        .await;
    let replies = line.rest().await;
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert!(replies[1].starts_with("554 5.5.0 PR-104 "), "{replies:?}");
    all_is_well(&relay).await;
}

#[tokio::test]
async fn what_is_said_in_plain_text_is_forgotten_under_tls() {
    let relay = Relay::start().await;
    let mut line = Line::starttls(relay.quick).await;
    let reply = line.say(&relay.auth_plain()).await;
    assert!(reply.starts_with("503 5.5.1 PR-301 "), "{reply}");
}

#[tokio::test]
async fn nobody_relays_who_has_not_signed_in() {
    let relay = Relay::start().await;
    let mut line = Line::implicit(relay.quick).await;
    line.say("HELO vm").await;
    for probe in [
        "MAIL FROM:<>",
        "MAIL FROM:<joe@joesgarage.example>",
        "MAIL FROM:<spam@relay.example>",
        "MAIL FROM:<postmaster@[127.0.0.1]>",
        "RCPT TO:<@relay.example:ann@example.org>",
        "RCPT TO:<ann%example.org@relay.example>",
        "RCPT TO:<\"ann@example.org\"@relay.example>",
        "RCPT TO:<example.org!ann@relay.example>",
        "RCPT TO:<ann@[127.0.0.1]>",
        "RCPT TO:<ann@example.org>",
        "DATA",
    ] {
        let reply = line.say(probe).await;
        assert!(reply.starts_with("530 5.7.0 PR-204 "), "{probe}: {reply}");
    }
    let wrong = format!("AUTH PLAIN {}", pack("\0joe\0wrong"));
    assert!(line.say(&wrong).await.starts_with("535 5.7.8 PR-201 "));
    // As Perl does.
    let reply = line.say("MAIL FROM:<joe@joesgarage.example>").await;
    assert!(reply.starts_with("530 5.7.0 PR-204 "), "{reply}");
    // After HELO it may sign in all the same.
    assert!(line.say(&relay.auth_plain()).await.starts_with("235"));
    assert!(relay.accepted().await.is_empty());
}

#[tokio::test]
async fn passwords_are_not_guessed_at_leisure() {
    let relay = Relay::start().await;
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    for number in 0..3 {
        let wrong = format!("AUTH PLAIN {}", pack(&format!("\0joe\0wrong{number}")));
        let reply = line.say(&wrong).await;
        assert!(reply.starts_with("535 5.7.8 PR-201 "), "{reply}");
    }
    let reply = line.say(&relay.auth_plain()).await;
    assert!(reply.starts_with("421 4.7.0 PR-212 "), "{reply}");
    assert_eq!(line.reply().await, "");
}

#[tokio::test]
async fn content_that_was_refused_never_becomes_commands() {
    let relay = Relay::start().await;
    let mut line = relay.client().await;
    line.send(
        b"MAIL FROM:<joe@joesgarage.example>\r\nRCPT TO:<bad>\r\nDATA\r\n\
          MAIL FROM:<joe@joesgarage.example>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n",
    )
    .await;
    let replies = line.rest().await;
    assert_eq!(replies.len(), 4, "{replies:?}");
    assert!(replies[2].starts_with("554 5.5.1 PR-306 "), "{replies:?}");
    assert!(replies[3].starts_with("554 5.5.0 PR-316 "), "{replies:?}");
    let mut line = relay.with_recipient().await;
    line.send(
        b"BDAT 60 LAST\r\nMAIL FROM:<joe@joesgarage.example>\r\nRCPT TO:<evil@example.org>\r\n",
    )
    .await;
    let replies = line.rest().await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].starts_with("502 5.5.1 PR-308 "), "{replies:?}");
    assert!(relay.accepted().await.is_empty());
}

// SEC Consult's and The-Login's sequences, and what is like them: whatever some server took for
// an end of data.
#[tokio::test]
async fn no_smuggling_sequence_makes_two_messages_of_one() {
    let relay = Relay::start().await;
    let mut line = relay.client().await;
    let ends = [
        "\n", "\r", "\r\n", "\r\r\n", "\r\n\r", "\n\r", "\0\r\n", "\r\0\n",
    ];
    let mut count = 0;
    for before in ends {
        for behind in ends {
            let middle = format!("{before}.{behind}");
            if format!("x{middle}MAIL").contains("\r\n.\r\n") {
                continue;
            }
            for said in [
                "MAIL FROM:<joe@joesgarage.example>",
                "RCPT TO:<ann@example.org>",
                "DATA",
            ] {
                line.say(said).await;
            }
            let smuggled = format!(
                "{}{count}{middle}MAIL FROM:<joe@joesgarage.example>\r\n\
                 RCPT TO:<evil@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx",
                mail()
            );
            line.send(smuggled.as_bytes()).await;
            line.send(b"\r\n").await;
            let reply = line.say(".").await;
            let was_taken = reply.starts_with("250 2.0.0 queued as ");
            // What holds a NUL may be refused: as one message.
            assert!(
                was_taken || (middle.contains('\0') && reply.starts_with("554 5.6.0 ")),
                "{middle:?}: {reply}"
            );
            // And it is the only reply.
            assert!(
                line.say("NOOP").await.starts_with("250 2.0.0"),
                "{middle:?}"
            );
            count += usize::from(was_taken);
            assert_eq!(relay.accepted().await.len(), count.min(100), "{middle:?}");
            if was_taken {
                let stored = relay.newest().await;
                let mut rest = stored.as_slice();
                while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                    assert!(rest[at..].starts_with(b"\r\n"), "{middle:?} is stored bare");
                    rest = &rest[at + 2..];
                }
            }
        }
    }
    assert!(count > 30, "{count}");
}

#[tokio::test]
async fn a_command_line_of_ten_megabytes_is_refused_and_not_read() {
    let relay = Relay::start().await;
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    let endless = vec![b'A'; 10 * 1024 * 1024];
    line.send(&endless[..80_000]).await;
    let reply = line.reply().await;
    assert!(reply.starts_with("500 5.5.2 PR-310 "), "{reply}");
    line.send(&endless).await;
    assert_eq!(line.reply().await, "");
    all_is_well(&relay).await;
}

#[tokio::test]
async fn a_header_of_a_megabyte_is_answered() {
    let relay = Relay::start().await;
    for content in [
        format!("X-Long: {}\r\n{}", "x".repeat(1_000_000), mail()),
        format!("{}{}", "X-Many: x\r\n".repeat(100_000), mail()),
        format!("X-Folded: x\r\n{}{}", " x\r\n".repeat(250_000), mail()),
    ] {
        let mut line = relay.with_recipient().await;
        line.say("DATA").await;
        line.send(content.as_bytes()).await;
        let reply = line.say(".").await;
        assert!(
            reply.starts_with("554 5.6.0 PR-4") || reply.starts_with("250 2.0.0 queued"),
            "{reply}"
        );
        assert!(line.say("NOOP").await.starts_with("250"));
    }
    all_is_well(&relay).await;
}

#[tokio::test]
async fn noise_and_other_protocols_are_told_what_this_port_is() {
    let relay = Relay::start().await;
    for (said, want) in [
        (
            b"GET / HTTP/1.1\r\nHost: relay.example\r\n\r\n".as_slice(),
            "554 5.5.0 PR-101 ",
        ),
        (b"POST /emails HTTP/1.1\r\n\r\n", "554 5.5.0 PR-101 "),
    ] {
        for address in [relay.slow, relay.quick] {
            let mut line = Line::open(address).await;
            line.send(said).await;
            let replies = line.rest().await;
            assert!(
                replies.len() == 1 && replies[0].starts_with(want),
                "{replies:?}"
            );
        }
    }
    // A TLS program that says HTTP in it.
    let mut line = Line::implicit(relay.slow).await;
    let reply = line.say("GET / HTTP/1.1").await;
    assert!(reply.starts_with("554 5.5.0 PR-101 "), "{reply}");
    for noise in [
        b"\0\0\0\0\0\0\0\0".as_slice(),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\xff\xff\x02\x02\x02",
        b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"\x15\x03\x01\x00\x02\x02\x28",
        &[0xff; 300],
    ] {
        let mut line = Line::open(relay.quick).await;
        line.send(noise).await;
        line.send(b"\r\nQUIT\r\n").await;
        // It ends, whatever is said.
        line.drain().await;
    }
    all_is_well(&relay).await;
}

#[tokio::test]
async fn a_tenant_that_is_suspended_in_mid_session_sends_nothing_more() {
    let relay = Relay::start().await;
    let mut line = relay.with_recipient().await;
    relay.suspend().await;
    // The message that was begun, or the next one.
    line.say("DATA").await;
    line.send(mail().as_bytes()).await;
    let first = line.say(".").await;
    assert!(first.starts_with("525 5.7.13 PR-208 "), "{first}");
    let reply = line.say("MAIL FROM:<joe@joesgarage.example>").await;
    assert!(reply.starts_with("525 5.7.13 PR-208 "), "{reply}");
    assert!(relay.accepted().await.is_empty());
    let mut line = Line::implicit(relay.quick).await;
    line.say("EHLO vm").await;
    let reply = line.say(&relay.auth_plain()).await;
    assert!(reply.starts_with("525 5.7.13 PR-208 "), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_messages_at_once_share_the_memory_there_is() {
    // Room for four of them.
    let relay =
        std::sync::Arc::new(Relay::start_with(crate::harness::impatient(), 8 * 1024 * 1024).await);
    let content = std::sync::Arc::new(format!(
        "{}{}",
        mail(),
        format!("{}\r\n", "x".repeat(70)).repeat(26_000)
    ));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..24 {
        let (relay, content) = (
            std::sync::Arc::clone(&relay),
            std::sync::Arc::clone(&content),
        );
        clients.spawn(async move {
            let mut line = relay.client().await;
            // Half of them announce it.
            let size = if number % 2 == 0 {
                format!(" SIZE={}", content.len())
            } else {
                String::new()
            };
            line.say(&format!("MAIL FROM:<joe@joesgarage.example>{size}"))
                .await;
            line.say("RCPT TO:<ann@example.org>").await;
            let reply = line.say("DATA").await;
            if !reply.starts_with("354") {
                return reply;
            }
            line.send(content.as_bytes()).await;
            line.say(".").await
        });
    }
    let (mut taken, mut busy) = (0, 0);
    while let Some(reply) = clients.join_next().await {
        let reply = reply.unwrap();
        if reply.starts_with("250 2.0.0 queued as ") {
            taken += 1;
        } else {
            assert!(reply.starts_with("452 4.3.1 PR-509 "), "{reply}");
            busy += 1;
        }
    }
    assert!(
        taken >= 4 && taken + busy == 24,
        "{taken} taken, {busy} busy"
    );
    assert_eq!(relay.accepted().await.len(), taken);
    all_is_well(&relay).await;
}
