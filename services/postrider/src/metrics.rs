//! The operator's listener: Prometheus' page.

use async_trait::async_trait;
use http::{HeaderValue, Method};
use postrider_http::{Answer, Door, Problem, Request};
use postrider_telemetry::Registry;

/// `GET /metrics`.
pub(crate) struct MetricsDoor(pub Registry);

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
        Answer::new(200, kind, self.0.page())
    }
}
