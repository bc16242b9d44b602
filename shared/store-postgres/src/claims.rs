//! Idempotency claims: who used a key first, and what it was answered.

use std::collections::HashMap;

use postrider_model::Timestamp;
use postrider_store::{Answer, Claim, ClaimScope, NewMessage};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// A key that a message of a batch claims.
struct Wanted<'m> {
    tenant: Uuid,
    claim: &'m Claim,
    message: Uuid,
    /// The message's place in its batch.
    at: usize,
}

/// What tells keys apart.
type ScopeRow = (Uuid, String, String);

#[derive(sqlx::FromRow)]
struct StoredClaim {
    message: Uuid,
    request: Vec<u8>,
    status: i32,
    answer: String,
}

/// Claims the keys of a batch, in which no key stands twice. Returns the losers, by their place,
/// with the answer that stands. A message whose own earlier commit holds the claim is no loser.
///
/// Waits where another transaction has claimed one of the keys and is still open. In sorted order,
/// so that two nodes never wait for each other.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<HashMap<usize, Answer>, Fault> {
    let wanted = wanted(messages);
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let now = messages.iter().map(|message| message.accepted_at).min();
    let now = now.unwrap_or(Timestamp::from_micros(0));
    let won = insert(connection, &wanted, now).await?;
    if won.len() == wanted.len() {
        return Ok(HashMap::new());
    }
    let lost: Vec<&Wanted<'_>> = wanted
        .iter()
        .filter(|wanted| !won.contains(&scope(wanted)))
        .collect();
    let mut standing = standing(connection, &lost).await?;
    let mut answers = HashMap::new();
    for wanted in lost {
        match standing.remove(&scope(wanted)) {
            Some(stored) if stored.message == wanted.message => {}
            Some(stored) => {
                answers.insert(wanted.at, answer(stored)?);
            }
            // Removed meanwhile.
            None => return Err(Fault::Again),
        }
    }
    Ok(answers)
}

fn wanted<'m>(messages: &[&'m NewMessage]) -> Vec<Wanted<'m>> {
    let mut wanted: Vec<Wanted<'m>> = messages
        .iter()
        .enumerate()
        .filter_map(|(at, message)| {
            let claim = message.claim.as_ref()?;
            Some(Wanted {
                tenant: claim.scope.tenant.uuid(),
                claim,
                message: message.id.uuid(),
                at,
            })
        })
        .collect();
    wanted.sort_by_key(scope);
    wanted
}

fn scope(wanted: &Wanted<'_>) -> ScopeRow {
    let scope = &wanted.claim.scope;
    (
        wanted.tenant,
        scope.endpoint.to_owned(),
        scope.key.as_str().to_owned(),
    )
}

/// Takes the keys that are free or past their time. Returns those.
async fn insert(
    connection: &mut PgConnection,
    wanted: &[Wanted<'_>],
    now: Timestamp,
) -> Result<Vec<ScopeRow>, Fault> {
    let column = |of: fn(&Claim) -> String| wanted.iter().map(|w| of(w.claim)).collect::<Vec<_>>();
    let requests: Vec<&[u8]> = wanted
        .iter()
        .map(|wanted| wanted.claim.answer.request.as_slice())
        .collect();
    let statuses: Vec<i32> = wanted
        .iter()
        .map(|wanted| wanted.claim.answer.status.into())
        .collect();
    let untils: Vec<i64> = wanted
        .iter()
        .map(|wanted| wanted.claim.until.as_micros())
        .collect();
    // Index idempotency (primary key). In the order given, which is sorted.
    let won = sqlx::query_as(
        "INSERT INTO idempotency AS i (tenant, endpoint, key, message, request, status, answer,
             until)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::bytea[],
             $6::integer[], $7::text[], $8::bigint[])
         ON CONFLICT (tenant, endpoint, key) DO UPDATE SET message = excluded.message,
             request = excluded.request, status = excluded.status, answer = excluded.answer,
             until = excluded.until
         WHERE i.until <= $9
         RETURNING tenant, endpoint, key",
    )
    .bind(wanted.iter().map(|w| w.tenant).collect::<Vec<_>>())
    .bind(column(|claim| claim.scope.endpoint.to_owned()))
    .bind(column(|claim| claim.scope.key.as_str().to_owned()))
    .bind(wanted.iter().map(|w| w.message).collect::<Vec<_>>())
    .bind(requests)
    .bind(statuses)
    .bind(column(|claim| claim.answer.body.clone()))
    .bind(untils)
    .bind(now.as_micros())
    .fetch_all(connection)
    .await?;
    Ok(won)
}

/// What is stored under these keys.
async fn standing(
    connection: &mut PgConnection,
    keys: &[&Wanted<'_>],
) -> Result<HashMap<ScopeRow, StoredClaim>, Fault> {
    let (tenants, endpoints, names) = columns(keys.iter().map(|wanted| &wanted.claim.scope));
    // Index idempotency (primary key).
    let rows: Vec<(i64, Uuid, Vec<u8>, i32, String)> = sqlx::query_as(
        "SELECT x.at, i.message, i.request, i.status, i.answer
         FROM unnest($1::uuid[], $2::text[], $3::text[])
             WITH ORDINALITY AS x (tenant, endpoint, key, at)
         JOIN idempotency AS i
             ON i.tenant = x.tenant AND i.endpoint = x.endpoint AND i.key = x.key",
    )
    .bind(tenants)
    .bind(endpoints)
    .bind(names)
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(at, message, request, status, answer)| {
            let asked = keys.get(usize::try_from(at - 1).ok()?)?;
            let stored = StoredClaim {
                message,
                request,
                status,
                answer,
            };
            Some((scope(asked), stored))
        })
        .collect())
}

fn columns<'c>(
    scopes: impl Iterator<Item = &'c ClaimScope>,
) -> (Vec<Uuid>, Vec<String>, Vec<String>) {
    let (mut tenants, mut endpoints, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for scope in scopes {
        tenants.push(scope.tenant.uuid());
        endpoints.push(scope.endpoint.to_owned());
        names.push(scope.key.as_str().to_owned());
    }
    (tenants, endpoints, names)
}

/// Gives back the keys of messages at these places, which claimed them in this transaction.
pub(crate) async fn free(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
    places: impl Iterator<Item = usize>,
) -> Result<(), Fault> {
    let claimed: Vec<(&ClaimScope, Uuid)> = places
        .filter_map(|at| {
            let message = messages.get(at)?;
            Some((&message.claim.as_ref()?.scope, message.id.uuid()))
        })
        .collect();
    if claimed.is_empty() {
        return Ok(());
    }
    let (tenants, endpoints, names) = columns(claimed.iter().map(|(scope, _)| *scope));
    // Index idempotency (primary key).
    sqlx::query(
        "DELETE FROM idempotency AS i
         USING unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[])
             AS x (tenant, endpoint, key, message)
         WHERE i.tenant = x.tenant AND i.endpoint = x.endpoint AND i.key = x.key
             AND i.message = x.message",
    )
    .bind(tenants)
    .bind(endpoints)
    .bind(names)
    .bind(claimed.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

fn answer(claim: StoredClaim) -> Result<Answer, Fault> {
    let place = Place {
        table: "idempotency",
        id: claim.message,
    };
    Ok(Answer {
        request: place.hash("request", &claim.request)?,
        status: place.number("status", claim.status.into())?,
        body: claim.answer,
    })
}

/// The answer under one key, if its claim stands at `now`.
pub(crate) async fn find(
    connection: &mut PgConnection,
    scope: &ClaimScope,
    now: Timestamp,
) -> Result<Option<Answer>, Fault> {
    // Index idempotency (primary key).
    let stored: Option<StoredClaim> = sqlx::query_as(
        "SELECT message, request, status, answer FROM idempotency
         WHERE tenant = $1 AND endpoint = $2 AND key = $3 AND until > $4",
    )
    .bind(scope.tenant.uuid())
    .bind(scope.endpoint)
    .bind(scope.key.as_str())
    .bind(now.as_micros())
    .fetch_optional(connection)
    .await?;
    stored.map(answer).transpose()
}
