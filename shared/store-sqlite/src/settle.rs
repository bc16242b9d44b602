//! Settlements inside the committer's transaction: what became of recipients, many at once.

use std::collections::HashMap;

use postrider_model::{Event, MessageId, RecipientId, RecipientState, WaitCause};
use postrider_store::{Outcome, Settled, Settlement};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json, json_ids};

/// A recipient as it stood before.
struct Standing {
    state: RecipientState,
    attempts: u32,
    events: i64,
    /// Whether it has a queue row.
    queued: bool,
}

/// What came of recording some settlements.
#[derive(Default)]
pub(crate) struct Recorded<'s> {
    /// In the order given.
    pub(crate) outcomes: Vec<Settled>,
    /// Their events, numbered, yet to be written.
    pub(crate) events: Vec<(i64, &'s Event)>,
}

/// A recipient as it is written.
#[derive(Serialize)]
struct RecipientRow<'s> {
    message: MessageId,
    id: RecipientId,
    state: RecipientState,
    attempts: u32,
    events: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_enhanced: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_text: Option<&'s str>,
    /// Absent where nothing but events was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
}

#[derive(Serialize)]
struct QueueRow {
    recipient: RecipientId,
    seq: i64,
    due_at: i64,
    attempts: u32,
    cause: WaitCause,
}

/// All that a batch writes.
#[derive(Default)]
struct Writes<'s> {
    recipients: Vec<RecipientRow<'s>>,
    rescheduled: Vec<QueueRow>,
    /// Recipients whose queue row goes.
    done: Vec<RecipientId>,
    events: Vec<(i64, &'s Event)>,
}

/// Records settlements, no two of the same recipient; all but their events.
pub(crate) async fn record<'s>(
    connection: &mut SqliteConnection,
    settlements: &[&'s Settlement],
    seq: &mut i64,
) -> Result<Recorded<'s>, Fault> {
    if settlements.is_empty() {
        return Ok(Recorded::default());
    }
    let standing = read(connection, settlements).await?;
    let mut writes = Writes::default();
    let outcomes = settlements
        .iter()
        .map(|settlement| match standing.get(&settlement.recipient) {
            Some(before) => writes.add(before, settlement, seq),
            None => Settled::Gone,
        })
        .collect();
    write(connection, &writes).await?;
    Ok(Recorded {
        outcomes,
        events: writes.events,
    })
}

#[derive(Serialize)]
struct Key {
    message: MessageId,
    recipient: RecipientId,
}

async fn read(
    connection: &mut SqliteConnection,
    settlements: &[&Settlement],
) -> Result<HashMap<RecipientId, Standing>, Fault> {
    let keys: Vec<Key> = settlements
        .iter()
        .map(|settlement| Key {
            message: settlement.message,
            recipient: settlement.recipient,
        })
        .collect();
    // Indexes recipients (primary key) and queue_recipient. One JSON text for all: an answer per
    // row would cost two changes of thread each.
    let rows: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(k.key, r.state, r.attempts, r.events,
             EXISTS (SELECT 1 FROM queue AS q WHERE q.recipient = r.id)))
         FROM json_each(?1) AS k CROSS JOIN recipients AS r
             ON r.message = unhex(k.value ->> 'message', '-')
             AND r.id = unhex(k.value ->> 'recipient', '-')",
    )
    .bind(json(&keys)?)
    .fetch_one(connection)
    .await?;
    let all = Place {
        table: "recipients",
        id: &[],
    };
    let rows: Vec<(usize, RecipientState, u32, i64, u8)> =
        all.cell("state", serde_json::from_str(&rows))?;
    let standing = rows
        .into_iter()
        .filter_map(|(at, state, attempts, events, queued)| {
            let standing = Standing {
                state,
                attempts,
                events,
                queued: queued != 0,
            };
            Some((keys.get(at)?.recipient, standing))
        });
    Ok(standing.collect())
}

impl<'s> Writes<'s> {
    fn add(&mut self, before: &Standing, settlement: &'s Settlement, seq: &mut i64) -> Settled {
        let too_late = before.state.is_final();
        let (state, attempts) = if too_late {
            (before.state, before.attempts)
        } else {
            self.queue(before, settlement, seq)
        };
        let mut events = before.events;
        for event in &settlement.events {
            events += 1;
            self.events.push((events, event));
        }
        let stands = too_late || settlement.outcome == Outcome::Noted;
        let reply = settlement.reply.as_ref().filter(|_| !too_late);
        self.recipients.push(RecipientRow {
            message: settlement.message,
            id: settlement.recipient,
            state,
            attempts,
            events,
            reply_code: reply.map(|reply| reply.code),
            reply_enhanced: reply.and_then(|reply| Some(reply.enhanced?.to_string())),
            reply_text: reply.map(|reply| reply.text.as_str()),
            updated_at: (!stands).then_some(settlement.at.as_micros()),
        });
        if too_late {
            Settled::TooLate
        } else {
            Settled::Recorded
        }
    }

    /// What the outcome does to the queue; returns the recipient's state and attempts after it.
    fn queue(
        &mut self,
        before: &Standing,
        settlement: &Settlement,
        seq: &mut i64,
    ) -> (RecipientState, u32) {
        match settlement.outcome {
            Outcome::Final { state, attempts } => {
                self.leave(before, settlement.recipient);
                (state, attempts)
            }
            Outcome::Held { attempts } => {
                self.leave(before, settlement.recipient);
                (RecipientState::Held, attempts)
            }
            // What was stopped while it was attempted stays stopped.
            Outcome::Retry { attempts, .. } if before.state == RecipientState::Held => {
                (RecipientState::Held, attempts)
            }
            Outcome::Retry {
                due_at,
                attempts,
                cause,
            } => {
                *seq += 1;
                self.rescheduled.push(QueueRow {
                    recipient: settlement.recipient,
                    seq: *seq,
                    due_at: due_at.as_micros(),
                    attempts,
                    cause,
                });
                (RecipientState::Queued, attempts)
            }
            Outcome::Noted => (before.state, before.attempts),
        }
    }

    fn leave(&mut self, before: &Standing, recipient: RecipientId) {
        if before.queued {
            self.done.push(recipient);
        }
    }
}

/// Three statements in one go: each alone would cost two changes of thread.
async fn write(connection: &mut SqliteConnection, writes: &Writes<'_>) -> Result<(), Fault> {
    if writes.recipients.is_empty() {
        return Ok(());
    }
    // Indexes recipients (primary key) and queue_recipient. A reply goes in whole or not at all;
    // a new seq is what shows a row to `load_changed` again.
    let changed = sqlx::query(
        "WITH x AS MATERIALIZED (SELECT value FROM json_each(?1))
         UPDATE recipients AS r SET state = x.value ->> 'state',
             attempts = x.value ->> 'attempts', events = x.value ->> 'events',
             reply_code = coalesce(x.value ->> 'reply_code', r.reply_code),
             reply_enhanced = iif(x.value ->> 'reply_code' IS NULL, r.reply_enhanced,
                 x.value ->> 'reply_enhanced'),
             reply_text = coalesce(x.value ->> 'reply_text', r.reply_text),
             updated_at = coalesce(x.value ->> 'updated_at', r.updated_at)
         FROM x
         WHERE r.message = unhex(x.value ->> 'message', '-')
             AND r.id = unhex(x.value ->> 'id', '-');
         DELETE FROM queue WHERE recipient IN (SELECT unhex(value, '-') FROM json_each(?2));
         UPDATE queue AS q SET seq = x.value ->> 'seq', due_at = x.value ->> 'due_at',
             attempts = x.value ->> 'attempts', cause = x.value ->> 'cause'
         FROM json_each(?3) AS x
         WHERE q.recipient = unhex(x.value ->> 'recipient', '-')",
    )
    .bind(json(&writes.recipients)?)
    .bind(json_ids(&writes.done))
    .bind(json(&writes.rescheduled)?)
    .execute(connection)
    .await?;
    // All were read in this transaction: fewer means that the tables contradict each other.
    let want = writes.recipients.len() + writes.done.len() + writes.rescheduled.len();
    if changed.rows_affected() == want as u64 {
        Ok(())
    } else {
        let there = changed.rows_affected();
        Err(Fault::Rejected(format!(
            "{want} rows of recipients and queue to change, {there} there"
        )))
    }
}
