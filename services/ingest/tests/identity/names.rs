//! Display names, as they are configured.

use postrider_gate::{AcceptError, IdentityConfig, NameConfig, NamePolicy};
use postrider_model::{EventKind, RecipientState};

use crate::harness::House;

const RAW: &str = "From: \"PayPaI Billing\" <joe@joesgarage.example>\nSubject: x\n\ny\n";

async fn house(policy: NamePolicy) -> House {
    House::with(IdentityConfig {
        names: NameConfig {
            policy,
            ..NameConfig::default()
        },
        ..IdentityConfig::default()
    })
    .await
}

#[tokio::test]
async fn a_deceptive_name_is_replaced_held_or_refused() {
    for (policy, state, kinds) in [
        (
            NamePolicy::Replace,
            RecipientState::Queued,
            vec![EventKind::Accepted],
        ),
        (
            NamePolicy::Hold,
            RecipientState::Held,
            vec![EventKind::Accepted, EventKind::Held],
        ),
    ] {
        let house = house(policy).await;
        let tenant = house.tenant("joe@joesgarage.example").await;
        let caller = house.caller(&tenant).await;
        let sent = house.send(&caller, &["ann@example.org"], RAW).await;
        let id = sent.unwrap().id().unwrap();
        let email = house.email(tenant.id, id).await;
        assert_eq!(email.recipients[0].state, state);
        assert!(email.summary.from.starts_with("Joe's Garage"));
        assert_eq!(house.kinds(tenant.id, id).await, kinds);
        let note = house.events(tenant.id, id).await[0].note.clone().unwrap();
        assert!(
            note.contains("PayPaI Billing") && note.contains("\"PayPal\""),
            "{note}"
        );
    }
    let house = house(NamePolicy::Refuse).await;
    let tenant = house.tenant("joe@joesgarage.example").await;
    let caller = house.caller(&tenant).await;
    let refused = house.send(&caller, &["ann@example.org"], RAW).await;
    assert!(
        matches!(refused, Err(AcceptError::NameRefused { .. })),
        "{refused:?}"
    );
}
