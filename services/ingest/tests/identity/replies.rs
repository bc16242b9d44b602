//! Reply addresses: asked once, and never used before they said yes.

use std::time::Duration;

use postrider_gate::{AskOutcome, Caller, LinkError};
use postrider_model::{
    EventKind, MessageId, ReplyStatus, Suppression, SuppressionId, SuppressionReason, Tenant,
};
use postrider_store::{Directory, Mail, Suppressions, TenantChange};

use crate::harness::{House, address};

const TO: &[&str] = &["customer@example.org"];

async fn send_from(house: &House, caller: &Caller, from: &str) -> MessageId {
    let raw = format!("From: Ann <{from}>\nSubject: x\n\ny\n");
    let sent = house.send(caller, TO, &raw).await;
    sent.unwrap().id().unwrap()
}

async fn reply_to(house: &House, tenant: &Tenant, id: MessageId) -> Vec<String> {
    house.email(tenant.id, id).await.summary.reply_to
}

#[tokio::test]
async fn an_unknown_address_is_asked_and_used_once_it_says_yes() {
    let mut house = House::start().await;
    house.run();
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let id = send_from(&house, &caller, "ann@elsewhere.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["joe@joesgarage.example"]
    );
    let text = house.text(tenant.id, id).await;
    assert!(!text.contains("ann@elsewhere.example"), "{text}");
    let events = house.events(tenant.id, id).await;
    let replaced = events
        .iter()
        .find(|event| event.kind == EventKind::ReplyToReplaced);
    let note = replaced.unwrap().note.clone().unwrap();
    assert!(note.contains("ann@elsewhere.example"), "{note}");

    let letters = house.letters(1).await;
    let (to, token) = &letters[0];
    assert_eq!(to, "ann@elsewhere.example");
    // A look changes nothing.
    let link = house.gate.reply_link(token).unwrap();
    assert_eq!(link.status, ReplyStatus::Unconfirmed);
    let id = send_from(&house, &caller, "ann@elsewhere.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["joe@joesgarage.example"]
    );
    for _ in 0..2 {
        let link = house.gate.confirm(token).await.unwrap();
        assert_eq!(link.status, ReplyStatus::Confirmed);
    }
    let id = send_from(&house, &caller, "ann@elsewhere.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["ann@elsewhere.example"]
    );
    house.letters(1).await;
    house.clock.advance(Duration::from_hours(31 * 24));
    assert!(matches!(
        house.gate.reply_link(token),
        Err(LinkError::Expired)
    ));
}

// Once a letter to it could not be accepted and that is over.
async fn failed(house: &House, tenant: &Tenant, text: &str) {
    for _ in 0..500 {
        house.refresh().await;
        let known = house.roster.reply_address(tenant.id, &address(text));
        if known.is_some_and(|known| known.asked_at.is_none()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{text} was not entered, or counts as asked");
}

#[tokio::test]
async fn an_address_whose_letter_failed_is_asked_as_soon_as_that_is_possible() {
    let mut house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    send_from(&house, &caller, "ann@elsewhere.example").await;
    let added = house.provision.reply_address(
        tenant.id,
        address("bob@elsewhere.example"),
        ReplyStatus::Unconfirmed,
    );
    added.await.unwrap();
    house.refresh().await;
    house.gate.set_space_is_short(true);
    house.run();
    failed(&house, &tenant, "ann@elsewhere.example").await;
    failed(&house, &tenant, "bob@elsewhere.example").await;
    house.gate.set_space_is_short(false);
    // What was entered by hand is tried again by itself, the other when mail names it.
    send_from(&house, &caller, "ann@elsewhere.example").await;
    house.clock.advance(Duration::from_mins(2));
    let mut letters = house.letters(2).await;
    letters.sort();
    let to: Vec<_> = letters.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, ["ann@elsewhere.example", "bob@elsewhere.example"]);
}

#[tokio::test]
async fn who_does_not_know_the_tenant_is_left_alone() {
    let mut house = House::start().await;
    house.run();
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    send_from(&house, &caller, "victim@elsewhere.example").await;
    let letters = house.letters(1).await;
    let link = house.gate.disown(&letters[0].1).await.unwrap();
    assert_eq!(link.status, ReplyStatus::Refused);
    let usage = house.store.usage(tenant.id, house.clock.now()).await;
    assert_eq!(usage.unwrap().complaints, 1);
    house.clock.advance(Duration::from_hours(8 * 24));
    let id = send_from(&house, &caller, "victim@elsewhere.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["joe@joesgarage.example"]
    );
    // One that may be asked comes behind it: no letter went out before.
    send_from(&house, &caller, "other@elsewhere.example").await;
    assert_eq!(house.letters(2).await[1].0, "other@elsewhere.example");
}

#[tokio::test]
async fn a_stolen_key_writes_to_few_strangers() {
    let mut house = House::start().await;
    house.run();
    let (one, two) = (
        house.tenant("joe@joesgarage.example").await,
        house.tenant("eve@eves.example").await,
    );
    let (caller, other) = (house.caller(&one).await, house.caller(&two).await);
    send_from(&house, &other, "a0@elsewhere.example").await;
    house.letters(1).await;
    for n in 0..9 {
        send_from(&house, &caller, &format!("a{n}@elsewhere.example")).await;
    }
    // The last thing in the queue: whoever was to be written to has been.
    send_from(&house, &other, "last@elsewhere.example").await;
    let mut letters = house.letters(6).await;
    letters.sort();
    let to: Vec<_> = letters.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(
        to,
        [
            "a0@elsewhere.example",
            "a1@elsewhere.example",
            "a2@elsewhere.example",
            "a3@elsewhere.example",
            "a4@elsewhere.example",
            "last@elsewhere.example"
        ],
        "five new ones of a tenant in a day, and one letter to each in a week"
    );
}

#[tokio::test]
async fn at_its_own_domain_an_address_is_used_at_once_and_told() {
    let mut house = House::start().await;
    house.run();
    let tenant = with_own_domain(&house).await;
    let caller = house.caller(&tenant).await;
    let id = send_from(&house, &caller, "ann@joesgarage.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["ann@joesgarage.example"]
    );
    let letters = house.letters(1).await;
    assert_eq!(letters[0].0, "ann@joesgarage.example");
    house.gate.disown(&letters[0].1).await.unwrap();
    let id = send_from(&house, &caller, "ann@joesgarage.example").await;
    assert_eq!(
        reply_to(&house, &tenant, id).await,
        ["joe@joesgarage.example"]
    );
}

async fn with_own_domain(house: &House) -> Tenant {
    let tenant = house.tenant("joe@joesgarage.example").await;
    let change = TenantChange {
        own_domain: Some(true),
        ..TenantChange::default()
    };
    house.store.change_tenant(tenant.id, change).await.unwrap();
    house.refresh().await;
    tenant
}

#[tokio::test]
async fn at_its_own_domain_nobody_is_used_who_could_not_be_told() {
    let house = House::start().await;
    let tenant = with_own_domain(&house).await;
    let caller = house.caller(&tenant).await;
    // The day's five, and all that come after them.
    for n in 0..8 {
        let from = format!("a{n}@joesgarage.example");
        let want = if n < 5 {
            &from
        } else {
            "joe@joesgarage.example"
        };
        for _ in 0..2 {
            let id = send_from(&house, &caller, &from).await;
            assert_eq!(reply_to(&house, &tenant, id).await, [want]);
            let kinds = house.kinds(tenant.id, id).await;
            let says = kinds.contains(&EventKind::ReplyToReplaced);
            assert_eq!(says, n >= 5, "{from}");
        }
    }
    let letters = house.letters(5).await;
    assert_eq!(letters[4].0, "a4@joesgarage.example");
    // Another tenant's letter to it, this week: it cannot be told now.
    let other = with_own_domain(&house).await;
    let by_other = house.caller(&other).await;
    let id = send_from(&house, &by_other, "a0@joesgarage.example").await;
    assert_eq!(
        reply_to(&house, &other, id).await,
        ["joe@joesgarage.example"]
    );
    house.letters(5).await;
    house.clock.advance(Duration::from_hours(8 * 24));
    let id = send_from(&house, &by_other, "a0@joesgarage.example").await;
    assert_eq!(
        reply_to(&house, &other, id).await,
        ["a0@joesgarage.example"]
    );
    house.letters(6).await;
}

#[tokio::test]
async fn of_messages_at_once_that_name_a_colleague_first_all_use_it() {
    let house = House::start().await;
    let tenant = with_own_domain(&house).await;
    let caller = house.caller(&tenant).await;
    let send = || send_from(&house, &caller, "ann@joesgarage.example");
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    for id in [a, b, c, d] {
        assert_eq!(
            reply_to(&house, &tenant, id).await,
            ["ann@joesgarage.example"]
        );
    }
    house.letters(1).await;
}

#[tokio::test]
async fn a_lost_letter_is_written_again_when_an_operator_says_so() {
    let mut house = House::start().await;
    house.run();
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let ann = address("ann@elsewhere.example");
    send_from(&house, &caller, "ann@elsewhere.example").await;
    house.letters(1).await;
    let ask = || house.gate.ask_again(tenant.id, &ann);
    assert_eq!(ask().await.unwrap(), AskOutcome::Lately, "said twice");
    house.clock.advance(Duration::from_mins(11));
    assert_eq!(ask().await.unwrap(), AskOutcome::Asked);
    assert_eq!(ask().await.unwrap(), AskOutcome::Lately);
    let letters = house.letters(2).await;
    assert_eq!(letters[1].0, "ann@elsewhere.example");
    // What bounced may work again; who has answered is not asked.
    house.gate.confirm(&letters[1].1).await.unwrap();
    house.clock.advance(Duration::from_mins(11));
    let confirmed = AskOutcome::Settled(ReplyStatus::Confirmed);
    assert_eq!(ask().await.unwrap(), confirmed);
    house.store.break_reply_address(&ann).await.unwrap();
    house.refresh().await;
    assert_eq!(ask().await.unwrap(), AskOutcome::Asked);
    house
        .gate
        .disown(&house.letters(3).await[2].1)
        .await
        .unwrap();
    house.clock.advance(Duration::from_mins(11));
    let refused = AskOutcome::Settled(ReplyStatus::Refused);
    assert_eq!(ask().await.unwrap(), refused);
    house.letters(3).await;
}

#[tokio::test]
async fn an_address_that_bounced_our_letter_is_not_used_any_more() {
    let mut house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let added = house.provision.reply_address(
        tenant.id,
        address("ann@elsewhere.example"),
        ReplyStatus::Confirmed,
    );
    added.await.unwrap();
    house.refresh().await;
    let caller = house.caller(&tenant).await;
    let now = house.clock.now();
    let bounced = Suppression {
        id: SuppressionId::new(now, [1; 10]),
        tenant: house.post.id,
        address: address("ann@elsewhere.example"),
        stream: None,
        reason: SuppressionReason::HardBounce,
        source: "550 5.1.1".to_owned(),
        since: now,
        until: None,
    };
    let added = house.store.suppress(house.post.id, vec![bounced]).await;
    added.unwrap();
    house.run();
    let mut used = Vec::new();
    for _ in 0..500 {
        house.refresh().await;
        let id = send_from(&house, &caller, "ann@elsewhere.example").await;
        used = reply_to(&house, &tenant, id).await;
        if used == ["joe@joesgarage.example"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(used, ["joe@joesgarage.example"]);
}

#[tokio::test]
async fn a_domain_without_mail_twice_in_a_row_breaks_its_addresses() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let status = |house: &House| {
        let known = house.roster.reply_address(tenant.id, &tenant.reply_to);
        known.unwrap().status
    };
    for (answer, want) in [
        (Some(true), ReplyStatus::Confirmed),
        (Some(false), ReplyStatus::Confirmed),
        (None, ReplyStatus::Confirmed),
        (Some(false), ReplyStatus::Broken),
    ] {
        let takes_mail = |domain: postrider_model::Domain| async move {
            (domain.as_str() == "joesgarage.example")
                .then_some(answer)
                .flatten()
        };
        house.gate.recheck(takes_mail).await.unwrap();
        house.refresh().await;
        assert_eq!(status(&house), want, "{answer:?}");
    }
}

#[tokio::test]
async fn what_an_operator_enters_unconfirmed_is_asked_in_the_tenants_language() {
    let mut house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let change = TenantChange {
        language: Some(postrider_model::Language::Fr),
        ..TenantChange::default()
    };
    house.store.change_tenant(tenant.id, change).await.unwrap();
    let added = house.provision.reply_address(
        tenant.id,
        address("ann@elsewhere.example"),
        ReplyStatus::Unconfirmed,
    );
    added.await.unwrap();
    house.refresh().await;
    house.run();
    assert_eq!(house.letters(1).await[0].0, "ann@elsewhere.example");
    let id = house.ids(house.post.id).await[0];
    let subject = house.email(house.post.id, id).await.summary.subject;
    assert!(subject.starts_with("À confirmer"), "{subject}");
    house.store.email(tenant.id, id).await.unwrap();
}
