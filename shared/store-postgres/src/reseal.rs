//! Putting a message's new bytes in the place of the old.

use postrider_store::Resealed;
use sqlx::PgConnection;

use crate::fault::Fault;
use crate::rows::{Id as _, Place, json};

/// False where its signatures are not those of `was` any more, or its bytes are gone.
pub(crate) async fn reseal(
    connection: &mut PgConnection,
    message: &Resealed,
) -> Result<bool, Fault> {
    let place = Place {
        table: "messages",
        id: message.id.uuid(),
    };
    let size = i64::try_from(message.body.len());
    // Indexes messages and bodies (primary keys). Both rows or none: a message without bytes
    // keeps its old seal.
    let changed: i64 = sqlx::query_scalar(
        "WITH b AS (
             SELECT b.message FROM bodies AS b JOIN messages AS m ON m.id = b.message
             WHERE b.message = $1 AND m.tenant = $2 AND m.sealed_until = $3 FOR UPDATE),
         m AS (
             UPDATE messages AS m SET selectors = $4, sealed_until = $5, size = $6
             FROM b WHERE m.id = b.message AND m.id = $1 AND m.sealed_until = $3
             RETURNING m.id),
         x AS (
             UPDATE bodies AS x SET bytes = $7 FROM m WHERE x.message = m.id AND x.message = $1
             RETURNING 1)
         SELECT count(*) FROM x",
    )
    .bind(message.id.uuid())
    .bind(message.tenant.uuid())
    .bind(message.was.as_micros())
    .bind(json(&message.selectors)?)
    .bind(message.sealed_until.as_micros())
    .bind(place.cell("size", size)?)
    .bind(&message.body[..])
    .fetch_one(connection)
    .await?;
    Ok(changed > 0)
}
