//! Letters to reply addresses: how many go to one mailbox, and how soon.

use std::time::Duration;

use super::Ports;
use super::fixture::{DAY, add_tenant, address, at};
use super::replies::{CAPS, WEEK, generation, known, observe, seen};
use crate::{AskCaps, Letters};

pub async fn so_many_letters_a_day_go_to_one_mailbox(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let minutes = |count: u64| at(0).after(Duration::from_mins(count));
    let caps = AskCaps {
        pause: Duration::from_mins(10),
        letters_per_day: 3,
        ..CAPS
    };
    for (tenant, after, asks, why) in [
        (tenant, 0, true, "the first"),
        (tenant, 9, false, "too soon"),
        (other, 10, true, "the second, for another tenant"),
        (tenant, 20, true, "the third"),
        (tenant, 60, false, "enough of it today"),
        (other, 90, false, "whoever asks"),
    ] {
        let seen = seen(tenant, "joe@example.org", minutes(after));
        let observed = ports.directory.observe_reply_address(seen, caps).await;
        assert_eq!(observed.expect("an answer").ask, asks, "{why}");
    }
    let operators = AskCaps {
        letters_per_day: 0,
        ..caps
    };
    let seen_at = |at| seen(tenant, "joe@example.org", at);
    let again = ports
        .directory
        .observe_reply_address(seen_at(minutes(100)), operators);
    assert!(again.await.expect("an answer").ask, "without that bound");
    let tomorrow = at(0).next_day().after(Duration::from_mins(1));
    let next = ports
        .directory
        .observe_reply_address(seen_at(tomorrow), caps);
    assert!(next.await.expect("an answer").ask, "another day");
}

pub async fn who_does_not_answer_is_left_in_peace_after_some_letters(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let caps = AskCaps {
        pause: Duration::from_mins(10),
        letters_per_day: 3,
        letters_in_a_row: 5,
        ..CAPS
    };
    let day = |count: u32| at(0).after(count * DAY);
    let mut asked = Vec::new();
    for count in 0..9 {
        let seen = seen(tenant, "joe@example.org", day(count));
        let observed = ports.directory.observe_reply_address(seen, caps).await;
        if observed.expect("an answer").ask {
            asked.push(count);
        }
    }
    let (joe, zoe) = (address("JOE@example.org"), address("zoe@example.org"));
    let found = ports.enrolments.letters_to(&joe);
    let want = Letters {
        last_at: day(4),
        that_day: 1,
        in_a_row: 5,
    };
    assert_eq!(found.await.expect("an answer"), Some(want));
    let nobody = ports.enrolments.letters_to(&zoe);
    assert_eq!(nobody.await.expect("an answer"), None);
    // The sixth would have come on the day behind the fifth, which was that of 4.
    assert_eq!(asked, [0, 1, 2, 3, 4]);
    let rested = seen(tenant, "joe@example.org", day(4).after(WEEK));
    let again = ports.directory.observe_reply_address(rested, caps).await;
    assert!(again.expect("an answer").ask, "after the pause");
    let next = seen(tenant, "joe@example.org", day(5).after(WEEK));
    let next = ports.directory.observe_reply_address(next, caps).await;
    assert!(next.expect("an answer").ask, "and it begins anew");
}

pub async fn a_letter_that_did_not_come_to_be_leaves_those_before_it_counted(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (text, mailbox) = ("zoe@example.org", address("zoe@example.org"));
    let caps = AskCaps {
        pause: Duration::from_mins(10),
        letters_per_day: 3,
        ..CAPS
    };
    let minutes = |count: u64| at(0).after(Duration::from_mins(count));
    let ask = async |count| {
        let seen = seen(tenant, text, minutes(count));
        let observed = ports.directory.observe_reply_address(seen, caps).await;
        observed.expect("an answer").ask
    };
    assert!(ask(0).await && ask(10).await && ask(20).await);
    let back = ports.directory.take_back_asking(&mailbox, minutes(20));
    back.await.expect("an answer");
    let found = known(ports, tenant, text).await.expect("the address");
    assert_eq!(found.asked_at, Some(minutes(10)), "the one before");
    assert_eq!(found.told_at, Some(minutes(10)), "it was the tenant's own");
    assert!(!ask(19).await, "ten minutes after that one");
    assert!(ask(21).await, "it may be tried again");
    assert!(!ask(60).await, "and is the third");
    let found = ports.enrolments.letters_to(&mailbox).await;
    let want = Letters {
        last_at: minutes(21),
        that_day: 3,
        in_a_row: 3,
    };
    assert_eq!(found.expect("an answer"), Some(want));
}

pub async fn a_letter_that_did_not_come_to_be_may_be_tried_again(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let (text, mailbox) = ("zoe@example.org", address("ZOE@example.org"));
    observe(ports, seen(tenant, text, at(0))).await;
    observe(ports, seen(other, text, at(1))).await;
    let take_back = |at| ports.directory.take_back_asking(&mailbox, at);
    // What was noted at another time stands.
    let before = generation(ports).await;
    take_back(at(1)).await.expect("an answer");
    assert_eq!(generation(ports).await, before);
    assert!(!observe(ports, seen(tenant, text, at(2))).await.ask);
    take_back(at(0)).await.expect("an answer");
    assert!(generation(ports).await > before);
    for tenant in [tenant, other] {
        let found = known(ports, tenant, text).await.expect("the address");
        assert_eq!((found.asked_at, found.told_at), (None, None));
    }
    let again = observe(ports, seen(other, text, at(3))).await;
    assert!(again.ask, "whoever is first");
    assert_eq!(again.address.and_then(|a| a.asked_at), Some(at(3)));
    assert!(!observe(ports, seen(tenant, text, at(4))).await.ask);
}

pub async fn a_letter_taken_back_is_none_of_the_tenants_own(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let (text, mailbox) = ("zoe@example.org", address("zoe@example.org"));
    let week = |count: u32| at(0).after(count * WEEK);
    for (tenant, count) in [(tenant, 0), (other, 1), (tenant, 2)] {
        let asked = observe(ports, seen(tenant, text, week(count))).await;
        assert!(asked.ask, "{count}");
        assert_eq!(asked.address.and_then(|a| a.told_at), Some(week(count)));
    }
    let back = ports.directory.take_back_asking(&mailbox, week(2));
    back.await.expect("an answer");
    for (tenant, own) in [(tenant, 0), (other, 1)] {
        let found = known(ports, tenant, text).await.expect("the address");
        assert_eq!(found.asked_at, Some(week(1)), "for whichever tenant");
        assert_eq!(found.told_at, Some(week(own)), "for its own");
    }
}
