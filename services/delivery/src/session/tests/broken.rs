//! Lines that break, phase by phase, and what is known then.

use super::*;

const OK: &str = "250 ok\r\n";

/// The script up to and without the reply to this step (0 is MAIL, 4 is the dot's).
fn until(step: usize) -> Vec<Act> {
    let steps: [fn() -> Vec<Act>; 5] = [
        || vec![Act::Hear("MAIL")],
        || vec![Act::Say(OK), Act::Hear("RCPT")],
        || vec![Act::Say(OK), Act::Hear("RCPT")],
        || vec![Act::Say("550 5.1.1 no\r\n"), Act::Hear("DATA")],
        || vec![Act::Say("354 go\r\n"), Act::Message],
    ];
    let mut script = hello(BARE);
    script.extend(steps.iter().take(step + 1).flat_map(|acts| acts()));
    script
}

#[tokio::test]
async fn a_line_that_breaks_before_the_dot_is_no_delivery_and_after_it_nobody_knows() {
    let limit = Duration::from_millis(100);
    let hasty = Timeouts {
        mail: limit,
        rcpt: limit,
        data: limit,
        final_dot: limit,
        ..patient()
    };
    for (step, phase) in ["MAIL FROM", "RCPT TO", "RCPT TO", "DATA", ""]
        .iter()
        .enumerate()
    {
        for (last, cause) in [
            (vec![], "Closed"),
            (vec![Act::Say("25")], "Closed"),
            (vec![Act::Wait], "TimedOut"),
            (vec![Act::Drip("250-x\r\n", limit / 20)], "TimedOut"),
            (vec![Act::Flood("250-x\r\n".to_owned())], "TooLong"),
            (vec![Act::Say("what?\r\n"), Act::Wait], "Garbage"),
            (vec![Act::Say("250-a\r\n354 b\r\n"), Act::Wait], "Garbage"),
        ] {
            let mut script = until(step);
            script.extend(last);
            let names = ["ann", "bob"];
            let (_, done) = send_within(hasty.clone(), script, &names, b"hi\r\n").await;
            let want = if step == 4 {
                format!("Ambiguous {cause}")
            } else {
                format!("Broken {phase} {cause}")
            };
            assert_eq!(ended(&done), want);
            let refused = (step > 2).then_some((Phase::RcptTo, 550));
            assert_eq!(codes(&done), [None, refused]);
        }
    }
}

#[tokio::test]
async fn a_flight_that_breaks_keeps_the_refusals_that_came() {
    let mut script = hello(PIPELINING);
    script.extend([
        Act::Hear("MAIL"),
        Act::Hear("RCPT"),
        Act::Hear("RCPT"),
        Act::Hear("DATA"),
        Act::Say("250 ok\r\n550 5.1.1 no\r\n250 ok\r\n"),
    ]);
    let (_, done) = send(script, &["ann", "bob"], b"hi\r\n").await;
    assert_eq!(ended(&done), "Broken DATA Closed");
    assert_eq!(codes(&done), [Some((Phase::RcptTo, 550)), None]);
}

#[tokio::test]
async fn a_reply_that_came_unasked_is_not_taken_for_the_one_to_the_dot() {
    let mut script = hello(PIPELINING);
    script.extend([
        Act::Hear("MAIL"),
        Act::Hear("RCPT"),
        Act::Hear("DATA"),
        Act::Say("250 ok\r\n250 ok\r\n354 go\r\n250 delivered, believe me\r\n"),
        Act::Wait,
    ]);
    let (heard, done) = send(script, &["ann"], b"hi\r\n").await;
    assert_eq!(ended(&done), "Broken message text Unasked");
    assert_eq!(codes(&done), [None]);
    assert!(heard.messages.is_empty());
}

#[tokio::test]
async fn a_host_that_stops_reading_is_left_at_the_deadline_of_the_block() {
    let (listener, peer) = listen().await;
    let mut script = until(3);
    script.push(Act::Say("354 go\r\n"));
    let limit = Duration::from_millis(200);
    let timeouts = Timeouts {
        data_block: limit,
        ..patient()
    };
    let recipients = people(&["ann", "bob"]);
    let return_path = address("bounce@relay.example.com");
    // More than the buffers of both sides.
    let body = vec![b'x'; 32 << 20];
    let (left, over) = tokio::sync::oneshot::channel();
    script.push(Act::Stall(over));
    let client = async {
        let mut session = greet(peer, timeouts).await.unwrap();
        let mail = Mail {
            return_path: &return_path,
            recipients: &recipients,
            body: &body,
            smtputf8: false,
        };
        let start = Instant::now();
        let done = session.transaction(&mail, &mut |_| Ok(())).await;
        left.send(()).unwrap();
        (done, start.elapsed())
    };
    let (_, (done, took)) = tokio::join!(play(&listener, script), client);
    assert_eq!(ended(&done), "Broken message text TimedOut");
    assert!(took >= limit && took < limit * 20, "{took:?}");
}

#[tokio::test]
async fn a_host_that_hangs_up_in_the_middle_of_the_message_has_not_got_it() {
    let mut script = until(3);
    script.extend([Act::Say("354 go\r\n"), Act::Read(1_000)]);
    let body = vec![b'x'; 32 << 20];
    let (_, done) = send(script, &["ann", "bob"], &body).await;
    assert!(
        ended(&done).starts_with("Broken message text"),
        "{}",
        ended(&done)
    );
}

#[tokio::test]
async fn the_whole_transaction_has_a_deadline_of_its_own() {
    let timeouts = Timeouts {
        transaction: Duration::from_millis(100),
        ..patient()
    };
    let mut script = until(0);
    script.push(Act::Wait);
    let (_, done) = send_within(timeouts, script, &["ann", "bob"], b"hi\r\n").await;
    assert_eq!(ended(&done), "Broken MAIL FROM TimedOut");
}
