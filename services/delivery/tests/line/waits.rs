//! Each moment of a recipient's life has its cause.

use std::time::Duration;

use postrider_fakenet::{Phase, Script};
use postrider_model::WaitCause;

use crate::place::Place;

#[tokio::test]
async fn what_a_recipient_waited_for_sums_to_its_age() {
    let place = Place::start().await;
    let script = Script::new()
        .once(Phase::Rcpt, "450 4.7.1 greylisted")
        .once(Phase::Rcpt, "451 4.3.0 later");
    place.net.domain("wait.test").mx(script);
    let mut message = place.to(&["ann@wait.test"]);
    message.due_at = message.accepted_at.after(Duration::from_secs(30));
    let sent = place.commit(message).await;
    let also = place.send(&["bob@else.test"]).await;
    place.results(&also, 1).await;
    place.clock.advance(Duration::from_secs(31));
    assert_eq!(place.words(&sent, 1).await, ["ann deferred 450"]);
    place.clock.advance(Duration::from_mins(6));
    place.words(&sent, 2).await;
    place.clock.advance(Duration::from_mins(12));
    assert_eq!(place.words(&sent, 3).await[2], "ann delivered 250");
    let recipient = &place.email(&sent).await.recipients[0];
    let age = recipient.updated_at.since(sent.accepted_at);
    assert_eq!(age, Duration::from_secs(31 + 6 * 60 + 12 * 60));
    assert_eq!(recipient.waits.total(), age, "{:?}", recipient.waits);
    let of = |cause| {
        let mut all = recipient.waits.iter();
        all.find(|(found, _)| *found == cause).map(|(_, span)| span)
    };
    assert!(of(WaitCause::Scheduled) >= Some(Duration::from_secs(30)));
    assert!(of(WaitCause::Greylisting) > Some(Duration::from_mins(4)));
    assert!(of(WaitCause::Retry) > Some(Duration::from_mins(9)));
    place.stop().await;
}
