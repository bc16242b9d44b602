//! BEGIN, COMMIT and ROLLBACK of the one writer, by hand.
//!
//! Not sqlx's `Transaction`: after an error on which SQLite rolls back by itself (a full disk,
//! an I/O error) it still counts the transaction as open, and every later one is refused.

use sqlx::SqliteConnection;

use crate::fault::Fault;

/// Begins a transaction that may write: it waits for the lock now, not at its first write.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    Ok(())
}

/// Returns when all of it is on disk (with `synchronous = FULL`).
pub(crate) async fn commit(connection: &mut SqliteConnection) -> Result<(), Fault> {
    match sqlx::query("COMMIT").execute(&mut *connection).await {
        Ok(_) => Ok(()),
        Err(error) => {
            rollback(connection).await;
            Err(error.into())
        }
    }
}

/// Ends a transaction that failed. SQLite may have ended it already; then this fails, which is
/// as good.
pub(crate) async fn rollback(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "nothing to roll back");
    }
}
