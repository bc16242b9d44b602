//! The client's side of the race between taking a scheduled message back and starting it.

use postrider_model::{MessageId, RecipientId, RecipientState, TenantId, Timestamp};
use postrider_store::{Cancelled, ControlVerb};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::verbs::{self, Deed, Subject};

/// All recipients of a message that nothing has been started of. The other side is
/// `start_scheduled`: both lock the message's recipients first, and look then.
pub(crate) async fn cancel(
    connection: &mut PgConnection,
    tenant: TenantId,
    message: MessageId,
    at: Timestamp,
) -> Result<Cancelled, Fault> {
    // Indexes messages and recipients (primary keys).
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT r.id, r.state FROM messages AS m JOIN recipients AS r ON r.message = m.id
         WHERE m.tenant = $1 AND m.id = $2 AND r.message = $2
         ORDER BY r.message, r.id FOR NO KEY UPDATE OF r",
    )
    .bind(tenant.uuid())
    .bind(message.uuid())
    .fetch_all(&mut *connection)
    .await?;
    if rows.is_empty() {
        return Ok(Cancelled::NotFound);
    }
    let mut waiting: Vec<RecipientId> = Vec::with_capacity(rows.len());
    let mut scheduled = false;
    for (id, state) in rows {
        let place = Place {
            table: "recipients",
            id,
        };
        match place.cell("state", RecipientState::parse(&state))? {
            RecipientState::Scheduled => scheduled = true,
            // Stopped before it was started, or taken out of it before.
            RecipientState::Held => {}
            RecipientState::Cancelled | RecipientState::Suppressed => continue,
            _ => return Ok(Cancelled::NotScheduled),
        }
        waiting.push(RecipientId::of(id));
    }
    if !scheduled {
        return Ok(Cancelled::NotScheduled);
    }
    let subjects: Vec<Subject> = waiting
        .into_iter()
        .map(|recipient| Subject::of(message, recipient))
        .collect();
    let deed = Deed {
        verb: ControlVerb::Cancel,
        at,
        note: None,
    };
    verbs::enact(connection, &subjects, &deed).await?;
    Ok(Cancelled::Done)
}
