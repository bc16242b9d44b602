//! Two processes on one database.

use futures_util::future::{join, join_all};
use postrider_model::EventKind;
use postrider_model::{NodeId, WaitCause};
use postrider_store::conformance::Ports;
use postrider_store::conformance::fixture::{
    add_tenant, at, claiming, commit, commit_all, live, message, number, settlement,
};
use postrider_store::{
    Committed, Lease, NewNode, NodeReport, Outcome, Quota, Settled, Shard, StoreError, Taken,
};

use crate::Relay;

#[tokio::test]
async fn equal_keys_from_two_processes_are_claimed_once_and_never_deadlock() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    for round in 0..5 {
        // The same keys in opposite orders.
        let keys: Vec<String> = (0..40).map(|n| format!("k{round}-{n}")).collect();
        let ours: Vec<_> = keys.iter().map(|key| claiming(tenant, key)).collect();
        let theirs: Vec<_> = keys.iter().rev().map(|key| claiming(tenant, key)).collect();
        let (one, two) = join(commit_all(&relay.ports, &ours), commit_all(&other, &theirs)).await;
        let two: Vec<_> = two.into_iter().rev().collect();
        for (one, two) in one.into_iter().zip(two) {
            let stored = [one.unwrap(), two.unwrap()];
            let won = stored.iter().filter(|done| **done == Committed::Stored);
            assert_eq!(won.count(), 1, "{stored:?}");
        }
    }
    assert_eq!(live(&relay.ports).await.len(), 200);
}

#[tokio::test]
async fn a_quota_is_exact_over_two_processes() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let (one, two) = (
        add_tenant(&relay.ports).await,
        add_tenant(&relay.ports).await,
    );
    let quota = Quota {
        per_day: 37,
        per_month: 0,
        ..Quota::default()
    };
    let messages: Vec<_> = (0..100)
        .map(|n| {
            let mut given = message(if n % 2 == 0 { one } else { two });
            given.quota = quota;
            given
        })
        .collect();
    let (first, second) = messages.split_at(50);
    let (first, second) = join(commit_all(&relay.ports, first), commit_all(&other, second)).await;
    let all = first.into_iter().chain(second).map(Result::unwrap);
    let stored = all.filter(|done| *done == Committed::Stored).count();
    assert_eq!(stored, 2 * 37);
    for tenant in [one, two] {
        let usage = relay.ports.mail.usage(tenant, at(0)).await.unwrap();
        assert_eq!(usage.day, 37);
    }
}

#[tokio::test]
async fn a_commit_repeated_by_another_process_is_stored_once() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    let messages: Vec<_> = (0..50).map(|_| message(tenant)).collect();
    let (one, two) = join(
        commit_all(&relay.ports, &messages),
        commit_all(&other, &messages),
    )
    .await;
    for done in one.into_iter().chain(two) {
        assert_eq!(done.unwrap(), Committed::Stored);
    }
    assert_eq!(live(&relay.ports).await.len(), 50);
    let usage = relay.ports.mail.usage(tenant, at(0)).await.unwrap();
    assert_eq!(usage.day, 50);
}

fn node() -> NewNode {
    let mut random = [1; 10];
    random[..8].copy_from_slice(&number().to_be_bytes());
    NewNode {
        id: NodeId::new(at(0), random),
        name: format!("node{}", number()),
        key: [7; 16],
    }
}

async fn enrol(ports: &Ports) -> NodeId {
    let node = node();
    let id = node.id;
    ports.nodes.join(node, at(0)).await.unwrap();
    let report = NodeReport {
        wants_shards: true,
        clock_offset: 0,
    };
    ports.nodes.beat(id, report, at(0)).await.unwrap();
    id
}

fn shards(taken: &[Taken]) -> Vec<Shard> {
    taken.iter().map(|taken| taken.lease.shard).collect()
}

#[tokio::test]
async fn nodes_that_take_at_once_never_share_a_shard() {
    let relay = Relay::start().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let ports = relay.second().await;
        let id = enrol(&ports).await;
        nodes.push((ports, id));
    }
    let mut owned: Vec<Shard> = Vec::new();
    for _ in 0..40 {
        let taking = nodes
            .iter()
            .map(|(ports, id)| ports.nodes.take(*id, 20, at(0)));
        let taken = join_all(taking).await;
        let taken: Vec<Shard> = taken
            .into_iter()
            .flat_map(|taken| shards(&taken.unwrap()))
            .collect();
        if taken.is_empty() {
            break;
        }
        owned.extend(taken);
    }
    owned.sort();
    assert_eq!(owned, Shard::all().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_silent_node_loses_its_shards_and_its_retries_are_fenced() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let (old, new) = (enrol(&relay.ports).await, enrol(&other).await);
    let tenant = add_tenant(&relay.ports).await;
    let given = message(tenant);
    commit(&relay.ports, &given).await;
    let taken = relay.ports.nodes.take(old, 1_024, at(0)).await.unwrap();
    assert_eq!(taken.len(), 1_024);
    assert!(
        other
            .nodes
            .take(new, 1_024, at(0))
            .await
            .unwrap()
            .is_empty()
    );
    let of_tenant = |taken: &[Taken]| -> Lease {
        let shard = Shard::of(tenant);
        let found = taken.iter().find(|taken| taken.lease.shard == shard);
        found.unwrap().lease
    };
    // Sixteen seconds pass without a heartbeat of it.
    let mut shell = relay.shell().await;
    sqlx::query("UPDATE nodes SET beat_at = beat_at - 16000000 WHERE id = $1")
        .bind(uuid::Uuid::from_bytes(*old.as_bytes()))
        .execute(&mut shell)
        .await
        .unwrap();
    let again = other.nodes.take(new, 1_024, at(0)).await.unwrap();
    assert_eq!(again.len(), 1_024);
    let report = NodeReport::default();
    let beat = relay.ports.nodes.beat(old, report, at(0)).await.unwrap();
    assert!(beat.leases.is_empty(), "it learns that they are gone");

    let retry = |lease| {
        let mut retry = settlement(
            &given,
            5,
            EventKind::Deferred,
            Outcome::Retry {
                due_at: at(300),
                attempts: 1,
                cause: WaitCause::Retry,
            },
        );
        retry.lease = Some(lease);
        retry
    };
    let late = relay.ports.queue.settle(retry(of_tenant(&taken))).await;
    assert_eq!(late.unwrap(), Settled::NotOwner);
    let now = other.queue.settle(retry(of_tenant(&again))).await;
    assert_eq!(now.unwrap(), Settled::Recorded);
}

#[tokio::test]
async fn a_bad_row_fails_alone_among_many_of_two_processes() {
    let relay = Relay::start().await;
    let other = relay.second().await;
    let tenant = add_tenant(&relay.ports).await;
    let nobody = postrider_model::TenantId::from_bytes([9; 16]);
    let mut messages: Vec<_> = (0..60).map(|_| message(tenant)).collect();
    messages[17] = message(nobody);
    let others: Vec<_> = (0..60).map(|_| message(tenant)).collect();
    let (one, two) = join(
        commit_all(&relay.ports, &messages),
        commit_all(&other, &others),
    )
    .await;
    for (at, done) in one.into_iter().enumerate() {
        match done {
            Ok(done) => assert!(at != 17 && done == Committed::Stored),
            Err(StoreError::Rejected { .. }) => assert_eq!(at, 17),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(two.into_iter().all(|done| done.is_ok()));
}
