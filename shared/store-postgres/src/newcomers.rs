//! Messages of tenants that have not confirmed their reply address: so many, and no more. Their
//! rows in `tenants` are locked while this is asked.

use std::collections::BTreeMap;

use postrider_store::NewMessage;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// Messages by tenant, of those of which that is counted; sorted: so all batches lock them in one
/// order.
fn counted(messages: &[&NewMessage]) -> BTreeMap<Uuid, i64> {
    let mut sums = BTreeMap::new();
    for message in messages {
        if message.quota.unconfirmed > 0 {
            *sums.entry(message.tenant.uuid()).or_default() += 1;
        }
    }
    sums
}

/// What was accepted so far, of all tenants among `messages` of which that is counted.
pub(crate) async fn read(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<BTreeMap<Uuid, u64>, Fault> {
    let tenants: Vec<Uuid> = counted(messages).into_keys().collect();
    if tenants.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Index newcomers (primary key).
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT tenant, messages FROM newcomers WHERE tenant = ANY($1)")
            .bind(tenants)
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(tenant, messages)| {
            let place = Place {
                table: "newcomers",
                id: tenant,
            };
            Ok((tenant, place.number("messages", messages)?))
        })
        .collect()
}

/// Writes down new ones; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let (tenants, counts): (Vec<Uuid>, Vec<i64>) = counted(messages).into_iter().unzip();
    if tenants.is_empty() {
        return Ok(());
    }
    // Index newcomers (primary key).
    sqlx::query(
        "INSERT INTO newcomers (tenant, messages)
         SELECT x.tenant, x.messages
         FROM unnest($1::uuid[], $2::bigint[]) AS x (tenant, messages) ORDER BY x.tenant
         ON CONFLICT (tenant) DO UPDATE SET messages = newcomers.messages + excluded.messages",
    )
    .bind(tenants)
    .bind(counts)
    .execute(connection)
    .await?;
    Ok(())
}
