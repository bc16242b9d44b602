//! The nodes port: who is there, and who owns which shard. Its time is the database's.
//!
//! A heartbeat and a take meet in the row of the node: who takes from a node that is silent locks its
//! row first and looks again, so that a node whose heartbeat comes through at that moment either
//! keeps its shards, or learns that they are gone.

use std::collections::HashSet;

use async_trait::async_trait;
use postrider_model::{NodeId, Timestamp};
use postrider_store::{
    Beat, Epoch, Lease, Level, NewNode, NodeReport, NodeStanding, Nodes, Shard, StoreError, Taken,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fault::Fault;
use crate::partitions::now;
use crate::rows::{Id as _, Place};
use crate::store::bounded;
use crate::{PostgresStore, levels, transaction};

/// How long a node is remembered after its last heartbeat.
const REMEMBERED: std::time::Duration = std::time::Duration::from_hours(24);

#[async_trait]
impl Nodes for PostgresStore {
    async fn join(&self, node: NewNode, _now: Timestamp) -> Result<(), StoreError> {
        self.alone(move |connection| Box::pin(async move { join(connection, &node).await }))
            .await
    }

    async fn beat(
        &self,
        node: NodeId,
        report: NodeReport,
        _now: Timestamp,
    ) -> Result<Beat, StoreError> {
        let beat = async {
            let mut connection = self.lend_for_beat().await?;
            transaction::begin_cheap(&mut connection).await?;
            let beat = beat(&mut connection, node, report).await?;
            transaction::commit(&mut connection).await?;
            connection.back();
            Ok(beat)
        };
        Ok(bounded(beat).await?)
    }

    async fn take(
        &self,
        node: NodeId,
        most: u16,
        _now: Timestamp,
    ) -> Result<Vec<Taken>, StoreError> {
        let taken = self
            .alone(move |connection| Box::pin(async move { take(connection, node, most).await }))
            .await;
        // They were another's: what he did to their mail is not known here.
        self.fresh().clear();
        taken
    }

    async fn release(
        &self,
        node: NodeId,
        leases: &[Lease],
        levels: &[Level],
    ) -> Result<(), StoreError> {
        let (leases, levels) = (leases.to_vec(), levels.to_vec());
        self.alone(move |connection| {
            Box::pin(async move { release(connection, node, &leases, &levels).await })
        })
        .await
    }

    async fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.alone(move |connection| Box::pin(async move { forget(connection, node).await }))
            .await
    }

    async fn nodes(&self, _now: Timestamp) -> Result<Vec<NodeStanding>, StoreError> {
        Ok(bounded(self.standings()).await?)
    }
}

/// The oldest heartbeat that is young.
pub(crate) fn young(now: Timestamp) -> i64 {
    now.before(<dyn Nodes>::LEASE).as_micros()
}

async fn join(connection: &mut PgConnection, node: &NewNode) -> Result<(), Fault> {
    // Index nodes_name.
    let namesake: Option<(Uuid, Vec<u8>, i64)> =
        sqlx::query_as("SELECT id, key, beat_at FROM nodes WHERE name = $1 FOR UPDATE")
            .bind(&node.name)
            .fetch_optional(&mut *connection)
            .await?;
    let now = now(connection).await?;
    if let Some((id, key, beat_at)) = namesake {
        if key != node.key && beat_at >= young(now) {
            return Err(Fault::Taken("node name"));
        }
        forget(connection, NodeId::of(id)).await?;
    }
    // All of the few nodes.
    sqlx::query("DELETE FROM nodes WHERE beat_at < $1")
        .bind(now.before(REMEMBERED).as_micros())
        .execute(&mut *connection)
        .await?;
    let joined = sqlx::query(
        "INSERT INTO nodes (id, name, key, started_at, beat_at, wants_shards, clock_offset)
         VALUES ($1, $2, $3, $4, $4, false, 0)",
    )
    .bind(node.id.uuid())
    .bind(&node.name)
    .bind(node.key.as_slice())
    .bind(now.as_micros())
    .execute(connection)
    .await
    .map_err(Fault::from);
    match joined {
        // Another of that name enrolled at the same moment.
        Err(fault) if fault.is_taken() => Err(Fault::Taken("node name")),
        Err(fault) => Err(fault),
        Ok(_) => Ok(()),
    }
}

async fn forget(connection: &mut PgConnection, node: NodeId) -> Result<(), Fault> {
    // Index nodes (primary key); all of the 1,024 shards.
    for statement in [
        "DELETE FROM nodes WHERE id = $1",
        "UPDATE shards SET owner = NULL WHERE owner = $1",
    ] {
        sqlx::query(statement)
            .bind(node.uuid())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn beat(
    connection: &mut PgConnection,
    node: NodeId,
    report: NodeReport,
) -> Result<Beat, Fault> {
    // Index nodes (primary key). Waits for one who takes from this node at this moment.
    let now: Option<i64> = sqlx::query_scalar(
        "UPDATE nodes SET beat_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
             wants_shards = $2, clock_offset = $3
         WHERE id = $1 RETURNING beat_at",
    )
    .bind(node.uuid())
    .bind(report.wants_shards)
    .bind(report.clock_offset)
    .fetch_optional(&mut *connection)
    .await?;
    let now = Timestamp::from_micros(now.ok_or(Fault::NotFound("node"))?);
    // All of the 1,024 shards and of the few nodes.
    let owned: Vec<(i16, i64)> =
        sqlx::query_as("SELECT shard, epoch FROM shards WHERE owner = $1 ORDER BY shard")
            .bind(node.uuid())
            .fetch_all(&mut *connection)
            .await?;
    let (takers, free): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM nodes WHERE wants_shards AND beat_at >= $1),
             (SELECT count(*) FROM shards AS s WHERE s.owner IS NULL OR NOT EXISTS (
                 SELECT 1 FROM nodes AS n WHERE n.id = s.owner AND n.beat_at >= $1))",
    )
    .bind(young(now))
    .fetch_one(connection)
    .await?;
    let place = Place {
        table: "shards",
        id: node.uuid(),
    };
    Ok(Beat {
        now,
        leases: owned.into_iter().map(lease).collect::<Result<_, _>>()?,
        takers: place.number("takers", takers)?,
        free: place.number("free", free)?,
    })
}

fn lease((shard, epoch): (i16, i64)) -> Result<Lease, Fault> {
    let place = Place {
        table: "shards",
        id: Uuid::nil(),
    };
    let number = place.number("shard", shard.into())?;
    Ok(Lease {
        shard: Shard::new(number).ok_or_else(|| place.corrupt("shard"))?,
        epoch: Epoch(epoch),
    })
}

async fn take(connection: &mut PgConnection, node: NodeId, most: u16) -> Result<Vec<Taken>, Fault> {
    let young = young(now(connection).await?);
    // Index nodes (primary key). Who has not beaten for too long owns nothing it takes.
    let there: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM nodes WHERE id = $1 AND beat_at >= $2")
            .bind(node.uuid())
            .bind(young)
            .fetch_optional(&mut *connection)
            .await?;
    if there.is_none() {
        return Err(Fault::NotFound("node"));
    }
    // All of the few nodes. Those that are silent cannot beat until this ends.
    let silent: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM nodes WHERE beat_at < $1 ORDER BY id FOR UPDATE")
            .bind(young)
            .fetch_all(&mut *connection)
            .await?;
    // All of the 1,024 shards. What another takes at this moment is his.
    let taken: Vec<(i16, i64)> = sqlx::query_as(
        "UPDATE shards SET owner = $1, epoch = epoch + 1
         WHERE shard IN (SELECT s.shard FROM shards AS s WHERE s.owner IS NULL
             OR s.owner = ANY($2) OR NOT EXISTS (SELECT 1 FROM nodes AS n WHERE n.id = s.owner)
             ORDER BY s.shard LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING shard, epoch",
    )
    .bind(node.uuid())
    .bind(silent)
    .bind(i64::from(most))
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
    connection: &mut PgConnection,
    node: NodeId,
    leases: &[Lease],
    levels: &[Level],
) -> Result<(), Fault> {
    let number = |lease: &Lease| i16::try_from(lease.shard.number()).unwrap_or(-1);
    let shards: Vec<i16> = leases.iter().map(number).collect();
    let epochs: Vec<i64> = leases.iter().map(|lease| lease.epoch.0).collect();
    // Index shards (primary key).
    let freed: Vec<(i16, i64)> = sqlx::query_as(
        "UPDATE shards AS s SET owner = NULL
         FROM unnest($2::smallint[], $3::bigint[]) AS x (shard, epoch)
         WHERE s.shard = x.shard AND s.epoch = x.epoch AND s.owner = $1
         RETURNING s.shard, s.epoch",
    )
    .bind(node.uuid())
    .bind(shards)
    .bind(epochs)
    .fetch_all(&mut *connection)
    .await?;
    let mut released: HashSet<Shard> = HashSet::with_capacity(freed.len());
    for row in freed {
        released.insert(lease(row)?.shard);
    }
    levels::leave(connection, &released, levels).await
}

#[derive(sqlx::FromRow)]
struct NodeRow {
    id: Uuid,
    name: String,
    started_at: i64,
    beat_at: i64,
    wants_shards: bool,
    clock_offset: i64,
    shards: i64,
}

impl PostgresStore {
    async fn standings(&self) -> Result<Vec<NodeStanding>, Fault> {
        let mut connection = self.lend().await?;
        let now = now(&mut connection).await?;
        // All of the few nodes and of the 1,024 shards.
        let rows: Vec<NodeRow> = sqlx::query_as(
            "SELECT n.id, n.name, n.started_at, n.beat_at, n.wants_shards, n.clock_offset,
                 (SELECT count(*) FROM shards AS s WHERE s.owner = n.id) AS shards
             FROM nodes AS n WHERE n.beat_at >= $1 ORDER BY n.name",
        )
        .bind(now.before(REMEMBERED).as_micros())
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        rows.into_iter().map(|row| standing(row, now)).collect()
    }
}

fn standing(row: NodeRow, now: Timestamp) -> Result<NodeStanding, Fault> {
    let place = Place {
        table: "nodes",
        id: row.id,
    };
    Ok(NodeStanding {
        id: NodeId::of(row.id),
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
