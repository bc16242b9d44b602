//! Verbs of operators about the queue: who has to be asked, how they come to an end.

use postrider_model::{ControlId, Domain, EventKind, MessageId, RecipientId, TenantId};

use super::Ports;
use super::fixture::{
    add_tenant, at, changed_since, commit, commit_all, cursor, do_verb, enact, enrol, kinds, live,
    message, message_to, owner, raise,
};
use crate::{Acknowledged, ControlVerb, HeldMessage, News, Scope, StoreError};

const ALL: [&str; 3] = ["a@one.example", "b@two.example", "c@one.example"];

fn one_example() -> Scope {
    Scope::Domain(Domain::parse("one.example").expect("a domain"))
}

async fn acknowledged(ports: &Ports, control: ControlId) -> Acknowledged {
    let acknowledged = ports.controls.acknowledged(control, at(0)).await;
    acknowledged.expect("an answer")
}

async fn held(ports: &Ports, scope: &Scope, after: Option<MessageId>) -> Vec<HeldMessage> {
    let held = ports.controls.held(scope, after, 3).await;
    held.expect("held messages")
}

pub async fn a_verb_stands_until_it_is_closed(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let scope = Scope::Tenant(tenant);
    let hold = raise(ports, ControlVerb::Hold, scope.clone()).await;
    let cancel = raise(ports, ControlVerb::Cancel, one_example()).await;
    let stand = ports.controls.controls().await.expect("the verbs");
    let found: Vec<_> = stand.into_iter().map(|c| (c.id, c.verb, c.scope)).collect();
    let wanted = [
        (hold, ControlVerb::Hold, scope),
        (cancel, ControlVerb::Cancel, one_example()),
    ];
    assert_eq!(found, wanted, "oldest first");
    let node = enrol(ports, "a").await;
    let said = ports.controls.acknowledge(hold, node, &[]).await;
    said.expect("a verb that stands");
    for control in [hold, cancel] {
        ports
            .controls
            .close(control)
            .await
            .expect("a verb that stands");
    }
    assert_eq!(ports.controls.controls().await.expect("the verbs"), []);
    for refused in [
        ports.controls.close(hold).await,
        ports.controls.acknowledge(hold, node, &[]).await,
        ports.controls.enact(hold, at(1)).await.map(|_| ()),
    ] {
        assert!(
            matches!(refused, Err(StoreError::NotFound { .. })),
            "{refused:?}"
        );
    }
}

pub async fn there_is_one_suspension_of_a_scope(ports: &Ports) {
    let (one, two) = (add_tenant(ports).await, add_tenant(ports).await);
    let first = raise(ports, ControlVerb::Suspend, Scope::Tenant(one)).await;
    let again = raise(ports, ControlVerb::Suspend, Scope::Tenant(one)).await;
    assert_eq!(first, again);
    let other = raise(ports, ControlVerb::Suspend, Scope::Tenant(two)).await;
    let domain = raise(ports, ControlVerb::Suspend, one_example()).await;
    assert_eq!(
        raise(ports, ControlVerb::Suspend, one_example()).await,
        domain
    );
    let hold = raise(ports, ControlVerb::Hold, Scope::Tenant(one)).await;
    assert_ne!(first, hold, "another verb");
    assert_ne!(first, other);
    assert_eq!(ports.controls.controls().await.expect("the verbs").len(), 4);
    // Closed and raised again it is a new one, which all owners have to hear of.
    ports
        .controls
        .close(first)
        .await
        .expect("a verb that stands");
    let anew = raise(ports, ControlVerb::Suspend, Scope::Tenant(one)).await;
    assert_ne!(first, anew);
}

pub async fn a_suspension_changes_no_recipient(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    let rows = live(ports).await;
    let control = raise(ports, ControlVerb::Suspend, Scope::Tenant(tenant)).await;
    assert_eq!(enact(ports, control, 5).await, 0);
    assert_eq!(live(ports).await, rows);
    assert_eq!(kinds(ports, &given).await, [EventKind::Accepted]);
}

pub async fn a_verb_waits_for_every_owner_that_lives(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (a, _) = owner(ports, "a", tenant).await;
    let b = enrol(ports, "b").await;
    let control = raise(ports, ControlVerb::Hold, Scope::Tenant(tenant)).await;
    let waiting = acknowledged(ports, control).await;
    assert_eq!(waiting.waiting_for, ["a"], "B owns nothing");
    assert_eq!(waiting.too_late, []);
    let late = [message(tenant), message(tenant)].map(|m| m.recipients[0].id);
    let acknowledge = |node, late: Vec<RecipientId>| async move {
        let said = ports.controls.acknowledge(control, node, &late).await;
        said.expect("a verb that stands");
    };
    acknowledge(a, vec![late[0]]).await;
    let all = acknowledged(ports, control).await;
    assert_eq!((all.waiting_for, all.too_late), (vec![], vec![late[0]]));
    // Said again, and by another: nothing that was too late is forgotten.
    acknowledge(a, vec![late[1]]).await;
    acknowledge(b, vec![late[1]]).await;
    let mut all = acknowledged(ports, control).await;
    all.too_late.sort();
    let mut wanted = late;
    wanted.sort();
    assert_eq!(all.too_late, wanted);
    // One that took shards since has to say it too.
    let other = raise(ports, ControlVerb::Hold, Scope::Tenant(tenant)).await;
    ports.nodes.leave(a).await.expect("a farewell");
    assert_eq!(acknowledged(ports, other).await.waiting_for.len(), 0);
    owner(ports, "c", tenant).await;
    assert_eq!(acknowledged(ports, other).await.waiting_for, ["c"]);
}

pub async fn a_verb_about_many_is_done_in_batches(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let to: Vec<String> = (0..250).map(|n| format!("r{n}@one.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let messages: Vec<_> = (0..6).map(|_| message_to(tenant, &to)).collect();
    commit_all(ports, &messages).await;
    commit(ports, &message(other)).await;
    let scopes: [fn(TenantId) -> Scope; 2] = [Scope::Tenant, |_| one_example()];
    for scope in scopes {
        for (verb, left) in [(ControlVerb::Hold, 1), (ControlVerb::Release, 1_501)] {
            let control = raise(ports, verb, scope(tenant)).await;
            let (mut changed, mut batches) = (0, 0);
            loop {
                let batch = ports.controls.enact(control, at(7)).await;
                let batch = batch.expect("a batch of a verb");
                (changed, batches) = (changed + batch.changed, batches + 1);
                assert!(batches < 100, "it comes to an end");
                if !batch.more {
                    break;
                }
            }
            assert_eq!(changed, 1_500);
            assert!(batches > 1);
            assert_eq!(live(ports).await.len(), left);
            ports
                .controls
                .close(control)
                .await
                .expect("a verb that stands");
        }
    }
}

pub async fn held_messages_are_listed_a_page_at_a_time(ports: &Ports) {
    let (tenant, other) = (add_tenant(ports).await, add_tenant(ports).await);
    let mut messages: Vec<_> = (0..7).map(|_| message_to(tenant, &ALL)).collect();
    messages.push(message_to(other, &["b@two.example"]));
    commit_all(ports, &messages).await;
    for tenant in [tenant, other] {
        do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await;
    }
    commit(ports, &message_to(tenant, &ALL)).await;
    for scope in [Scope::Tenant(tenant), one_example()] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = held(ports, &scope, after).await;
            assert!(page.len() <= 3);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            found.extend(page);
        }
        let ids: Vec<_> = found.iter().map(|held| held.id).collect();
        let wanted: Vec<_> = messages[..7].iter().map(|message| message.id).collect();
        assert_eq!(ids, wanted, "by id, each once");
        for held in &found {
            assert_eq!(held.tenant, tenant);
            assert_eq!(held.selectors, messages[0].selectors);
            assert_eq!(held.sealed_until, messages[0].sealed_until);
        }
    }
    let one = held(ports, &Scope::Message(messages[3].id), None).await;
    assert_eq!(one.len(), 1);
    let none = held(ports, &Scope::Message(messages[3].id), Some(messages[3].id)).await;
    assert_eq!(none, []);
}

pub async fn owners_hear_of_a_verb_at_once(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let control = raise(ports, ControlVerb::Hold, Scope::Tenant(tenant)).await;
    // Word of something else may come between.
    while !matches!(ports.queue.news().await, News::Control) {}
    ports
        .controls
        .close(control)
        .await
        .expect("a verb that stands");
    while !matches!(ports.queue.news().await, News::Control) {}
}

pub async fn owners_hear_of_what_is_released(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let given = message(tenant);
    commit(ports, &given).await;
    do_verb(ports, ControlVerb::Hold, Scope::Tenant(tenant), 7).await;
    let before = cursor(ports).await;
    do_verb(ports, ControlVerb::Release, Scope::Tenant(tenant), 8).await;
    loop {
        match ports.queue.news().await {
            News::Look => break,
            News::Rows(rows) if rows.iter().any(|row| row.due_at == at(8)) => break,
            News::Rows(_) | News::Control => {}
        }
    }
    assert_eq!(changed_since(ports, &before).await.len(), 1);
}
