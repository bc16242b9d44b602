//! Two nodes, of which one may not send: its doctor finds that nobody would take mail from it.

use std::net::IpAddr;

use postrider_fakenet::Script;
use serde_json::{Value, json};

use crate::harness::{Place, Timeline, until};
use crate::house::{Fleet, Part};
use crate::shell::Shell;

/// So many that each node has the shards of some.
const TENANTS: usize = 20;
/// Not on this machine, so that mail to it leaves. Nobody can dial it, even where the way out fails to
/// be closed: it is a multicast address (RFC 6676), and TCP opens nothing to one (RFC 1122
/// §4.2.3.10).
const ELSEWHERE: &str = "233.252.0.1";

struct Scene {
    fleet: Fleet,
    closed: Part,
    /// Each tenant with its message.
    mail: Vec<(Place, String)>,
}

impl Scene {
    /// One node, closed, and mail that waits for it.
    async fn start() -> Option<Self> {
        let fleet = Fleet::start(1, 0).await?;
        let zone = fleet.net.domain("far.test");
        let here = zone.mx(Script::new()).address().ip();
        let there: IpAddr = ELSEWHERE.parse().unwrap();
        zone.host_addresses("mx.far.test", &[here, there]);
        let mut closed = fleet.part("closed", "delivery");
        looks(&closed);
        closed.start();
        fleet.balanced(1).await;
        let mut mail = Vec::new();
        for n in 0..TENANTS {
            let tenant = fleet.tenant(&format!("Tenant {n}"), &[]).await;
            let id = tenant.send_to(&to(n)).await;
            mail.push((tenant, id));
        }
        Some(Self {
            fleet,
            closed,
            mail,
        })
    }

    async fn each_is_turned_back(&self) {
        for (tenant, id) in &self.mail {
            let turned_back = |line: &Timeline| line.has("deferred");
            tenant.events_when(id, turned_back).await;
        }
    }

    /// By tenant, as `queue list` shows what waits; each is held by the doctor.
    fn waiting(&self) -> Vec<Value> {
        let listed = self.fleet.place.command(&["queue", "list"]);
        let lines = listed["waiting"]["lines"].as_array().unwrap();
        for line in lines {
            assert_eq!(line["held_by"], json!(["doctor"]), "{listed}");
            assert_eq!(line["recipients"], 1, "{listed}");
            assert_eq!(line["release"], json!(["postrider doctor"]), "{listed}");
        }
        lines.iter().map(|line| line["tenant"].clone()).collect()
    }

    /// Until the queue has nothing in this node's shards.
    async fn nothing_is_left_to(&self, node: &str) {
        let count = format!(
            "SELECT 'left', count(*) FROM queue JOIN shards USING (shard)
             JOIN nodes ON nodes.id = shards.owner WHERE nodes.name = '{node}';"
        );
        until("the queue of the node", async || {
            let shell = Shell::open(&self.fleet, "left", &count);
            let left = shell.answers("\n").await;
            (left.trim() == "left|0").then_some(())
        })
        .await;
    }

    fn found(&self, n: usize) -> Value {
        let found = self.fleet.place.command(&["find", &to(n)]);
        found["messages"][0].clone()
    }
}

fn to(n: usize) -> String {
    format!("ann{n}@far.test")
}

/// This node may dial anybody and so has a doctor, which finds no record of the host; and asks nobody
/// beyond this machine.
fn looks(node: &Part) {
    let text = std::fs::read_to_string(&node.config).unwrap();
    let text = text.replace("dial = \"loopback\"", "dial = \"internet\"");
    let (ours, both) = (
        "\"127.0.0.0/8\"",
        format!("\"127.0.0.0/8\", \"{ELSEWHERE}/32\""),
    );
    assert!(text.contains(ours), "{text}");
    let text = text.replace(ours, &both);
    let doctor = "[doctor]\nprobe_domains = []\ndnsbls = []\ntime_servers = []\n";
    std::fs::write(&node.config, text + doctor).unwrap();
}

fn may_send(node: &Part) {
    let text = std::fs::read_to_string(&node.config).unwrap();
    let text = text.replace("dial = \"internet\"", "dial = \"loopback\"");
    std::fs::write(&node.config, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_closed_node_has_waits_and_leaves_by_whoever_may_send() {
    let Some(mut scene) = Scene::start().await else {
        return;
    };
    scene.each_is_turned_back().await;
    assert_eq!(scene.waiting().len(), TENANTS);
    let found = scene.found(0);
    assert_eq!(found["held_by"], json!(["doctor"]), "{found}");
    let next = found["next"].as_str().unwrap();
    assert!(next.contains("nothing may leave this relay"), "{found}");

    // Another may send: what it takes over leaves without a verb, the rest stays.
    let mut open = scene.fleet.part("open", "delivery");
    open.start();
    scene.fleet.balanced(2).await;
    scene.nothing_is_left_to("open").await;
    let waiting = scene.waiting();
    assert!((1..TENANTS).contains(&waiting.len()), "{waiting:?}");
    for (n, (tenant, id)) in scene.mail.iter().enumerate() {
        let is_gone = tenant.events(id).await.is_settled();
        assert_ne!(is_gone, waiting.contains(&json!(tenant.tenant)));
        if !is_gone {
            assert_eq!(scene.found(n)["held_by"], json!(["doctor"]));
        }
    }

    scene.closed.stop().await;
    may_send(&scene.closed);
    scene.closed.start();
    for (tenant, id) in &scene.mail {
        let line = tenant.settled(id).await;
        assert_eq!(line.outcomes().last().copied(), Some("delivered"));
    }
    assert_eq!(scene.waiting().len(), 0);
    assert_eq!(scene.fleet.net.mailbox().messages().len(), TENANTS);
    open.stop().await;
    scene.closed.stop().await;
    scene.fleet.stop().await;
}
