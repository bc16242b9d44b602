//! A key that is suspended, and the mail that came in by it.

use super::{LATER, put_off};
use crate::harness::{Inside, until};

#[tokio::test]
async fn a_suspended_keys_mail_waits_and_that_of_its_siblings_goes_on() {
    let relay = Inside::start().await;
    let place = relay.place.clone();
    let made = relay.command(&["key", "create", &place.tenant]).await;
    let word = |name: &str| made[name].as_str().unwrap();
    let till = place.as_tenant(word("api_key"), &place.tenant);
    let known = async || (till.get("/usage").await.status == 200).then_some(());
    until("the new key is known", known).await;
    let held = put_off(&relay, &till, "ann@till.test").await;
    let free = put_off(&relay, &place, "ann@office.test").await;

    relay.command(&["key", "suspend", word("id")]).await;
    let shut = async || (till.get("/usage").await.status == 403).then_some(());
    until("the key opens no door", shut).await;
    relay.advance(LATER);
    let timeline = place.settled(&free).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@till.test"), 0);
    let relay = relay.restart().await;
    relay.advance(LATER);
    relay.others_go_on().await;
    assert_eq!(relay.came("ann@till.test"), 0);

    let place = relay.place.clone();
    relay.command(&["key", "resume", word("id")]).await;
    let timeline = place.settled(&held).await;
    assert_eq!(timeline.outcomes(), ["accepted", "deferred", "delivered"]);
    relay.stop().await;
}
