//! What was left in tenants' buckets when their shard changed hands.

use std::collections::{HashMap, HashSet};

use postrider_model::TenantId;
use postrider_store::{Lease, Level, Shard, Taken};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::arrival::shard;
use crate::fault::Fault;
use crate::rows::{Id as _, Place};

/// Writes down the levels of tenants whose shard was given back.
pub(crate) async fn leave(
    connection: &mut PgConnection,
    released: &HashSet<Shard>,
    levels: &[Level],
) -> Result<(), Fault> {
    let mut rows: Vec<&Level> = levels
        .iter()
        .filter(|level| released.contains(&Shard::of(level.tenant)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    // In one order for all; each tenant once, the last said.
    rows.reverse();
    rows.sort_by_key(|level| level.tenant);
    rows.dedup_by_key(|level| level.tenant);
    let number = |level: u64| i64::try_from(level).unwrap_or(i64::MAX);
    let tenants: Vec<Uuid> = rows.iter().map(|level| level.tenant.uuid()).collect();
    let shards: Vec<i16> = rows.iter().map(|level| shard(level.tenant)).collect();
    let all: Vec<i64> = rows.iter().map(|level| number(level.all)).collect();
    let bulk: Vec<i64> = rows.iter().map(|level| number(level.bulk)).collect();
    // Index bucket_levels (primary key).
    sqlx::query(
        "INSERT INTO bucket_levels (tenant, shard, level, bulk)
         SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[])
         ON CONFLICT (tenant) DO UPDATE SET shard = excluded.shard, level = excluded.level,
             bulk = excluded.bulk",
    )
    .bind(tenants)
    .bind(shards)
    .bind(all)
    .bind(bulk)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the levels along with the shards.
pub(crate) async fn take(
    connection: &mut PgConnection,
    leases: Vec<Lease>,
) -> Result<Vec<Taken>, Fault> {
    let shards: Vec<i16> = leases
        .iter()
        .map(|lease| i16::try_from(lease.shard.number()).unwrap_or(-1))
        .collect();
    // Index bucket_levels_shard.
    let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "DELETE FROM bucket_levels WHERE shard = ANY($1) RETURNING tenant, level, bulk",
    )
    .bind(shards)
    .fetch_all(connection)
    .await?;
    let mut levels: HashMap<Shard, Vec<Level>> = HashMap::new();
    for (id, all, bulk) in rows {
        let place = Place {
            table: "bucket_levels",
            id,
        };
        let level = Level {
            tenant: TenantId::of(id),
            all: place.number("level", all)?,
            bulk: place.number("bulk", bulk)?,
        };
        levels
            .entry(Shard::of(level.tenant))
            .or_default()
            .push(level);
    }
    let taken = leases.into_iter().map(|lease| Taken {
        lease,
        levels: levels.remove(&lease.shard).unwrap_or_default(),
    });
    Ok(taken.collect())
}
