//! The suite of the ports, on SQLite.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use postrider_store::conformance::Ports;
use postrider_store_sqlite::{SqliteOptions, SqliteStore};

async fn fresh() -> Ports {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let store = SqliteStore::open(&path, SqliteOptions::default())
        .await
        .unwrap();
    Ports::of(store, folder)
}

postrider_store::conformance_tests!(fresh);
