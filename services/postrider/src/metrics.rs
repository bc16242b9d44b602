//! The operator's listener: Prometheus' page, and what on it is of the process as a whole.

use async_trait::async_trait;
use http::{HeaderValue, Method};
use postrider_gate::Budget;
use postrider_http::{Answer, Door, Problem, Request};
use postrider_telemetry::Registry;

use crate::waiting::QueuePage;

/// `GET /metrics`.
pub(crate) struct MetricsDoor {
    pub(crate) metrics: Registry,
    pub(crate) queue: QueuePage,
}

#[async_trait]
impl Door for MetricsDoor {
    async fn answer(&self, request: Request) -> Answer {
        if request.path.as_str() != "/metrics" {
            return Problem::not_found().into();
        }
        if request.method != Method::GET && request.method != Method::HEAD {
            return Problem::method_not_allowed("GET, HEAD").into();
        }
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        self.queue.freshen().await;
        Answer::new(200, kind, self.metrics.page())
    }
}

/// Which build runs, on which database.
pub(crate) fn show_build(metrics: &Registry, database: &str) {
    let version = env!("CARGO_PKG_VERSION");
    metrics.fact(
        "postrider_build_info",
        "Always 1; its labels say which release runs, and on which database.",
        &[("version", version), ("database", database)],
    );
}

/// The room for bodies, and what of it is taken.
pub(crate) fn show_room(metrics: &Registry, budget: &Budget, most: u64) {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let taken = metrics.gauge(
        "postrider_ingest_memory_bytes",
        "Memory taken by bodies that were not answered yet.",
    );
    let limit = metrics.gauge(
        "postrider_ingest_memory_limit_bytes",
        "Memory that bodies may take: limits.memory_bytes.",
    );
    limit.set(bytes(most));
    let budget = budget.clone();
    metrics.before_page(move || taken.set(bytes(budget.taken())));
}
