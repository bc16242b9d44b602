//! What remotes do, and what it comes to: one line per script.

use std::time::Duration;

use postrider_fakenet::{Act, Phase, Script};
use postrider_model::EventKind;

use crate::node::hasty;
use crate::place::Place;

const DRIP: Duration = Duration::from_millis(30);

fn each_phase() -> [(Phase, &'static str); 8] {
    [
        (Phase::Connect, "greeting"),
        (Phase::Ehlo, "EHLO"),
        (Phase::Starttls, "STARTTLS"),
        (Phase::Handshake, "TLS handshake"),
        (Phase::MailFrom, "MAIL FROM"),
        (Phase::Rcpt, "RCPT TO"),
        (Phase::Data, "DATA"),
        (Phase::FinalDot, "end of the message"),
    ]
}

/// A remote that does this in each phase in turn: the first result.
async fn in_each_phase(act: impl Fn() -> Act) {
    let place = Place::start_with(hasty).await;
    let mut sent = Vec::new();
    for (number, (phase, name)) in each_phase().into_iter().enumerate() {
        let zone = place.net.domain(&format!("d{number}.test"));
        zone.mx(Script::new().always(phase, act()));
        let message = place.send(&[&format!("ann@d{number}.test")]).await;
        sent.push((phase, name, message));
    }
    for (phase, name, message) in sent {
        let events = place.results(&message, 1).await;
        let event = &events[0].event;
        let want = match phase {
            Phase::FinalDot => EventKind::Ambiguous,
            _ => EventKind::Deferred,
        };
        assert_eq!(event.kind, want, "{phase:?}: {event:?}");
        let note = event.note.clone().unwrap_or_default();
        // What is said in the clear before the handshake may come with the reply to STARTTLS.
        let early = phase == Phase::Handshake && note.starts_with("STARTTLS: the remote spoke");
        assert!(note.contains(name) || early, "{phase:?}: {note}");
        assert!(event.mx.is_some(), "{phase:?}: {event:?}");
        assert!(event.duration.is_some(), "{phase:?}: {event:?}");
    }
    place.stop().await;
}

#[tokio::test]
async fn a_remote_that_falls_silent_is_given_up_in_every_phase() {
    in_each_phase(Act::hang).await;
}

#[tokio::test]
async fn a_remote_that_hangs_up_is_told_from_one_that_may_have_the_message() {
    in_each_phase(Act::close).await;
}

#[tokio::test]
async fn a_line_that_is_reset_is_told_from_one_that_may_have_the_message() {
    in_each_phase(Act::reset).await;
}

#[tokio::test]
async fn a_drip_keeps_no_phase_longer_than_its_time() {
    in_each_phase(|| Act::drip(&b"250-never ends and never ends and never ends"[..], DRIP)).await;
}

#[tokio::test]
async fn a_reply_without_end_keeps_nobody() {
    in_each_phase(|| Act::endless("250-more", Duration::ZERO)).await;
}

#[tokio::test]
async fn forty_lines_are_a_reply_like_another() {
    let place = Place::start().await;
    let script = Script::new()
        .always(Phase::Connect, Act::lines(220, 40))
        .always(Phase::MailFrom, Act::lines(250, 40))
        .always(Phase::Rcpt, Act::lines(250, 40))
        .always(Phase::Data, Act::lines(354, 40));
    place.net.domain("many.test").mx(script);
    let sent = place.send(&["ann@many.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    place.stop().await;
}

#[tokio::test]
async fn garbage_is_never_taken_for_an_answer() {
    in_each_phase(|| Act::raw(&b"\0\xff\xfe<html>\r\n"[..]).then(Act::hang())).await;
}

#[tokio::test]
async fn the_next_exchanger_gets_what_the_first_could_not_take() {
    let place = Place::start().await;
    for (number, act) in [
        Act::close(),
        Act::reply("421 4.3.2 not today"),
        Act::reply("554 5.3.2 no mail here"),
        Act::raw(&b"?\r\n"[..]),
    ]
    .into_iter()
    .enumerate()
    {
        let zone = place.net.domain(&format!("two{number}.test"));
        let first = Script::new().always(Phase::Connect, act);
        zone.add_mx(10, &format!("a.two{number}.test"), first);
        let second = zone.add_mx(20, &format!("b.two{number}.test"), Script::new());
        let sent = place.send(&[&format!("ann@two{number}.test")]).await;
        assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
        assert_eq!(second.received().len(), 1);
    }
    place.stop().await;
}

#[tokio::test]
async fn what_broke_before_the_dot_goes_to_the_next_exchanger_and_after_it_does_not() {
    let place = Place::start().await;
    let zone = place.net.domain("before.test");
    let script = Script::new().during_body(5, Act::reset());
    zone.add_mx(10, "a.before.test", script);
    let second = zone.add_mx(20, "b.before.test", Script::new());
    let mut message = place.to(&["ann@before.test"]);
    // More than the kernel takes before the remote has spoken.
    message.body = vec![b'x'; 16 << 20].into();
    let sent = place.commit(message).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(second.received().len(), 1);

    let zone = place.net.domain("after.test");
    let script = Script::new().once(Phase::FinalDot, Act::record().then(Act::reset()));
    let first = zone.add_mx(10, "a.after.test", script);
    let second = zone.add_mx(20, "b.after.test", Script::new());
    let sent = place.send(&["ann@after.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann ambiguous"]);
    assert_eq!(second.received().len(), 0);
    place.clock.advance(Duration::from_mins(6));
    let words = place.words(&sent, 2).await;
    assert_eq!(words, ["ann ambiguous", "ann delivered 250"]);
    assert_eq!(first.received().len(), 2, "the double has its event");
    place.stop().await;
}

#[tokio::test]
async fn broken_tls_defers_first_and_is_done_without_later() {
    let place = Place::start().await;
    let script = Script::new().always(Phase::Handshake, Act::raw(&b"not TLS at all\r\n"[..]));
    let host = place.net.domain("liar.test").mx(script);
    let sent = place.send(&["ann@liar.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann deferred"]);
    place.clock.advance(Duration::from_mins(6));
    assert_eq!(place.words(&sent, 2).await[1], "ann delivered 250");
    assert_eq!(host.received()[0].tls, None);
    place.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    let place = Place::start().await;
    let host = place.net.domain("reuse.test").mx(Script::new());
    for _ in 0..20 {
        let sent = place.send(&["ann@reuse.test"]).await;
        assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    }
    assert_eq!(host.connections(), 1);
    place.stop().await;
}

#[tokio::test]
async fn a_kept_connection_that_says_421_is_replaced_at_once() {
    let place = Place::start().await;
    let script = Script::new()
        .once(Phase::MailFrom, Act::usual())
        .once(Phase::MailFrom, "421 4.4.2 idle for too long");
    let host = place.net.domain("tired.test").mx(script);
    for _ in 0..2 {
        let sent = place.send(&["ann@tired.test"]).await;
        assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    }
    assert_eq!(host.connections(), 2);
    place.stop().await;
}
