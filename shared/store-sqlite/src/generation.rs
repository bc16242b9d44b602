//! The number that rises with every change of the directory, and whose tenants' change it was.

use postrider_model::TenantId;
use postrider_store::{DirectoryChanges, Steps};
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::Place;

fn parse(value: i64) -> Result<u64, Fault> {
    let place = Place {
        table: "generation",
        id: &[1],
    };
    place.number("value", value)
}

pub(crate) async fn read(connection: &mut SqliteConnection) -> Result<u64, Fault> {
    // Index generation (primary key).
    let value = sqlx::query_scalar("SELECT value FROM generation WHERE one = 1")
        .fetch_one(connection)
        .await?;
    parse(value)
}

/// Something changed that is no tenant's, or so many tenants' that all is read anew.
pub(crate) async fn raise_for_all(connection: &mut SqliteConnection) -> Result<(), Fault> {
    step(connection).await.map(|_| ())
}

/// What changed are these tenants, their keys or reply addresses; each may be named often.
pub(crate) async fn raise(
    connection: &mut SqliteConnection,
    tenants: &[TenantId],
) -> Result<(), Fault> {
    let value = step(connection).await?;
    if !DirectoryChanges::are_few(tenants.len()) {
        return Ok(());
    }
    for tenant in tenants {
        // Index directory_changes (primary key).
        sqlx::query("INSERT OR IGNORE INTO directory_changes (generation, tenant) VALUES (?1, ?2)")
            .bind(value)
            .bind(tenant.as_bytes().as_slice())
            .execute(&mut *connection)
            .await?;
    }
    // Index directory_changes (primary key).
    sqlx::query("DELETE FROM directory_changes WHERE generation < ?1")
        .bind(DirectoryChanges::oldest(value))
        .execute(connection)
        .await?;
    Ok(())
}

async fn step(connection: &mut SqliteConnection) -> Result<i64, Fault> {
    // Index generation (primary key).
    sqlx::query_scalar("UPDATE generation SET value = value + 1 WHERE one = 1 RETURNING value")
        .fetch_optional(connection)
        .await?
        .ok_or(Fault::NotFound("generation"))
}

/// Whose rows have changed since `known`, up to `value`. `None` where that was not kept, or they
/// are too many.
pub(crate) async fn changed_since(
    connection: &mut SqliteConnection,
    known: u64,
    value: u64,
) -> Result<Option<Vec<TenantId>>, Fault> {
    let Some(steps) = Steps::between(known, value) else {
        return Ok(None);
    };
    // Index directory_changes (primary key).
    let named: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT generation) FROM directory_changes WHERE generation > ?1",
    )
    .bind(steps.after())
    .fetch_one(&mut *connection)
    .await?;
    if !steps.are_all_named(named) {
        return Ok(None);
    }
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT DISTINCT tenant FROM directory_changes WHERE generation > ?1")
            .bind(steps.after())
            .fetch_all(connection)
            .await?;
    if !DirectoryChanges::are_few(rows.len()) {
        return Ok(None);
    }
    let tenant = |tenant: &Vec<u8>| {
        let place = Place {
            table: "directory_changes",
            id: tenant,
        };
        place.id("tenant", tenant)
    };
    rows.iter().map(tenant).collect::<Result<_, _>>().map(Some)
}
