//! The intake port: messages in, each with all that follows from it, one transaction for many.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use postrider_model::{Event, MessageId, RecipientId, TenantId, Timestamp};
use postrider_runtime::failpoint;
use postrider_store::{
    Answer, ClaimScope, Committed, Intake, NewMessage, Rescheduled, Rescheduling, Resealed,
    StoreError, Tally,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::partitions::Day;
use crate::rows::Id as _;
use crate::store::bounded;
use crate::writer::Crew;
use crate::{PostgresStore, arrival, claims, quota, reschedule, reseal, transaction};

#[async_trait]
impl Intake for PostgresStore {
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
        let answered = async {
            let mut connection = self.lend().await?;
            let found = claims::find(&mut connection, scope, now).await?;
            connection.back();
            Ok(found)
        };
        Ok(bounded(answered).await?)
    }

    async fn reseal(&self, message: Resealed) -> Result<bool, StoreError> {
        let id = message.id;
        let resealed = self
            .alone(move |connection| {
                Box::pin(async move { reseal::reseal(connection, &message).await })
            })
            .await;
        // Whoever sealed it: the bytes in memory may be the old ones.
        self.fresh().forget(id);
        resealed
    }

    async fn reschedule(&self, message: Rescheduled) -> Result<Rescheduling, StoreError> {
        let id = message.sealed.id;
        let done = self
            .alone(move |connection| {
                Box::pin(async move { reschedule::reschedule(connection, &message).await })
            })
            .await;
        self.fresh().forget(id);
        if !matches!(
            done,
            Ok(Rescheduling::NotScheduled | Rescheduling::NotFound)
        ) {
            // Of one whose commit was not heard of, too.
            self.board().changed();
        }
        done
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
    let remote = |e: &Event| e.reply.is_some() || e.mx.is_some() || e.tls.is_some();
    if message.events.iter().any(remote) {
        return refuse("a first event with a remote's words");
    }
    Ok(())
}

/// Stores a batch, no two messages of one id or key.
///
/// Most batches have neither keys nor quotas and repeat nothing: they are one statement, which is
/// its own transaction. All others take several, in an order of locks that all nodes share: keys,
/// tenants, then rows.
pub(crate) async fn store(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    crew: &Crew,
) -> Result<Vec<Committed>, Fault> {
    let days = messages.iter().flat_map(|message| days(message));
    crew.partitions.cover(connection, days).await?;
    let limited = |m: &&NewMessage| m.claim.is_some() || quota::has_quota(m);
    if !messages.iter().any(limited) {
        failpoint::reach("store.before_commit");
        match arrival::insert(connection, messages).await {
            Ok(now) => {
                failpoint::reach("store.after_commit");
                // A statement has no number before it is done: of one that is not heard of, nothing is
                // counted.
                crew.counts.add(Tally::of_accepted(messages));
                announce(crew, messages, now);
                return Ok(vec![Committed::Stored; messages.len()]);
            }
            // Perhaps a repetition: that is looked into below.
            Err(fault) if fault.is_taken() => {}
            Err(fault) => return Err(fault),
        }
    }
    store_with_care(connection, messages, crew).await
}

async fn store_with_care(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    crew: &Crew,
) -> Result<Vec<Committed>, Fault> {
    let transaction = transaction::begin_numbered(connection).await?;
    let done = judge(connection, messages).await?;
    finish((connection, transaction), &left(&done, messages), crew).await?;
    let done = done.into_iter();
    Ok(done.map(|done| done.unwrap_or(Committed::Stored)).collect())
}

/// Stores messages of one tenant, no two of one id and no key but the first one's: all of them or
/// none.
pub(crate) async fn store_together(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    crew: &Crew,
) -> Result<Committed, Fault> {
    let days = messages.iter().flat_map(|message| days(message));
    crew.partitions.cover(connection, days).await?;
    let transaction = transaction::begin_numbered(connection).await?;
    let done = judge(connection, messages).await?;
    for (at, (done, message)) in done.iter().zip(messages).enumerate() {
        let refused = match done {
            None | Some(Committed::Stored) => continue,
            Some(Committed::OverQuota(over)) => {
                let before = messages.get(..at).unwrap_or_default();
                Committed::OverQuota(over.without(before, message))
            }
            Some(claimed) => claimed.clone(),
        };
        transaction::rollback(connection).await;
        return Ok(refused);
    }
    finish((connection, transaction), &left(&done, messages), crew).await?;
    Ok(Committed::Stored)
}

/// What is known of each message before it is written; `None` of those that are to be written.
async fn judge(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<Vec<Option<Committed>>, Fault> {
    let mut done: Vec<Option<Committed>> = vec![None; messages.len()];
    for (at, answer) in claims::claim(connection, messages).await? {
        settle_at(&mut done, at, Committed::Claimed(answer));
    }
    quota::lock(connection, messages).await?;
    for at in known_among(connection, messages).await? {
        settle_at(&mut done, at, Committed::Stored);
    }
    let open: Vec<usize> = (0..messages.len())
        .filter(|at| matches!(done.get(*at), Some(None)))
        .collect();
    let over = quota::check(connection, messages, &open).await?;
    claims::free(connection, messages, over.keys().copied()).await?;
    for (at, over) in over {
        settle_at(&mut done, at, Committed::OverQuota(over));
    }
    Ok(done)
}

fn left<'m>(done: &[Option<Committed>], messages: &[&'m NewMessage]) -> Vec<&'m NewMessage> {
    done.iter()
        .zip(messages)
        .filter_map(|(done, message)| done.is_none().then_some(*message))
        .collect()
}

/// Writes what is left of a batch, commits, and hands it over.
async fn finish(
    (connection, transaction): (&mut PgConnection, String),
    new: &[&NewMessage],
    crew: &Crew,
) -> Result<(), Fault> {
    let now = arrival::insert_in_parts(connection, new).await?;
    quota::note(connection, new).await?;
    let counts = Tally::of_accepted(new);
    let counts = crew.counts.once_committed(transaction, counts);
    failpoint::reach("store.before_commit");
    transaction::commit(connection).await?;
    failpoint::reach("store.after_commit");
    counts.heard();
    announce(crew, new, now);
    Ok(())
}

fn settle_at(done: &mut [Option<Committed>], at: usize, with: Committed) {
    if let Some(done) = done.get_mut(at)
        && done.is_none()
    {
        *done = Some(with);
    }
}

/// The days in whose parts its rows lie.
fn days(message: &NewMessage) -> impl Iterator<Item = Day> {
    let recipients = message.recipients.iter().map(|r| Day::of(r.id.uuid()));
    std::iter::once(Day::of(message.id.uuid())).chain(recipients)
}

/// Keeps what was committed for its first attempt, and hands it over. `now` is the database's.
fn announce(crew: &Crew, messages: &[&NewMessage], now: Timestamp) {
    if messages.is_empty() {
        return;
    }
    for message in messages {
        if message.due_at <= message.accepted_at {
            crew.fresh.keep(message);
        }
    }
    let rows: Vec<_> = messages
        .iter()
        .flat_map(|message| arrival::queue_rows(message, now))
        .collect();
    crew.news.committed(rows.into_iter());
}

/// The places of those that are there already. Refuses one whose id another tenant has.
async fn known_among(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<Vec<usize>, Fault> {
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id.uuid()).collect();
    // Index messages (primary key). Joined, each is looked for in the part of its day; with
    // `= ANY` it would be in all of them.
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT m.id, m.tenant FROM unnest($1::uuid[]) AS x (id)
         JOIN messages AS m ON m.id = x.id",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let owners: HashMap<MessageId, TenantId> = rows
        .into_iter()
        .map(|(id, tenant)| (MessageId::of(id), TenantId::of(tenant)))
        .collect();
    let mut known = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        match owners.get(&message.id) {
            None => {}
            Some(owner) if *owner == message.tenant => known.push(at),
            Some(_) => return Err(Fault::Rejected("its id is another tenant's".to_owned())),
        }
    }
    Ok(known)
}
