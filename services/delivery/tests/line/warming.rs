//! An address that is warmed up: what its attempts hold of a day, and what they give back.

use std::time::Duration;

use postrider_delivery::{Config, Egress, WarmupClass, WarmupConfig, WarmupTable};
use postrider_fakenet::{Act, Gate, Phase, Script};

use crate::place::Place;

const DAY: u32 = 4;

fn new_address(config: &mut Config) {
    let class = WarmupClass {
        providers: vec!["*".to_owned()],
        days: vec![DAY],
    };
    let egress = |name: &str| Egress {
        name: name.to_owned(),
        since: None,
        skip: false,
    };
    config.warmup = Some(WarmupConfig {
        table: WarmupTable::new(&[class]).unwrap(),
        v4: egress("192.0.2.7"),
        v6: egress("2001:db8::7"),
    });
}

#[tokio::test]
async fn what_an_attempt_holds_of_the_day_and_gives_back_is_waited_for_and_not_tomorrow() {
    let place = Place::start_with(new_address).await;
    let gate = Gate::new();
    let hangs = Script::new().once(Phase::Connect, Act::gate(&gate).then(Act::close()));
    place.net.domain("hangs.test").mx(hangs);
    let mut message = place.to(&[
        "a@hangs.test",
        "b@hangs.test",
        "c@hangs.test",
        "d@hangs.test",
    ]);
    // One transaction, which takes the whole day.
    let path = message.recipients[0].return_path.clone();
    for recipient in &mut message.recipients {
        recipient.return_path = path.clone();
    }
    let all = place.commit(message).await;
    gate.reached().await;

    let meanwhile = place.send(&["ann@shop.test", "bob@shop.test"]).await;
    // Its attempt is over: it waits for a moment.
    let waits = "postrider_delivery_waiting_recipients{cause=\"warm_up\",state=\"queued\"}";
    let resting = async || (place.node().metric(waits) == 2).then_some(());
    place.until(resting).await;
    assert!(place.events(&meanwhile).await.is_empty());
    gate.open();
    place.results(&all, 4).await;
    place.clock.advance(Duration::from_mins(1));
    let mut words = place.words(&meanwhile, 2).await;
    words.sort();
    assert_eq!(words, ["ann delivered 250", "bob delivered 250"]);

    // What is really sent is gone for the day.
    let over = place
        .send(&["a@shop.test", "b@shop.test", "c@shop.test"])
        .await;
    let mut words = place.words(&over, 3).await;
    words.sort();
    assert_eq!(words, ["a delivered 250", "b delivered 250", "c deferred"]);
    place.stop().await;
}
