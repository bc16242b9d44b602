//! An operator's verbs against mail that waits, is under way, or is past its dot.

use std::time::Duration;

use postrider_fakenet::{Act, Gate, Phase, Script};
use postrider_model::{EventKind, RecipientState};
use postrider_store::{Cancelled, ControlVerb, Mail, Scope};

use crate::place::Place;

#[tokio::test]
async fn what_is_under_way_before_the_dot_is_held_and_leaves_when_it_is_released() {
    let place = Place::start().await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::Data, &gate);
    let host = place.net.domain("held.test").mx(script);
    let sent = place.send(&["ann@held.test"]).await;
    gate.reached().await;
    let told = place
        .verb(ControlVerb::Hold, Scope::Tenant(place.tenant))
        .await;
    assert_eq!(told.too_late, []);
    gate.open();
    let recipient = &place.email(&sent).await.recipients[0];
    assert_eq!(recipient.state, RecipientState::Held);
    assert_eq!((recipient.attempts, host.received().len()), (0, 0));
    place
        .verb(ControlVerb::Release, Scope::Message(sent.id))
        .await;
    let words = place.words(&sent, 3).await;
    assert_eq!(words, ["ann held", "ann released", "ann delivered 250"]);
    assert_eq!(host.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn who_is_past_the_dot_is_too_late_to_be_cancelled_and_who_waits_is_cancelled() {
    let place = Place::start_with(|config| config.site_connections = 1).await;
    let gate = Gate::new();
    let script = Script::new().gate(Phase::FinalDot, &gate);
    let host = place.net.domain("late.test").mx(script);
    let first = place.send(&["ann@late.test"]).await;
    gate.reached().await;
    let second = place.send(&["bob@late.test"]).await;
    let scope = Scope::Domain("late.test".parse().unwrap());
    let told = place.verb(ControlVerb::Cancel, scope).await;
    assert_eq!(told.too_late, [first.recipients[0].id]);
    gate.open();
    assert_eq!(place.words(&first, 1).await, ["ann delivered 250"]);
    assert_eq!(place.words(&second, 1).await, ["bob cancelled"]);
    assert_eq!(host.received().len(), 1);
    place.stop().await;
}

#[tokio::test]
async fn a_suspended_domain_gets_nothing_until_it_is_resumed_and_others_get_their_mail() {
    let place = Place::start().await;
    let host = place.net.domain("calm.test").mx(Script::new());
    let other = place.net.domain("busy.test").mx(Script::new());
    let scope = Scope::Domain("calm.test".parse().unwrap());
    let (suspension, _) = place.raise(ControlVerb::Suspend, scope).await;
    let sent = place.send(&["ann@calm.test"]).await;
    let also = place.send(&["bob@busy.test"]).await;
    assert_eq!(place.words(&also, 1).await, ["bob delivered 250"]);
    other.wait_for(1).await;
    let recipient = &place.email(&sent).await.recipients[0];
    assert_eq!(recipient.state, RecipientState::Queued);
    assert_eq!((recipient.attempts, host.connections()), (0, 0));
    place.close(suspension).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    place.stop().await;
}

#[tokio::test]
async fn a_suspension_holds_for_a_node_that_starts_under_it() {
    let place = Place::start().await;
    let host = place.net.domain("calm.test").mx(Script::new());
    let scope = Scope::Tenant(place.tenant);
    let (suspension, _) = place.raise(ControlVerb::Suspend, scope).await;
    let sent = place.send(&["ann@calm.test"]).await;
    place.end_delivery().await;
    let second = place.another("two", |_| ());
    // Somebody else's mail shows that the new node has been past it.
    place.send_as_another(&["bob@calm.test"]).await;
    host.wait_for(1).await;
    assert_eq!(place.email(&sent).await.recipients[0].attempts, 0);
    place.close(suspension).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    second.stop().await;
    place.stop().await;
}

#[tokio::test]
async fn what_waits_for_another_attempt_is_tried_at_once_when_it_is_told_to() {
    let place = Place::start().await;
    let script = Script::new().once(Phase::Rcpt, "451 4.3.0 later");
    place.net.domain("slow.test").mx(script);
    let sent = place.send(&["ann@slow.test"]).await;
    assert_eq!(place.words(&sent, 1).await, ["ann deferred 451"]);
    place
        .verb(ControlVerb::RetryNow, Scope::Message(sent.id))
        .await;
    let words = place.words(&sent, 2).await;
    assert_eq!(words, ["ann deferred 451", "ann delivered 250"]);
    place.stop().await;
}

#[tokio::test]
async fn a_site_that_rests_is_tried_at_once_when_its_mail_is_told_to_go() {
    let place = Place::start_with(|config| config.site_connections = 1).await;
    // Three that reach nobody put the site to rest, a fourth one keeps it there.
    let script = Script::new().times(4, Phase::Connect, Act::close());
    let host = place.net.domain("down.test").mx(script);
    let mut sent = Vec::new();
    for _ in 0..3 {
        let message = place.send(&["ann@down.test"]).await;
        assert_eq!(place.words(&message, 1).await, ["ann deferred"]);
        sent.push(message);
    }
    let domain = Scope::Domain("down.test".parse().unwrap());
    for (scope, results) in [(Scope::Tenant(place.tenant), 4), (domain, 7)] {
        place.verb(ControlVerb::RetryNow, scope).await;
        place
            .until(async || {
                let mut seen = 0;
                for message in &sent {
                    seen += place.events(message).await.len();
                }
                (seen >= results).then_some(())
            })
            .await;
    }
    assert_eq!(host.received().len(), 3);
    place.stop().await;
}

#[tokio::test]
async fn mail_that_a_verb_did_not_come_to_goes_on_when_it_is_closed() {
    let place = Place::start().await;
    let host = place.net.domain("left.test").mx(Script::new());
    // Raised and never enacted: who raised it died.
    let scope = Scope::Tenant(place.tenant);
    let (control, _) = place.raise(ControlVerb::Hold, scope).await;
    let sent = place.send(&["ann@left.test"]).await;
    place.send_as_another(&["bob@left.test"]).await;
    host.wait_for(1).await;
    assert_eq!(place.events(&sent).await, []);
    place.close(control).await;
    assert_eq!(place.words(&sent, 1).await, ["ann delivered 250"]);
    assert_eq!(
        place.node().metric("postrider_delivery_sweep_found_total"),
        0
    );
    place.stop().await;
}

#[tokio::test]
async fn a_scheduled_message_leaves_at_its_time_and_one_that_was_taken_back_never() {
    let place = Place::start().await;
    let host = place.net.domain("then.test").mx(Script::new());
    let mut messages = [place.to(&["ann@then.test"]), place.to(&["bob@then.test"])];
    for message in &mut messages {
        message.due_at = message.accepted_at.after(Duration::from_mins(1));
    }
    let [kept, taken_back] = messages;
    let (kept, taken_back) = (place.commit(kept).await, place.commit(taken_back).await);
    let also = place.send(&["cid@then.test"]).await;
    assert_eq!(place.words(&also, 1).await, ["cid delivered 250"]);
    let (tenant, now) = (place.tenant, place.clock.now());
    let done = Mail::cancel(&place.store, tenant, taken_back.id, now).await;
    assert_eq!(done.unwrap(), Cancelled::Done);
    place.clock.advance(Duration::from_secs(61));
    assert_eq!(place.words(&kept, 1).await, ["ann delivered 250"]);
    let last = place.send(&["dan@then.test"]).await;
    assert_eq!(place.words(&last, 1).await, ["dan delivered 250"]);
    let kinds: Vec<_> = place.events(&taken_back).await;
    let kinds: Vec<_> = kinds.iter().map(|stored| stored.event.kind).collect();
    assert!(!kinds.contains(&EventKind::Delivered), "{kinds:?}");
    assert_eq!(host.received().len(), 3);
    place.stop().await;
}
