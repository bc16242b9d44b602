//! The server that these tests use, or word that there is none.

use std::io::Write as _;

use postrider_store_postgres::cluster::{Cluster, ClusterError, Database};
use postrider_store_postgres::{PostgresOptions, PostgresStore};

/// The shared server. Without PostgreSQL on this machine the test fails where all tools are
/// required; elsewhere it is named as not run, and this process, all of whose tests need it, ends.
pub(crate) async fn shared() -> &'static Cluster {
    present(Cluster::shared().await)
}

pub(crate) fn present<T>(cluster: Result<T, ClusterError>) -> T {
    match cluster {
        Ok(cluster) => cluster,
        Err(missing @ ClusterError::Missing) => {
            say(&format!("the store on PostgreSQL: {missing}"));
            std::process::exit(0)
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn say(hint: &str) {
    assert!(
        environment("POSTRIDER_REQUIRE_ALL").is_none_or(|all| all != "1"),
        "{hint}"
    );
    eprintln!("NOT RUN: {hint}");
    if let Some(list) = environment("POSTRIDER_NOT_RUN") {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(list).unwrap();
        writeln!(file, "{hint}").unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "says what the test run requires")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Few connections: many tests share a server.
pub(crate) fn options() -> PostgresOptions {
    PostgresOptions {
        connections: 13,
        ..PostgresOptions::default()
    }
}

pub(crate) async fn store_on(database: &Database) -> PostgresStore {
    let opened = PostgresStore::open(&database.url, options()).await;
    opened.unwrap_or_else(|error| panic!("{error:?}"))
}
