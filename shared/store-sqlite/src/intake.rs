//! The intake port: messages in, each with all that follows from it, one transaction for many.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use postrider_model::{Event, MessageId, RecipientId, TenantId, Timestamp};
use postrider_store::{Answer, ClaimScope, Committed, Intake, NewMessage, StoreError, Summary};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::fault::Fault;
use crate::rows::{Place, json, json_ids};
use crate::{SqliteStore, arrival, claims};

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
pub(crate) struct Accepted<'m> {
    /// In the order given.
    pub(crate) outcomes: Vec<Committed>,
    /// Those that were not there before.
    pub(crate) new: HashSet<MessageId>,
    /// Their first events, numbered, yet to be written.
    pub(crate) events: Vec<(i64, &'m Event)>,
}

/// Writes messages inside the committer's transaction, all but their events.
pub(crate) async fn store<'m>(
    connection: &mut SqliteConnection,
    messages: &[&'m NewMessage],
    seq: &mut i64,
) -> Result<Accepted<'m>, Fault> {
    if messages.is_empty() {
        return Ok(Accepted::default());
    }
    let lost = claims::claim(connection, messages).await?;
    let won = |at: &usize| !lost.contains_key(at);
    let winners: Vec<&'m NewMessage> = (0..messages.len())
        .filter(won)
        .filter_map(|at| messages.get(at).copied())
        .collect();
    let new = insert_messages(connection, &winners).await?;
    insert_bodies(connection, &new).await?;
    arrival::insert(connection, &new, seq).await?;
    Ok(Accepted {
        events: arrival::events(&new),
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
