//! Hard bounces: of recipients that are not there, as settlements tell it. Mail of their tenant does
//! not go there for a while, and they are counted against it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postrider_model::{
    MessageId, RecipientId, Suppression, SuppressionId, SuppressionReason, TenantId, Timestamp,
};
use postrider_store::{Outcome, Settlement};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};
use crate::suppressions;
use crate::suspects::Suspects;

#[derive(Serialize)]
pub(crate) struct HardBounce {
    message: MessageId,
    recipient: RecipientId,
    #[serde(skip)]
    at: Timestamp,
    #[serde(skip)]
    until: Timestamp,
    #[serde(skip)]
    source: String,
}

impl HardBounce {
    /// `None` where mail may still go there.
    pub(crate) fn of(settlement: &Settlement) -> Option<Self> {
        let until = settlement.suppress_until?;
        let said = settlement.reply.as_ref();
        let said = said.map_or_else(String::new, |reply| format!(": {reply}"));
        let is_final = matches!(settlement.outcome, Outcome::Final { .. });
        is_final.then(|| Self {
            message: settlement.message,
            recipient: settlement.recipient,
            at: settlement.at,
            until,
            source: format!("{}{said}", settlement.message),
        })
    }

    /// A recipient bounces once: its id is the suppression's.
    fn suppression(&self, tenant: &[u8], address: &str) -> Result<Suppression, Fault> {
        let place = Place {
            table: "recipients",
            id: self.recipient.as_bytes(),
        };
        Ok(Suppression {
            id: SuppressionId::from_bytes(*self.recipient.as_bytes()),
            tenant: place.id("tenant", tenant)?,
            address: place.address("address", address)?,
            stream: None,
            reason: SuppressionReason::HardBounce,
            source: self.source.clone(),
            since: self.at,
            until: Some(self.until),
        })
    }
}

#[derive(Serialize)]
struct UsageRow {
    tenant: TenantId,
    day: i64,
    count: u64,
}

/// Records hard bounces; nothing where there are none.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    bounces: &[HardBounce],
    suspects: &Suspects,
) -> Result<(), Fault> {
    if bounces.is_empty() {
        return Ok(());
    }
    // Indexes recipients and messages (primary keys).
    let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
        "SELECT k.key, m.tenant, r.address FROM json_each(?1) AS k
         CROSS JOIN recipients AS r ON r.message = unhex(k.value ->> 'message', '-')
             AND r.id = unhex(k.value ->> 'recipient', '-')
         CROSS JOIN messages AS m ON m.id = r.message",
    )
    .bind(json(bounces)?)
    .fetch_all(&mut *connection)
    .await?;
    let mut addresses = HashMap::new();
    let mut days: HashMap<(TenantId, i64), u64> = HashMap::new();
    for (at, tenant, address) in rows {
        if let Some(bounce) = usize::try_from(at).ok().and_then(|at| bounces.get(at)) {
            let new = bounce.suppression(&tenant, &address)?;
            *days.entry((new.tenant, new.since.day())).or_default() += 1;
            // Of two at one address the one that lasts longer.
            match addresses.entry((new.tenant, new.address.folded())) {
                Entry::Vacant(vacant) => {
                    vacant.insert(new);
                }
                Entry::Occupied(mut held) if held.get().until < new.until => {
                    held.insert(new);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    let new: Vec<Suppression> = addresses.into_values().collect();
    suppressions::upsert(connection, &new, suspects).await?;
    count(connection, days).await
}

async fn count(
    connection: &mut SqliteConnection,
    days: HashMap<(TenantId, i64), u64>,
) -> Result<(), Fault> {
    let rows = days.into_iter();
    let rows: Vec<UsageRow> = rows
        .map(|((tenant, day), count)| UsageRow { tenant, day, count })
        .collect();
    // Index usage (primary key).
    sqlx::query(
        "INSERT INTO usage (tenant, day, accepted, hard_bounces)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'day', 0, value ->> 'count'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant, day) DO UPDATE SET hard_bounces = hard_bounces + excluded.hard_bounces",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
