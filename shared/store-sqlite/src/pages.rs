//! Pages of the queue: by change order, by lane, by the time they are due.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use futures_util::future::try_join;
use postrider_model::{MessageId, RecipientId, Stream, TenantId, Timestamp, WaitCause};
use postrider_store::{Changes, Cursor, LaneKey, LanePage, Place as Spot, QueueRow, Shard};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::{Place, json};

/// Lanes that one statement reads.
const LANES_AT_ONCE: usize = 256;

macro_rules! columns {
    () => {
        "q.seq, q.recipient, q.message, q.tenant, q.stream, q.domain, q.accepted_at, q.since, \
         q.due_at, q.expires_at, q.attempts, q.cause"
    };
}

impl SqliteStore {
    /// Rows that changed after `since`. A page may hold fewer than were read, and still have more
    /// behind it.
    pub(crate) async fn changes(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, Fault> {
        let from = seq(since)?;
        // Index queue (primary key): in change order as it lies.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM queue AS q WHERE q.seq > ?1 ORDER BY q.seq LIMIT ?2"
        ))
        .bind(from)
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        let last: Option<i64> = rows.last().map(|row| row.try_get(0)).transpose()?;
        Ok(Changes {
            next: cursor(last.unwrap_or(from)),
            more: rows.len() as u64 == u64::from(limit),
            rows: within(&rows, shards),
        })
    }

    pub(crate) async fn lanes(
        &self,
        shards: &[Shard],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, Fault> {
        let mut lanes = self.lane_keys().await?;
        let wanted = Wanted::of(shards);
        lanes.retain(|lane| wanted.has(lane.tenant));
        // Two at a time: what a row costs is its way out of the database, on one core each.
        let mut pages = Vec::with_capacity(lanes.len());
        for lanes in lanes.chunks(2 * LANES_AT_ONCE) {
            let (first, second) = lanes.split_at(lanes.len().div_ceil(2));
            let (first, second) = try_join(
                self.lane_rows(first, until, limit),
                self.lane_rows(second, until, limit),
            )
            .await?;
            pages.extend(first);
            pages.extend(second);
        }
        Ok(pages)
    }

    /// All lanes that have rows, one seek each.
    async fn lane_keys(&self) -> Result<Vec<LaneKey>, Fault> {
        // Index queue_lane, from each lane to the next. Column by column: a comparison of rows
        // begins at the lane itself, and reads all of it.
        let rows: Vec<(Vec<u8>, String)> = sqlx::query_as(
            "WITH RECURSIVE lane (shard, tenant, stream) AS (
                 SELECT * FROM (SELECT shard, tenant, stream FROM queue
                     ORDER BY shard, tenant, stream LIMIT 1)
                 UNION ALL
                 SELECT q.shard, q.tenant, q.stream
                 FROM lane CROSS JOIN queue AS q ON q.seq = coalesce(
                     (SELECT n.seq FROM queue AS n WHERE n.shard = lane.shard
                         AND n.tenant = lane.tenant AND n.stream > lane.stream
                      ORDER BY n.stream LIMIT 1),
                     (SELECT n.seq FROM queue AS n WHERE n.shard = lane.shard
                         AND n.tenant > lane.tenant
                      ORDER BY n.tenant, n.stream LIMIT 1),
                     (SELECT n.seq FROM queue AS n WHERE n.shard > lane.shard
                      ORDER BY n.shard, n.tenant, n.stream LIMIT 1)))
             SELECT tenant, stream FROM lane",
        )
        .fetch_all(self.readers())
        .await?;
        let keys = rows.iter().map(|(tenant, stream)| {
            let place = Place {
                table: "queue",
                id: tenant,
            };
            Ok(LaneKey {
                tenant: place.id("tenant", tenant)?,
                stream: place.cell("stream", Stream::parse(stream))?,
            })
        });
        keys.collect()
    }

    async fn lane_rows(
        &self,
        lanes: &[LaneKey],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, Fault> {
        let keys: Vec<Lane> = lanes.iter().map(|lane| Lane::of(*lane)).collect();
        // Index queue_lane, one seek for each lane; one row more tells whether there are more.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM json_each(?1) AS k CROSS JOIN queue AS q ON q.seq IN (
                 SELECT seq FROM queue WHERE shard = k.value ->> 'shard'
                     AND tenant = unhex(k.value ->> 'tenant', '-')
                     AND stream = k.value ->> 'stream' AND due_at < ?2
                 ORDER BY due_at, recipient LIMIT ?3)"
        ))
        .bind(json(&keys)?)
        .bind(until.as_micros())
        .bind(i64::from(limit) + 1)
        .fetch_all(self.readers())
        .await?;
        let mut found: HashMap<LaneKey, Vec<QueueRow>> = HashMap::with_capacity(lanes.len());
        for row in rows.iter().filter_map(queue_row_if_sound) {
            found.entry(row.lane()).or_default().push(row);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(found
            .into_iter()
            .map(|(lane, rows)| page(lane, rows, limit))
            .collect())
    }

    pub(crate) async fn lane(
        &self,
        lane: LaneKey,
        after: Spot,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<QueueRow>, Fault> {
        // Index queue_lane.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM queue AS q WHERE q.shard = ?1 AND q.tenant = ?2 AND q.stream = ?3
                 AND (q.due_at, q.recipient) > (?4, ?5) AND q.due_at < ?6
             ORDER BY q.due_at, q.recipient LIMIT ?7"
        ))
        .bind(Shard::of(lane.tenant).number())
        .bind(lane.tenant.as_bytes().as_slice())
        .bind(lane.stream.as_str())
        .bind(after.due_at.as_micros())
        .bind(after.recipient.as_bytes().as_slice())
        .bind(until.as_micros())
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        Ok(rows.iter().filter_map(queue_row_if_sound).collect())
    }

    pub(crate) async fn due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Spot>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, Fault> {
        let (wanted, mut found) = (Wanted::of(shards), Vec::new());
        let wish = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut after = after.unwrap_or(Spot {
            due_at: span.start,
            recipient: RecipientId::from_bytes([0; 16]),
        });
        loop {
            let rows = self.due_after(after, span.end, limit).await?;
            let read = rows.len();
            if let Some(last) = rows.last() {
                after = spot(last)?;
            }
            let sound = rows.iter().filter_map(queue_row_if_sound);
            found.extend(sound.filter(|row| wanted.has(row.tenant)));
            found.truncate(wish);
            // Pages of others' rows and of damaged ones are passed over.
            if read < wish || found.len() == wish {
                return Ok(found);
            }
        }
    }

    async fn due_after(
        &self,
        after: Spot,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<SqliteRow>, Fault> {
        // Index queue_due.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM queue AS q WHERE q.cause <> 'turn' AND (q.due_at, q.recipient) > (?1, ?2)
                 AND q.due_at < ?3
             ORDER BY q.due_at, q.recipient LIMIT ?4"
        ))
        .bind(after.due_at.as_micros())
        .bind(after.recipient.as_bytes().as_slice())
        .bind(until.as_micros())
        .bind(limit)
        .fetch_all(self.readers())
        .await?;
        Ok(rows)
    }
}

/// The text of a place in change order: the number itself.
pub(crate) fn cursor(seq: i64) -> Cursor {
    Cursor(seq.to_string())
}

fn seq(cursor: &Cursor) -> Result<i64, Fault> {
    if *cursor == Cursor::START {
        return Ok(0);
    }
    let seq = cursor.0.parse();
    seq.map_err(|_| Fault::Rejected(format!("no cursor of this database: {:?}", cursor.0)))
}

#[derive(Serialize)]
struct Lane {
    shard: u16,
    tenant: TenantId,
    stream: Stream,
}

impl Lane {
    fn of(lane: LaneKey) -> Self {
        Self {
            shard: Shard::of(lane.tenant).number(),
            tenant: lane.tenant,
            stream: lane.stream,
        }
    }
}

fn page(lane: LaneKey, mut rows: Vec<QueueRow>, limit: usize) -> LanePage {
    rows.sort_unstable_by_key(QueueRow::place);
    let more = rows.len() > limit;
    rows.truncate(limit);
    LanePage { lane, rows, more }
}

/// Shards that were asked for: all of them as a rule, since one process owns all.
struct Wanted(Option<HashSet<Shard>>);

impl Wanted {
    fn of(shards: &[Shard]) -> Self {
        let some = shards.len() < usize::from(Shard::COUNT);
        Self(some.then(|| shards.iter().copied().collect()))
    }

    fn has(&self, tenant: TenantId) -> bool {
        let shards = self.0.as_ref();
        shards.is_none_or(|shards| shards.contains(&Shard::of(tenant)))
    }
}

fn within(rows: &[SqliteRow], shards: &[Shard]) -> Vec<QueueRow> {
    let wanted = Wanted::of(shards);
    let sound = rows.iter().filter_map(queue_row_if_sound);
    sound.filter(|row| wanted.has(row.tenant)).collect()
}

fn spot(row: &SqliteRow) -> Result<Spot, Fault> {
    let recipient: &[u8] = row.try_get(1)?;
    let place = Place {
        table: "queue",
        id: recipient,
    };
    Ok(Spot {
        due_at: Timestamp::from_micros(row.try_get(8)?),
        recipient: place.id("recipient", recipient)?,
    })
}

/// One damaged row must not keep all others from being delivered: it stays where it is, and is
/// named each time it is met.
fn queue_row_if_sound(row: &SqliteRow) -> Option<QueueRow> {
    queue_row(row)
        .inspect_err(|fault| tracing::error!(?fault, "a row of the queue cannot be read"))
        .ok()
}

// By hand and borrowing: a start reads a million of these.
fn queue_row(row: &SqliteRow) -> Result<QueueRow, Fault> {
    let recipient: &[u8] = row.try_get(1)?;
    let place = Place {
        table: "queue",
        id: recipient,
    };
    let time = |column: usize| row.try_get(column).map(Timestamp::from_micros);
    let message: MessageId = place.id("message", row.try_get(2)?)?;
    Ok(QueueRow {
        recipient: place.id("recipient", recipient)?,
        message,
        tenant: place.id("tenant", row.try_get(3)?)?,
        stream: place.cell("stream", Stream::parse(row.try_get(4)?))?,
        domain: place.domain("domain", row.try_get(5)?)?,
        accepted_at: time(6)?,
        since: time(7)?,
        due_at: time(8)?,
        expires_at: time(9)?,
        attempts: place.number("attempts", row.try_get(10)?)?,
        cause: place.cell("cause", WaitCause::parse(row.try_get(11)?))?,
    })
}
