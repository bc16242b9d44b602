//! The suite of the ports, on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod server;

use postrider_store::conformance::Ports;

async fn fresh() -> Ports {
    server::ports().await
}

postrider_store::conformance_tests!(fresh);
