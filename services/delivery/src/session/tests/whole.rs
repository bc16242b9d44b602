//! Transactions that come to their end.

use super::*;

const OK: &str = "250 ok\r\n";

#[tokio::test]
async fn commands_go_one_by_one_where_no_pipelining_is_offered() {
    let mut script = hello(BARE);
    script.extend([
        Act::Hear("MAIL FROM:<bounce@relay.example.com>"),
        Act::Say(OK),
        Act::Hear("RCPT TO:<ann@example.org>"),
        Act::Say(OK),
        Act::Hear("RCPT TO:<bob@example.org>"),
        Act::Say("550 5.1.1 no such user\r\n"),
        Act::Hear("DATA"),
        Act::Say("354 go\r\n"),
        Act::Message,
        Act::Say("250 2.0.0 queued as 7\r\n"),
        Act::Hear("QUIT"),
    ]);
    let (heard, done) = send(script, &["ann", "bob"], b"A: b\r\n\r\nhi\r\n").await;
    let want = [Some((Phase::FinalDot, 250)), Some((Phase::RcptTo, 550))];
    assert_eq!(codes(&done), want);
    assert_eq!(ended(&done), "Answered");
    assert_eq!(heard.lines[1], "MAIL FROM:<bounce@relay.example.com>");
    assert_eq!(heard.messages, [b"A: b\r\n\r\nhi\r\n.\r\n"]);
    let text = &done.answers[0].as_ref().unwrap().reply.text;
    assert_eq!(text, "queued as 7");
}

#[tokio::test]
async fn everything_goes_in_one_flight_where_pipelining_is_offered() {
    let mut script = hello(PIPELINING);
    // Nothing is answered before DATA has come.
    script.extend([
        Act::Hear("MAIL FROM:<bounce@relay.example.com> SIZE=4"),
        Act::Hear("RCPT TO:<ann@example.org>"),
        Act::Hear("RCPT TO:<bob@example.org>"),
        Act::Hear("RCPT TO:<cat@example.org>"),
        Act::Hear("DATA"),
        Act::Say("250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n25"),
        Act::Say("0-more\r\n250 ok\r\n354 "),
        Act::Say("go\r\n"),
        Act::Message,
        Act::Say("250 ok\r\n"),
        Act::Hear("QUIT"),
    ]);
    let (heard, done) = send(script, &["ann", "bob", "cat"], b"hi").await;
    let want = [
        Some((Phase::FinalDot, 250)),
        Some((Phase::RcptTo, 452)),
        Some((Phase::FinalDot, 250)),
    ];
    assert_eq!(codes(&done), want);
    assert_eq!(done.answers[1].as_ref().unwrap().accepted, 1);
    assert_eq!(heard.messages, [b"hi\r\n.\r\n"]);
}

#[tokio::test]
async fn many_recipients_go_in_several_flights() {
    let names: Vec<String> = (0..150).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut script = hello(PIPELINING);
    let rcpts =
        |script: &mut Vec<Act>, count| script.extend((0..count).map(|_| Act::Hear("RCPT TO:")));
    script.push(Act::Hear("MAIL FROM:"));
    rcpts(&mut script, 63);
    script.push(Act::Send(OK.repeat(64).into_bytes()));
    rcpts(&mut script, 64);
    script.push(Act::Send(OK.repeat(64).into_bytes()));
    rcpts(&mut script, 23);
    script.extend([
        Act::Hear("DATA"),
        Act::Send([&OK.repeat(23), "354 go\r\n"].concat().into_bytes()),
        Act::Message,
        Act::Say(OK),
        Act::Hear("QUIT"),
    ]);
    let (_, done) = send(script, &names, b"hi\r\n").await;
    assert!(
        codes(&done)
            .iter()
            .all(|code| *code == Some((Phase::FinalDot, 250)))
    );
}

#[tokio::test]
async fn a_message_without_recipients_is_ended_and_its_reply_ignored() {
    let mut script = hello(PIPELINING);
    script.extend([
        Act::Hear("MAIL"),
        Act::Hear("RCPT"),
        Act::Hear("RCPT"),
        Act::Hear("DATA"),
        Act::Say("250 ok\r\n550 5.1.1 no\r\n451 4.3.0 later\r\n354 go\r\n"),
        Act::Message,
        Act::Say("250 thanks for nothing\r\n"),
        Act::Hear("QUIT"),
    ]);
    let (heard, done) = send(script, &["ann", "bob"], b"secret\r\n").await;
    let want = [Some((Phase::RcptTo, 550)), Some((Phase::RcptTo, 451))];
    assert_eq!(codes(&done), want);
    assert_eq!(heard.messages, [b".\r\n"]);
}

#[tokio::test]
async fn a_refusal_of_the_envelope_answers_for_all() {
    for (ehlo, acts, want) in [
        (
            BARE,
            vec![Act::Hear("MAIL"), Act::Say("550 5.7.1 no\r\n")],
            (Phase::MailFrom, 550),
        ),
        (
            PIPELINING,
            vec![
                Act::Hear("MAIL"),
                Act::Hear("RCPT"),
                Act::Hear("DATA"),
                Act::Say("451 later\r\n503 no MAIL\r\n503 no MAIL\r\n"),
            ],
            (Phase::MailFrom, 451),
        ),
        (
            BARE,
            vec![
                Act::Hear("MAIL"),
                Act::Say(OK),
                Act::Hear("RCPT"),
                Act::Say(OK),
                Act::Hear("DATA"),
                Act::Say("554 5.5.1 no\r\n"),
            ],
            (Phase::Data, 554),
        ),
        (
            BARE,
            vec![
                Act::Hear("MAIL"),
                Act::Say(OK),
                Act::Hear("RCPT"),
                Act::Say("553 5.1.3 no\r\n"),
            ],
            (Phase::RcptTo, 553),
        ),
    ] {
        let mut script = hello(ehlo);
        script.extend(acts);
        script.push(Act::Hear("QUIT"));
        let (_, done) = send(script, &["ann"], b"hi\r\n").await;
        assert_eq!(codes(&done), [Some(want)]);
        assert_eq!(ended(&done), "Answered");
    }
}

#[tokio::test]
async fn a_host_that_refuses_mail_and_waits_for_a_message_gets_none() {
    let mut script = hello(PIPELINING);
    script.extend([
        Act::Hear("MAIL"),
        Act::Hear("RCPT"),
        Act::Hear("DATA"),
        Act::Say("550 no\r\n250 ok\r\n354 go\r\n"),
        Act::Wait,
    ]);
    let (heard, done) = send(script, &["ann"], b"hi\r\n").await;
    assert_eq!(codes(&done), [Some((Phase::MailFrom, 550))]);
    assert!(heard.messages.is_empty());
}

#[tokio::test]
async fn a_421_answers_for_all_that_have_no_refusal() {
    let mut script = hello(PIPELINING);
    script.extend([
        Act::Hear("MAIL"),
        Act::Hear("RCPT"),
        Act::Hear("RCPT"),
        Act::Hear("RCPT"),
        Act::Hear("DATA"),
        Act::Say("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n421 4.3.2 shutting down\r\n"),
    ]);
    let (_, done) = send(script, &["ann", "bob", "cat"], b"hi\r\n").await;
    let bye = Some((Phase::RcptTo, 421));
    assert_eq!(codes(&done), [bye, Some((Phase::RcptTo, 550)), bye]);
    assert_eq!(ended(&done), "Answered");
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_message_is_heard_and_no_dot_follows() {
    let (listener, peer) = listen().await;
    // More than the buffers of both sides: the refusal is there before the last byte is.
    let body = vec![b'x'; 16 << 20];
    let mut script = hello(BARE);
    script.extend(accepted());
    script.extend([
        Act::Read(1),
        Act::Say("552 5.3.4 too big\r\n"),
        Act::Read(body.len() + 1),
        Act::Wait,
    ]);
    let recipients = people(&["ann"]);
    let return_path = address("bounce@relay.example.com");
    let client = async {
        let mut session = greet(peer, patient()).await.unwrap();
        let mail = Mail {
            return_path: &return_path,
            recipients: &recipients,
            body: &body,
            smtputf8: false,
        };
        let mut journal = |_: &[usize]| unreachable!("the dot must not be sent");
        let done = session.transaction(&mail, &mut journal).await;
        assert!(!session.is_sound());
        done
    };
    let (_, done) = tokio::join!(play(&listener, script), client);
    assert_eq!(codes(&done), [Some((Phase::Body, 552))]);
    assert_eq!(ended(&done), "Answered");
}

#[tokio::test]
async fn what_the_host_cannot_take_is_not_begun() {
    let mut script = hello(PIPELINING);
    script.push(Act::Hear("QUIT"));
    let (_, done) = send(script, &["ann"], &[b'x'; 999]).await;
    assert!(
        matches!(done.end, End::TooLarge { most: 1_000 }),
        "{done:?}"
    );
    assert_eq!(codes(&done), [None]);

    let mut script = hello(BARE);
    script.push(Act::Hear("QUIT"));
    let (_, done) = send(script, &["jürgen"], b"hi\r\n").await;
    assert!(matches!(done.end, End::NeedsSmtpUtf8), "{done:?}");
}

#[tokio::test]
async fn parameters_are_given_where_offered_and_needed() {
    let all = "250-mx\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 SIZE\r\n";
    for (ehlo, name, body, want) in [
        (all, "jürgen", "hi\r\n", " SIZE=4 SMTPUTF8"),
        (all, "ann", "hé\r\n", " SIZE=5 BODY=8BITMIME"),
        (all, "ann", "hi", " SIZE=4"),
        (BARE, "ann", "hé\r\n", ""),
    ] {
        let mut script = hello(ehlo);
        script.extend([
            Act::Hear("MAIL"),
            Act::Say("451 later\r\n"),
            Act::Hear("QUIT"),
        ]);
        let (heard, _) = send(script, &[name], body.as_bytes()).await;
        let (_, given) = heard.lines[1].split_once('>').unwrap();
        assert_eq!(given, want);
    }
}

#[tokio::test]
async fn messages_arrive_with_their_dots() {
    let long = |before: usize| [vec![b'x'; before], b"\r\n.y\r\n".to_vec()].concat();
    for (body, want) in [
        (b".".to_vec(), b"..\r\n.\r\n".to_vec()),
        (b"..".to_vec(), b"...\r\n.\r\n".to_vec()),
        (b".a\r\n".to_vec(), b"..a\r\n.\r\n".to_vec()),
        (b"a\r\n.\r\n".to_vec(), b"a\r\n..\r\n.\r\n".to_vec()),
        (Vec::new(), b".\r\n".to_vec()),
        (
            long(4_094),
            [vec![b'x'; 4_094], b"\r\n..y\r\n.\r\n".to_vec()].concat(),
        ),
        (
            long(16_382),
            [vec![b'x'; 16_382], b"\r\n..y\r\n.\r\n".to_vec()].concat(),
        ),
        (
            long(16_383),
            [vec![b'x'; 16_383], b"\r\n..y\r\n.\r\n".to_vec()].concat(),
        ),
        (
            vec![b'x'; 300_000],
            [vec![b'x'; 300_000], b"\r\n.\r\n".to_vec()].concat(),
        ),
    ] {
        let mut script = hello(BARE);
        script.extend(accepted());
        script.extend([Act::Message, Act::Say(OK), Act::Hear("QUIT")]);
        let (heard, done) = send(script, &["ann"], &body).await;
        assert!(heard.messages == [want], "a body of {}", body.len());
        assert_eq!(codes(&done), [Some((Phase::FinalDot, 250))]);
    }
}

fn accepted() -> Vec<Act> {
    vec![
        Act::Hear("MAIL"),
        Act::Say(OK),
        Act::Hear("RCPT"),
        Act::Say(OK),
        Act::Hear("DATA"),
        Act::Say("354 go\r\n"),
    ]
}

#[tokio::test]
async fn the_journal_is_written_after_the_body_and_before_the_dot() {
    let (listener, peer) = listen().await;
    let mut script = hello(BARE);
    script.extend(accepted());
    let body = b"hello there\r\n";
    // The body is read whole without its dot, and the journal fails then: no dot comes.
    script.extend([Act::Read(body.len()), Act::Wait]);
    let recipients = people(&["ann"]);
    let return_path = address("bounce@relay.example.com");
    let client = async {
        let mut session = greet(peer, patient()).await.unwrap();
        let mail = Mail {
            return_path: &return_path,
            recipients: &recipients,
            body,
            smtputf8: false,
        };
        let mut told = Vec::new();
        let done = session
            .transaction(&mail, &mut |places| {
                told.extend_from_slice(places);
                Err(io::Error::other("the journal is full"))
            })
            .await;
        assert!(!session.is_sound());
        (done, told)
    };
    let (_, (done, told)) = tokio::join!(play(&listener, script), client);
    assert!(matches!(done.end, End::NotJournaled(_)), "{done:?}");
    assert_eq!((codes(&done), told), (vec![None], vec![0]));
}

#[tokio::test]
async fn reset_comes_only_after_a_transaction_that_was_not_ended() {
    let (listener, peer) = listen().await;
    let mut script = hello(BARE);
    script.extend(accepted());
    script.extend([Act::Message, Act::Say(OK)]);
    script.extend([
        Act::Hear("MAIL"),
        Act::Say(OK),
        Act::Hear("RCPT"),
        Act::Say("550 no\r\n"),
    ]);
    script.extend([Act::Hear("RSET"), Act::Say(OK)]);
    script.extend(accepted());
    script.extend([Act::Message, Act::Say(OK), Act::Hear("QUIT")]);
    let recipients = people(&["ann"]);
    let return_path = address("bounce@relay.example.com");
    let client = async {
        let mut session = greet(peer, patient()).await.unwrap();
        let mail = Mail {
            return_path: &return_path,
            recipients: &recipients,
            body: b"hi\r\n",
            smtputf8: false,
        };
        let mut answers = Vec::new();
        for _ in 0..3 {
            assert!(session.is_sound());
            let done = session.transaction(&mail, &mut |_| Ok(())).await;
            answers.extend(codes(&done));
        }
        session.quit().await;
        answers
    };
    let (_, answers) = tokio::join!(play(&listener, script), client);
    let taken = Some((Phase::FinalDot, 250));
    assert_eq!(answers, [taken, Some((Phase::RcptTo, 550)), taken]);
}
