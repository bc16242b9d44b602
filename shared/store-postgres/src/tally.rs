//! The counts that reports read: what a transaction adds to them, and how they grow old.
//!
//! Each process adds to rows of its own (`part`); rows that grow old are put together, and what
//! somebody else is putting together meanwhile is passed over.

use std::collections::HashMap;

use postrider_model::{TenantId, Timestamp, VendorId};
use postrider_store::{Axis, Counts, DAILY_LIFE, HOURLY_LIFE, Tally, first_hour, hour};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::{Id as _, text, uuids};

/// What one batch of upkeep moves or removes at most.
const ROWS_MOST: i64 = 1_000;

/// Counts, a column each, in the order of their keys.
#[derive(Default)]
struct CountColumns {
    axis: Vec<&'static str>,
    hour: Vec<i64>,
    name: Vec<String>,
    accepted: Vec<i64>,
    delivered: Vec<i64>,
    deferred: Vec<i64>,
    bounced: Vec<i64>,
    expired: Vec<i64>,
    suppressed: Vec<i64>,
}

impl CountColumns {
    fn of(tally: &Tally) -> Self {
        let mut columns = Self::default();
        for (key, counts) in &tally.counts {
            columns.axis.push(key.axis.word());
            columns.hour.push(key.hour);
            columns.name.push(key.axis.name());
            columns.push(counts);
        }
        columns
    }

    fn push(&mut self, counts: &Counts) {
        self.accepted.push(number(counts.accepted));
        self.delivered.push(number(counts.delivered));
        self.deferred.push(number(counts.deferred));
        self.bounced.push(number(counts.bounced));
        self.expired.push(number(counts.expired));
        self.suppressed.push(number(counts.suppressed));
    }
}

/// Times, a column each.
#[derive(Default)]
struct TimeColumns {
    axis: Vec<&'static str>,
    hour: Vec<i64>,
    name: Vec<String>,
    bound: Vec<i64>,
    count: Vec<i64>,
}

impl TimeColumns {
    fn of(tally: &Tally) -> Self {
        let mut columns = Self::default();
        for ((key, bound), count) in &tally.times {
            columns.axis.push(key.axis.word());
            columns.hour.push(key.hour);
            columns.name.push(key.axis.name());
            let bound = i64::try_from(bound.as_millis()).unwrap_or(i64::MAX);
            columns.bound.push(bound);
            columns.count.push(number(*count));
        }
        columns
    }
}

/// Refusals, a column each.
#[derive(Default)]
struct RefusalColumns {
    hour: Vec<i64>,
    tenant: Vec<Uuid>,
    provider: Vec<&'static str>,
    text: Vec<String>,
    count: Vec<i64>,
}

impl RefusalColumns {
    fn of(tally: &Tally) -> Self {
        let mut columns = Self::default();
        for (key, count) in &tally.refusals {
            columns.hour.push(key.hour);
            columns.tenant.push(key.tenant.uuid());
            columns.provider.push(key.provider.as_str());
            columns.text.push(text(&key.text).into_owned());
            columns.count.push(number(*count));
        }
        columns
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Adds to the counts, in one statement behind the question whose the tenants are.
pub(crate) async fn add(
    connection: &mut PgConnection,
    tally: &Tally,
    part: i32,
) -> Result<(), Fault> {
    if tally.is_empty() {
        return Ok(());
    }
    let vendors = vendors(connection, &tally.tenants()).await?;
    let tally = &tally.with_vendors(&vendors);
    let (c, t) = (CountColumns::of(tally), TimeColumns::of(tally));
    let r = RefusalColumns::of(tally);
    // Indexes traffic, delivery_times, refusals and tenants (primary keys). Of a tenant that was erased
    // no words come back.
    sqlx::query(ADD)
        .bind(part)
        .bind(c.axis)
        .bind(c.hour)
        .bind(c.name)
        .bind(c.accepted)
        .bind(c.delivered)
        .bind(c.deferred)
        .bind(c.bounced)
        .bind(c.expired)
        .bind(c.suppressed)
        .bind(t.axis)
        .bind(t.hour)
        .bind(t.name)
        .bind(t.bound)
        .bind(t.count)
        .bind(r.hour)
        .bind(r.tenant)
        .bind(r.provider)
        .bind(r.text)
        .bind(r.count)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whose these tenants are; those that are gone are left out.
async fn vendors(
    connection: &mut PgConnection,
    tenants: &[TenantId],
) -> Result<HashMap<TenantId, VendorId>, Fault> {
    // Index tenants (primary key).
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as("SELECT id, vendor FROM tenants WHERE id = ANY($1)")
            .bind(uuids(tenants))
            .fetch_all(connection)
            .await?;
    let owners = rows.into_iter();
    let owners = owners.map(|(id, vendor)| (TenantId::of(id), VendorId::of(vendor)));
    Ok(owners.collect())
}

const ADD: &str = "
WITH t AS (
    INSERT INTO delivery_times (grain, axis, hour, name, part, bound, count)
    SELECT 'hour', x.axis, x.hour, x.name, $1, x.bound, x.count
    FROM unnest($11::text[], $12::bigint[], $13::text[], $14::bigint[], $15::bigint[])
        AS x (axis, hour, name, bound, count)
    ON CONFLICT (grain, axis, hour, name, part, bound)
        DO UPDATE SET count = delivery_times.count + excluded.count),
r AS (
    INSERT INTO refusals (hour, tenant, provider, text, part, count)
    SELECT x.hour, x.tenant, x.provider, x.text, $1, x.count
    FROM unnest($16::bigint[], $17::uuid[], $18::text[], $19::text[], $20::bigint[])
        AS x (hour, tenant, provider, text, count)
    WHERE EXISTS (SELECT 1 FROM tenants AS t WHERE t.id = x.tenant)
    ON CONFLICT (hour, tenant, provider, text, part)
        DO UPDATE SET count = refusals.count + excluded.count)
INSERT INTO traffic (grain, axis, hour, name, part, accepted, delivered, deferred, bounced, expired,
    suppressed)
SELECT 'hour', x.axis, x.hour, x.name, $1, x.accepted, x.delivered, x.deferred, x.bounced,
    x.expired, x.suppressed
FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[])
    AS x (axis, hour, name, accepted, delivered, deferred, bounced, expired, suppressed)
ON CONFLICT (grain, axis, hour, name, part) DO UPDATE SET
    accepted = traffic.accepted + excluded.accepted,
    delivered = traffic.delivered + excluded.delivered,
    deferred = traffic.deferred + excluded.deferred,
    bounced = traffic.bounced + excluded.bounced,
    expired = traffic.expired + excluded.expired,
    suppressed = traffic.suppressed + excluded.suppressed";

/// One batch of what is past its time at `now`: hours become days, old days and old refusals go.
/// Returns how many rows it took away.
pub(crate) async fn age(
    connection: &mut PgConnection,
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
        "DELETE FROM refusals WHERE (hour, tenant, provider, text, part) IN (
             SELECT hour, tenant, provider, text, part FROM refusals WHERE hour < $1
             ORDER BY hour LIMIT $2 FOR UPDATE SKIP LOCKED)",
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
        connection: &mut PgConnection,
        axis: &str,
        until: i64,
    ) -> Result<u64, Fault> {
        let Self {
            name, key, new_key, ..
        } = self;
        let list = self.columns.join(", ");
        let groups = new_key.replace(", 0", "");
        let sums: Vec<_> = self
            .columns
            .iter()
            .map(|c| format!("sum({c})::bigint"))
            .collect();
        let adds = self.columns.iter();
        let adds: Vec<_> = adds
            .map(|c| format!("{c} = {name}.{c} + excluded.{c}"))
            .collect();
        // Index of the table (primary key).
        let statement = format!(
            "WITH gone AS (
                 DELETE FROM {name} WHERE (grain, axis, hour, {key}) IN (
                     SELECT grain, axis, hour, {key} FROM {name}
                     WHERE grain = 'hour' AND axis = $1 AND hour < $2
                     ORDER BY hour, {key} LIMIT $3 FOR UPDATE SKIP LOCKED)
                 RETURNING *),
             made AS (
                 INSERT INTO {name} (grain, axis, hour, {key}, {list})
                 SELECT 'day', axis, hour - hour % 24, {new_key}, {sums} FROM gone
                 GROUP BY axis, hour - hour % 24, {groups} ORDER BY hour - hour % 24, {groups}
                 ON CONFLICT (grain, axis, hour, {key}) DO UPDATE SET {adds})
             SELECT count(*) FROM gone",
            sums = sums.join(", "),
            adds = adds.join(", ")
        );
        let gone: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(axis)
            .bind(until)
            .bind(ROWS_MOST)
            .fetch_one(connection)
            .await?;
        Ok(u64::try_from(gone).unwrap_or(0))
    }

    /// Removes the oldest rows of a grain before `until`.
    async fn drop(
        &self,
        connection: &mut PgConnection,
        grain: &str,
        axis: &str,
        until: i64,
    ) -> Result<u64, Fault> {
        let Self { name, key, .. } = self;
        let statement = format!(
            "DELETE FROM {name} WHERE (grain, axis, hour, {key}) IN (
                 SELECT grain, axis, hour, {key} FROM {name}
                 WHERE grain = $1 AND axis = $2 AND hour < $3 ORDER BY hour, {key} LIMIT $4
                 FOR UPDATE SKIP LOCKED)"
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
        connection: &mut PgConnection,
        grain: &str,
        tenant: TenantId,
    ) -> Result<u64, Fault> {
        let Self { name, key, .. } = self;
        // From hour to hour along the primary key: nothing of other tenants is read.
        let statement = format!(
            "DELETE FROM {name} WHERE (grain, axis, hour, {key}) IN (
                 WITH RECURSIVE h (hour) AS (
                     SELECT min(hour) FROM {name} WHERE grain = $1 AND axis = 'tenant'
                     UNION ALL
                     SELECT (SELECT min(t.hour) FROM {name} AS t
                         WHERE t.grain = $1 AND t.axis = 'tenant' AND t.hour > h.hour)
                     FROM h WHERE h.hour IS NOT NULL)
                 SELECT t.grain, t.axis, t.hour, {of_t} FROM h JOIN {name} AS t
                     ON t.grain = $1 AND t.axis = 'tenant' AND t.hour = h.hour AND t.name = $2
                 LIMIT $3)",
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
pub(crate) async fn erase(connection: &mut PgConnection, tenant: TenantId) -> Result<u64, Fault> {
    let mut gone = 0;
    for grain in ["hour", "day"] {
        for table in [&TRAFFIC, &DELIVERY_TIMES] {
            gone += table.erase(connection, grain, tenant).await?;
        }
    }
    // Index refusals (primary key), from hour to hour.
    let removed = sqlx::query(
        "DELETE FROM refusals WHERE (hour, tenant, provider, text, part) IN (
             WITH RECURSIVE h (hour) AS (
                 SELECT min(hour) FROM refusals
                 UNION ALL
                 SELECT (SELECT min(t.hour) FROM refusals AS t WHERE t.hour > h.hour)
                 FROM h WHERE h.hour IS NOT NULL)
             SELECT t.hour, t.tenant, t.provider, t.text, t.part FROM h JOIN refusals AS t
                 ON t.hour = h.hour AND t.tenant = $1
             LIMIT $2)",
    )
    .bind(tenant.uuid())
    .bind(ROWS_MOST)
    .execute(connection)
    .await?;
    Ok(gone + removed.rows_affected())
}
