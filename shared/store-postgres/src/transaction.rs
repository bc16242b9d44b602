//! BEGIN, COMMIT and ROLLBACK by hand, as on SQLite: whoever fails in between drops the connection
//! or rolls back himself.

use sqlx::{PgConnection, Row as _};

use crate::fault::Fault;

pub(crate) async fn begin(connection: &mut PgConnection) -> Result<(), Fault> {
    sqlx::raw_sql("BEGIN").execute(connection).await?;
    Ok(())
}

/// The same, and the number under which the server knows the transaction.
pub(crate) async fn begin_numbered(connection: &mut PgConnection) -> Result<String, Fault> {
    let begin = sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()::text");
    Ok(begin.fetch_one(connection).await?.try_get(0)?)
}

/// Returns when all of it is on disk (with `synchronous_commit = on`).
pub(crate) async fn commit(connection: &mut PgConnection) -> Result<(), Fault> {
    sqlx::raw_sql("COMMIT").execute(connection).await?;
    Ok(())
}

/// Ends a transaction that failed, or none.
pub(crate) async fn rollback(connection: &mut PgConnection) {
    if let Err(error) = sqlx::raw_sql("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

/// Begins a transaction whose commit need not be on disk: a crash that loses it does no harm.
pub(crate) async fn begin_cheap(connection: &mut PgConnection) -> Result<(), Fault> {
    let begin = "BEGIN; SET LOCAL synchronous_commit = off";
    sqlx::raw_sql(begin).execute(connection).await?;
    Ok(())
}

/// Begins a transaction that reads all it reads as of one moment.
pub(crate) async fn begin_reading(connection: &mut PgConnection) -> Result<(), Fault> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    sqlx::raw_sql(begin).execute(connection).await?;
    Ok(())
}
