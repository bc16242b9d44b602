//! Nodes that die or stand still under load.

use serde_json::json;

use crate::harness::Place;
use crate::house::{Fleet, PAST_THE_LEASE};
use crate::ledger::{Load, Sent, judge, paced};
use crate::shell::Shell;

struct Scene {
    fleet: Fleet,
    load: Load,
    paced: Place,
}

impl Scene {
    /// Three nodes at work: one tenant with a pace, three without.
    async fn start() -> Option<Self> {
        let fleet = Fleet::start(1, 3).await?;
        let paced = fleet
            .tenant("Paced", &["--per-minute", "300", "--burst", "5"])
            .await;
        let mut load = Load::new();
        load.add(&paced, "paced", 4);
        for n in 0..3 {
            let tenant = fleet.tenant(&format!("Free {n}"), &[]).await;
            load.add(&tenant, &format!("free{n}x"), 4);
        }
        load.acknowledged(50).await;
        Some(Self { fleet, load, paced })
    }

    async fn end(self) -> (Fleet, Vec<Sent>) {
        let sent = self.load.end().await;
        judge(&self.fleet, &sent).await;
        paced(&sent, &self.paced, 300, 5).await;
        (self.fleet, sent)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_node_that_dies_goes_on_at_the_others() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.fleet.nodes[0].kill().await;
    scene.fleet.balanced(2).await;
    scene.load.acknowledged(50).await;
    scene.fleet.nodes[0].start();
    scene.fleet.balanced(3).await;
    scene.load.acknowledged(50).await;
    let (fleet, _) = scene.end().await;
    fleet.nothing_was_overlooked().await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_and_started_again_has_its_shards_at_once() {
    let Some(mut fleet) = Fleet::start(1, 1).await else {
        return;
    };
    for n in 0..3 {
        let id = fleet.place.send_to(&format!("r{n}@again.test")).await;
        fleet.nodes[0].kill().await;
        // Whoever waited for the end of its leases would wait for an hour.
        let longer = "UPDATE nodes SET beat_at = beat_at + 3600000000; SELECT 'longer';";
        let shell = Shell::open(&fleet, &format!("longer{n}"), longer);
        shell.answers("longer").await;
        fleet.nodes[0].start();
        fleet.place.settled(&id).await;
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_wakes_after_its_lease_finds_that_its_work_is_done() {
    let Some(scene) = Scene::start().await else {
        return;
    };
    scene.fleet.nodes[1].signal("STOP");
    scene.load.goes_on(PAST_THE_LEASE).await;
    scene.fleet.balanced(2).await;
    scene.load.acknowledged(30).await;
    scene.fleet.nodes[1].signal("CONT");
    scene.fleet.balanced(3).await;
    scene.load.acknowledged(30).await;
    let (fleet, _) = scene.end().await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_while_a_node_stands_still_is_refused_or_holds_when_it_wakes() {
    let Some(fleet) = Fleet::start(1, 2).await else {
        return;
    };
    let message = json!({
        "to": "ann@late.test", "subject": "x", "text": "y", "scheduled_at": "in 1 hour",
    });
    let mut mail = Vec::new();
    for n in 0..4 {
        let tenant = fleet.tenant(&format!("Tenant {n}"), &[]).await;
        let id = tenant.send(message.clone()).await;
        mail.push((tenant, id));
    }
    fleet.nodes[0].signal("STOP");
    for (tenant, id) in &mail {
        let words = ["queue", "cancel", "--tenant", &tenant.tenant];
        let said = tenant.try_command(&words);
        let timeline = tenant.events(id).await;
        if said.status.success() {
            assert!(timeline.has("cancelled"), "{timeline:#?}");
        } else {
            let fault = String::from_utf8(said.stderr).unwrap();
            assert!(fault.contains("node0"), "{fault}");
            assert!(!timeline.has("cancelled"), "{timeline:#?}");
        }
    }
    fleet.nodes[0].signal("CONT");
    fleet.balanced(2).await;
    for (tenant, id) in &mail {
        tenant.command(&["queue", "cancel", "--tenant", &tenant.tenant]);
        let timeline = tenant.settled(id).await;
        assert_eq!(timeline.outcomes(), ["scheduled", "cancelled"]);
    }
    fleet.stop().await;
}
