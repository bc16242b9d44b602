//! Messages of tenants that have not confirmed their reply address: so many, and no more.

use std::collections::{BTreeMap, HashMap};

use postrider_model::TenantId;
use postrider_store::NewMessage;
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};

#[derive(Serialize)]
struct Row {
    tenant: TenantId,
    messages: u64,
}

/// One row per tenant of which that is counted, however many messages.
fn rows(messages: &[&NewMessage]) -> Vec<Row> {
    let mut sums: BTreeMap<TenantId, u64> = BTreeMap::new();
    for message in messages {
        if message.quota.unconfirmed > 0 {
            *sums.entry(message.tenant).or_default() += 1;
        }
    }
    let rows = sums.into_iter();
    rows.map(|(tenant, messages)| Row { tenant, messages })
        .collect()
}

/// What was accepted so far, of all tenants among `messages` of which that is counted.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<HashMap<TenantId, u64>, Fault> {
    let rows = rows(messages);
    let mut used: HashMap<TenantId, u64> = rows.iter().map(|row| (row.tenant, 0)).collect();
    if rows.is_empty() {
        return Ok(used);
    }
    // Index newcomers (primary key).
    let found: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT k.key, n.messages FROM json_each(?1) AS k
             CROSS JOIN newcomers AS n ON n.tenant = unhex(k.value ->> 'tenant', '-')",
    )
    .bind(json(&rows)?)
    .fetch_all(connection)
    .await?;
    for (at, messages) in found {
        if let Some(row) = usize::try_from(at).ok().and_then(|at| rows.get(at)) {
            let place = Place {
                table: "newcomers",
                id: row.tenant.as_bytes(),
            };
            used.insert(row.tenant, place.number("messages", messages)?);
        }
    }
    Ok(used)
}

/// Writes down new ones; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let rows = rows(messages);
    if rows.is_empty() {
        return Ok(());
    }
    // Index newcomers (primary key). «WHERE true»: else ON would be read as a join's.
    sqlx::query(
        "INSERT INTO newcomers (tenant, messages)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'messages'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant) DO UPDATE SET messages = messages + excluded.messages",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
