//! Keys that clients send so that a repeated request stores nothing.

use std::collections::HashSet;

use postrider_model::{EventKind, MessageId, TenantId, Timestamp};

use super::Ports;
use super::fixture::{
    DAY, QUARTER, add_tenant, at, claim, claiming, commit, commit_all, kinds, lately, live,
    message, scope,
};
use crate::{Answer, ClaimScope, Committed, NewMessage, StoreError};

async fn answered(ports: &Ports, scope: &ClaimScope, now: Timestamp) -> Option<Answer> {
    let found = ports.intake.answered(scope, now).await;
    found.expect("a look at a key")
}

fn answer_of(message: &NewMessage) -> Answer {
    let claim = message.claim.as_ref().expect("a claim");
    claim.answer.clone()
}

pub async fn fifty_equal_commits_with_one_key_store_one_message(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let messages: Vec<_> = (0..50).map(|_| claiming(tenant, "order-17")).collect();
    let outcomes = commit_all(ports, &messages).await;

    let mut stored: Vec<MessageId> = Vec::new();
    let mut told: HashSet<String> = HashSet::new();
    for (message, outcome) in messages.iter().zip(outcomes) {
        match outcome.expect("a commit") {
            Committed::Stored => {
                stored.push(message.id);
                told.insert(answer_of(message).body);
            }
            Committed::Claimed(answer) => {
                told.insert(answer.body);
            }
            Committed::OverQuota(over) => panic!("no quota was given: {over:?}"),
        }
    }
    assert_eq!(stored.len(), 1, "one is stored");
    assert_eq!(told.len(), 1, "all are told the same");
    let rows = live(ports).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].message, stored[0]);
}

pub async fn another_request_under_the_same_key_learns_what_was_asked_first(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = claiming(tenant, "order-17");
    let mut other = claiming(tenant, "order-17");
    if let Some(claim) = &mut other.claim {
        claim.answer.request = [8; 32];
    }
    commit(ports, &first).await;
    let told = commit(ports, &other).await;
    assert_eq!(told, Committed::Claimed(answer_of(&first)));
    let found = answered(ports, &scope(tenant, "order-17"), at(1)).await;
    assert_eq!(found, Some(answer_of(&first)));
    assert_eq!(
        answered(ports, &scope(tenant, "order-18"), at(1)).await,
        None
    );
}

pub async fn a_repeated_commit_is_not_refused_by_its_own_claim(ports: &Ports) {
    let once = claiming(add_tenant(ports).await, "order-17");
    assert_eq!(commit(ports, &once).await, Committed::Stored);
    assert_eq!(commit(ports, &once).await, Committed::Stored);
    assert_eq!(live(ports).await.len(), 1);
    assert_eq!(kinds(ports, &once).await, [EventKind::Accepted]);
}

pub async fn a_claim_past_its_time_may_be_used_again(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = claiming(tenant, "order-17");
    commit(ports, &first).await;
    let later = |accepted_at: Timestamp| {
        let mut message = message(tenant);
        message.accepted_at = accepted_at;
        message.due_at = accepted_at;
        message.claim = Some(claim(&message, "order-17"));
        message
    };
    let just_before = later(at(0).after(DAY).before(std::time::Duration::from_micros(1)));
    let told = commit(ports, &just_before).await;
    assert_eq!(told, Committed::Claimed(answer_of(&first)));

    let key = scope(tenant, "order-17");
    assert_eq!(answered(ports, &key, at(0).after(DAY)).await, None);
    let next = later(at(0).after(DAY));
    assert_eq!(commit(ports, &next).await, Committed::Stored);
    let found = answered(ports, &key, at(1).after(DAY)).await;
    assert_eq!(found, Some(answer_of(&next)));
}

pub async fn the_very_same_again_within_minutes_learns_of_the_first(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let equal: Vec<_> = (0..20).map(|_| lately(one, 1, at(0))).collect();
    let outcomes = commit_all(ports, &equal).await;
    let outcomes = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("a commit"));
    let (stored, told): (Vec<_>, Vec<_>) = equal
        .iter()
        .zip(outcomes)
        .partition(|(_, outcome)| *outcome == Committed::Stored);
    let [(first, _)] = stored[..] else {
        panic!("one is stored, not {}", stored.len());
    };
    let answer = Committed::Claimed(answer_of(first));
    for (_, outcome) in told {
        assert_eq!(outcome, answer);
    }
    for other in [lately(one, 2, at(1)), lately(two, 1, at(1)), first.clone()] {
        assert_eq!(commit(ports, &other).await, Committed::Stored);
    }
    let end = at(0).after(QUARTER);
    let just_before = end.before(std::time::Duration::from_micros(1));
    let again = commit(ports, &lately(one, 1, just_before)).await;
    assert_eq!(again, answer);
    let next = lately(one, 1, end);
    assert_eq!(commit(ports, &next).await, Committed::Stored);
    let again = commit(ports, &lately(one, 1, end.after(QUARTER / 2))).await;
    assert_eq!(again, Committed::Claimed(answer_of(&next)));
}

pub async fn of_a_group_its_first_is_what_came_lately(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let group = || vec![lately(tenant, 1, at(0)), message(tenant)];
    let first = group();
    let done = ports.intake.commit_all(first.clone()).await;
    assert_eq!(done.expect("a group"), Committed::Stored);
    let again = ports.intake.commit_all(group()).await.expect("a group");
    assert_eq!(again, Committed::Claimed(answer_of(&first[0])));
    let alone = commit(ports, &lately(tenant, 1, at(1))).await;
    assert_eq!(alone, Committed::Claimed(answer_of(&first[0])));
}

pub async fn a_key_counts_per_tenant_and_endpoint(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let first = claiming(one, "order-17");
    let others_key = claiming(two, "order-17");
    let mut other_endpoint = claiming(one, "order-17");
    if let Some(claim) = &mut other_endpoint.claim {
        claim.scope.endpoint = "POST /emails/raw";
    }
    let other_case = claiming(one, "Order-17");
    for message in [first, others_key, other_endpoint, other_case] {
        assert_eq!(commit(ports, &message).await, Committed::Stored);
    }
}

pub async fn the_key_of_a_refused_message_stays_free(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let first = message(tenant);
    commit(ports, &first).await;
    let mut refused = claiming(tenant, "order-17");
    // Its recipient's id is another message's.
    refused.recipients[0].id = first.recipients[0].id;
    refused.events[0].recipient = first.recipients[0].id;
    let good = claiming(tenant, "order-17");
    let outcomes = commit_all(ports, &[refused, good]).await;
    assert!(
        matches!(
            outcomes[..],
            // Where several commit at once, the good one may be first.
            [
                Err(StoreError::Rejected { .. }) | Ok(Committed::Claimed(_)),
                Ok(Committed::Stored)
            ]
        ),
        "{outcomes:?}"
    );
    let nobody = claiming(TenantId::new(at(9), [9; 10]), "order-17");
    let refused = ports.intake.commit(nobody).await;
    assert!(matches!(refused, Err(StoreError::Rejected { .. })));
}
