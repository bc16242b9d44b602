//! What only this dialect promises: several processes at once, and a server that goes away.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod postgres {
    pub(crate) mod asking;
    pub(crate) mod changes;
    pub(crate) mod faults;
    pub(crate) mod lists;
    pub(crate) mod older;
    pub(crate) mod opening;
    pub(crate) mod parts;
    pub(crate) mod together;
    pub(crate) mod unheard;
    pub(crate) mod verbs;
}
mod server;

use postrider_store::conformance::Ports;
use postrider_store_postgres::PostgresStore;
use postrider_store_postgres::cluster::Database;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

/// A database with one store on it; more can be opened.
struct Relay {
    database: Database,
    store: PostgresStore,
    ports: Ports,
}

impl Relay {
    async fn start() -> Self {
        let database = server::shared().await.database().await.unwrap();
        Self::on(database).await
    }

    async fn on(database: Database) -> Self {
        let store = server::store_on(&database).await;
        Self {
            ports: Ports::of(store.clone(), ()),
            store,
            database,
        }
    }

    /// Another process's store, as good as.
    async fn second(&self) -> Ports {
        Ports::of(server::store_on(&self.database).await, ())
    }

    async fn shell(&self) -> PgConnection {
        shell(&self.database.url).await
    }
}

async fn shell(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    options.connect().await.unwrap()
}
