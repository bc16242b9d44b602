//! Daily volumes of vendors: recipients accepted per UTC day over all tenants of one, of vendors
//! that have such a limit.

use std::collections::{BTreeMap, HashMap};

use postrider_model::VendorId;
use postrider_store::{NewMessage, OverQuota, Period};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::quota::within;
use crate::rows::{Place, json};

type VendorDay = (VendorId, i64);

/// What vendors have used as a batch is taken in, message by message.
#[derive(Default)]
pub(crate) struct Volumes(HashMap<VendorDay, u64>);

#[derive(Serialize)]
struct Row {
    vendor: VendorId,
    day: i64,
    accepted: usize,
}

impl Volumes {
    /// Of all vendors among `messages` that have a daily volume.
    pub(crate) async fn read(
        connection: &mut SqliteConnection,
        messages: &[&NewMessage],
    ) -> Result<Self, Fault> {
        let rows = rows(messages);
        let mut used = HashMap::with_capacity(rows.len());
        if rows.is_empty() {
            return Ok(Self(used));
        }
        // Index vendor_usage (primary key).
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT k.key, coalesce(u.accepted, 0)
             FROM json_each(?1) AS k LEFT JOIN vendor_usage AS u
                 ON u.vendor = unhex(k.value ->> 'vendor', '-') AND u.day = k.value ->> 'day'",
        )
        .bind(json(&rows)?)
        .fetch_all(connection)
        .await?;
        for (at, accepted) in found {
            if let Some(row) = usize::try_from(at).ok().and_then(|at| rows.get(at)) {
                let place = Place {
                    table: "vendor_usage",
                    id: row.vendor.as_bytes(),
                };
                used.insert((row.vendor, row.day), place.number("accepted", accepted)?);
            }
        }
        Ok(Self(used))
    }

    /// Whether its vendor's volume allows a message. Not counted yet.
    pub(crate) fn allow(&self, message: &NewMessage) -> Result<(), OverQuota> {
        let Some((key, limit)) = key(message) else {
            return Ok(());
        };
        let used = self.0.get(&key).copied().unwrap_or(0);
        within(
            Period::VendorDay,
            limit,
            used,
            message.recipients.len() as u64,
        )
    }

    pub(crate) fn count(&mut self, message: &NewMessage) {
        if let Some((key, _)) = key(message) {
            *self.0.entry(key).or_default() += message.recipients.len() as u64;
        }
    }
}

fn key(message: &NewMessage) -> Option<(VendorDay, u32)> {
    let quota = message.quota.vendor?;
    Some(((quota.vendor, message.accepted_at.day()), quota.per_day))
}

/// One row per vendor and day, however many messages.
fn rows(messages: &[&NewMessage]) -> Vec<Row> {
    let mut sums: BTreeMap<VendorDay, usize> = BTreeMap::new();
    for message in messages {
        if let Some((key, _)) = key(message) {
            *sums.entry(key).or_default() += message.recipients.len();
        }
    }
    sums.into_iter()
        .map(|((vendor, day), accepted)| Row {
            vendor,
            day,
            accepted,
        })
        .collect()
}

/// Writes down what new messages used; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let rows = rows(messages);
    if rows.is_empty() {
        return Ok(());
    }
    // Index vendor_usage (primary key). «WHERE true»: else ON would be read as a join's.
    sqlx::query(
        "INSERT INTO vendor_usage (vendor, day, accepted)
         SELECT unhex(value ->> 'vendor', '-'), value ->> 'day', value ->> 'accepted'
         FROM json_each(?1) WHERE true
         ON CONFLICT (vendor, day) DO UPDATE SET accepted = accepted + excluded.accepted",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}
