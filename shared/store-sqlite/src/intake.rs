//! The intake port: messages in, each with all that follows from it, one transaction for many.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use postrider_model::{Event, MessageId, RecipientId, TenantId, Timestamp};
use postrider_store::{
    Answer, ClaimScope, Committed, Intake, NewMessage, Rescheduled, Rescheduling, Resealed,
    StoreError, Tally,
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::fault::Fault;
use crate::quota::Meter;
use crate::recent::Recent;
use crate::rows::{Place, json_ids};
use crate::spool::{ROW_MOST, Spool};
use crate::{SqliteStore, arrival, claims, quota, reschedule, reseal, spooled, tags};

#[async_trait]
impl Intake for SqliteStore {
    async fn commit(&self, message: NewMessage) -> Result<Committed, StoreError> {
        check(&message)?;
        self.writer().commit(message).await
    }

    async fn commit_all(&self, messages: Vec<NewMessage>) -> Result<Committed, StoreError> {
        check_group(&messages)?;
        self.writer().commit_all(messages).await
    }

    async fn answered(
        &self,
        scope: &ClaimScope,
        now: Timestamp,
    ) -> Result<Option<Answer>, StoreError> {
        Ok(claims::find(self.readers(), scope, now).await?)
    }

    async fn reseal(&self, message: Resealed) -> Result<bool, StoreError> {
        let fresh = self.fresh().clone();
        let was = self.lies_at(message.id).await?;
        let done = self
            .writer()
            .numbering(move |desk| {
                Box::pin(async move {
                    // Before the commit: `open` fills nothing in again.
                    fresh.forget(message.id);
                    desk.bytes_in_log += message.body.len();
                    reseal::reseal(&mut desk.connection, &message).await
                })
            })
            .await?;
        if done {
            self.give_back(was).await;
        }
        Ok(done)
    }

    async fn reschedule(&self, message: Rescheduled) -> Result<Rescheduling, StoreError> {
        let fresh = self.fresh().clone();
        let was = self.lies_at(message.sealed.id).await?;
        let done = self
            .writer()
            .numbering(move |desk| {
                Box::pin(async move {
                    // Before the commit: `open` fills nothing in again.
                    fresh.forget(message.sealed.id);
                    desk.bytes_in_log += message.sealed.body.len();
                    reschedule::reschedule(desk, &message).await
                })
            })
            .await?;
        if done == Rescheduling::Done {
            self.ticker().look();
            self.give_back(was).await;
        }
        Ok(done)
    }
}

/// What no transaction can mend.
fn check_group(messages: &[NewMessage]) -> Result<(), Fault> {
    let refuse = |reason: &str| Err(Fault::Rejected(reason.to_owned()));
    let Some(first) = messages.first() else {
        return refuse("a group of no messages");
    };
    let ids: HashSet<MessageId> = messages.iter().map(|message| message.id).collect();
    if ids.len() < messages.len() {
        return refuse("two messages with one id");
    }
    if messages
        .iter()
        .any(|message| message.tenant != first.tenant)
    {
        return refuse("a group of several tenants");
    }
    if messages.iter().skip(1).any(|m| m.claim.is_some()) {
        return refuse("a claim that is not at the first message");
    }
    messages.iter().try_for_each(check)
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
    /// What they add to the counts, yet to be written.
    pub(crate) tally: Tally,
}

/// Writes messages inside the committer's transaction, all but their events.
pub(crate) async fn store<'m>(
    connection: &mut SqliteConnection,
    messages: &[&'m NewMessage],
    (seq, spool, recent): (&mut i64, &mut Spool, &Recent),
) -> Result<Accepted<'m>, Fault> {
    if messages.is_empty() {
        return Ok(Accepted::default());
    }
    let mut claims = claims::look_up(connection, messages, recent).await?;
    let mut owners = owners(connection, messages).await?;
    let mut meter = Meter::read(connection, messages).await?;
    let mut outcomes = Vec::with_capacity(messages.len());
    let mut new = Vec::with_capacity(messages.len());
    // One after the other, in the order in which they came: each finds what those before it left
    // of keys and quota.
    for (at, message) in messages.iter().enumerate() {
        if let Some(answer) = claims.answer(at, messages) {
            outcomes.push(Committed::Claimed(answer));
            continue;
        }
        match owners.get(&message.id) {
            Some(owner) if *owner != message.tenant => {
                return Err(Fault::Rejected("its id is another tenant's".to_owned()));
            }
            Some(_) => {}
            None => {
                if let Err(over) = meter.count(message) {
                    outcomes.push(Committed::OverQuota(over));
                    continue;
                }
                owners.insert(message.id, message.tenant);
                new.push(*message);
            }
        }
        claims.win(at, message);
        outcomes.push(Committed::Stored);
    }
    let placed = spool.place(&new)?;
    let extents = placed.in_order();
    let rows = async {
        claims.insert(connection, messages, recent).await?;
        recent.insert(connection, &new).await?;
        arrival::insert(connection, &new, seq).await?;
        tags::insert(connection, &new).await?;
        insert_bodies(connection, &new).await?;
        spooled::insert(connection, &extents).await?;
        quota::note(connection, &new).await
    };
    // Both end, whatever becomes of the other: nothing is written behind a transaction's back.
    let (written, told) = futures_util::join!(placed.write(), rows);
    written.and(told)?;
    Ok(Accepted {
        tally: Tally::of_accepted(&new),
        events: arrival::events(&new),
        outcomes,
        new: new.iter().map(|message| message.id).collect(),
    })
}

/// Whose the messages are that are there already. Asked before the INSERT, not by its RETURNING: with
/// one writer that is as safe, and an answer per row would cost two changes of thread each.
async fn owners(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<HashMap<MessageId, TenantId>, Fault> {
    // Index messages (primary key).
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT m.id, m.tenant FROM json_each(?1) AS k
         CROSS JOIN messages AS m ON m.id = unhex(k.value, '-')",
    )
    .bind(json_ids(messages.iter().map(|message| message.id)))
    .fetch_all(connection)
    .await?;
    let mut owners: HashMap<MessageId, TenantId> = HashMap::with_capacity(messages.len());
    for (id, tenant) in &rows {
        let place = Place {
            table: "messages",
            id,
        };
        owners.insert(place.id("id", id)?, place.id("tenant", tenant)?);
    }
    Ok(owners)
}

async fn insert_bodies(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let in_rows = messages.iter().filter(|m| m.body.len() <= ROW_MOST);
    let in_rows: Vec<&NewMessage> = in_rows.copied().collect();
    for chunk in chunks(&in_rows, |message| message.body.len()) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO bodies (message, bytes) ");
        insert.push_values(chunk, |mut row, message| {
            row.push_bind(message.id.as_bytes().as_slice())
                .push_bind(&message.body[..]);
        });
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Bytes of bodies in one statement, unless it is one body: they are copied twice on their way.
const BYTES_MOST: usize = 1 << 20;

/// Cuts rows for statements of 64, 8 or 1: three texts, so that all three stay prepared.
pub(crate) fn chunks<T>(mut rows: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let fits = |size: usize| {
            let chunk = rows.get(..size)?;
            let sum: usize = chunk.iter().map(&bytes).sum();
            (size == 1 || sum <= BYTES_MOST).then_some(size)
        };
        let size = [64, 8, 1].into_iter().find_map(fits)?;
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
        let rows: Vec<usize> = (0..143).collect();
        let sizes = |bytes: usize| -> Vec<usize> {
            let cut = chunks(&rows, |_| bytes);
            cut.map(<[usize]>::len).collect()
        };
        let few = [64, 64, 8, 1, 1, 1, 1, 1, 1, 1];
        assert_eq!(sizes(10), few);
        assert_eq!(sizes(BYTES_MOST / 64), few);
        // Large ones go alone: a hundred of them would be in memory three times at once.
        assert_eq!(sizes(BYTES_MOST / 8)[..2], [8, 8]);
        assert_eq!(sizes(BYTES_MOST), [1; 143]);
        let all: Vec<usize> = chunks(&rows, |row| row << 11).flatten().copied().collect();
        assert_eq!(all, rows);
    }
}
