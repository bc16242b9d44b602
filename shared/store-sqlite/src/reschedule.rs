//! Another time for a scheduled message.

use postrider_model::{Event, EventKind, MessageId, RecipientId, RecipientState};
use postrider_store::{Rescheduled, Rescheduling, Summary};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};
use crate::writer::Desk;
use crate::{events, reseal};

/// A recipient that leaves at the new time.
#[derive(Serialize)]
struct Waiting {
    id: RecipientId,
    /// How many events it has with the one about this.
    events: i64,
    /// Its change, where it is in the queue. One that was stopped gets its row when it is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
}

/// Its id, its state, how many events it has.
type Recipient = (RecipientId, RecipientState, i64);

/// All of a message that nothing has been started of, or nothing. The other sides are
/// `start_scheduled` and `cancel`: with one writer, one of them comes first.
pub(crate) async fn reschedule(
    desk: &mut Desk,
    message: &Rescheduled,
) -> Result<Rescheduling, Fault> {
    let Some(recipients) = recipients(&mut desk.connection, message).await? else {
        return Ok(Rescheduling::NotFound);
    };
    if !is_scheduled(&recipients) {
        return Ok(Rescheduling::NotScheduled);
    }
    if !reseal::reseal(&mut desk.connection, &message.sealed).await? {
        return Ok(Rescheduling::SealedByAnother);
    }
    let waiting = waiting(recipients, &mut desk.seq);
    tell_summary(&mut desk.connection, message).await?;
    move_rows(&mut desk.connection, message, &waiting).await?;
    tell_events(&mut desk.connection, message, &waiting).await?;
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

fn waiting(recipients: Vec<Recipient>, seq: &mut i64) -> Vec<Waiting> {
    let mut waiting = Vec::with_capacity(recipients.len());
    for (id, state, events) in recipients {
        let seq = match state {
            RecipientState::Scheduled => {
                *seq += 1;
                Some(*seq)
            }
            RecipientState::Held => None,
            _ => continue,
        };
        let events = events + 1;
        waiting.push(Waiting { id, events, seq });
    }
    waiting
}

/// Its recipients with their states, and how many events they have; `None` where its tenant has
/// none of that id.
async fn recipients(
    connection: &mut SqliteConnection,
    message: &Rescheduled,
) -> Result<Option<Vec<Recipient>>, Fault> {
    // Indexes messages and recipients (primary keys).
    let rows: Vec<(Vec<u8>, String, i64)> = sqlx::query_as(
        "SELECT r.id, r.state, r.events FROM messages AS m JOIN recipients AS r ON r.message = m.id
         WHERE m.tenant = ?1 AND m.id = ?2 ORDER BY r.position",
    )
    .bind(message.sealed.tenant.as_bytes().as_slice())
    .bind(message.sealed.id.as_bytes().as_slice())
    .fetch_all(connection)
    .await?;
    let recipients = rows.iter().map(|(id, state, events)| {
        let place = Place {
            table: "recipients",
            id,
        };
        let state = place.cell("state", RecipientState::parse(state))?;
        Ok((place.id("id", id)?, state, *events))
    });
    let recipients = recipients.collect::<Result<Vec<_>, Fault>>()?;
    Ok((!recipients.is_empty()).then_some(recipients))
}

async fn tell_summary(
    connection: &mut SqliteConnection,
    message: &Rescheduled,
) -> Result<(), Fault> {
    let id = message.sealed.id.as_bytes().as_slice();
    let place = Place {
        table: "messages",
        id,
    };
    // Index messages (primary key), both times.
    let summary: String = sqlx::query_scalar("SELECT summary FROM messages WHERE id = ?1")
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    let mut summary: Summary = place.cell("summary", serde_json::from_str(&summary))?;
    summary.scheduled_at = Some(message.due_at);
    let changed = sqlx::query(
        "UPDATE messages SET summary = ?3, expires_at = ?4 WHERE tenant = ?1 AND id = ?2",
    )
    .bind(message.sealed.tenant.as_bytes().as_slice())
    .bind(id)
    .bind(json_of(&summary)?)
    .bind(message.expires_at.as_micros())
    .execute(connection)
    .await?;
    expect(changed.rows_affected(), 1, message.sealed.id)
}

/// `since` and the ledger stay: a node that has the row in memory with its old time, and starts it
/// since the new one has come too, counts from the same moment.
async fn move_rows(
    connection: &mut SqliteConnection,
    message: &Rescheduled,
    waiting: &[Waiting],
) -> Result<(), Fault> {
    // Indexes recipients (primary key) and queue_recipient. A new seq is what shows a row to
    // `load_changed` again.
    let changed = sqlx::query(
        "UPDATE recipients AS r SET events = x.value ->> 'events' FROM json_each(?2) AS x
         WHERE r.message = ?1 AND r.id = unhex(x.value ->> 'id', '-');
         UPDATE queue AS q SET seq = x.value ->> 'seq', due_at = ?3, expires_at = ?4
         FROM json_each(?2) AS x
         WHERE x.value ->> 'seq' IS NOT NULL AND q.recipient = unhex(x.value ->> 'id', '-')
             AND q.message = ?1",
    )
    .bind(message.sealed.id.as_bytes().as_slice())
    .bind(json(waiting)?)
    .bind(message.due_at.as_micros())
    .bind(message.expires_at.as_micros())
    .execute(connection)
    .await?;
    let queued = waiting.iter().filter(|one| one.seq.is_some()).count();
    expect(
        changed.rows_affected(),
        waiting.len() + queued,
        message.sealed.id,
    )
}

async fn tell_events(
    connection: &mut SqliteConnection,
    message: &Rescheduled,
    waiting: &[Waiting],
) -> Result<(), Fault> {
    let told: Vec<(i64, Event)> = waiting
        .iter()
        .map(|one| {
            let mut event = Event::new(one.id, message.at, EventKind::Rescheduled);
            event.note = Some(message.due_at.to_string());
            (one.events, event)
        })
        .collect();
    let told: Vec<_> = told.iter().map(|(seq, event)| (*seq, event)).collect();
    events::insert(connection, &told).await
}

fn json_of(summary: &Summary) -> Result<String, Fault> {
    serde_json::to_string(summary).map_err(|error| Fault::Rejected(error.to_string()))
}

/// All were read in this transaction: fewer means that the tables contradict each other.
fn expect(there: u64, want: usize, message: MessageId) -> Result<(), Fault> {
    if there == want as u64 {
        Ok(())
    } else {
        Err(Fault::Rejected(format!(
            "{want} rows of message {message} to change, {there} there"
        )))
    }
}
