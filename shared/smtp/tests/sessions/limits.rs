//! What is bounded, and what is said at each bound.

use postrider_smtp::{Layer, Limits};

use crate::door::{Door, limits};

#[test]
fn the_thousand_and_first_recipient_is_asked_to_wait() {
    let mut door = Door::signed_in();
    door.hear(b"MAIL FROM:<a@b.example>\r\n");
    for number in 0..1_000 {
        let done = door.says(format!("RCPT TO:<c{number}@d.example>\r\n").as_bytes());
        assert_eq!(done.last().unwrap(), "250 2.1.5 OK", "{number}");
    }
    for _ in 0..40 {
        let done = door.says(b"RCPT TO:<one@more.example>\r\n");
        assert_eq!(done, ["452 4.5.3 TooManyRecipients { most: 1000 }"]);
    }
    let done = door.says(b"DATA\r\nx\r\n.\r\n");
    assert_eq!(done.last().unwrap(), "250 2.0.0 queued as 1");
}

#[test]
fn refused_recipients_are_no_mistake_in_the_protocol() {
    let mut door = Door::signed_in();
    door.hear(b"MAIL FROM:<a@b.example>\r\n");
    for _ in 0..100 {
        door.hear(b"RCPT TO:<no@d.example>\r\nRCPT TO:<bad>\r\n");
    }
    assert!(!door.look().contains(&"close".to_owned()));
}

#[test]
fn a_size_that_is_too_large_is_refused_at_mail() {
    let mut door = Door::signed_in();
    for (size, want) in [
        ("SIZE=41943040", "250 2.1.0 OK"),
        ("SIZE=41943041", "552 5.3.4 TooLarge { most: 41943040 }"),
        (
            "size=99999999999999999999999",
            "552 5.3.4 TooLarge { most: 41943040 }",
        ),
    ] {
        let done = door.says(format!("MAIL FROM:<a@b.example> {size}\r\n").as_bytes());
        assert_eq!(done.last().unwrap(), want, "{size}");
    }
}

#[test]
fn content_over_the_size_is_drained_and_refused_at_its_end() {
    let small = Limits {
        size: 1_000,
        ..limits()
    };
    for (length, fits) in [(998, true), (999, false), (50_000, false)] {
        for step in [1, 13, 100_000] {
            let mut door = Door::with_recipient(small);
            let content = format!("DATA\r\n{}\r\n.\r\nNOOP\r\n", "x".repeat(length));
            for piece in content.as_bytes().chunks(step) {
                door.hear(piece);
            }
            let done = door.look();
            assert_eq!(done.last().unwrap(), "250 2.0.0 OK");
            if fits {
                assert_eq!(done[2], "250 2.0.0 queued as 1");
            } else {
                assert_eq!(
                    done[1..3],
                    ["overflow", "552 5.3.4 TooLarge { most: 1000 }"],
                    "{length} in pieces of {step}"
                );
            }
        }
    }
}

#[test]
fn dots_that_were_stuffed_do_not_count() {
    let small = Limits {
        size: 6,
        ..limits()
    };
    let mut door = Door::with_recipient(small);
    let done = door.says(b"DATA\r\n..\r\n..\r\n.\r\n");
    assert_eq!(done.last().unwrap(), "250 2.0.0 queued as 1");
}

#[test]
fn content_without_an_end_is_given_up_and_never_kept() {
    let small = Limits {
        size: 100_000,
        drain: 1_000_000,
        ..limits()
    };
    let mut door = Door::with_recipient(small);
    door.hear(b"DATA\r\n");
    door.look();
    for _ in 0..200 {
        door.hear(&[b'x'; 10_000]);
        assert!(door.session.space().is_empty());
    }
    assert_eq!(
        door.look(),
        ["overflow", "552 5.3.4 TooLarge { most: 100000 }", "close"]
    );
}

#[test]
fn command_lines_have_a_bound_and_sign_in_a_larger_one() {
    let mut door = Door::open(Layer::Tls);
    let done = door.says(format!("EHLO {}\r\nNOOP\r\n", "x".repeat(2_042)).as_bytes());
    assert_eq!(
        done,
        ["500 5.5.2 LineTooLong { most: 2048 }", "250 2.0.0 OK"]
    );
    let done = door.says(format!("EHLO {}\r\n", "x".repeat(2_041)).as_bytes());
    assert!(done[0].starts_with("250-mx.example"));
    let done = door.says(format!("AUTH PLAIN {}\r\n", "B".repeat(12_000)).as_bytes());
    assert_eq!(done, ["501 5.5.2 PlainForm"]);
    let done = door.says(format!("AUTH PLAIN {}\r\n", "A".repeat(12_276)).as_bytes());
    assert_eq!(done, ["500 5.5.2 LineTooLong { most: 12288 }"]);
    // The answer to a challenge that is too long is the end of the exchange, not of the session.
    let answer = format!("AUTH PLAIN\r\n{}\r\nNOOP\r\n", "A".repeat(13_000));
    let done = door.says(answer.as_bytes());
    assert_eq!(
        done,
        [
            "334 ",
            "500 5.5.2 LineTooLong { most: 12288 }",
            "250 2.0.0 OK"
        ]
    );
}

#[test]
fn a_command_line_of_ten_megabytes_ends_the_session_early() {
    let mut door = Door::open(Layer::Tls);
    let mut fed = 0;
    while !door.done.contains(&"close".to_owned()) {
        door.hear(&[b'E'; 4_096]);
        fed += 4_096;
        assert!(door.session.space().len() < 4_096);
    }
    assert_eq!(fed, 65_536);
    assert_eq!(
        door.look(),
        ["500 5.5.2 LineTooLong { most: 2048 }", "close"]
    );
}

#[test]
fn after_twenty_mistakes_the_session_ends() {
    let mut door = Door::open(Layer::Plain);
    for _ in 0..19 {
        assert_eq!(door.says(b"FOO\r\n"), ["500 5.5.1 UnknownCommand"]);
    }
    let done = door.says(b"FOO\r\nNOOP\r\n");
    assert_eq!(
        done,
        [
            "500 5.5.1 UnknownCommand",
            "421 4.7.0 TooManyErrors",
            "close"
        ]
    );
}

#[test]
fn mistakes_in_plain_text_are_not_forgotten_under_tls() {
    let mut door = Door::open(Layer::Plain);
    for _ in 0..19 {
        door.hear(b"FOO\r\n");
    }
    door.hear(b"STARTTLS\r\n");
    door.look();
    assert_eq!(door.says(b"FOO\r\n").last().unwrap(), "close");
}

#[test]
fn three_sign_ins_may_fail_and_the_fourth_is_not_heard() {
    let mut door = Door::open(Layer::Tls);
    door.hear(b"EHLO vm\r\n");
    door.look();
    // Refused by the door, by the door, and for want of a password.
    for (packed, want) in [
        ("AGpvZQB3cm9uZw==", "535 5.7.8 Wrong"),
        ("AGpvZQB3cm9uZw==", "535 5.7.8 Wrong"),
        ("AGpvZQA=", "535 5.7.8 NoPassword"),
    ] {
        let done = door.says(format!("AUTH PLAIN {packed}\r\n").as_bytes());
        assert_eq!(done.last().unwrap(), want);
    }
    let done = door.says(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
    assert_eq!(done, ["421 4.7.0 TooManySignIns", "close"]);
}

#[test]
fn a_door_that_is_out_of_order_costs_no_attempt() {
    let mut door = Door::open(Layer::Tls);
    door.hear(b"EHLO vm\r\n");
    for _ in 0..2 {
        door.hear(b"AUTH PLAIN AGpvZQBiYWNrZW5k\r\n");
    }
    assert_eq!(door.look().last().unwrap(), "454 4.7.0 Later");
    for _ in 0..3 {
        door.hear(b"AUTH PLAIN AGpvZQBiYWNrZW5k\r\n");
    }
    let done = door.says(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n");
    assert_eq!(done.last().unwrap(), "235 2.7.0 Welcome");
}

#[test]
fn bare_line_feeds_are_taken_from_a_client_that_waits() {
    let mut door = Door::open(Layer::Tls);
    for line in ["EHLO vm\n", "NOOP\n", "QUIT\n"] {
        let done = door.says(line.as_bytes());
        assert!(done[0].starts_with('2'), "{line:?}: {done:?}");
    }
}

#[test]
fn bare_line_feeds_in_a_pipeline_end_the_session() {
    for lines in [
        "EHLO vm\nNOOP\n",
        "EHLO vm\nNOOP\r\n",
        "RCPT TO:<a@b.example>\nRCPT TO:<evil@c.example>\r\n",
    ] {
        let mut door = Door::open(Layer::Tls);
        assert_eq!(
            door.says(lines.as_bytes()),
            ["500 5.5.2 BareLineFeed", "close"],
            "{lines:?}"
        );
    }
}

#[test]
fn a_command_with_a_bare_cr_or_nul_in_it_is_not_obeyed() {
    let mut door = Door::signed_in();
    for line in [
        "RCPT TO:<a\rb@d.example>",
        "MAIL FROM:<a@b.example>\rRCPT TO:<c@d.example>",
        "NOOP\0",
        "QUIT\r",
        "\x1b[2J",
        "NOOP\x7f",
    ] {
        let done = door.says(format!("{line}\r\n").as_bytes());
        assert_eq!(done, ["500 5.5.2 ControlCharacters"], "{line:?}");
    }
    assert_eq!(door.says(b"NOOP \t\r\n"), ["250 2.0.0 OK"]);
}

#[test]
fn a_session_that_idles_keeps_no_room_for_content() {
    let mut door = Door::with_recipient(limits());
    door.hear(b"DATA\r\n");
    assert!(door.session.space().capacity() >= 16 * 1_024);
    door.hear(b"x\r\n.\r\n");
    assert!(door.session.space().capacity() <= 8 * 1_024);
}
