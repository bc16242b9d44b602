//! Putting a message's new bytes in the place of the old.

use postrider_store::Resealed;
use sqlx::SqliteConnection;

use crate::fault::Fault;

/// False where its signatures are not those of `was` any more, or its bytes are gone.
pub(crate) async fn reseal(
    connection: &mut SqliteConnection,
    message: &Resealed,
) -> Result<bool, Fault> {
    let id = message.id.as_bytes().as_slice();
    // Indexes messages and bodies (primary keys).
    let changed = sqlx::query(
        "UPDATE messages SET selectors = ?4, sealed_until = ?5, size = ?6
         WHERE id = ?1 AND tenant = ?2 AND sealed_until = ?3
             AND EXISTS (SELECT 1 FROM bodies WHERE message = ?1)",
    )
    .bind(id)
    .bind(message.tenant.as_bytes().as_slice())
    .bind(message.was.as_micros())
    .bind(crate::rows::json(&message.selectors)?)
    .bind(message.sealed_until.as_micros())
    .bind(i64::try_from(message.body.len()).unwrap_or(i64::MAX))
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    // Seldom, so that even a large one goes into its row.
    sqlx::query(
        "UPDATE bodies SET bytes = ?2, segment = NULL, start = NULL, length = NULL
         WHERE message = ?1",
    )
    .bind(id)
    .bind(&message.body[..])
    .execute(connection)
    .await?;
    Ok(true)
}
