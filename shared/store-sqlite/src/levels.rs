//! What was left in tenants' buckets when their shard changed hands.

use std::collections::{HashMap, HashSet};

use postrider_model::TenantId;
use postrider_store::{Lease, Level, Shard, Taken};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::{Place, json};

#[derive(Serialize)]
struct LevelRow {
    tenant: TenantId,
    shard: u16,
    level: i64,
    bulk: i64,
}

/// Writes down the levels of tenants whose shard was given back.
pub(crate) async fn leave(
    connection: &mut SqliteConnection,
    released: &HashSet<Shard>,
    levels: &[Level],
) -> Result<(), Fault> {
    let rows: Vec<LevelRow> = levels
        .iter()
        .map(|level| (Shard::of(level.tenant), level))
        .filter(|(shard, _)| released.contains(shard))
        .map(|(shard, level)| LevelRow {
            tenant: level.tenant,
            shard: shard.number(),
            level: i64::try_from(level.all).unwrap_or(i64::MAX),
            bulk: i64::try_from(level.bulk).unwrap_or(i64::MAX),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    // Index bucket_levels (primary key).
    sqlx::query(
        "INSERT INTO bucket_levels (tenant, shard, level, bulk)
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'shard', value ->> 'level',
             value ->> 'bulk'
         FROM json_each(?1) WHERE true
         ON CONFLICT (tenant) DO UPDATE SET shard = excluded.shard, level = excluded.level,
             bulk = excluded.bulk",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the levels along with the shards.
pub(crate) async fn take(
    connection: &mut SqliteConnection,
    leases: Vec<Lease>,
) -> Result<Vec<Taken>, Fault> {
    let shards: Vec<u16> = leases.iter().map(|lease| lease.shard.number()).collect();
    // Index bucket_levels_shard.
    let rows: Vec<(Vec<u8>, i64, i64)> = sqlx::query_as(
        "DELETE FROM bucket_levels WHERE shard IN (SELECT value FROM json_each(?1))
         RETURNING tenant, level, bulk",
    )
    .bind(json(&shards)?)
    .fetch_all(connection)
    .await?;
    let mut levels: HashMap<Shard, Vec<Level>> = HashMap::new();
    for (tenant, all, bulk) in rows {
        let place = Place {
            table: "bucket_levels",
            id: &tenant,
        };
        let level = Level {
            tenant: place.id("tenant", &tenant)?,
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
