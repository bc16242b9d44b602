//! Who delivers: the nodes, and how much of the queue each owns.

use postrider_model::Timestamp;
use postrider_store::NodeStanding;
use serde_json::{Value, json};

use super::Office;

impl Office {
    pub(super) async fn nodes(&self) -> anyhow::Result<Value> {
        let now = self.provision.clock.now();
        let nodes = self.database.nodes.nodes(now).await?;
        Ok(nodes.iter().map(|node| shown(node, now)).collect())
    }
}

fn shown(node: &NodeStanding, now: Timestamp) -> Value {
    // By this machine's clock: of heartbeats that the database dated, as good as the two agree.
    let age = now.since(node.beat_at);
    json!({
        "name": node.name,
        "alive": node.alive,
        "shards": node.shards,
        "heartbeat_age_ms": u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        "clock_offset_ms": node.report.clock_offset / 1_000,
        "wants_shards": node.report.wants_shards,
        "since": node.started_at,
        "id": node.id,
    })
}
