//! Hard bounces: of recipients that are not there, as settlements tell it. Mail of their tenant does
//! not go there for a while, and they are counted against it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use postrider_model::{
    MessageId, RecipientId, Suppression, SuppressionId, SuppressionReason, TenantId, Timestamp,
};
use postrider_store::{Outcome, Settlement};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::suppressions;

pub(crate) struct HardBounce {
    message: MessageId,
    recipient: RecipientId,
    at: Timestamp,
    until: Timestamp,
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
    fn suppression(&self, tenant: Uuid, address: &str) -> Result<Suppression, Fault> {
        let place = Place {
            table: "recipients",
            id: self.recipient.uuid(),
        };
        Ok(Suppression {
            id: SuppressionId::of(self.recipient.uuid()),
            tenant: TenantId::of(tenant),
            address: place.address("address", address)?,
            stream: None,
            reason: SuppressionReason::HardBounce,
            source: self.source.clone(),
            since: self.at,
            until: Some(self.until),
        })
    }
}

/// Records hard bounces; nothing where there are none.
pub(crate) async fn record(
    connection: &mut PgConnection,
    bounces: &[HardBounce],
) -> Result<(), Fault> {
    if bounces.is_empty() {
        return Ok(());
    }
    let (messages, recipients): (Vec<Uuid>, Vec<Uuid>) = bounces
        .iter()
        .map(|bounce| (bounce.message.uuid(), bounce.recipient.uuid()))
        .unzip();
    // Indexes recipients and messages (primary keys).
    let rows: Vec<(i64, Uuid, String)> = sqlx::query_as(
        "SELECT x.at, m.tenant, r.address
         FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS x (message, recipient, at)
         JOIN recipients AS r ON r.message = x.message AND r.id = x.recipient
         JOIN messages AS m ON m.id = x.message",
    )
    .bind(messages)
    .bind(recipients)
    .fetch_all(&mut *connection)
    .await?;
    let mut addresses = BTreeMap::new();
    let mut days: BTreeMap<(Uuid, i64), i64> = BTreeMap::new();
    for (at, tenant, address) in rows {
        let at = usize::try_from(at - 1).ok();
        if let Some(bounce) = at.and_then(|at| bounces.get(at)) {
            let new = bounce.suppression(tenant, &address)?;
            *days.entry((tenant, new.since.day())).or_default() += 1;
            // Of two at one address the one that lasts longer.
            match addresses.entry((tenant, new.address.folded())) {
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
    suppressions::upsert(connection, &new).await?;
    count(connection, days).await
}

async fn count(
    connection: &mut PgConnection,
    days: BTreeMap<(Uuid, i64), i64>,
) -> Result<(), Fault> {
    let (days, counts): (Vec<(Uuid, i64)>, Vec<i64>) = days.into_iter().unzip();
    let (tenants, days): (Vec<Uuid>, Vec<i64>) = days.into_iter().unzip();
    // Index usage (primary key). In the order in which all lock it.
    sqlx::query(
        "INSERT INTO usage (tenant, day, accepted, hard_bounces)
         SELECT x.tenant, x.day, 0, x.count
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS x (tenant, day, count)
         ORDER BY x.tenant, x.day
         ON CONFLICT (tenant, day)
             DO UPDATE SET hard_bounces = usage.hard_bounces + excluded.hard_bounces",
    )
    .bind(tenants)
    .bind(days)
    .bind(counts)
    .execute(connection)
    .await?;
    Ok(())
}
