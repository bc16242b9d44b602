//! The nodes port: who is there, and who owns which shard. Here the one process, which owns all.

use std::collections::HashSet;

use async_trait::async_trait;
use postrider_model::{NodeId, Timestamp};
use postrider_store::{
    Beat, Epoch, Lease, Level, NewNode, NodeReport, NodeStanding, Nodes, Shard, StoreError, Taken,
};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::levels;
use crate::rows::Place;

/// How long a node is remembered after its last heartbeat.
const REMEMBERED: std::time::Duration = std::time::Duration::from_hours(24);

#[async_trait]
impl Nodes for SqliteStore {
    async fn join(&self, node: NewNode, now: Timestamp) -> Result<(), StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { join(connection, &node, now).await }))
            .await
    }

    async fn beat(
        &self,
        node: NodeId,
        report: NodeReport,
        now: Timestamp,
    ) -> Result<Beat, StoreError> {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { beat(connection, node, report, now).await })
            })
            .await
    }

    async fn take(
        &self,
        node: NodeId,
        most: u16,
        now: Timestamp,
    ) -> Result<Vec<Taken>, StoreError> {
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { take(connection, node, most, now).await })
            })
            .await
    }

    async fn release(
        &self,
        node: NodeId,
        leases: &[Lease],
        levels: &[Level],
    ) -> Result<(), StoreError> {
        let (leases, levels) = (leases.to_vec(), levels.to_vec());
        self.writer()
            .alone(move |connection| {
                Box::pin(async move { release(connection, node, &leases, &levels).await })
            })
            .await
    }

    async fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.writer()
            .alone(move |connection| Box::pin(async move { forget(connection, node).await }))
            .await
    }

    async fn nodes(&self, now: Timestamp) -> Result<Vec<NodeStanding>, StoreError> {
        Ok(self.standings(now).await?)
    }
}

/// The oldest heartbeat that is young.
pub(crate) fn young(now: Timestamp) -> i64 {
    now.before(<dyn Nodes>::LEASE).as_micros()
}

/// At the start: the file's lock proves that no other process lives.
pub(crate) async fn forget_all(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for statement in [
        "UPDATE shards SET owner = NULL WHERE owner IS NOT NULL",
        "DELETE FROM nodes",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn join(
    connection: &mut SqliteConnection,
    node: &NewNode,
    now: Timestamp,
) -> Result<(), Fault> {
    // Index nodes_name.
    let namesake: Option<(Vec<u8>, Vec<u8>, i64)> =
        sqlx::query_as("SELECT id, key, beat_at FROM nodes WHERE name = ?1")
            .bind(&node.name)
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((id, key, beat_at)) = namesake {
        if key != node.key && beat_at >= young(now) {
            return Err(Fault::Taken("node name"));
        }
        let place = Place {
            table: "nodes",
            id: &id,
        };
        forget(connection, place.id("id", &id)?).await?;
    }
    // All of the few nodes.
    sqlx::query("DELETE FROM nodes WHERE beat_at < ?1")
        .bind(now.before(REMEMBERED).as_micros())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO nodes (id, name, key, started_at, beat_at, wants_shards, clock_offset)
         VALUES (?1, ?2, ?3, ?4, ?4, 0, 0)",
    )
    .bind(node.id.as_bytes().as_slice())
    .bind(&node.name)
    .bind(node.key.as_slice())
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(())
}

async fn forget(connection: &mut SqliteConnection, node: NodeId) -> Result<(), Fault> {
    let id = node.as_bytes().as_slice();
    // All of the 1,024 shards; index nodes (primary key).
    for statement in [
        "UPDATE shards SET owner = NULL WHERE owner = ?1",
        "DELETE FROM nodes WHERE id = ?1",
    ] {
        sqlx::query(statement)
            .bind(id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn beat(
    connection: &mut SqliteConnection,
    node: NodeId,
    report: NodeReport,
    now: Timestamp,
) -> Result<Beat, Fault> {
    let id = node.as_bytes().as_slice();
    // Index nodes (primary key).
    let beaten = sqlx::query(
        "UPDATE nodes SET beat_at = ?2, wants_shards = ?3, clock_offset = ?4 WHERE id = ?1",
    )
    .bind(id)
    .bind(now.as_micros())
    .bind(report.wants_shards)
    .bind(report.clock_offset)
    .execute(&mut *connection)
    .await?;
    if beaten.rows_affected() == 0 {
        return Err(Fault::NotFound("node"));
    }
    // All of the 1,024 shards and of the few nodes.
    let owned: Vec<(i64, i64)> =
        sqlx::query_as("SELECT shard, epoch FROM shards WHERE owner = ?1 ORDER BY shard")
            .bind(id)
            .fetch_all(&mut *connection)
            .await?;
    let (takers, free): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM nodes WHERE wants_shards = 1 AND beat_at >= ?1),
             (SELECT count(*) FROM shards WHERE owner IS NULL
                 OR owner NOT IN (SELECT id FROM nodes WHERE beat_at >= ?1))",
    )
    .bind(young(now))
    .fetch_one(connection)
    .await?;
    let place = Place {
        table: "shards",
        id,
    };
    Ok(Beat {
        now,
        leases: owned.into_iter().map(lease).collect::<Result<_, _>>()?,
        takers: place.number("takers", takers)?,
        free: place.number("free", free)?,
    })
}

fn lease((shard, epoch): (i64, i64)) -> Result<Lease, Fault> {
    let place = Place {
        table: "shards",
        id: &shard.to_be_bytes(),
    };
    let number = place.number("shard", shard)?;
    Ok(Lease {
        shard: Shard::new(number).ok_or_else(|| place.corrupt("shard"))?,
        epoch: Epoch(epoch),
    })
}

async fn take(
    connection: &mut SqliteConnection,
    node: NodeId,
    most: u16,
    now: Timestamp,
) -> Result<Vec<Taken>, Fault> {
    let id = node.as_bytes().as_slice();
    // Index nodes (primary key). Who has not beaten for too long owns nothing it takes.
    let there: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM nodes WHERE id = ?1 AND beat_at >= ?2")
            .bind(id)
            .bind(young(now))
            .fetch_optional(&mut *connection)
            .await?;
    if there.is_none() {
        return Err(Fault::NotFound("node"));
    }
    // All of the 1,024 shards and of the few nodes.
    let taken: Vec<(i64, i64)> = sqlx::query_as(
        "UPDATE shards SET owner = ?1, epoch = epoch + 1
         WHERE shard IN (SELECT shard FROM shards WHERE owner IS NULL
             OR owner NOT IN (SELECT id FROM nodes WHERE beat_at >= ?2)
             ORDER BY shard LIMIT ?3)
         RETURNING shard, epoch",
    )
    .bind(id)
    .bind(young(now))
    .bind(most)
    .fetch_all(&mut *connection)
    .await?;
    let mut leases = taken
        .into_iter()
        .map(lease)
        .collect::<Result<Vec<_>, _>>()?;
    leases.sort_by_key(|lease| lease.shard);
    levels::take(connection, leases).await
}

async fn release(
    connection: &mut SqliteConnection,
    node: NodeId,
    leases: &[Lease],
    levels: &[Level],
) -> Result<(), Fault> {
    let mut released: HashSet<Shard> = HashSet::with_capacity(leases.len());
    for lease in leases {
        // Index shards (primary key).
        let freed = sqlx::query(
            "UPDATE shards SET owner = NULL WHERE shard = ?1 AND owner = ?2 AND epoch = ?3",
        )
        .bind(lease.shard.number())
        .bind(node.as_bytes().as_slice())
        .bind(lease.epoch.0)
        .execute(&mut *connection)
        .await?;
        if freed.rows_affected() > 0 {
            released.insert(lease.shard);
        }
    }
    levels::leave(connection, &released, levels).await
}

#[derive(sqlx::FromRow)]
struct NodeRow {
    id: Vec<u8>,
    name: String,
    started_at: i64,
    beat_at: i64,
    wants_shards: bool,
    clock_offset: i64,
    shards: i64,
}

impl SqliteStore {
    async fn standings(&self, now: Timestamp) -> Result<Vec<NodeStanding>, Fault> {
        // All of the few nodes and of the 1,024 shards.
        let rows: Vec<NodeRow> = sqlx::query_as(
            "SELECT n.id, n.name, n.started_at, n.beat_at, n.wants_shards, n.clock_offset,
                 (SELECT count(*) FROM shards AS s WHERE s.owner = n.id) AS shards
             FROM nodes AS n WHERE n.beat_at >= ?1 ORDER BY n.name",
        )
        .bind(now.before(REMEMBERED).as_micros())
        .fetch_all(self.readers())
        .await?;
        rows.into_iter().map(|row| standing(row, now)).collect()
    }
}

fn standing(row: NodeRow, now: Timestamp) -> Result<NodeStanding, Fault> {
    let place = Place {
        table: "nodes",
        id: &row.id,
    };
    Ok(NodeStanding {
        id: place.id("id", &row.id)?,
        name: row.name,
        started_at: Timestamp::from_micros(row.started_at),
        beat_at: Timestamp::from_micros(row.beat_at),
        alive: row.beat_at >= young(now),
        report: NodeReport {
            wants_shards: row.wants_shards,
            clock_offset: row.clock_offset,
        },
        shards: place.number("shards", row.shards)?,
    })
}
