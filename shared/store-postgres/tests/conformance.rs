//! The suite of the ports, on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod server;

use postrider_store::conformance::Ports;

async fn fresh() -> Ports {
    let database = server::shared().await.database().await.unwrap();
    Ports::of(server::store_on(&database).await, database)
}

postrider_store::conformance_tests!(fresh);
