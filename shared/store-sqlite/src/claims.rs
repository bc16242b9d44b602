//! Idempotency claims: who used a key first, and what it was answered.

use std::collections::HashMap;

use postrider_model::{MessageId, Timestamp};
use postrider_store::{Answer, Claim, ClaimScope, NewMessage};
use serde::Serialize;
use sqlx::{SqliteConnection, SqlitePool};

use crate::fault::Fault;
use crate::rows::{Place, hex, json};

#[derive(Serialize)]
struct ClaimRow<'m> {
    tenant: String,
    endpoint: &'static str,
    key: &'m str,
    message: MessageId,
    request: String,
    status: u16,
    answer: &'m str,
    until: i64,
    /// The message's place in its batch.
    #[serde(skip)]
    at: usize,
}

#[derive(sqlx::FromRow)]
struct StoredClaim {
    at: i64,
    message: Vec<u8>,
    request: Vec<u8>,
    status: i64,
    answer: String,
}

/// Claims the keys of a batch. Returns the losers, by their place, with the answer that stands.
/// A message whose own earlier commit holds the claim is no loser.
pub(crate) async fn claim(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<HashMap<usize, Answer>, Fault> {
    let mut rows: Vec<ClaimRow<'_>> = messages
        .iter()
        .enumerate()
        .filter_map(|(at, message)| {
            let claim = message.claim.as_ref()?;
            Some(row(at, message.id, claim))
        })
        .collect();
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    // Sorted as on PostgreSQL, where two nodes that claim in different order would deadlock;
    // of equal keys the first that came wins.
    rows.sort_by(|a, b| {
        (&a.tenant, a.endpoint, a.key, a.at).cmp(&(&b.tenant, b.endpoint, b.key, b.at))
    });
    let now = messages.iter().map(|message| message.accepted_at).min();
    let now = now.unwrap_or(Timestamp::from_micros(0));
    let mut lost = standing(connection, &rows, now).await?;
    // Of equal keys in the batch the first stands for the others.
    let mut won: Vec<&ClaimRow<'_>> = Vec::with_capacity(rows.len());
    for row in &rows {
        match won.last() {
            _ if lost.contains_key(&row.at) => {}
            Some(first) if first.is_same_key(row) && first.message != row.message => {
                let claim = messages
                    .get(first.at)
                    .and_then(|first| first.claim.as_ref());
                lost.extend(claim.map(|claim| (row.at, claim.answer.clone())));
            }
            Some(first) if first.is_same_key(row) => {}
            _ => won.push(row),
        }
    }
    insert(connection, &won).await?;
    Ok(lost)
}

impl ClaimRow<'_> {
    fn is_same_key(&self, other: &Self) -> bool {
        (&self.tenant, self.endpoint, self.key) == (&other.tenant, other.endpoint, other.key)
    }
}

fn row(at: usize, message: MessageId, claim: &Claim) -> ClaimRow<'_> {
    ClaimRow {
        tenant: claim.scope.tenant.to_string(),
        endpoint: claim.scope.endpoint,
        key: claim.scope.key.as_str(),
        message,
        request: hex(&claim.answer.request),
        status: claim.answer.status,
        answer: &claim.answer.body,
        until: claim.until.as_micros(),
        at,
    }
}

async fn insert(connection: &mut SqliteConnection, rows: &[&ClaimRow<'_>]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    // Index idempotency (primary key). What stood in the way and still stood was sorted out: the
    // rest is past its time, or the message's own.
    sqlx::query(
        "INSERT INTO idempotency (tenant, endpoint, key, message, request, status, answer, until)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'endpoint', value ->> 'key',
             unhex(value ->> 'message', '-'), unhex(value ->> 'request'), value ->> 'status',
             value ->> 'answer', value ->> 'until'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant, endpoint, key) DO UPDATE SET message = excluded.message,
             request = excluded.request, status = excluded.status, answer = excluded.answer,
             until = excluded.until",
    )
    .bind(json(rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// The answers that stand at `now` for keys that another message holds.
async fn standing(
    connection: &mut SqliteConnection,
    rows: &[ClaimRow<'_>],
    now: Timestamp,
) -> Result<HashMap<usize, Answer>, Fault> {
    let mut lost = HashMap::new();
    // Index idempotency (primary key).
    let stored: Vec<StoredClaim> = sqlx::query_as(
        "SELECT k.key AS at, i.message, i.request, i.status, i.answer
         FROM json_each(?1) AS k CROSS JOIN idempotency AS i
             ON i.tenant = unhex(k.value ->> 'tenant', '-')
             AND i.endpoint = k.value ->> 'endpoint' AND i.key = k.value ->> 'key'
         WHERE i.until > ?2",
    )
    .bind(json(rows)?)
    .bind(now.as_micros())
    .fetch_all(connection)
    .await?;
    for claim in stored {
        let asked = usize::try_from(claim.at).ok().and_then(|at| rows.get(at));
        if let Some(row) = asked.filter(|row| row.message.as_bytes()[..] != claim.message) {
            lost.insert(row.at, answer(claim)?);
        }
    }
    Ok(lost)
}

fn answer(claim: StoredClaim) -> Result<Answer, Fault> {
    let place = Place {
        table: "idempotency",
        id: &claim.message,
    };
    Ok(Answer {
        request: place.hash("request", &claim.request)?,
        status: place.number("status", claim.status)?,
        body: claim.answer,
    })
}

/// The answer under one key, if its claim stands at `now`.
pub(crate) async fn find(
    readers: &SqlitePool,
    scope: &ClaimScope,
    now: Timestamp,
) -> Result<Option<Answer>, Fault> {
    // Index idempotency (primary key).
    let stored: Option<StoredClaim> = sqlx::query_as(
        "SELECT 0 AS at, message, request, status, answer FROM idempotency
         WHERE tenant = ?1 AND endpoint = ?2 AND key = ?3 AND until > ?4",
    )
    .bind(scope.tenant.as_bytes().as_slice())
    .bind(scope.endpoint)
    .bind(scope.key.as_str())
    .bind(now.as_micros())
    .fetch_optional(readers)
    .await?;
    stored.map(answer).transpose()
}
