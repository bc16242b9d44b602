//! In which order commands may come, and what becomes of those that may not.

use postrider_smtp::{Config, Layer, Limits, Reply, StartTls};

use crate::door::{Door, HOST, limits};

#[test]
fn what_is_said_before_the_greeting_is_answered_after_it() {
    let mut door = Door::new(Layer::Plain, limits());
    door.session.receive(b"EHLO vm\r\nNO");
    door.work();
    assert!(door.look().is_empty());
    door.session.greet();
    let done = door.says(b"OP\r\n");
    assert_eq!(done.len(), 3);
    assert_eq!(done[0], "220 mx.example ESMTP Postrider");
    assert!(done[1].starts_with("250-mx.example / "));
    assert_eq!(done[2], "250 2.0.0 OK");
}

#[test]
fn bytes_behind_starttls_are_never_read_and_end_the_session() {
    let mut door = Door::open(Layer::Plain);
    let done = door.says(b"EHLO vm\r\nSTARTTLS\r\nMAIL FROM:<evil@b.example>\r\n");
    assert_eq!(done[1..], ["554 5.5.0 BehindStartTls", "close"]);
    assert!(door.says(b"NOOP\r\n").is_empty());
}

#[test]
fn tls_forgets_what_was_heard_in_plain_text() {
    let mut door = Door::open(Layer::Plain);
    door.hear(b"EHLO vm\r\n");
    assert_eq!(door.session.hello(), Some("vm"));
    door.hear(b"STARTTLS\r\n");
    assert!(door.session.is_secure());
    assert_eq!(door.session.hello(), None);
    door.look();
    assert_eq!(
        door.says(b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"),
        ["503 5.5.1 NoHello"]
    );
    assert_eq!(door.says(b"STARTTLS\r\n"), ["503 5.5.1 TlsAlready"]);
}

#[test]
fn starttls_is_refused_where_it_cannot_be() {
    let config = Config {
        host: HOST.to_owned(),
        help: String::new(),
        starttls: StartTls::Unavailable,
        limits: limits(),
    };
    let mut door = Door::with(config, Layer::Plain);
    door.session.greet();
    let done = door.says(b"EHLO vm\r\nSTARTTLS\r\n");
    assert!(!done[1].contains("STARTTLS") && !done[1].contains("AUTH"));
    assert_eq!(done[2], "454 4.7.0 TlsUnavailable");
    let mut door = Door::open(Layer::Plain);
    assert_eq!(
        door.says(b"STARTTLS now\r\n"),
        ["501 5.5.4 Argument(\"STARTTLS\")"]
    );
}

#[test]
fn nothing_but_the_remedy_is_said_in_plain_text() {
    let mut door = Door::open(Layer::Plain);
    for line in [
        "MAIL FROM:<a@b.example>",
        "MAIL nonsense",
        "RCPT TO:<c@d.example>",
        "RCPT",
        "DATA",
    ] {
        let done = door.says(format!("{line}\r\n").as_bytes());
        assert_eq!(done, ["530 5.7.0 TlsRequired"], "{line}");
    }
    for line in ["AUTH", "AUTH PLAIN AGpvZQBzZWNyZXQ=", "AUTH CRAM-MD5"] {
        let done = door.says(format!("{line}\r\n").as_bytes());
        assert_eq!(done, ["538 5.7.11 AuthNeedsTls"], "{line}");
    }
}

#[test]
fn nothing_but_the_remedy_is_said_to_a_stranger() {
    let mut door = Door::open(Layer::Tls);
    for line in [
        "MAIL FROM:<>",
        "MAIL FROM:<a@b.example> FOO=1",
        "RCPT TO:<@a.example:c@d.example>",
        "RCPT TO:<c%d.example@mx.example>",
        "RCPT TO:<\"c@d.example\"@mx.example>",
        "RCPT TO:<c@[192.0.2.1]>",
        "DATA",
    ] {
        let done = door.says(format!("{line}\r\n").as_bytes());
        assert_eq!(done, ["530 5.7.0 AuthRequired"], "{line}");
    }
}

#[test]
fn commands_out_of_order_say_so_and_change_nothing() {
    let mut door = Door::signed_in();
    for (line, want) in [
        ("RCPT TO:<c@d.example>", "503 5.5.1 NoMail"),
        ("DATA", "503 5.5.1 NoMail"),
        ("AUTH PLAIN AGpvZQBzZWNyZXQ=", "503 5.5.1 SignedInAlready"),
        ("MAIL FROM:<no@b.example>", "550 5.1.1 No"),
        ("RCPT TO:<c@d.example>", "503 5.5.1 NoMail"),
        ("MAIL FROM:<a@b.example>", "250 2.1.0 OK"),
        ("DATA", "554 5.5.1 NoRecipients"),
        ("RCPT TO:<>", "501 5.1.3 Recipient(Empty)"),
        ("RCPT", "501 5.5.4 RecipientForm"),
        ("RCPT TO:<c@d.example>", "250 2.1.5 OK"),
        ("MAIL FROM:<x@y.example>", "503 5.5.1 MailOpen"),
        ("RCPT TO:<e@f.example>", "250 2.1.5 OK"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        (".", "250 2.0.0 queued as 1"),
        ("RCPT TO:<c@d.example>", "503 5.5.1 NoMail"),
    ] {
        let done = door.says(format!("{line}\r\n").as_bytes());
        assert_eq!(done.last().unwrap(), want, "{line}");
    }
}

#[test]
fn rset_and_ehlo_give_the_transaction_up_and_keep_the_sign_in() {
    for command in ["RSET", "EHLO vm", "HELO vm"] {
        let mut door = Door::with_recipient(limits());
        let done = door.says(format!("{command}\r\n").as_bytes());
        assert_eq!(done[0], "reset", "{command}");
        assert!(!door.session.in_transaction());
        assert_eq!(door.says(b"DATA\r\n"), ["503 5.5.1 NoMail"]);
        let done = door.says(b"MAIL FROM:<a@b.example>\r\n");
        assert_eq!(done.last().unwrap(), "250 2.1.0 OK");
    }
    let mut door = Door::signed_in();
    assert_eq!(door.says(b"RSET\r\n"), ["250 2.0.0 OK"]);
}

#[test]
fn a_sender_without_recipients_gives_way_to_the_next() {
    let mut door = Door::signed_in();
    let done = door
        .says(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<no@d.example>\r\nMAIL FROM:<e@f.example>\r\n");
    assert_eq!(done[4..], ["reset", "from e@f.example", "250 2.1.0 OK"]);
}

#[test]
fn auth_inside_a_transaction_is_out_of_place() {
    let mut door = Door::with_recipient(limits());
    assert_eq!(door.says(b"AUTH LOGIN\r\n"), ["503 5.5.1 SignedInAlready"]);
    assert_eq!(
        door.says(b"DATA\r\n"),
        ["354 End data with <CR><LF>.<CR><LF>"]
    );
}

#[test]
fn a_whole_session_in_one_packet_is_decided_in_order() {
    let mut door = Door::new(Layer::Tls, limits());
    door.session.greet();
    let done = door.says(
        b"EHLO vm\r\nAUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\nMAIL FROM:<a@b.example>\r\n\
          RCPT TO:<c@d.example>\r\nDATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\n\
          MAIL FROM:<a@b.example>\r\nRCPT TO:<e@f.example>\r\nDATA\r\ntwo\r\n.\r\nQUIT\r\n",
    );
    let content: Vec<_> = done
        .iter()
        .filter(|text| text.starts_with("content"))
        .collect();
    assert_eq!(
        content,
        [
            "content Subject: x\\r\\n\\r\\nQUIT\\r\\n",
            "content two\\r\\n"
        ]
    );
    assert_eq!(done.last().unwrap(), "close");
}

#[test]
fn content_behind_a_refused_data_is_never_taken_for_commands() {
    let smuggled = b"DATA\r\nNOOP\r\nMAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\n.\r\n";
    // Nobody signed in; no recipient was taken.
    let mut stranger = Door::open(Layer::Tls);
    let done = stranger.says(smuggled);
    assert_eq!(
        done,
        [
            "530 5.7.0 AuthRequired",
            "554 5.5.0 ContentUnasked",
            "close"
        ]
    );
    let mut door = Door::signed_in();
    door.hear(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<no@d.example>\r\n");
    door.look();
    let done = door.says(smuggled);
    assert_eq!(
        done,
        [
            "554 5.5.1 NoRecipients",
            "554 5.5.0 ContentUnasked",
            "close"
        ]
    );
    // In a packet of its own.
    let mut door = Door::signed_in();
    assert_eq!(door.says(b"DATA\r\n"), ["503 5.5.1 NoMail"]);
    let done = door.says(b"Subject: x\r\n\r\nMAIL FROM:<evil@b.example>\r\n");
    assert_eq!(done, ["554 5.5.0 ContentUnasked", "close"]);
}

#[test]
fn a_lone_dot_behind_a_refused_data_is_no_mistake() {
    let mut door = Door::signed_in();
    door.hear(b"MAIL FROM:<a@b.example>\r\nDATA\r\n");
    door.look();
    assert_eq!(door.says(b".\r\n"), ["554 5.5.1 NoRecipients"]);
    assert_eq!(door.says(b".\r\n"), ["500 5.5.1 UnknownCommand"]);
}

#[test]
fn a_client_that_waits_goes_on_behind_a_refused_data() {
    let mut door = Door::signed_in();
    door.hear(b"MAIL FROM:<a@b.example>\r\nDATA\r\n");
    door.look();
    let done = door.says(b"RCPT TO:<c@d.example>\r\nDATA\r\n");
    assert_eq!(done.last().unwrap(), "354 End data with <CR><LF>.<CR><LF>");
}

#[test]
fn bdat_ends_the_session_because_content_follows_it() {
    let mut door = Door::with_recipient(limits());
    let done = door.says(b"BDAT 28 LAST\r\nMAIL FROM:<evil@b.example>\r\n");
    assert_eq!(done, ["502 5.5.1 NotOffered(\"BDAT\")", "close"]);
}

#[test]
fn http_is_shown_the_door() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\nEHLO x\r\n",
    ] {
        let mut door = Door::open(Layer::Tls);
        assert_eq!(door.says(request.as_bytes()), ["554 5.5.0 Http", "close"]);
    }
}

#[test]
fn the_driver_may_say_goodbye_at_any_time() {
    let goodbye = || Reply::new(421, None, "Shutting down");
    let mut door = Door::new(Layer::Tls, limits());
    door.session.turn_away(goodbye());
    door.work();
    assert_eq!(door.look(), ["421 Shutting down", "close"]);
    for said in [
        "",
        "AUTH LOGIN\r\n",
        "EHLO",
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx",
    ] {
        let mut door = Door::signed_in();
        door.hear(said.as_bytes());
        door.look();
        door.session.turn_away(goodbye());
        door.session.turn_away(goodbye());
        assert_eq!(
            door.says(b"NOOP\r\n"),
            ["421 Shutting down", "close"],
            "{said:?}"
        );
    }
}

#[test]
fn an_answer_of_421_is_the_last() {
    let mut door = Door::open(Layer::Tls);
    let done = door.says(b"EHLO vm\r\nAUTH PLAIN AGpvZQBnb29kYnll\r\nNOOP\r\n");
    assert_eq!(
        done[1..],
        [
            "sign in Plain \"joe\" \"goodbye\"",
            "421 4.7.0 Enough",
            "close"
        ]
    );
}

#[test]
fn a_refused_message_ends_its_transaction_only() {
    let mut door = Door::with_recipient(limits());
    let done = door.says(b"DATA\r\n!\r\n.\r\nMAIL FROM:<a@b.example>\r\n");
    assert_eq!(
        done[1..],
        [
            "content !\\r\\n",
            "550 5.7.1 No",
            "from a@b.example",
            "250 2.1.0 OK"
        ]
    );
}

#[test]
fn content_that_the_driver_gave_up_is_drained_to_its_end() {
    let mut door = Door::with_recipient(limits());
    door.hear(b"DATA\r\nSubject: x\r\n");
    let full = || Reply::new(452, postrider_model::EnhancedCode(4, 3, 1), "Full");
    door.session.discard(full());
    door.session
        .discard(Reply::new(550, None, "the second reason is not said"));
    door.look();
    let done = door.says(b"\r\nMAIL FROM:<evil@b.example>\r\n.\r\nMAIL FROM:<a@b.example>\r\n");
    assert_eq!(done, ["452 4.3.1 Full", "from a@b.example", "250 2.1.0 OK"]);
    assert!(door.session.in_transaction());
    // Elsewhere it is not heard.
    door.session.discard(full());
    assert_eq!(door.says(b"NOOP\r\n"), ["250 2.0.0 OK"]);
}

#[test]
fn a_session_serves_a_hundred_messages() {
    let limits = Limits {
        errors: 3,
        ..limits()
    };
    let mut door = Door::signed_in_within(limits);
    for number in 0..100 {
        let done = door
            .says(b"FOO\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n");
        assert_eq!(done.last().unwrap(), "250 2.0.0 queued as 1", "{number}");
    }
}
