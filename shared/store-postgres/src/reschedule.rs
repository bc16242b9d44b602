//! Another time for a scheduled message.

use postrider_model::{Event, EventKind, MessageId, RecipientId, RecipientState};
use postrider_store::{Rescheduled, Rescheduling, Summary};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::events::EventColumns;
use crate::fault::Fault;
use crate::reseal;
use crate::rows::{Id as _, Place, json};

/// A recipient that leaves at the new time.
struct Waiting {
    id: RecipientId,
    /// How many events it has with the one about this.
    events: i64,
    /// Whether it is in the queue. One that was stopped gets its row when it is released.
    queued: bool,
}

/// Its id, its state, how many events it has.
type Recipient = (RecipientId, RecipientState, i64);

/// All of a message that nothing has been started of, or nothing. The other sides are
/// `start_scheduled` and `cancel`: all lock the message's recipients first, and look then.
pub(crate) async fn reschedule(
    connection: &mut PgConnection,
    message: &Rescheduled,
) -> Result<Rescheduling, Fault> {
    let Some(recipients) = recipients(connection, message).await? else {
        return Ok(Rescheduling::NotFound);
    };
    if !is_scheduled(&recipients) {
        return Ok(Rescheduling::NotScheduled);
    }
    if !reseal::reseal(connection, &message.sealed).await? {
        return Ok(Rescheduling::SealedByAnother);
    }
    let waiting = waiting(recipients);
    tell_summary(connection, message).await?;
    move_rows(connection, message, &waiting).await?;
    tell_events(connection, message, &waiting).await?;
    Ok(Rescheduling::Done)
}

/// Whether somebody waits for its time, and nobody was started. Who was stopped before that, or taken
/// out, is passed over as in `cancel`.
fn is_scheduled(recipients: &[Recipient]) -> bool {
    let mut states = recipients.iter().map(|(_, state, _)| *state);
    let waits = states.clone().any(|s| s == RecipientState::Scheduled);
    waits
        && states.all(|state| {
            use RecipientState::{Cancelled, Held, Scheduled, Suppressed};
            matches!(state, Scheduled | Held | Cancelled | Suppressed)
        })
}

fn waiting(recipients: Vec<Recipient>) -> Vec<Waiting> {
    let waiting = recipients.into_iter().filter_map(|(id, state, events)| {
        let queued = match state {
            RecipientState::Scheduled => true,
            RecipientState::Held => false,
            _ => return None,
        };
        let events = events + 1;
        Some(Waiting { id, events, queued })
    });
    waiting.collect()
}

/// Its recipients with their states, and how many events they have; `None` where its tenant has
/// none of that id.
async fn recipients(
    connection: &mut PgConnection,
    message: &Rescheduled,
) -> Result<Option<Vec<Recipient>>, Fault> {
    // Indexes messages and recipients (primary keys).
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "SELECT r.id, r.state, r.events FROM messages AS m JOIN recipients AS r ON r.message = m.id
         WHERE m.tenant = $1 AND m.id = $2 AND r.message = $2
         ORDER BY r.message, r.id FOR NO KEY UPDATE OF r",
    )
    .bind(message.sealed.tenant.uuid())
    .bind(message.sealed.id.uuid())
    .fetch_all(connection)
    .await?;
    let recipients = rows.iter().map(|(id, state, events)| {
        let place = Place {
            table: "recipients",
            id: *id,
        };
        let state = place.cell("state", RecipientState::parse(state))?;
        Ok((RecipientId::of(*id), state, *events))
    });
    let recipients = recipients.collect::<Result<Vec<_>, Fault>>()?;
    Ok((!recipients.is_empty()).then_some(recipients))
}

async fn tell_summary(connection: &mut PgConnection, message: &Rescheduled) -> Result<(), Fault> {
    let id = message.sealed.id.uuid();
    let place = Place {
        table: "messages",
        id,
    };
    // Index messages (primary key), both times.
    let summary: String = sqlx::query_scalar("SELECT summary FROM messages WHERE id = $1")
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    let mut summary: Summary = place.json("summary", &summary)?;
    summary.scheduled_at = Some(message.due_at);
    let changed = sqlx::query(
        "UPDATE messages SET summary = $3, expires_at = $4 WHERE tenant = $1 AND id = $2",
    )
    .bind(message.sealed.tenant.uuid())
    .bind(id)
    .bind(json(&summary)?)
    .bind(message.expires_at.as_micros())
    .execute(connection)
    .await?;
    expect(changed.rows_affected(), 1, message.sealed.id)
}

/// `since` and the ledger stay: a node that has the row in memory with its old time, and starts it
/// since the new one has come too, counts from the same moment.
async fn move_rows(
    connection: &mut PgConnection,
    message: &Rescheduled,
    waiting: &[Waiting],
) -> Result<(), Fault> {
    // Index recipients (primary key), in the part of the message's day.
    let told = sqlx::query(
        "UPDATE recipients AS r SET events = x.events
         FROM unnest($2::uuid[], $3::bigint[]) AS x (id, events)
         WHERE r.message = $1 AND r.id = x.id",
    )
    .bind(message.sealed.id.uuid())
    .bind(waiting.iter().map(|one| one.id.uuid()).collect::<Vec<_>>())
    .bind(waiting.iter().map(|one| one.events).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    expect(told.rows_affected(), waiting.len(), message.sealed.id)?;
    let queued = waiting.iter().filter(|one| one.queued);
    let queued: Vec<Uuid> = queued.map(|one| one.id.uuid()).collect();
    // Index queue (primary key). `changed` is what shows a row to `load_changed` again.
    let moved = sqlx::query(
        "UPDATE queue SET due_at = $2, expires_at = $3, changed = pg_current_xact_id()
         WHERE recipient = ANY($1)",
    )
    .bind(&queued)
    .bind(message.due_at.as_micros())
    .bind(message.expires_at.as_micros())
    .execute(connection)
    .await?;
    expect(moved.rows_affected(), queued.len(), message.sealed.id)
}

async fn tell_events(
    connection: &mut PgConnection,
    message: &Rescheduled,
    waiting: &[Waiting],
) -> Result<(), Fault> {
    let told: Vec<(i64, i64, Event)> = waiting
        .iter()
        .map(|one| {
            let mut event = Event::new(one.id, message.at, EventKind::Rescheduled);
            event.note = Some(message.due_at.to_string());
            (one.events, 0, event)
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(seq, epoch, event)| (*seq, *epoch, event))
        .collect();
    EventColumns::of(&told).insert(connection).await
}

/// All were locked in this transaction: fewer means that the tables contradict each other.
fn expect(there: u64, want: usize, message: MessageId) -> Result<(), Fault> {
    if there == want as u64 {
        Ok(())
    } else {
        Err(Fault::Rejected(format!(
            "{want} rows of message {message} to change, {there} there"
        )))
    }
}
