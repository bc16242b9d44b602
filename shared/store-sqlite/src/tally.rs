//! The counts that reports read: what a transaction adds to them, and how they grow old.

use std::collections::HashMap;

use postrider_model::{TenantId, Timestamp, VendorId};
use postrider_store::{Axis, Counts, DAILY_LIFE, HOURLY_LIFE, Tally, first_hour, hour};
use serde::Serialize;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::fault::Fault;
use crate::rows::{Place, json, json_ids};

/// What one batch of upkeep moves or removes at most.
const ROWS_MOST: u32 = 1_000;

#[derive(Serialize)]
struct CountRow {
    axis: &'static str,
    hour: i64,
    name: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct TimeRow {
    axis: &'static str,
    hour: i64,
    name: String,
    bound: u128,
    count: u64,
}

#[derive(Serialize)]
struct RefusalRow<'t> {
    hour: i64,
    tenant: TenantId,
    provider: &'static str,
    text: &'t str,
    count: u64,
}

/// Adds to the counts: one statement, or three where there were deliveries or refusals.
pub(crate) async fn add(connection: &mut SqliteConnection, tally: &Tally) -> Result<(), Fault> {
    if tally.is_empty() {
        return Ok(());
    }
    let vendors = vendors(connection, &tally.tenants()).await?;
    let tally = &tally.with_vendors(&vendors);
    let counts = tally.counts.iter().map(|(key, counts)| CountRow {
        axis: key.axis.word(),
        hour: key.hour,
        name: key.axis.name(),
        counts: *counts,
    });
    // Index traffic (primary key). «WHERE true»: else ON would be read as a join's.
    sqlx::query(
        "INSERT INTO traffic (grain, axis, hour, name, part, accepted, delivered, deferred, bounced,
             expired, suppressed)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT 'hour', value ->> 'axis', value ->> 'hour', value ->> 'name', 0,
             value ->> 'accepted', value ->> 'delivered', value ->> 'deferred',
             value ->> 'bounced', value ->> 'expired', value ->> 'suppressed'
         FROM x WHERE true
         ON CONFLICT (grain, axis, hour, name, part) DO UPDATE SET
             accepted = accepted + excluded.accepted, delivered = delivered + excluded.delivered,
             deferred = deferred + excluded.deferred, bounced = bounced + excluded.bounced,
             expired = expired + excluded.expired, suppressed = suppressed + excluded.suppressed",
    )
    .bind(json(&counts.collect::<Vec<_>>())?)
    .execute(&mut *connection)
    .await?;
    if tally.times.is_empty() && tally.refusals.is_empty() {
        return Ok(());
    }
    add_details(connection, tally).await
}

/// Whose these tenants are; those that are gone are left out.
async fn vendors(
    connection: &mut SqliteConnection,
    tenants: &[TenantId],
) -> Result<HashMap<TenantId, VendorId>, Fault> {
    // Index tenants (primary key).
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT id, vendor FROM tenants
         WHERE id IN (SELECT unhex(value, '-') FROM json_each(?1))",
    )
    .bind(json_ids(tenants))
    .fetch_all(connection)
    .await?;
    let read = |(id, vendor): &(Vec<u8>, Vec<u8>)| {
        let place = Place {
            table: "tenants",
            id,
        };
        Ok((place.id("id", id)?, place.id("vendor", vendor)?))
    };
    rows.iter().map(read).collect()
}

async fn add_details(connection: &mut SqliteConnection, tally: &Tally) -> Result<(), Fault> {
    let times = tally.times.iter().map(|((key, bound), count)| TimeRow {
        axis: key.axis.word(),
        hour: key.hour,
        name: key.axis.name(),
        bound: bound.as_millis(),
        count: *count,
    });
    let refusals = tally.refusals.iter().map(|(key, count)| RefusalRow {
        hour: key.hour,
        tenant: key.tenant,
        provider: key.provider.as_str(),
        text: &key.text,
        count: *count,
    });
    // Indexes delivery_times, refusals and tenants (primary keys). Of a tenant that was erased no words
    // come back.
    sqlx::query(
        "INSERT INTO delivery_times (grain, axis, hour, name, part, bound, count)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT 'hour', value ->> 'axis', value ->> 'hour', value ->> 'name', 0,
             value ->> 'bound', value ->> 'count'
         FROM x WHERE true
         ON CONFLICT (grain, axis, hour, name, part, bound)
             DO UPDATE SET count = count + excluded.count",
    )
    .bind(json(&times.collect::<Vec<_>>())?)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO refusals (hour, tenant, provider, text, part, count)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT value ->> 'hour', unhex(value ->> 'tenant', '-'), value ->> 'provider',
             value ->> 'text', 0, value ->> 'count'
         FROM x WHERE EXISTS (SELECT 1 FROM tenants WHERE id = unhex(value ->> 'tenant', '-'))
         ON CONFLICT (hour, provider, text, tenant, part)
             DO UPDATE SET count = count + excluded.count",
    )
    .bind(json(&refusals.collect::<Vec<_>>())?)
    .execute(connection)
    .await?;
    Ok(())
}

/// One batch of what is past its time at `now`: hours become days, old days and old refusals go.
/// Returns how many rows it took away.
pub(crate) async fn age(
    connection: &mut SqliteConnection,
    now: Timestamp,
    refusals_until: Timestamp,
) -> Result<u64, Fault> {
    let hours = first_hour(hour(now.before(HOURLY_LIFE)));
    let days = first_hour(hour(now.before(DAILY_LIFE)));
    let mut gone = 0;
    for axis in Axis::WORDS {
        for table in [&TRAFFIC, &DELIVERY_TIMES] {
            gone += table.fold(connection, axis, hours).await?;
            let dropped = table.drop(connection, "day", axis, days).await?;
            gone += dropped;
        }
    }
    // Index refusals (primary key).
    let removed = sqlx::query(
        "DELETE FROM refusals WHERE (hour, provider, text, tenant, part) IN (
             SELECT hour, provider, text, tenant, part FROM refusals WHERE hour < ?1
             ORDER BY hour LIMIT ?2)",
    )
    .bind(hour(refusals_until))
    .bind(ROWS_MOST)
    .execute(connection)
    .await?;
    Ok(gone + removed.rows_affected())
}

/// A table of counts that has two grains.
struct Counted {
    name: &'static str,
    /// Its key behind grain, axis, hour.
    key: &'static str,
    /// The same of the row that several become.
    new_key: &'static str,
    columns: &'static [&'static str],
}

const TRAFFIC: Counted = Counted {
    name: "traffic",
    key: "name, part",
    new_key: "name, 0",
    columns: &[
        "accepted",
        "delivered",
        "deferred",
        "bounced",
        "expired",
        "suppressed",
    ],
};
const DELIVERY_TIMES: Counted = Counted {
    name: "delivery_times",
    key: "name, part, bound",
    new_key: "name, 0, bound",
    columns: &["count"],
};

impl Counted {
    /// Makes days of the oldest hours before `until`.
    async fn fold(
        &self,
        connection: &mut SqliteConnection,
        axis: &str,
        until: i64,
    ) -> Result<u64, Fault> {
        let Self {
            name, key, new_key, ..
        } = self;
        let list = self.columns.join(", ");
        let groups = new_key.replace(", 0", "");
        let sums: Vec<_> = self.columns.iter().map(|c| format!("sum({c})")).collect();
        let adds = self.columns.iter();
        let adds: Vec<_> = adds.map(|c| format!("{c} = {c} + excluded.{c}")).collect();
        // Index of the table (primary key). Both statements meet the same rows.
        let statement = format!(
            "INSERT INTO {name} (grain, axis, hour, {key}, {list})
             SELECT 'day', axis, hour - hour % 24 AS first, {new_key}, {sums} FROM (
                 SELECT * FROM {name} WHERE grain = 'hour' AND axis = ?1 AND hour < ?2
                 ORDER BY hour, {key} LIMIT ?3)
             WHERE true GROUP BY first, {groups}
             ON CONFLICT (grain, axis, hour, {key}) DO UPDATE SET {adds}",
            sums = sums.join(", "),
            adds = adds.join(", ")
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(axis)
            .bind(until)
            .bind(ROWS_MOST)
            .execute(&mut *connection)
            .await?;
        self.drop(connection, "hour", axis, until).await
    }

    /// Removes the oldest rows of a grain before `until`.
    async fn drop(
        &self,
        connection: &mut SqliteConnection,
        grain: &str,
        axis: &str,
        until: i64,
    ) -> Result<u64, Fault> {
        let Self { name, key, .. } = self;
        let statement = format!(
            "DELETE FROM {name} WHERE (grain, axis, hour, {key}) IN (
                 SELECT grain, axis, hour, {key} FROM {name}
                 WHERE grain = ?1 AND axis = ?2 AND hour < ?3 ORDER BY hour, {key} LIMIT ?4)"
        );
        let gone = sqlx::query(AssertSqlSafe(statement))
            .bind(grain)
            .bind(axis)
            .bind(until)
            .bind(ROWS_MOST)
            .execute(connection)
            .await?;
        Ok(gone.rows_affected())
    }

    /// Removes a tenant's rows of a grain, a batch of them.
    async fn erase(
        &self,
        connection: &mut SqliteConnection,
        grain: &str,
        tenant: TenantId,
    ) -> Result<u64, Fault> {
        let Self { name, key, .. } = self;
        // From hour to hour along the primary key: nothing of other tenants is read.
        let statement = format!(
            "DELETE FROM {name} WHERE (grain, axis, hour, {key}) IN (
                 WITH RECURSIVE h (hour) AS (
                     SELECT min(hour) FROM {name} WHERE grain = ?1 AND axis = 'tenant'
                     UNION ALL
                     SELECT (SELECT min(t.hour) FROM {name} AS t
                         WHERE t.grain = ?1 AND t.axis = 'tenant' AND t.hour > h.hour)
                     FROM h WHERE h.hour IS NOT NULL)
                 SELECT t.grain, t.axis, t.hour, {of_t} FROM h CROSS JOIN {name} AS t
                     ON t.grain = ?1 AND t.axis = 'tenant' AND t.hour = h.hour AND t.name = ?2
                 LIMIT ?3)",
            of_t = key
                .split(", ")
                .map(|column| format!("t.{column}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        let gone = sqlx::query(AssertSqlSafe(statement))
            .bind(grain)
            .bind(tenant.to_string())
            .bind(ROWS_MOST)
            .execute(connection)
            .await?;
        Ok(gone.rows_affected())
    }
}

/// Removes what was counted of a tenant by its name, a batch of it; what was counted of it by vendor
/// and by provider stays, and names nobody.
pub(crate) async fn erase(
    connection: &mut SqliteConnection,
    tenant: TenantId,
) -> Result<u64, Fault> {
    let mut gone = 0;
    for grain in ["hour", "day"] {
        for table in [&TRAFFIC, &DELIVERY_TIMES] {
            gone += table.erase(connection, grain, tenant).await?;
        }
    }
    // Index refusals_tenant.
    let removed = sqlx::query(
        "DELETE FROM refusals WHERE (hour, provider, text, tenant, part) IN (
             SELECT hour, provider, text, tenant, part FROM refusals WHERE tenant = ?1 LIMIT ?2)",
    )
    .bind(tenant.as_bytes().as_slice())
    .bind(ROWS_MOST)
    .execute(connection)
    .await?;
    Ok(gone + removed.rows_affected())
}
