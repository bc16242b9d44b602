//! Mailboxes that are not there: a tenant's mail does not go to them again for a while.

use std::time::Duration;

use postrider_fakenet::Script;
use postrider_model::{EmailAddress, Stream};
use postrider_store::{Mail, Suppressions};

use crate::place::Place;

#[tokio::test]
async fn who_is_not_there_is_not_written_to_for_a_month_and_others_are() {
    let place = Place::start().await;
    let script = Script::new()
        .recipient("gone@some.test", "550 5.1.1 no such user")
        .recipient("refused@some.test", "550 5.7.1 not from you")
        .recipient("full@some.test", "452 4.2.2 full");
    place.net.domain("some.test").mx(script);
    place.net.domain("null.test").null_mx();
    let to = [
        "gone@some.test",
        "refused@some.test",
        "full@some.test",
        "ann@null.test",
    ];
    let sent = place.send(&to).await;
    place.results(&sent, 4).await;
    let asked: Vec<EmailAddress> = to.iter().map(|to| to.parse().unwrap()).collect();
    let missing = async |days: u64| {
        let at = place.clock.now().after(Duration::from_hours(24 * days));
        let found = place.store.among(place.tenant, Stream::Bulk, &asked, at);
        let found = found.await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(missing(29).await, ["gone@some.test", "ann@null.test"]);
    assert_eq!(missing(31).await, Vec::<String>::new());
    let usage = place.store.usage(place.tenant, place.clock.now());
    assert_eq!(usage.await.unwrap().hard_bounces, 2);
    place.stop().await;
}
