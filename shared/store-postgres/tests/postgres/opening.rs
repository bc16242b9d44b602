//! Opening: the shape of the schema, and what people are told.

use postrider_store_postgres::{OpenError, PostgresOptions, PostgresStore};
use sqlx::Executor as _;

use crate::{Relay, server, shell};

async fn refused(url: &str) -> OpenError {
    match PostgresStore::open(url, PostgresOptions::default()).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_refused_until_it_is() {
    let database = server::shared().await.database().await.unwrap();
    PostgresStore::empty(&database.url).await.unwrap();
    let error = refused(&database.url).await;
    assert!(matches!(error, OpenError::Older { .. }), "{error}");
    assert!(error.to_string().contains("postrider migrate"), "{error}");
    PostgresStore::migrate(&database.url).await.unwrap();
    PostgresStore::migrate(&database.url).await.unwrap();
    server::store_on(&database).await.close().await;
}

#[tokio::test]
async fn several_that_migrate_and_open_at_once_do_not_meet() {
    let database = server::shared().await.database().await.unwrap();
    PostgresStore::empty(&database.url).await.unwrap();
    let migrations = (0..4).map(|_| PostgresStore::migrate(&database.url));
    for done in futures_util::future::join_all(migrations).await {
        done.unwrap();
    }
    let opened = (0..4).map(|_| server::store_on(&database));
    for store in futures_util::future::join_all(opened).await {
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_another_release_is_not_touched() {
    let relay = Relay::start().await;
    let mut shell = shell(&relay.database.url).await;
    let newer = "INSERT INTO _sqlx_migrations
        (version, description, success, checksum, execution_time)
        VALUES (9001, 'from the future', true, '\\x00', 0)";
    shell.execute(newer).await.unwrap();
    let error = refused(&relay.database.url).await;
    assert!(
        matches!(error, OpenError::Newer { version: 9001, .. }),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(said.contains("restore the backup"), "{said}");
    let altered = "DELETE FROM _sqlx_migrations WHERE version = 9001;
        UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
    sqlx::raw_sql(altered).execute(&mut shell).await.unwrap();
    let error = refused(&relay.database.url).await;
    assert!(
        matches!(error, OpenError::Altered { version: 1, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_password_is_never_shown() {
    for url in [
        "postgres://joe:hunter2@127.0.0.1:1/relay",
        "postgres://127.0.0.1:1/relay?user=joe&password=hunter2",
        "postgres://joe:hunter2@[bad/relay",
        "mysql://joe:hunter2@127.0.0.1/relay",
    ] {
        let error = refused(url).await;
        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_closed_store_says_that_it_is_not_available() {
    let relay = Relay::start().await;
    relay.store.close().await;
    let refused = relay.ports.directory.generation().await;
    assert!(
        matches!(refused, Err(postrider_store::StoreError::Unavailable(_))),
        "{refused:?}"
    );
}
