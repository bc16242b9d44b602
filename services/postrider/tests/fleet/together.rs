//! Nodes and doors that all live: who owns what, and what one says holds at all.

use std::collections::HashSet;
use std::time::Duration;

use postrider::cli::Role;
use postrider::config::Config;
use postrider::relay::{Machine, Relay};
use postrider_fakenet::{Gate, Phase, Script};
use postrider_runtime::{Clock, Shutdown};
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::process::run;
use crate::harness::until;
use crate::house::{Fleet, shards};
use crate::ledger::{Load, judge, paced};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_share_the_shards_and_two_doors_the_work() {
    let Some(fleet) = Fleet::start(2, 3).await else {
        return;
    };
    let standing = fleet.standing();
    let names: Vec<_> = standing.iter().map(|one| &one["name"]).collect();
    assert!(names.contains(&&json!("node0")) && names.contains(&&json!("node2")));
    for node in &standing {
        assert_eq!(node["alive"], true, "{node}");
        let age = node["heartbeat_age_ms"].as_u64().unwrap();
        assert!(age < 15_000, "{node}");
        let offset = node["clock_offset_ms"].as_f64().unwrap();
        // As exact as a question and its answer are quick.
        assert!(offset.abs() < 10_000.0, "{node}");
    }
    let mut load = Load::new();
    for n in 0..6 {
        let mut tenant = fleet.tenant(&format!("Tenant {n}"), &[]).await;
        tenant.http = fleet.doors[n % 2].http.clone();
        load.add(&tenant, &format!("t{n}x"), 5);
    }
    load.acknowledged(200).await;
    let sent = load.end().await;
    let verdict = judge(&fleet, &sent).await;
    assert_eq!(verdict.doubled, 0);
    fleet.nothing_was_overlooked().await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_requests_at_two_doors_are_one_message() {
    let Some(fleet) = Fleet::start(2, 1).await else {
        return;
    };
    for round in 0..10 {
        let key = format!("order-{round}");
        let body = json!({"to": format!("r{round}@once.test"), "subject": "x", "text": "y"});
        let mut all = JoinSet::new();
        for n in 0..10 {
            let mut place = fleet.place.clone();
            place.http = fleet.doors[n % 2].http.clone();
            let (key, body) = (key.clone(), body.to_string());
            all.spawn(async move {
                let fields = [("idempotency-key", key.as_str())];
                place.ask("POST", "/emails", &fields, body.as_bytes()).await
            });
        }
        // Both doors may be at it at once: then one of them says that it is in progress.
        let answers = all.join_all().await;
        let taken = answers.iter().filter(|one| one.status == 200);
        let ids: HashSet<_> = taken.map(crate::harness::Answer::id).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let others = answers.iter().filter(|one| one.status != 200);
        for other in others {
            let (status, name, _) = other.refusal();
            assert_eq!(
                (status, name.as_str()),
                (409, "concurrent_idempotent_requests")
            );
        }
        let id = ids.into_iter().next().unwrap();
        fleet.place.settled(&id).await;
    }
    assert_eq!(fleet.net.mailbox().messages().len(), 10);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_reaches_whichever_node_owns_the_shard_and_waits_for_it() {
    let Some(fleet) = Fleet::start(1, 3).await else {
        return;
    };
    let gate = Gate::new();
    let mut tenants = Vec::new();
    for n in 0..6 {
        let tenant = fleet.tenant(&format!("Tenant {n}"), &[]).await;
        let waits = Script::new().gate(Phase::Rcpt, &gate);
        fleet.net.domain(&format!("slow{n}.test")).mx(waits);
        let id = tenant.send_to(&format!("ann@slow{n}.test")).await;
        tenants.push((tenant, id));
    }
    gate.reached_times(6).await;
    for (tenant, id) in &tenants {
        let answer = tenant.command(&["queue", "cancel", "--tenant", &tenant.tenant]);
        assert_eq!(answer["changed"], 1, "{answer}");
        assert_eq!(answer["not_answered"], json!([]), "{answer}");
        let timeline = tenant.settled(id).await;
        assert_eq!(timeline.outcomes(), ["accepted", "cancelled"]);
    }
    gate.open();
    let after = fleet.place.send_to("ann@after.test").await;
    fleet.place.settled(&after).await;
    assert_eq!(fleet.net.mailbox().messages().len(), 1);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_doubles_nothing_and_keeps_the_pace() {
    let Some(mut fleet) = Fleet::start(1, 3).await else {
        return;
    };
    let paced_one = fleet
        .tenant("Paced", &["--per-minute", "300", "--burst", "5"])
        .await;
    let free = fleet.tenant("Free", &[]).await;
    let mut load = Load::new();
    load.add(&paced_one, "paced", 5);
    load.add(&free, "free", 10);
    load.acknowledged(50).await;
    for n in 0..3 {
        fleet.nodes[n].restart().await;
        fleet.balanced(3).await;
        load.acknowledged(30).await;
    }
    let sent = load.end().await;
    let verdict = judge(&fleet, &sent).await;
    assert_eq!(verdict.doubled, 0);
    paced(&sent, &paced_one, 300, 5).await;
    fleet.nothing_was_overlooked().await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_of_the_same_name_is_refused_and_the_first_goes_on() {
    let Some(fleet) = Fleet::start(1, 1).await else {
        return;
    };
    let other = fleet.part("other", "delivery");
    let config = other.config.to_str().unwrap();
    let words = [
        "serve", "--config", config, "--role", "delivery", "--node", "node0",
    ];
    let second = run(words);
    assert_eq!(second.status.code(), Some(1));
    let fault = String::from_utf8(second.stderr).unwrap();
    assert!(
        fault.contains("node0") && fault.contains("delivery.node"),
        "{fault}"
    );
    // In the first one's own folder it is the journal that is taken.
    let config = fleet.nodes[0].config.to_str().unwrap();
    let text = std::fs::read_to_string(config).unwrap();
    let metrics = format!("\"{}\"", fleet.nodes[0].metrics.address);
    let twin = fleet.nodes[0].config.with_file_name("twin.toml");
    std::fs::write(&twin, text.replace(&metrics, "\"127.0.0.1:0\"")).unwrap();
    let twin = run([
        "serve",
        "--config",
        twin.to_str().unwrap(),
        "--role",
        "delivery",
    ]);
    assert_eq!(twin.status.code(), Some(1));
    let fault = String::from_utf8(twin.stderr).unwrap();
    assert!(fault.contains("journal"), "{fault}");

    let id = fleet.place.send_to("ann@first.test").await;
    fleet.place.settled(&id).await;
    assert_eq!(shards(&fleet.standing()[0]), 1_024);
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_an_hour_off_owns_nothing() {
    let Some(fleet) = Fleet::start(1, 0).await else {
        return;
    };
    let late = fleet.part("late", "delivery");
    let config = Config::read(&late.config).unwrap();
    let clock = Clock::held(Clock::system().now().after(Duration::from_hours(1)));
    let machine = Machine {
        clock,
        ..Machine::real()
    };
    let shutdown = Shutdown::new(Duration::from_secs(5));
    let relay = Relay::start(&config, &[Role::Delivery], machine, shutdown)
        .await
        .unwrap();
    let seen = until("the late node", async || {
        let standing = fleet.standing().into_iter();
        let mut late = standing.filter(|one| one["name"] == "late");
        late.find(|one| one["clock_offset_ms"].as_f64().unwrap() > 3_500_000.0)
    })
    .await;
    assert_eq!((shards(&seen), &seen["alive"]), (0, &json!(true)));
    let waiting = fleet.place.send_to("ann@waits.test").await;

    let mut right = fleet.part("right", "delivery");
    right.start();
    fleet.balanced(1).await;
    fleet.place.settled(&waiting).await;
    let owners = fleet.standing();
    let of = |name: &str| owners.iter().find(|one| one["name"] == name).map(shards);
    assert_eq!((of("late"), of("right")), (Some(0), Some(1_024)));
    relay.shutdown.begin();
    relay.ended().await.unwrap();
    right.stop().await;
    fleet.stop().await;
}
