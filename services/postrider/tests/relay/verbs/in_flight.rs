//! A verb and an attempt at the same moment: before the final dot the verb wins, behind it the
//! verb is too late and says so.

use postrider_fakenet::{Act, Gate, Phase, Script};
use serde_json::json;

use super::{LATER, changed, queue, recipient};
use crate::harness::Inside;

/// A relay with an attempt that stands still in this phase.
async fn standing_in(phase: Phase) -> (Inside, Gate, String) {
    let relay = Inside::start().await;
    let gate = Gate::new();
    relay
        .net
        .domain("slow.test")
        .mx(Script::new().gate(phase, &gate));
    let id = relay.place.send_to("ann@slow.test").await;
    gate.reached().await;
    (relay, gate, id)
}

#[tokio::test]
async fn what_is_cancelled_before_the_dot_never_arrives() {
    for phase in [Phase::Connect, Phase::Rcpt, Phase::Data] {
        let (relay, gate, id) = standing_in(phase).await;
        assert_eq!(
            changed(&relay, "cancel", "message", &id).await,
            1,
            "{phase:?}"
        );
        gate.open();
        relay.others_go_on().await;
        let timeline = relay.place.settled(&id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "cancelled"], "{phase:?}");
        relay.advance(LATER);
        relay.others_go_on().await;
        assert_eq!(relay.came("ann@slow.test"), 0, "{phase:?}");
        relay.stop().await;
    }
}

#[tokio::test]
async fn what_is_held_before_the_dot_arrives_once_it_is_released() {
    let (relay, gate, id) = standing_in(Phase::Rcpt).await;
    assert_eq!(changed(&relay, "hold", "domain", "slow.test").await, 1);
    gate.open();
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@slow.test"), 0);
    assert_eq!(recipient(&relay.place, &id).await["state"], "held");
    assert_eq!(changed(&relay, "release", "domain", "slow.test").await, 1);
    let timeline = relay.place.settled(&id).await;
    assert_eq!(
        timeline.outcomes(),
        ["accepted", "held", "released", "delivered"]
    );
    assert_eq!(relay.came("ann@slow.test"), 1);
    relay.stop().await;
}

#[tokio::test]
async fn what_is_suspended_before_the_dot_goes_on_when_it_is_resumed() {
    let (relay, gate, id) = standing_in(Phase::Rcpt).await;
    queue(&relay, "suspend", "domain", "slow.test").await;
    gate.open();
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@slow.test"), 0);
    queue(&relay, "resume", "domain", "slow.test").await;
    relay.advance(LATER);
    let timeline = relay.place.settled(&id).await;
    assert_eq!(
        timeline.end().unwrap()["type"],
        "delivered",
        "{timeline:#?}"
    );
    assert_eq!(relay.came("ann@slow.test"), 1);
    relay.stop().await;
}

#[tokio::test]
async fn behind_the_dot_a_verb_is_too_late_and_names_the_recipient() {
    for verb in ["cancel", "hold"] {
        let (relay, gate, id) = standing_in(Phase::FinalDot).await;
        let answer = queue(&relay, verb, "tenant", &relay.place.tenant).await;
        assert_eq!(answer["changed"], 0, "{answer}");
        assert_eq!(answer["too_late"].as_array().unwrap().len(), 1, "{answer}");
        gate.open();
        let timeline = relay.place.settled(&id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "delivered"], "{verb}");
        assert_eq!(relay.came("ann@slow.test"), 1, "{verb}");
        relay.stop().await;
    }
}

#[tokio::test]
async fn a_verb_does_not_wait_for_a_remote_that_hangs() {
    let relay = Inside::start().await;
    let hangs = Script::new().always(Phase::Data, Act::hang());
    let remote = relay.net.domain("hangs.test").mx(hangs);
    let place = &relay.place;
    let id = place.send_to("ann@hangs.test").await;
    let waits = place.send_to("bob@hangs.test").await;
    crate::harness::until("both hang", async || {
        (remote.counts().open == 2).then_some(())
    })
    .await;
    assert_eq!(changed(&relay, "cancel", "domain", "hangs.test").await, 2);
    for id in [&id, &waits] {
        let timeline = place.settled(id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "cancelled"]);
        assert_eq!(place.email(id).await["last_event"], json!("canceled"));
    }
    relay.stop().await;
}
