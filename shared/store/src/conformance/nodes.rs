//! Who owns which shard. A database with a clock of its own goes by that one: no case here moves
//! time, but for the one that waits for a lease to end.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use postrider_model::NodeId;

use super::Ports;
use super::fixture::{add_tenant, at, enrol, in_another_shard, new_node};
use crate::{
    Beat, Lease, Level, NewNode, NodeReport, NodeStanding, Nodes, Shard, StoreError, Taken,
};

const WANTS: NodeReport = NodeReport {
    wants_shards: true,
    clock_offset: -1_500,
};

async fn beat(ports: &Ports, node: NodeId) -> Beat {
    let beat = ports.nodes.beat(node, WANTS, at(0)).await;
    beat.expect("a heartbeat")
}

async fn take(ports: &Ports, node: NodeId, most: u16) -> Vec<Taken> {
    let taken = ports.nodes.take(node, most, at(0)).await;
    taken.expect("an answer")
}

async fn nodes(ports: &Ports) -> Vec<NodeStanding> {
    ports.nodes.nodes(at(0)).await.expect("the nodes")
}

fn leases(taken: &[Taken]) -> Vec<Lease> {
    let mut leases: Vec<_> = taken.iter().map(|taken| taken.lease).collect();
    leases.sort_by_key(|lease| lease.shard);
    leases
}

fn shards(taken: &[Taken]) -> HashSet<Shard> {
    taken.iter().map(|taken| taken.lease.shard).collect()
}

fn levels(taken: &[Taken]) -> Vec<Level> {
    taken
        .iter()
        .flat_map(|taken| taken.levels.clone())
        .collect()
}

pub async fn a_node_that_joins_is_seen_with_what_it_says(ports: &Ports) {
    let (b, a) = (enrol(ports, "b").await, enrol(ports, "a").await);
    beat(ports, a).await;
    take(ports, a, 7).await;
    let found = nodes(ports).await;
    let names: Vec<_> = found.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((found[0].id, found[1].id), (a, b));
    assert!(found.iter().all(|node| node.alive));
    assert_eq!((found[0].report, found[0].shards), (WANTS, 7));
    assert_eq!(
        (found[1].report, found[1].shards),
        (NodeReport::default(), 0)
    );
    ports.nodes.leave(a).await.expect("a farewell");
    assert_eq!(nodes(ports).await.len(), 1);
}

pub async fn shards_are_shared_out(ports: &Ports) {
    let (a, b) = (enrol(ports, "a").await, enrol(ports, "b").await);
    assert_eq!(beat(ports, a).await.free, Shard::COUNT);
    let of_a = take(ports, a, 600).await;
    let of_b = take(ports, b, Shard::COUNT).await;
    assert_eq!((of_a.len(), of_b.len()), (600, 424));
    assert!(shards(&of_a).is_disjoint(&shards(&of_b)));
    let beaten = beat(ports, a).await;
    let mut owned = beaten.leases;
    owned.sort_by_key(|lease| lease.shard);
    assert_eq!(owned, leases(&of_a));
    assert_eq!(
        (beaten.takers, beaten.free),
        (1, 0),
        "B has not said that it wants any"
    );
    assert_eq!(beat(ports, b).await.takers, 2);
    let stops = NodeReport::default();
    let beaten = ports
        .nodes
        .beat(b, stops, at(0))
        .await
        .expect("a heartbeat");
    assert_eq!(beaten.takers, 1);
}

pub async fn nobody_owns_a_shard_twice(ports: &Ports) {
    let names = ["a", "b", "c", "d", "e"];
    let nodes = join_all(names.map(|name| enrol(ports, name))).await;
    for _ in 0..3 {
        let taken = join_all(nodes.iter().map(|node| take(ports, *node, 300))).await;
        let mut owned = HashSet::new();
        for shard in taken.iter().flatten().map(|taken| taken.lease.shard) {
            assert!(owned.insert(shard), "{shard:?} was given away twice");
        }
        // Who finds others at it may go away with less; the next heartbeat tries again.
        assert!(owned.len() >= 300, "{}", owned.len());
        for (node, taken) in nodes.iter().zip(&taken) {
            let given_back = ports.nodes.release(*node, &leases(taken), &[]).await;
            given_back.expect("an answer");
        }
    }
}

pub async fn a_shard_that_is_given_back_takes_its_levels_along_once(ports: &Ports) {
    let one = add_tenant(ports).await;
    let two = in_another_shard(ports, one).await;
    let (a, b) = (enrol(ports, "a").await, enrol(ports, "b").await);
    let of_a = take(ports, a, Shard::COUNT).await;
    let level = |tenant| Level {
        tenant,
        all: 123_456_789_012,
        bulk: 7,
    };
    let mut back = leases(&of_a);
    back.retain(|lease| lease.shard == Shard::of(one));
    let both = [level(one), level(two)];
    let given_back = ports.nodes.release(a, &back, &both).await;
    given_back.expect("an answer");
    assert_eq!(beat(ports, a).await.free, 1);

    let of_b = take(ports, b, Shard::COUNT).await;
    assert_eq!(shards(&of_b), HashSet::from([Shard::of(one)]));
    assert!(of_b[0].lease.epoch > back[0].epoch, "it has changed hands");
    assert_eq!(levels(&of_b), [level(one)], "of that shard alone");
    let again = ports.nodes.release(b, &leases(&of_b), &[]).await;
    again.expect("an answer");
    assert_eq!(
        levels(&take(ports, a, 1).await),
        [],
        "they were taken before"
    );
}

pub async fn a_lease_that_is_lost_cannot_be_given_back(ports: &Ports) {
    let tenant = add_tenant(ports).await;
    let (a, b) = (enrol(ports, "a").await, enrol(ports, "b").await);
    let old = leases(&take(ports, a, Shard::COUNT).await);
    let given_back = ports.nodes.release(a, &old, &[]).await;
    given_back.expect("an answer");
    let of_b = take(ports, b, Shard::COUNT).await;
    let level = Level {
        tenant,
        all: 1,
        bulk: 1,
    };
    for node in [a, b] {
        let late = ports.nodes.release(node, &old, &[level]).await;
        late.expect("lost leases are passed over");
    }
    let mut owned = beat(ports, b).await.leases;
    owned.sort_by_key(|lease| lease.shard);
    assert_eq!(owned, leases(&of_b));
    let given_back = ports.nodes.release(b, &owned, &[]).await;
    given_back.expect("an answer");
    assert_eq!(levels(&take(ports, a, Shard::COUNT).await), []);
}

pub async fn a_node_that_leaves_frees_its_shards_and_is_forgotten(ports: &Ports) {
    let (a, b) = (enrol(ports, "a").await, enrol(ports, "b").await);
    take(ports, a, 1_000).await;
    ports.nodes.leave(a).await.expect("a farewell");
    assert_eq!(take(ports, b, Shard::COUNT).await.len(), 1_024);
    let ghost = ports.nodes.beat(a, WANTS, at(0)).await;
    assert!(
        matches!(ghost, Err(StoreError::NotFound { .. })),
        "{ghost:?}"
    );
    let ghost = ports.nodes.take(a, 1, at(0)).await;
    assert!(
        matches!(ghost, Err(StoreError::NotFound { .. })),
        "{ghost:?}"
    );
}

pub async fn a_node_started_again_frees_what_its_last_run_owned(ports: &Ports) {
    let first = new_node("a");
    let again = NewNode {
        id: new_node("a").id,
        ..first.clone()
    };
    ports.nodes.join(first.clone(), at(0)).await.expect("A");
    let old = take(ports, first.id, Shard::COUNT).await;
    ports
        .nodes
        .join(again.clone(), at(0))
        .await
        .expect("A again");
    let ghost = ports.nodes.beat(first.id, WANTS, at(0)).await;
    assert!(
        matches!(ghost, Err(StoreError::NotFound { .. })),
        "{ghost:?}"
    );
    let new = take(ports, again.id, Shard::COUNT).await;
    assert_eq!(new.len(), 1_024);
    assert!(new[0].lease.epoch > old[0].lease.epoch);
    assert_eq!(nodes(ports).await.len(), 1);
}

pub async fn another_node_of_the_same_name_is_refused_while_the_first_lives(ports: &Ports) {
    let (first, other) = (new_node("a"), new_node("a"));
    ports.nodes.join(first.clone(), at(0)).await.expect("A");
    take(ports, first.id, 3).await;
    let refused = ports.nodes.join(other.clone(), at(0)).await;
    assert!(
        matches!(refused, Err(StoreError::Taken { .. })),
        "{refused:?}"
    );
    assert_eq!(beat(ports, first.id).await.leases.len(), 3);
    ports.nodes.leave(first.id).await.expect("a farewell");
    ports.nodes.join(other, at(0)).await.expect("the other");
}

pub async fn the_shards_of_a_silent_node_are_taken_over(ports: &Ports) {
    let (silent, heir) = (enrol(ports, "silent").await, enrol(ports, "heir").await);
    let old = take(ports, silent, Shard::COUNT).await;
    // For a database without a clock, the lease is over at once; else it is waited for.
    let later = at(0).after(<dyn Nodes>::LEASE + Duration::from_secs(1));
    let mut taken = Vec::new();
    while taken.is_empty() {
        let beaten = ports.nodes.beat(heir, WANTS, later).await;
        if beaten.expect("a heartbeat").free == 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        let more = ports.nodes.take(heir, Shard::COUNT, later).await;
        taken = more.expect("an answer");
    }
    assert_eq!(taken.len(), 1_024);
    assert!(taken[0].lease.epoch > old[0].lease.epoch);
    assert!(taken.iter().all(|taken| taken.levels.is_empty()));
    let found = ports.nodes.nodes(later).await.expect("the nodes");
    let alive: Vec<_> = found
        .iter()
        .map(|node| (node.name.as_str(), node.alive))
        .collect();
    assert_eq!(alive, [("heir", true), ("silent", false)]);
    // It wakes: it is known, and owns nothing.
    let woken = ports.nodes.beat(silent, WANTS, later).await;
    assert_eq!(woken.expect("a heartbeat").leases, []);
}
