//! What becomes of recipients and their queue rows, many at once, in one statement.

use postrider_model::{MessageId, RecipientId, RecipientState, Reply, Timestamp, WaitCause, Waits};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, json, text, uuids};

/// A recipient as it is written.
pub(crate) struct RecipientRow<'s> {
    pub(crate) message: MessageId,
    pub(crate) id: RecipientId,
    pub(crate) state: RecipientState,
    pub(crate) attempts: i64,
    pub(crate) events: i64,
    /// `None` leaves what is there, as with the two below.
    pub(crate) reply: Option<&'s Reply>,
    pub(crate) updated_at: Option<Timestamp>,
    pub(crate) waits: Option<Waits>,
}

/// A queue row that is due at another time.
pub(crate) struct Rescheduled {
    pub(crate) recipient: RecipientId,
    pub(crate) since: Timestamp,
    pub(crate) due_at: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) cause: WaitCause,
}

/// All that a batch writes, but for events.
#[derive(Default)]
pub(crate) struct Writes<'s> {
    pub(crate) recipients: Vec<RecipientRow<'s>>,
    pub(crate) rescheduled: Vec<Rescheduled>,
    /// Recipients whose queue row goes, if they have one.
    pub(crate) done: Vec<RecipientId>,
}

/// Recipients, a column each.
#[derive(Default)]
struct RecipientColumns {
    message: Vec<Uuid>,
    id: Vec<Uuid>,
    state: Vec<&'static str>,
    attempts: Vec<i64>,
    events: Vec<i64>,
    reply_code: Vec<Option<i32>>,
    reply_enhanced: Vec<Option<String>>,
    reply_text: Vec<Option<String>>,
    updated_at: Vec<Option<i64>>,
    waits: Vec<Option<String>>,
}

impl RecipientColumns {
    fn of(rows: &[RecipientRow<'_>]) -> Result<Self, Fault> {
        let mut columns = Self::default();
        for row in rows {
            columns.push(row)?;
        }
        Ok(columns)
    }

    fn push(&mut self, row: &RecipientRow<'_>) -> Result<(), Fault> {
        self.message.push(row.message.uuid());
        self.id.push(row.id.uuid());
        self.state.push(row.state.as_str());
        self.attempts.push(row.attempts);
        self.events.push(row.events);
        self.reply_code
            .push(row.reply.map(|reply| reply.code.into()));
        let enhanced = row
            .reply
            .and_then(|reply| Some(reply.enhanced?.to_string()));
        self.reply_enhanced.push(enhanced);
        let said = row.reply.map(|reply| text(&reply.text).into_owned());
        self.reply_text.push(said);
        self.updated_at
            .push(row.updated_at.map(Timestamp::as_micros));
        self.waits.push(row.waits.as_ref().map(json).transpose()?);
        Ok(())
    }
}

fn column<T>(rows: &[Rescheduled], of: impl Fn(&Rescheduled) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

pub(crate) async fn write(connection: &mut PgConnection, writes: &Writes<'_>) -> Result<(), Fault> {
    let (r, q) = (
        RecipientColumns::of(&writes.recipients)?,
        &writes.rescheduled[..],
    );
    if r.id.is_empty() && q.is_empty() {
        return Ok(());
    }
    let want = (count(r.id.len()), count(q.len()));
    // Indexes recipients and queue (primary keys). A reply goes in whole or not at all; `changed`
    // is what shows a row to `load_changed` again.
    let changed: (i64, i64) = sqlx::query_as(
        "WITH r AS (
             UPDATE recipients AS r SET state = x.state, attempts = x.attempts, events = x.events,
                 reply_code = coalesce(x.reply_code, r.reply_code),
                 reply_enhanced = CASE WHEN x.reply_code IS NULL THEN r.reply_enhanced
                     ELSE x.reply_enhanced END,
                 reply_text = coalesce(x.reply_text, r.reply_text),
                 updated_at = coalesce(x.updated_at, r.updated_at),
                 waits = coalesce(x.waits, r.waits)
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
                 $6::integer[], $7::text[], $8::text[], $9::bigint[], $10::text[]) AS x (message,
                 id, state, attempts, events, reply_code, reply_enhanced, reply_text, updated_at,
                 waits)
             WHERE r.message = x.message AND r.id = x.id RETURNING 1),
         q AS (
             UPDATE queue AS q SET since = x.since, due_at = x.due_at, attempts = x.attempts,
                 cause = x.cause, changed = pg_current_xact_id()
             FROM unnest($11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[])
                 AS x (recipient, since, due_at, attempts, cause)
             WHERE q.recipient = x.recipient RETURNING 1),
         d AS (DELETE FROM queue WHERE recipient = ANY($16::uuid[]))
         SELECT (SELECT count(*) FROM r), (SELECT count(*) FROM q)",
    )
    .bind(r.message)
    .bind(r.id)
    .bind(r.state)
    .bind(r.attempts)
    .bind(r.events)
    .bind(r.reply_code)
    .bind(r.reply_enhanced)
    .bind(r.reply_text)
    .bind(r.updated_at)
    .bind(r.waits)
    .bind(column(q, |row| row.recipient.uuid()))
    .bind(column(q, |row| row.since.as_micros()))
    .bind(column(q, |row| row.due_at.as_micros()))
    .bind(column(q, |row| row.attempts))
    .bind(column(q, |row| row.cause.as_str()))
    .bind(uuids(&writes.done))
    .fetch_one(&mut *connection)
    .await?;
    // All were locked in this transaction: fewer means that the tables contradict each other.
    if changed == want {
        Ok(())
    } else {
        Err(Fault::Rejected(format!(
            "{want:?} rows of recipients and queue to change, {changed:?} there"
        )))
    }
}

fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
