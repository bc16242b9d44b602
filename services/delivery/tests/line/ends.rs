//! How recipients end, each by its own answer.

use std::time::Duration;

use postrider_fakenet::{Act, Gate, Phase, Script};
use postrider_model::{
    EmailAddress, EventKind, RecipientState, Suppression, SuppressionId, SuppressionReason,
    TenantStatus, WaitCause,
};
use postrider_store::Suppressions as _;

use crate::place::Place;

#[tokio::test]
async fn three_recipients_of_one_message_have_three_answers() {
    let place = Place::start().await;
    let script = Script::new()
        .recipient("bob@mixed.test", "550 5.1.1 no such user")
        .recipient("cid@mixed.test", "451 4.3.0 later");
    place.net.domain("mixed.test").mx(script);
    let mut message = place.to(&["ann@mixed.test", "bob@mixed.test", "cid@mixed.test"]);
    let path = message.recipients[0].return_path.clone();
    for recipient in &mut message.recipients {
        recipient.return_path = path.clone();
    }
    let sent = place.commit(message).await;
    let mut words = place.words(&sent, 3).await;
    words.sort();
    assert_eq!(
        words,
        ["ann delivered 250", "bob bounced 550", "cid deferred 451"]
    );
    let email = place.email(&sent).await;
    let states: Vec<_> = email.recipients.iter().map(|r| r.state).collect();
    assert_eq!(
        states,
        [
            RecipientState::Delivered,
            RecipientState::Failed,
            RecipientState::Queued
        ]
    );
    place.stop().await;
}

#[tokio::test]
async fn who_unsubscribes_while_mail_waits_does_not_get_it() {
    let place = Place::start().await;
    let host = place.net.domain("left.test").mx(Script::new());
    let mut late = place.to(&["Ann@left.test", "bob@left.test"]);
    late.accepted_at = late.accepted_at.before(Duration::from_hours(1));
    let suppression = Suppression {
        id: SuppressionId::from_bytes([7; 16]),
        tenant: place.tenant,
        address: EmailAddress::parse("ann@left.test").unwrap(),
        stream: None,
        reason: SuppressionReason::Unsubscribe,
        source: "the page".to_owned(),
        since: late.accepted_at,
        until: None,
    };
    let written = place.store.suppress(place.tenant, vec![suppression]).await;
    assert_eq!(written.unwrap().len(), 1);
    let sent = place.commit(late).await;
    let mut words = place.words(&sent, 2).await;
    words.sort();
    assert_eq!(words, ["Ann suppressed", "bob delivered 250"]);
    let email = place.email(&sent).await;
    let ann = &email.recipients[0];
    assert_eq!((ann.state, ann.attempts), (RecipientState::Suppressed, 0));
    assert_eq!(host.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn an_event_tells_who_answered_what_over_which_tls_and_how_long_it_took() {
    let place = Place::start().await;
    let script = Script::new().once(Phase::FinalDot, Act::reply("250 2.0.0 kept\nas 42"));
    place.net.domain("full.test").mx(script);
    let sent = place.send(&["ann@full.test"]).await;
    let events = place.results(&sent, 1).await;
    let event = &events[0].event;
    assert_eq!((event.kind, event.attempt), (EventKind::Delivered, 1));
    let reply = event.reply.as_ref().unwrap();
    assert_eq!(reply.code, 250);
    assert!(reply.text.contains("kept"), "{reply:?}");
    assert_eq!(event.mx.as_ref().unwrap().host, "mx.full.test");
    assert_eq!(event.tls.as_ref().unwrap().version, "TLSv1.3");
    assert!(!event.tls.as_ref().unwrap().cipher.is_empty());
    assert!(event.duration.is_some());
    assert_eq!((event.cause, event.note.as_ref()), (None, None));
    place.stop().await;
}

#[tokio::test]
async fn domains_without_a_way_end_or_wait_by_why() {
    let place = Place::start().await;
    place.net.domain("no.test").nxdomain();
    place.net.domain("null.test").null_mx();
    place
        .net
        .domain("inside.test")
        .addresses(&["10.0.0.1".parse().unwrap()]);
    place.net.domain("ill.test").servfail();
    place
        .net
        .domain("nowhere.test")
        .mx_records(&[(10, "gone.nowhere.test")]);
    place.net.domain("gone.nowhere.test").nxdomain();
    for (domain, kind, code) in [
        ("no.test", EventKind::Bounced, "5.1.2"),
        ("null.test", EventKind::Bounced, "5.1.10"),
        ("inside.test", EventKind::Bounced, "5.4.4"),
        ("ill.test", EventKind::Deferred, "4.4.3"),
        ("nowhere.test", EventKind::Deferred, "4.4.4"),
    ] {
        let sent = place.send(&[&format!("ann@{domain}")]).await;
        let events = place.results(&sent, 1).await;
        let event = &events[0].event;
        let note = event.note.clone().unwrap_or_default();
        assert_eq!(event.kind, kind, "{domain}: {note}");
        assert!(note.starts_with(code), "{domain}: {note}");
        if kind == EventKind::Deferred {
            assert_eq!(event.cause, Some(WaitCause::NoRoute));
        }
    }
    place.stop().await;
}

#[tokio::test]
async fn too_many_recipients_go_in_further_transactions_at_once() {
    let place = Place::start().await;
    let script = Script::new().times(3, Phase::Rcpt, Act::usual()).times(
        4,
        Phase::Rcpt,
        "452 4.5.3 too many",
    );
    let host = place.net.domain("few.test").mx(script);
    let to: Vec<String> = (0..7).map(|n| format!("r{n}@few.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut message = place.to(&to);
    let path = message.recipients[0].return_path.clone();
    for recipient in &mut message.recipients {
        recipient.return_path = path.clone();
    }
    let sent = place.commit(message).await;
    let words = place.words(&sent, 7).await;
    assert!(
        words.iter().all(|w| w.ends_with("delivered 250")),
        "{words:?}"
    );
    assert_eq!((host.received().len(), host.connections()), (2, 1));
    place.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_past_its_time_even_where_a_host_was_slow() {
    let place = Place::start().await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::Data, &gate);
    let zone = place.net.domain("late.test");
    let first = zone.add_mx(10, "a.late.test", script);
    let second = zone.add_mx(20, "b.late.test", Script::new());
    let mut message = place.to(&["ann@late.test"]);
    message.expires_at = message.accepted_at.after(Duration::from_mins(10));
    let sent = place.commit(message).await;
    gate.reached().await;
    place.clock.advance(Duration::from_mins(11));
    gate.open();
    assert_eq!(place.words(&sent, 1).await, ["ann expired"]);
    assert_eq!(first.received().len() + second.received().len(), 0);
    place.stop().await;
}

#[tokio::test]
async fn a_suspended_tenants_mail_waits_and_leaves_when_it_is_resumed() {
    let place = Place::start().await;
    let host = place.net.domain("calm.test").mx(Script::new());
    place.set_status(TenantStatus::Suspended).await;
    let sent = place.send(&["ann@calm.test"]).await;
    // Somebody else's mail shows that the runner has been past it.
    place.send_as_another(&["bob@calm.test"]).await;
    host.wait_for(1).await;
    assert_eq!(place.email(&sent).await.recipients[0].attempts, 0);
    place.set_status(TenantStatus::Active).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(host.received().len(), 2);
    place.stop().await;
}

#[tokio::test]
async fn a_host_that_takes_no_message_so_large_ends_it_but_its_backup_is_asked() {
    let place = Place::start().await;
    let zone = place.net.domain("small.test");
    zone.add_mx(10, "a.small.test", Script::new().size(100));
    let backup = zone.add_mx(20, "b.small.test", Script::new());
    let mut large = place.to(&["ann@small.test"]);
    large.body = vec![b'x'; 4_000].into();
    let sent = place.commit(large.clone()).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(backup.received().len(), 1);

    // The backup is away: what the best host says stands.
    let zone = place.net.domain("tiny.test");
    zone.add_mx(10, "a.tiny.test", Script::new().size(100));
    let away = Script::new().always(Phase::Connect, Act::close());
    zone.add_mx(20, "b.tiny.test", away);
    let mut large = place.to(&["ann@tiny.test"]);
    large.body = vec![b'x'; 4_000].into();
    let sent = place.commit(large).await;
    let events = place.results(&sent, 1).await;
    assert_eq!(events[0].event.kind, EventKind::Bounced);
    let note = events[0].event.note.clone().unwrap_or_default();
    assert!(note.starts_with("5.3.4"), "{note}");
    place.stop().await;
}

#[tokio::test]
async fn a_null_mx_among_others_is_passed_over() {
    let place = Place::start().await;
    place.net.domain("odd.test").mx(Script::new());
    let records = [(0, "."), (10, "mx.odd.test")];
    place.net.domain("odd.test").mx_records(&records);
    let sent = place.send(&["ann@odd.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    place.stop().await;
}

#[tokio::test]
async fn a_stop_before_the_dot_sends_nothing_and_keeps_the_mail() {
    let place = Place::start().await;
    let gate = Gate::new();
    let host = place
        .net
        .domain("half.test")
        .mx(Script::new().gate(Phase::Data, &gate));
    let sent = place.send(&["ann@half.test"]).await;
    gate.reached().await;
    place.end_delivery().await;
    gate.open();
    assert_eq!(host.received().len(), 0);
    assert_eq!(place.events(&sent).await, []);
    let state = place.email(&sent).await.recipients[0].state;
    assert_eq!(state, RecipientState::Queued);
    place.stop().await;
}

#[tokio::test]
async fn a_stop_after_the_dot_waits_for_the_reply() {
    let place = Place::start().await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    let host = place.net.domain("done.test").mx(script);
    let sent = place.send(&["ann@done.test"]).await;
    gate.reached().await;
    place.begin_to_stop();
    gate.open();
    place.end_delivery().await;
    assert_eq!(host.received().len(), 1);
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    place.stop().await;
}

#[tokio::test]
async fn an_end_whose_words_cannot_be_recorded_is_one_all_the_same() {
    let place = Place::start().await;
    let host = place.net.domain("odd.test").mx(Script::new());
    place.node().queue.take_no_words(true);
    let sent = place.send(&["ann@odd.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered"]);
    let state = place.email(&sent).await.recipients[0].state;
    assert_eq!(state, RecipientState::Delivered);
    assert_eq!(host.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn a_stop_that_cuts_off_the_wait_for_a_reply_tells_of_the_doubt() {
    let place = Place::start().await;
    place.end_delivery().await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    place.net.domain("cut.test").mx(script);
    let hasty = place.another_in_a_hurry("two", Duration::from_millis(50));
    let sent = place.send(&["ann@cut.test"]).await;
    gate.reached().await;
    hasty.stop().await;
    assert_eq!(place.words(&sent, 1).await, ["ann ambiguous"]);
    gate.open();
    // Whoever has its shard next sends it again.
    let next = place.another("three", |_| ());
    let words = place.words(&sent, 2).await;
    assert_eq!(words, ["ann ambiguous", "ann delivered 250"]);
    next.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn all_refused_and_354_all_the_same_sends_no_message() {
    let place = Place::start().await;
    let script = Script::new()
        .always(Phase::Rcpt, "550 5.1.1 nobody")
        .always(Phase::Data, "354 go on");
    let host = place.net.domain("eager.test").mx(script);
    let sent = place.send(&["ann@eager.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann bounced 550"]);
    assert_eq!(host.received().len(), 0);
    place.stop().await;
}
