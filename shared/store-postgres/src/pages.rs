//! Pages of the queue: by change order, by lane, by the time they are due.

use std::collections::HashMap;
use std::ops::Range;

use postrider_model::{MessageId, RecipientId, Stream, TenantId, Timestamp, WaitCause};
use postrider_store::{Changes, Cursor, LaneKey, LanePage, Place as Spot, QueueRow, Shard};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::arrival::shard;
use crate::cursor::{Base, Progress, Snapshot};
use crate::fault::Fault;
use crate::rows::{Id as _, Place};
use crate::store::bounded;

/// Lanes, and rows, that one statement reads at most: it has seconds for it.
const LANES_AT_ONCE: usize = 256;
const ROWS_AT_ONCE: usize = 50_000;

macro_rules! columns {
    () => {
        "q.recipient, q.message, q.tenant, q.stream, q.domain, q.accepted_at, q.since, q.due_at, \
         q.expires_at, q.attempts, q.cause"
    };
}

/// The server's life: it is another one after each crash, and on a server that took over. A crash
/// that the postmaster survives shows in the statistics, which start anew with any recovery
/// (PostgreSQL manual, 28.2.2).
macro_rules! life {
    () => {
        "pg_postmaster_start_time()::text || ',' || \
         coalesce(pg_stat_get_bgwriter_stat_reset_time()::text, '')"
    };
}

impl PostgresStore {
    /// Where the order of changes ends now.
    pub(crate) async fn newest(&self) -> Result<Cursor, Fault> {
        let mut connection = self.lend().await?;
        let (life, snapshot): (String, String) =
            sqlx::query_as(concat!("SELECT ", life!(), ", pg_current_snapshot()::text"))
                .fetch_one(&mut *connection)
                .await?;
        connection.back();
        let progress = Progress {
            life,
            base: Base::Snapshot(Snapshot::parse(&snapshot)?),
            ..Progress::default()
        };
        Ok(progress.cursor())
    }

    /// Rows that changed after `since`: those whose transaction its snapshot did not show. All of
    /// them where the server has crashed since.
    pub(crate) async fn changes(
        &self,
        shards: &[Shard],
        since: &Cursor,
        limit: u32,
    ) -> Result<Changes, Fault> {
        let progress = Progress::parse(since)?;
        let rows = self.changed_rows(shards, &progress, limit).await?;
        let life = life_of(&rows)?;
        if progress.life.is_empty() || progress.life == life {
            return turn(Progress { life, ..progress }, &rows, limit);
        }
        tracing::warn!("the database's server crashed or was restarted: the queue is read anew");
        let start = Progress::default();
        let rows = self.changed_rows(shards, &start, limit).await?;
        let life = life_of(&rows)?;
        turn(Progress { life, ..start }, &rows, limit)
    }

    /// A page of them. A transaction that is open for long costs one look at its number.
    async fn changed_rows(
        &self,
        shards: &[Shard],
        progress: &Progress,
        limit: u32,
    ) -> Result<Vec<PgRow>, Fault> {
        let (from, open) = match &progress.base {
            Base::Start => ("0".to_owned(), Vec::new()),
            Base::Snapshot(snapshot) => (snapshot.next.to_string(), snapshot.open_texts()),
        };
        let (changed, recipient) = match &progress.after {
            Some((changed, recipient)) => (changed.to_string(), *recipient),
            None => ("0".to_owned(), Uuid::nil()),
        };
        let mut connection = self.lend().await?;
        // Index queue_changed: what was open then, one look each, and all that is newer. The
        // snapshot is the statement's own.
        let rows = sqlx::query(concat!(
            "SELECT s.life, s.snapshot, q.* FROM (SELECT ",
            life!(),
            "    AS life, pg_current_snapshot()::text AS snapshot) AS s
             LEFT JOIN LATERAL (
                 SELECT * FROM (
                     (SELECT q.changed::text AS change, q.changed AS place, ",
            columns!(),
            "     FROM queue AS q
                     WHERE q.changed = ANY($3::text[]::xid8[])
                         AND (q.changed, q.recipient) > ($4::text::xid8, $5)
                         AND q.shard = ANY($1)
                     ORDER BY q.changed, q.recipient LIMIT $6)
                     UNION ALL
                     (SELECT q.changed::text AS change, q.changed AS place, ",
            columns!(),
            "     FROM queue AS q
                     WHERE q.changed >= $2::text::xid8
                         AND (q.changed, q.recipient) > ($4::text::xid8, $5)
                         AND q.shard = ANY($1)
                     ORDER BY q.changed, q.recipient LIMIT $6)) AS q
                 ORDER BY q.place, q.recipient LIMIT $6) AS q ON true"
        ))
        .bind(numbers(shards))
        .bind(from)
        .bind(open)
        .bind(changed)
        .bind(recipient)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        Ok(rows)
    }

    pub(crate) async fn lanes(
        &self,
        shards: &[Shard],
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LanePage>, Fault> {
        let lanes = bounded(self.lane_keys(shards)).await?;
        let mut pages = Vec::with_capacity(lanes.len());
        let each = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
        let at_once = (ROWS_AT_ONCE / each).clamp(1, LANES_AT_ONCE);
        for lanes in lanes.chunks(at_once) {
            let rows = bounded(self.lane_rows(lanes, until, limit)).await?;
            pages.extend(rows);
        }
        Ok(pages)
    }

    /// All lanes of these shards that have rows, one seek each.
    async fn lane_keys(&self, shards: &[Shard]) -> Result<Vec<LaneKey>, Fault> {
        let mut connection = self.lend().await?;
        // Index queue_lane, from each lane to the next.
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT l.tenant, l.stream FROM unnest($1::smallint[]) AS s (shard)
             CROSS JOIN LATERAL (
                 WITH RECURSIVE lane AS (
                     (SELECT q.tenant, q.stream FROM queue AS q WHERE q.shard = s.shard
                      ORDER BY q.tenant, q.stream LIMIT 1)
                     UNION ALL
                     SELECT n.tenant, n.stream FROM lane CROSS JOIN LATERAL (
                         SELECT q.tenant, q.stream FROM queue AS q
                         WHERE q.shard = s.shard
                             AND (q.tenant, q.stream) > (lane.tenant, lane.stream)
                         ORDER BY q.tenant, q.stream LIMIT 1) AS n)
                 SELECT * FROM lane) AS l",
        )
        .bind(numbers(shards))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        let keys = rows.into_iter().map(|(tenant, stream)| {
            let place = Place {
                table: "queue",
                id: tenant,
            };
            Ok(LaneKey {
                tenant: TenantId::of(tenant),
                stream: place.cell("stream", Stream::parse(&stream))?,
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
        let shards: Vec<i16> = lanes.iter().map(|lane| shard(lane.tenant)).collect();
        let tenants: Vec<Uuid> = lanes.iter().map(|lane| lane.tenant.uuid()).collect();
        let streams: Vec<&str> = lanes.iter().map(|lane| lane.stream.as_str()).collect();
        let mut connection = self.lend().await?;
        // Index queue_lane, one seek for each lane; one row more tells whether there are more.
        let rows = sqlx::query(concat!(
            "SELECT q.* FROM unnest($1::smallint[], $2::uuid[], $3::text[])
                 AS x (shard, tenant, stream)
             CROSS JOIN LATERAL (SELECT NULL::text AS change, NULL::xid8 AS place, ",
            columns!(),
            "     FROM queue AS q
                 WHERE q.shard = x.shard AND q.tenant = x.tenant AND q.stream = x.stream
                     AND q.due_at < $4
                 ORDER BY q.shard, q.tenant, q.stream, q.due_at, q.recipient LIMIT $5) AS q"
        ))
        .bind(shards)
        .bind(tenants)
        .bind(streams)
        .bind(until.as_micros())
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        let mut found: HashMap<LaneKey, Vec<QueueRow>> = HashMap::with_capacity(lanes.len());
        for row in rows.iter().filter_map(|row| queue_row_if_sound(row, 2)) {
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
        let mut connection = self.lend().await?;
        // Index queue_lane.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM queue AS q WHERE q.shard = $1 AND q.tenant = $2 AND q.stream = $3
                 AND (q.due_at, q.recipient) > ($4, $5) AND q.due_at < $6
             ORDER BY q.shard, q.tenant, q.stream, q.due_at, q.recipient LIMIT $7"
        ))
        .bind(shard(lane.tenant))
        .bind(lane.tenant.uuid())
        .bind(lane.stream.as_str())
        .bind(after.due_at.as_micros())
        .bind(after.recipient.uuid())
        .bind(until.as_micros())
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        let sound = rows.iter().filter_map(|row| queue_row_if_sound(row, 0));
        Ok(sound.collect())
    }

    pub(crate) async fn due(
        &self,
        shards: &[Shard],
        span: Range<Timestamp>,
        after: Option<Spot>,
        limit: u32,
    ) -> Result<Vec<QueueRow>, Fault> {
        let after = after.unwrap_or(Spot {
            due_at: span.start,
            recipient: RecipientId::from_bytes([0; 16]),
        });
        let mut connection = self.lend().await?;
        // Index queue_due.
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM queue AS q WHERE q.cause <> 'turn' AND (q.due_at, q.recipient) > ($1, $2)
                 AND q.due_at < $3 AND q.shard = ANY($4)
             ORDER BY q.due_at, q.recipient LIMIT $5"
        ))
        .bind(after.due_at.as_micros())
        .bind(after.recipient.uuid())
        .bind(span.end.as_micros())
        .bind(numbers(shards))
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
        connection.back();
        let sound = rows.iter().filter_map(|row| queue_row_if_sound(row, 0));
        Ok(sound.collect())
    }
}

fn numbers(shards: &[Shard]) -> Vec<i16> {
    shards
        .iter()
        .map(|shard| i16::try_from(shard.number()).unwrap_or(-1))
        .collect()
}

fn life_of(rows: &[PgRow]) -> Result<String, Fault> {
    Ok(rows.first().ok_or(Fault::Again)?.try_get(0)?)
}

/// A page of changes with where the next begins: behind its last row while there is more, else at
/// the snapshot of the first page of this pass.
fn turn(progress: Progress, rows: &[PgRow], limit: u32) -> Result<Changes, Fault> {
    let first = rows.first().ok_or(Fault::Again)?;
    let now = match progress.now {
        Some(now) => now,
        None => Snapshot::parse(first.try_get(1)?)?,
    };
    let last: Option<(String, Uuid)> = match rows.last() {
        Some(row) => match row.try_get::<Option<String>, _>(2)? {
            Some(change) => Some((change, row.try_get(4)?)),
            None => None,
        },
        None => None,
    };
    let more = last.is_some() && rows.len() as u64 >= u64::from(limit);
    let next = match last {
        Some((change, recipient)) if more => {
            let change = change.parse().map_err(|_| Fault::Again)?;
            Progress {
                life: progress.life,
                base: progress.base,
                now: Some(now),
                after: Some((change, recipient)),
            }
        }
        _ => Progress {
            life: progress.life,
            base: Base::Snapshot(now),
            now: None,
            after: None,
        },
    };
    let found = rows
        .iter()
        .filter(|_| next.after.is_some() || has_row(rows));
    Ok(Changes {
        rows: found.filter_map(|row| queue_row_if_sound(row, 4)).collect(),
        next: next.cursor(),
        more,
    })
}

/// False where nothing changed: then there is the snapshot alone.
fn has_row(rows: &[PgRow]) -> bool {
    let change = rows.first().map(|row| row.try_get::<Option<String>, _>(2));
    matches!(change, Some(Ok(Some(_))))
}

fn page(lane: LaneKey, mut rows: Vec<QueueRow>, limit: usize) -> LanePage {
    rows.sort_unstable_by_key(QueueRow::place);
    let more = rows.len() > limit;
    rows.truncate(limit);
    LanePage { lane, rows, more }
}

/// One damaged row must not keep all others from being delivered: it stays where it is, and is
/// named each time it is met.
fn queue_row_if_sound(row: &PgRow, first: usize) -> Option<QueueRow> {
    queue_row(row, first)
        .inspect_err(|fault| tracing::error!(?fault, "a row of the queue cannot be read"))
        .ok()
}

// By hand and borrowing: a start reads a million of these. `first` is the column of the recipient.
fn queue_row(row: &PgRow, first: usize) -> Result<QueueRow, Fault> {
    let recipient: Uuid = row.try_get(first)?;
    let place = Place {
        table: "queue",
        id: recipient,
    };
    let id = |column: usize| row.try_get::<Uuid, _>(first + column);
    let text = |column: usize| row.try_get::<&str, _>(first + column);
    let time = |column: usize| row.try_get(first + column).map(Timestamp::from_micros);
    Ok(QueueRow {
        recipient: RecipientId::of(recipient),
        message: MessageId::of(id(1)?),
        tenant: TenantId::of(id(2)?),
        stream: place.cell("stream", Stream::parse(text(3)?))?,
        domain: place.domain("domain", text(4)?)?,
        accepted_at: time(5)?,
        since: time(6)?,
        due_at: time(7)?,
        expires_at: time(8)?,
        attempts: place.number("attempts", row.try_get(first + 9)?)?,
        cause: place.cell("cause", WaitCause::parse(text(10)?))?,
    })
}
