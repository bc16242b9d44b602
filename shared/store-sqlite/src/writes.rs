//! What becomes of recipients and their queue rows, many at once, inside the committer's
//! transaction.

use postrider_model::{MessageId, RecipientId, RecipientState, WaitCause, Waits};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{json, json_ids};

/// A recipient as it is written.
#[derive(Serialize)]
pub(crate) struct RecipientRow<'s> {
    pub(crate) message: MessageId,
    pub(crate) id: RecipientId,
    pub(crate) state: RecipientState,
    pub(crate) attempts: u32,
    pub(crate) events: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_enhanced: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_text: Option<&'s str>,
    /// Absent where nothing but events was added; `waits` then too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) updated_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<Waits>,
}

/// A queue row that is due at another time.
#[derive(Serialize)]
pub(crate) struct Rescheduled {
    pub(crate) recipient: RecipientId,
    pub(crate) seq: i64,
    pub(crate) since: i64,
    pub(crate) due_at: i64,
    pub(crate) attempts: u32,
    pub(crate) cause: WaitCause,
}

/// All that a batch writes, but for events.
#[derive(Default)]
pub(crate) struct Writes<'s> {
    pub(crate) recipients: Vec<RecipientRow<'s>>,
    pub(crate) rescheduled: Vec<Rescheduled>,
    /// Recipients whose queue row goes.
    pub(crate) done: Vec<RecipientId>,
}

/// Three statements in one go: each alone would cost two changes of thread.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    writes: &Writes<'_>,
) -> Result<(), Fault> {
    let want = writes.recipients.len() + writes.done.len() + writes.rescheduled.len();
    if want == 0 {
        return Ok(());
    }
    // Indexes recipients (primary key) and queue_recipient. A reply goes in whole or not at all;
    // a new seq is what shows a row to `load_changed` again.
    let changed = sqlx::query(
        "WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         UPDATE recipients AS r SET state = x.value ->> 'state',
             attempts = x.value ->> 'attempts', events = x.value ->> 'events',
             reply_code = coalesce(x.value ->> 'reply_code', r.reply_code),
             reply_enhanced = iif(x.value ->> 'reply_code' IS NULL, r.reply_enhanced,
                 x.value ->> 'reply_enhanced'),
             reply_text = coalesce(x.value ->> 'reply_text', r.reply_text),
             updated_at = coalesce(x.value ->> 'updated_at', r.updated_at),
             waits = coalesce(x.value -> 'waits', r.waits)
         FROM x
         WHERE r.message = unhex(x.value ->> 'message', '-')
             AND r.id = unhex(x.value ->> 'id', '-');
         DELETE FROM queue WHERE recipient IN (SELECT unhex(value, '-') FROM json_each(?2));
         UPDATE queue AS q SET seq = x.value ->> 'seq', since = x.value ->> 'since',
             due_at = x.value ->> 'due_at', attempts = x.value ->> 'attempts',
             cause = x.value ->> 'cause'
         FROM json_each(?3) AS x
         WHERE q.recipient = unhex(x.value ->> 'recipient', '-')",
    )
    .bind(json(&writes.recipients)?)
    .bind(json_ids(&writes.done))
    .bind(json(&writes.rescheduled)?)
    .execute(connection)
    .await?;
    // All were read in this transaction: fewer means that the tables contradict each other.
    if changed.rows_affected() == want as u64 {
        Ok(())
    } else {
        let there = changed.rows_affected();
        Err(Fault::Rejected(format!(
            "{want} rows of recipients and queue to change, {there} there"
        )))
    }
}
