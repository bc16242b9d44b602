//! Daily volumes of vendors inside the commit, exact over all nodes: recipients accepted per UTC
//! day over all tenants of one. The row of each vendor that has such a limit is locked until the
//! commit, behind those of tenants.

use std::collections::{BTreeMap, BTreeSet};

use postrider_store::{NewMessage, OverQuota, Period};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, Place};

type VendorDay = (Uuid, i64);

/// What vendors have used as a batch is taken in, message by message.
#[derive(Default)]
pub(crate) struct Volumes(BTreeMap<VendorDay, u64>);

/// Vendors and their days, a column each, sorted: so all batches lock them in one order.
#[derive(Default)]
struct Columns {
    vendor: Vec<Uuid>,
    day: Vec<i64>,
    accepted: Vec<i64>,
}

impl Columns {
    fn of(messages: &[&NewMessage]) -> Self {
        let mut sums: BTreeMap<VendorDay, i64> = BTreeMap::new();
        for message in messages {
            if let Some((key, _)) = key(message) {
                let count = i64::try_from(message.recipients.len()).unwrap_or(i64::MAX);
                *sums.entry(key).or_default() += count;
            }
        }
        let mut columns = Self::default();
        for ((vendor, day), accepted) in sums {
            columns.vendor.push(vendor);
            columns.day.push(day);
            columns.accepted.push(accepted);
        }
        columns
    }
}

fn key(message: &NewMessage) -> Option<(VendorDay, u32)> {
    let quota = message.quota.vendor?;
    let day = message.accepted_at.day();
    Some(((quota.vendor.uuid(), day), quota.per_day))
}

/// Locks the vendors that have a daily volume, in one order for all.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let limited = messages.iter().filter_map(|message| message.quota.vendor);
    let ids: BTreeSet<Uuid> = limited.map(|quota| quota.vendor.uuid()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    // Index vendors (primary key). Against other commits of these vendors, not against readers.
    sqlx::query("SELECT 1 FROM vendors WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(ids.into_iter().collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

impl Volumes {
    /// Of all vendors among `messages` that have a daily volume.
    pub(crate) async fn read(
        connection: &mut PgConnection,
        messages: &[&NewMessage],
    ) -> Result<Self, Fault> {
        let keys = Columns::of(messages);
        if keys.day.is_empty() {
            return Ok(Self::default());
        }
        // Index vendor_usage (primary key).
        let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
            "SELECT u.vendor, u.day, u.accepted
             FROM unnest($1::uuid[], $2::bigint[]) AS x (vendor, day)
             JOIN vendor_usage AS u USING (vendor, day)",
        )
        .bind(keys.vendor)
        .bind(keys.day)
        .fetch_all(connection)
        .await?;
        let used = rows.into_iter().map(|(vendor, day, accepted)| {
            let place = Place {
                table: "vendor_usage",
                id: vendor,
            };
            Ok(((vendor, day), place.number("accepted", accepted)?))
        });
        Ok(Self(used.collect::<Result<_, Fault>>()?))
    }

    /// The volume that a message would break. Not counted yet.
    pub(crate) fn exceeded(&self, message: &NewMessage, count: u64) -> Option<OverQuota> {
        let (key, limit) = key(message)?;
        let used = self.0.get(&key).copied().unwrap_or(0);
        (used + count > u64::from(limit)).then_some(OverQuota {
            period: Period::VendorDay,
            limit,
            used,
            more: count,
        })
    }

    pub(crate) fn count(&mut self, message: &NewMessage, count: u64) {
        if let Some((key, _)) = key(message) {
            *self.0.entry(key).or_default() += count;
        }
    }
}

/// Writes down what new messages used; nothing, as a rule.
pub(crate) async fn note(
    connection: &mut PgConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let rows = Columns::of(messages);
    if rows.day.is_empty() {
        return Ok(());
    }
    // Index vendor_usage (primary key).
    sqlx::query(
        "INSERT INTO vendor_usage (vendor, day, accepted)
         SELECT x.vendor, x.day, x.accepted
         FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS x (vendor, day, accepted)
         ORDER BY x.vendor, x.day
         ON CONFLICT (vendor, day)
             DO UPDATE SET accepted = vendor_usage.accepted + excluded.accepted",
    )
    .bind(rows.vendor)
    .bind(rows.day)
    .bind(rows.accepted)
    .execute(connection)
    .await?;
    Ok(())
}
