//! Who is told at a tenant's own domain, when, and by which message; and whom no letter reached.

use std::time::Duration;

use postrider_gate::{AcceptError, TenantDefaults};
use postrider_model::{
    Language, Limits, Ramp, ReplyAddress, ReplyAddressId, ReplySource, ReplyStatus, Suppression,
    SuppressionId, SuppressionReason, Tenant,
};
use postrider_store::{AskCaps, Directory, Suppressions, TenantChange};

use crate::harness::{House, address};

const CAPS: AskCaps = AskCaps {
    per_day: 5,
    pause: Duration::from_hours(7 * 24),
    letters_per_day: 0,
    letters_in_a_row: 0,
    rest: Duration::from_hours(7 * 24),
};

/// A new address at the tenant's own domain, as the gate enters it before it is told.
fn colleague(house: &House, tenant: &Tenant) -> ReplyAddress {
    let now = house.clock.now();
    ReplyAddress {
        id: ReplyAddressId::new(now, [2; 10]),
        tenant: tenant.id,
        address: address("ann@joesgarage.example"),
        status: ReplyStatus::Unconfirmed,
        source: ReplySource::Domain,
        confirmed_at: None,
        attested_by: None,
        asked_at: None,
        told_at: None,
        refused_at: None,
        created_at: now,
    }
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

async fn comes_to(house: &House, tenant: &Tenant, text: &str, want: ReplyStatus) {
    for _ in 0..500 {
        house.refresh().await;
        let known = house.roster.reply_address(tenant.id, &address(text));
        if known.is_some_and(|known| known.status == want) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{text} never becomes {want:?}");
}

#[tokio::test]
async fn a_message_that_is_refused_tells_no_colleague() {
    let house = House::start().await;
    let tenant = with_own_domain(&house).await;
    let caller = house.caller(&tenant).await;
    let raw = "From: Ann <ann@joesgarage.example>\nSubject: x\n\ny\n";
    let many: Vec<_> = (0..1_001).map(|n| format!("a{n}@example.org")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let refused = house.send(&caller, &many, raw).await;
    assert!(
        matches!(refused, Err(AcceptError::TooManyRecipients { .. })),
        "{refused:?}"
    );
    house.refresh().await;
    let known = house
        .roster
        .reply_address(tenant.id, &address("ann@joesgarage.example"));
    assert!(known.is_none(), "{known:?}");
    assert!(house.ids(house.post.id).await.is_empty());
    // It is told by the first that leaves.
    let raw = "From: Ann <ann@joesgarage.example>\nSubject: x\n\ny\n";
    house.send(&caller, &many[..1], raw).await.unwrap();
    house.letters(1).await;
}

#[tokio::test]
async fn what_was_told_and_not_noted_is_finished() {
    let mut house = House::start().await;
    let tenant = with_own_domain(&house).await;
    let entry = colleague(&house, &tenant);
    let text = entry.address.to_string();
    let observed = house.store.observe_reply_address(entry, CAPS).await;
    assert!(observed.unwrap().ask, "and here the process dies");
    house.clock.advance(Duration::from_mins(11));
    house.refresh().await;
    house.run();
    comes_to(&house, &tenant, &text, ReplyStatus::Confirmed).await;
    assert_eq!(house.letters(1).await[0].0, text);
}

#[tokio::test]
async fn a_first_address_whose_letter_came_back_is_told_of_and_confirms_nobody() {
    let mut house = House::start().await;
    let defaults = TenantDefaults {
        limits: Limits::default(),
        language: Language::En,
        ramp: Ramp::PAST,
        is_confirmed: false,
        ..TenantDefaults::default()
    };
    let tenant = house.tenant_with("joe@joesgarag.example", defaults).await;
    let now = house.clock.now();
    let bounced = Suppression {
        id: SuppressionId::new(now, [1; 10]),
        tenant: house.post.id,
        address: tenant.reply_to.clone(),
        stream: None,
        reason: SuppressionReason::HardBounce,
        source: "550 5.1.2".to_owned(),
        since: now,
        until: None,
    };
    let added = house.store.suppress(house.post.id, vec![bounced]).await;
    added.unwrap();
    house.run();
    comes_to(
        &house,
        &tenant,
        "joe@joesgarag.example",
        ReplyStatus::Broken,
    )
    .await;
    let caller = house.caller(&tenant).await;
    let raw = "From: x@elsewhere.example\nSubject: x\n\ny\n";
    let refused = house.send(&caller, &["customer@example.org"], raw).await;
    assert!(
        matches!(&refused, Err(AcceptError::AskedInVain { reply_to }) if *reply_to == tenant.reply_to),
        "{refused:?}"
    );
}

#[tokio::test]
async fn who_is_not_known_at_its_own_address_writes_to_nobody() {
    let house = House::start().await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let (now, own) = (house.clock.now(), tenant.reply_to.clone());
    let said = house
        .store
        .set_reply_status(tenant.id, &own, ReplyStatus::Refused, now);
    said.await.unwrap();
    house.refresh().await;
    let caller = house.caller(&tenant).await;
    let raw = "From: x@elsewhere.example\nSubject: x\n\ny\n";
    for to in ["joe@joesgarage.example", "customer@example.org"] {
        let refused = house.send(&caller, &[to], raw).await;
        assert!(
            matches!(&refused, Err(AcceptError::Disowned { reply_to }) if *reply_to == own),
            "{to}: {refused:?}"
        );
    }
}
