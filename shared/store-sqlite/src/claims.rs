//! Idempotency claims: who used a key first, and what it was answered.

use std::collections::HashMap;

use postrider_model::{MessageId, Timestamp};
use postrider_store::{Answer, ClaimScope, NewMessage};
use serde::Serialize;
use sqlx::{SqliteConnection, SqlitePool};

use crate::fault::Fault;
use crate::recent::Recent;
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

/// The claims of a batch: what stands in the database, and what the batch itself has claimed.
pub(crate) struct Claims {
    /// By the message's place: the answer that stands under its key.
    standing: HashMap<usize, Answer>,
    /// The place of the message that has the key.
    won: HashMap<ClaimScope, usize>,
}

/// Looks up the keys of a batch. A message whose own earlier commit holds the claim has lost
/// nothing.
pub(crate) async fn look_up(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
    recent: &Recent,
) -> Result<Claims, Fault> {
    let places = (0..).zip(messages);
    let asked = places
        .clone()
        .filter(|(_, message)| recent.may_be_elsewhere(message));
    let rows: Vec<ClaimRow<'_>> = asked.filter_map(row).collect();
    let mut standing = HashMap::new();
    if !rows.is_empty() {
        let now = messages.iter().map(|message| message.accepted_at).min();
        let now = now.unwrap_or(Timestamp::from_micros(0));
        standing = self::standing(connection, &rows, now).await?;
    }
    let lately = places.filter_map(|(at, message)| Some((at, recent.answer(message)?)));
    standing.extend(lately);
    Ok(Claims {
        standing,
        won: HashMap::new(),
    })
}

impl Claims {
    /// The answer that stands under this message's key, if the key is another's.
    pub(crate) fn answer(&self, at: usize, messages: &[&NewMessage]) -> Option<Answer> {
        if let Some(answer) = self.standing.get(&at) {
            return Some(answer.clone());
        }
        let message = messages.get(at)?;
        let first = messages.get(*self.won.get(&message.claim.as_ref()?.scope)?)?;
        let answer = &first.claim.as_ref()?.answer;
        (first.id != message.id).then(|| answer.clone())
    }

    /// The message is stored: its key is its own.
    pub(crate) fn win(&mut self, at: usize, message: &NewMessage) {
        if let Some(claim) = &message.claim {
            self.won.entry(claim.scope.clone()).or_insert(at);
        }
    }

    /// Writes down who has won which key; not what is written with the messages.
    pub(crate) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        messages: &[&NewMessage],
        recent: &Recent,
    ) -> Result<(), Fault> {
        let of_key = |at: &&usize| messages.get(**at).is_some_and(|one| !recent.takes(one));
        let winners = self.won.values().filter(of_key);
        let rows: Vec<ClaimRow<'_>> = winners
            .filter_map(|at| row((*at, messages.get(*at)?)))
            .collect();
        insert(connection, &rows).await
    }
}

fn row<'m>((at, message): (usize, &&'m NewMessage)) -> Option<ClaimRow<'m>> {
    let claim = message.claim.as_ref()?;
    Some(ClaimRow {
        tenant: claim.scope.tenant.to_string(),
        endpoint: claim.scope.endpoint,
        key: claim.scope.key.as_str(),
        message: message.id,
        request: hex(&claim.answer.request),
        status: claim.answer.status,
        answer: &claim.answer.body,
        until: claim.until.as_micros(),
        at,
    })
}

async fn insert(connection: &mut SqliteConnection, rows: &[ClaimRow<'_>]) -> Result<(), Fault> {
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
