//! The intake port: messages in, each with all that follows from it, one transaction for many.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use postrider_model::{MessageId, RecipientId, RecipientState, TenantId, Timestamp, WaitCause};
use postrider_store::{Answer, ClaimScope, Committed, Intake, NewMessage, StoreError, Summary};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::fault::Fault;
use crate::rows::{Place, json, json_ids};
use crate::{SqliteStore, claims, events, shard};

#[async_trait]
impl Intake for SqliteStore {
    async fn commit(&self, message: NewMessage) -> Result<Committed, StoreError> {
        check(&message)?;
        self.writer().commit(message).await
    }

    async fn answered(
        &self,
        scope: &ClaimScope,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        Ok(claims::find(self.readers(), scope, now).await?)
    }
}

/// What no batch can mend.
fn check(message: &NewMessage) -> Result<(), Fault> {
    let recipients: HashSet<RecipientId> = message.recipients.iter().map(|r| r.id).collect();
    let refuse = |reason: &str| Err(Fault::Rejected(reason.to_owned()));
    if recipients.is_empty() {
        return refuse("a message without recipients");
    }
    if recipients.len() < message.recipients.len() {
        return refuse("two recipients with one id");
    }
    if !message
        .events
        .iter()
        .all(|e| recipients.contains(&e.recipient))
    {
        return refuse("an event about a recipient of another message");
    }
    Ok(())
}

/// What came of storing some messages.
#[derive(Default)]
pub(crate) struct Accepted {
    /// In the order given.
    pub(crate) outcomes: Vec<Committed>,
    /// Those that were not there before.
    pub(crate) new: HashSet<MessageId>,
}

/// Writes messages inside the committer's transaction.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
    seq: &mut i64,
) -> Result<Accepted, Fault> {
    if messages.is_empty() {
        return Ok(Accepted::default());
    }
    let lost = claims::claim(connection, messages).await?;
    let won = |at: &usize| !lost.contains_key(at);
    let winners: Vec<&NewMessage> = (0..messages.len())
        .filter(won)
        .filter_map(|at| messages.get(at).copied())
        .collect();
    let new = insert_messages(connection, &winners).await?;
    insert_bodies(connection, &new).await?;
    insert_recipients(connection, &new, seq).await?;
    insert_events(connection, &new).await?;
    count_usage(connection, &new).await?;
    Ok(Accepted {
        outcomes: outcomes(messages.len(), lost),
        new: new.iter().map(|message| message.id).collect(),
    })
}

fn outcomes(count: usize, mut lost: HashMap<usize, Answer>) -> Vec<Committed> {
    (0..count)
        .map(|at| {
            lost.remove(&at)
                .map_or(Committed::Stored, Committed::Claimed)
        })
        .collect()
}

#[derive(Serialize)]
struct MessageRow<'m> {
    id: MessageId,
    tenant: TenantId,
    accepted_at: i64,
    expires_at: i64,
    size: usize,
    stream: &'static str,
    smtputf8: u8,
    selectors: &'m [String],
    summary: &'m Summary,
}

impl<'m> MessageRow<'m> {
    fn of(message: &'m NewMessage) -> Self {
        Self {
            id: message.id,
            tenant: message.tenant,
            accepted_at: message.accepted_at.as_micros(),
            expires_at: message.expires_at.as_micros(),
            size: message.body.len(),
            stream: message.summary.stream.as_str(),
            smtputf8: message.smtputf8.into(),
            selectors: &message.selectors,
            summary: &message.summary,
        }
    }
}

/// Returns those that were not there yet, each once.
async fn insert_messages<'m>(
    connection: &mut SqliteConnection,
    messages: &[&'m NewMessage],
) -> Result<Vec<&'m NewMessage>, Fault> {
    let rows: Vec<_> = messages.iter().map(|m| MessageRow::of(m)).collect();
    // Index messages (primary key): a repeated commit meets it. «WHERE true»: else ON would be
    // read as a join's.
    let inserted: Vec<Vec<u8>> = sqlx::query_scalar(
        "INSERT INTO messages (id, tenant, accepted_at, expires_at, size, stream, smtputf8,
             selectors, summary)
         SELECT unhex(value ->> 'id', '-'), unhex(value ->> 'tenant', '-'),
             value ->> 'accepted_at', value ->> 'expires_at', value ->> 'size',
             value ->> 'stream', value ->> 'smtputf8', value -> 'selectors', value -> 'summary'
         FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind(json(&rows)?)
    .fetch_all(&mut *connection)
    .await?;
    let mut inserted: HashSet<Vec<u8>> = inserted.into_iter().collect();
    let (new, seen) = messages.iter().partition::<Vec<_>, _>(|message| {
        // Removed at the first: the same id twice in one batch counts once.
        inserted.remove(message.id.as_bytes().as_slice())
    });
    check_repeated(connection, &seen).await?;
    Ok(new)
}

/// A message that is there already has to be the same tenant's.
async fn check_repeated(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    if messages.is_empty() {
        return Ok(());
    }
    // Index messages (primary key).
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT m.id, m.tenant FROM json_each(?1) AS k
         CROSS JOIN messages AS m ON m.id = unhex(k.value, '-')",
    )
    .bind(json_ids(messages.iter().map(|message| message.id)))
    .fetch_all(connection)
    .await?;
    let mut owners: HashMap<MessageId, TenantId> = HashMap::with_capacity(rows.len());
    for (id, tenant) in &rows {
        let place = Place {
            table: "messages",
            id,
        };
        owners.insert(place.id("id", id)?, place.id("tenant", tenant)?);
    }
    if messages
        .iter()
        .all(|m| owners.get(&m.id) == Some(&m.tenant))
    {
        Ok(())
    } else {
        Err(Fault::Rejected("its id is another tenant's".to_owned()))
    }
}

async fn insert_bodies(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    for chunk in chunks(messages) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO bodies (message, bytes) ");
        insert.push_values(chunk, |mut row, message| {
            row.push_bind(message.id.as_bytes().as_slice())
                .push_bind(&message.body[..]);
        });
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// A recipient with its queue row.
#[derive(Serialize)]
struct RecipientRow<'m> {
    message: MessageId,
    id: RecipientId,
    position: usize,
    address: String,
    return_path: String,
    state: RecipientState,
    events: usize,
    updated_at: i64,
    seq: i64,
    tenant: TenantId,
    shard: u16,
    domain: &'m str,
    due_at: i64,
    expires_at: i64,
    cause: WaitCause,
}

async fn insert_recipients(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
    seq: &mut i64,
) -> Result<(), Fault> {
    let mut rows = Vec::with_capacity(messages.len());
    for message in messages {
        push_recipients(&mut rows, message, seq);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows = json(&rows)?;
    sqlx::query(
        "INSERT INTO recipients (message, id, position, address, return_path, state, attempts,
             events, updated_at)
         SELECT unhex(value ->> 'message', '-'), unhex(value ->> 'id', '-'), value ->> 'position',
             value ->> 'address', value ->> 'return_path', value ->> 'state', 0,
             value ->> 'events', value ->> 'updated_at'
         FROM json_each(?1)",
    )
    .bind(&rows)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO queue (seq, recipient, message, tenant, shard, domain, accepted_at, due_at,
             expires_at, attempts, cause)
         SELECT value ->> 'seq', unhex(value ->> 'id', '-'), unhex(value ->> 'message', '-'),
             unhex(value ->> 'tenant', '-'), value ->> 'shard', value ->> 'domain',
             value ->> 'updated_at', value ->> 'due_at', value ->> 'expires_at', 0,
             value ->> 'cause'
         FROM json_each(?1)",
    )
    .bind(&rows)
    .execute(connection)
    .await?;
    Ok(())
}

fn push_recipients<'m>(rows: &mut Vec<RecipientRow<'m>>, message: &'m NewMessage, seq: &mut i64) {
    let mut events: HashMap<RecipientId, usize> = HashMap::with_capacity(message.recipients.len());
    for event in &message.events {
        *events.entry(event.recipient).or_default() += 1;
    }
    let (state, cause) = if message.due_at > message.accepted_at {
        (RecipientState::Scheduled, WaitCause::Scheduled)
    } else {
        (RecipientState::Queued, WaitCause::Turn)
    };
    let shard = shard::of(message.tenant);
    for (position, recipient) in message.recipients.iter().enumerate() {
        *seq += 1;
        rows.push(RecipientRow {
            message: message.id,
            id: recipient.id,
            position,
            address: recipient.address.to_string(),
            return_path: recipient.return_path.to_string(),
            state,
            events: events.get(&recipient.id).copied().unwrap_or(0),
            updated_at: message.accepted_at.as_micros(),
            seq: *seq,
            tenant: message.tenant,
            shard,
            domain: recipient.address.domain().as_str(),
            due_at: message.due_at.as_micros(),
            expires_at: message.expires_at.as_micros(),
            cause,
        });
    }
}

async fn insert_events(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let mut numbers: HashMap<RecipientId, i64> = HashMap::new();
    let numbered: Vec<_> = messages
        .iter()
        .flat_map(|message| &message.events)
        .map(|event| {
            let number = numbers.entry(event.recipient).or_default();
            *number += 1;
            (*number, event)
        })
        .collect();
    events::insert(connection, &numbered).await
}

#[derive(Serialize)]
struct UsageRow {
    tenant: TenantId,
    day: i64,
    accepted: usize,
}

async fn count_usage(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let mut sums: BTreeMap<(TenantId, i64), usize> = BTreeMap::new();
    for message in messages {
        let day = (message.tenant, message.accepted_at.day());
        *sums.entry(day).or_default() += message.recipients.len();
    }
    if sums.is_empty() {
        return Ok(());
    }
    let rows: Vec<UsageRow> = sums
        .into_iter()
        .map(|((tenant, day), accepted)| UsageRow {
            tenant,
            day,
            accepted,
        })
        .collect();
    // Index usage (primary key).
    sqlx::query(
        "INSERT INTO usage (tenant, day, accepted)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'day', value ->> 'accepted'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant, day) DO UPDATE SET accepted = accepted + excluded.accepted",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Cuts rows for statements of 64, 8 or 1: three texts, so that all three stay prepared.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = [64, 8, 1].into_iter().find(|&size| size <= rows.len())?;
        let (chunk, rest) = rows.split_at(size);
        rows = rest;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_three_sizes_and_none_is_lost() {
        let rows: Vec<u32> = (0..143).collect();
        let sizes: Vec<usize> = chunks(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes, [64, 64, 8, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }
}
