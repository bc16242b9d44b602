//! The parts of `messages`, `message_tags`, `bodies`, `recipients` and `events`: a UTC day each, by the time that an
//! id begins with. Made ahead, made on demand for a clock that is off, dropped by retention.
//!
//! A part is made as a table and then attached: that stops nobody. Those of a day come into being
//! in one transaction, under a lock that all nodes share. A node of an older release, which knows
//! fewer tables, may have left a day without some of them: they are added.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::fault::Fault;
use crate::transaction;

/// How far ahead, and how far back, there are parts for.
const AHEAD: u64 = 7;
const BACK: u64 = 2;
/// Days that one transaction makes at most: each is some forty relations to lock.
const AT_ONCE: usize = 10;
/// The advisory lock under which parts come and go.
const LOCK: i64 = 0x706f_7374_7061_7274;

/// The days that there are known to be parts for.
#[derive(Default)]
pub(crate) struct Partitions(Mutex<BTreeSet<u64>>);

/// A day by its number since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) u64);

impl Day {
    const MILLIS: u64 = 86_400_000;

    /// The day that an id was made on (RFC 9562 §5.7: it begins with its milliseconds).
    pub(crate) fn of(id: Uuid) -> Self {
        let millis = u64::try_from(id.as_u128() >> 80).unwrap_or(0);
        Self(millis / Self::MILLIS)
    }

    pub(crate) fn at(time: Timestamp) -> Self {
        Self(u64::try_from(time.day()).unwrap_or(0))
    }

    /// The smallest id that may be of this day.
    pub(crate) fn first_id(self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.saturating_mul(Self::MILLIS) & 0xffff_ffff_ffff) << 80)
    }

    /// The first id past this day; `None` where there is none.
    pub(crate) fn end(self) -> Option<Uuid> {
        let next = Self(self.0 + 1);
        (next.0.saturating_mul(Self::MILLIS) <= 0xffff_ffff_ffff).then(|| next.first_id())
    }
}

/// The smallest id of a message made at `time` or later. Whatever was accepted before lies below.
pub(crate) fn first_id(time: Timestamp) -> Uuid {
    let millis = u128::try_from(time.as_micros() / 1_000).unwrap_or(0);
    Uuid::from_u128((millis & 0xffff_ffff_ffff) << 80)
}

impl Partitions {
    /// Sees to it that there are parts for the database's today, and some days around it.
    pub(crate) async fn make_ahead(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        let today = Day::at(now(connection).await?).0;
        self.refresh(connection).await?;
        let wanted = today.saturating_sub(BACK)..=today + AHEAD;
        self.make(connection, &self.missing(wanted)).await
    }

    /// Sees to it that there are parts for these days.
    pub(crate) async fn cover(
        &self,
        connection: &mut PgConnection,
        days: impl IntoIterator<Item = Day>,
    ) -> Result<(), Fault> {
        let missing = self.missing(days.into_iter().map(|day| day.0));
        self.make(connection, &missing).await
    }

    /// Reads anew which parts there are: another node may have dropped some.
    pub(crate) async fn refresh(&self, connection: &mut PgConnection) -> Result<(), Fault> {
        let mut there = parts(connection).await?;
        there.retain(|_, tables| tables.len() == TABLES.len());
        *self.0.lock() = there.into_keys().map(|day| day.0).collect();
        Ok(())
    }

    fn missing(&self, wanted: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
        let known = self.0.lock();
        let mut wanted: BTreeSet<u64> = wanted.into_iter().collect();
        wanted.retain(|day| !known.contains(day));
        wanted
    }

    async fn make(
        &self,
        connection: &mut PgConnection,
        missing: &BTreeSet<u64>,
    ) -> Result<(), Fault> {
        let missing: Vec<Day> = missing.iter().map(|day| Day(*day)).collect();
        for days in missing.chunks(AT_ONCE) {
            let made = make(connection, days).await;
            if made.is_err() {
                transaction::rollback(connection).await;
            }
            made?;
            self.0.lock().extend(days.iter().map(|day| day.0));
        }
        Ok(())
    }
}

/// The database's clock.
pub(crate) async fn now(connection: &mut PgConnection) -> Result<Timestamp, Fault> {
    let micros =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            .fetch_one(connection)
            .await?;
    Ok(Timestamp::from_micros(micros))
}

/// The days that there is mail of, oldest first.
pub(crate) async fn list(connection: &mut PgConnection) -> Result<Vec<Day>, Fault> {
    let mut there = parts(connection).await?;
    there.retain(|_, tables| tables.contains("messages"));
    Ok(there.into_keys().collect())
}

/// The parts that there are: of each day, the tables that have one.
async fn parts(
    connection: &mut PgConnection,
) -> Result<BTreeMap<Day, BTreeSet<&'static str>>, Fault> {
    // Indexes of pg_inherits and pg_class.
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = ANY($1::text[]::regclass[]::oid[])",
    )
    .bind(TABLES.map(|(table, _)| table).to_vec())
    .fetch_all(connection)
    .await?;
    let mut days: BTreeMap<Day, BTreeSet<&'static str>> = BTreeMap::new();
    for name in &names {
        let part = TABLES.iter().find_map(|(table, _)| {
            let day = name.strip_prefix(table)?.strip_prefix("_p")?;
            Some((Day(day.parse().ok()?), *table))
        });
        if let Some((day, table)) = part {
            days.entry(day).or_default().insert(table);
        }
    }
    Ok(days)
}

async fn make(connection: &mut PgConnection, days: &[Day]) -> Result<(), Fault> {
    transaction::begin(connection).await?;
    lock(connection).await?;
    let there = parts(connection).await?;
    let nothing = BTreeSet::new();
    let mut statements = String::new();
    for day in days {
        let there = there.get(day).unwrap_or(&nothing);
        // Writing to a String does not fail.
        let _written = write(&mut statements, *day, there);
    }
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut *connection)
        .await?;
    transaction::commit(connection).await
}

/// One node at a time makes or drops parts. Held until the transaction ends.
async fn lock(connection: &mut PgConnection) -> Result<(), Fault> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await?;
    Ok(())
}

/// Of each table: its name, and how its parts are kept. A body of some kilobytes stays in its row
/// (else it would be cut into pieces of 2 KB with an index of their own); rows that change once
/// or twice have room for that on their page.
const TABLES: [(&str, &str); 5] = [
    ("messages", ""),
    ("message_tags", ""),
    ("bodies", "WITH (toast_tuple_target = 8160)"),
    ("recipients", "WITH (fillfactor = 70)"),
    ("events", ""),
];

/// What makes a day's parts, but for those of the tables that have one.
fn write(statements: &mut String, day: Day, there: &BTreeSet<&str>) -> std::fmt::Result {
    let number = day.0;
    let from = day.first_id();
    let to = match day.end() {
        Some(end) => format!("'{end}'"),
        None => "MAXVALUE".to_owned(),
    };
    for (table, kept) in TABLES {
        if there.contains(table) {
            continue;
        }
        write!(
            statements,
            "CREATE TABLE {table}_p{number} (LIKE {table} INCLUDING ALL) {kept};
             ALTER TABLE {table} ATTACH PARTITION {table}_p{number}
                 FOR VALUES FROM ('{from}') TO ({to});"
        )?;
    }
    Ok(())
}

/// Drops the parts of a day, unless a live recipient lies in them. Returns how many messages went;
/// `None` where somebody stands in the way or is alive. Dropping needs every reader to have let go:
/// it waits a moment only, since others wait behind it.
pub(crate) async fn drop_day(
    connection: &mut PgConnection,
    partitions: &Partitions,
    day: Day,
) -> Result<Option<u64>, Fault> {
    transaction::begin(connection).await?;
    let dropped = drop_in_transaction(connection, day).await;
    match dropped {
        Ok(Some(count)) => {
            transaction::commit(connection).await?;
            partitions.0.lock().remove(&day.0);
            Ok(Some(count))
        }
        Ok(None) => {
            transaction::rollback(connection).await;
            Ok(None)
        }
        Err(fault) if fault.meaning() == crate::fault::Meaning::Busy => {
            transaction::rollback(connection).await;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// How long a drop may make others wait.
const DROP_PATIENCE: Duration = Duration::from_millis(100);

async fn drop_in_transaction(
    connection: &mut PgConnection,
    day: Day,
) -> Result<Option<u64>, Fault> {
    lock(connection).await?;
    let Some(tables) = parts(connection).await?.remove(&day) else {
        return Ok(None);
    };
    if !tables.contains("messages") {
        return Ok(None);
    }
    let number = day.0;
    let millis = DROP_PATIENCE.as_millis();
    let mut statements = format!("SET LOCAL lock_timeout = '{millis}ms';");
    for table in &tables {
        // Writing to a String does not fail.
        let _written = write!(
            statements,
            "LOCK TABLE ONLY {table}, ONLY {table}_p{number} IN ACCESS EXCLUSIVE MODE;"
        );
    }
    // Nobody writes any more: what is counted now is what goes.
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(&mut *connection)
        .await?;
    if has_live(connection, day).await? {
        return Ok(None);
    }
    let count = format!("SELECT count(*) FROM messages_p{number}");
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(count))
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    let mut statements = String::new();
    for table in &tables {
        let _written = write!(statements, "DROP TABLE {table}_p{number};");
    }
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(connection)
        .await?;
    Ok(Some(u64::try_from(count).unwrap_or(0)))
}

/// Whether a recipient of that day's messages is queued, scheduled or held.
pub(crate) async fn has_live(connection: &mut PgConnection, day: Day) -> Result<bool, Fault> {
    let number = day.0;
    // Index recipients_held first; the queue is looked through where nobody is held.
    let live = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM recipients_p{number} WHERE state = 'held') THEN true
             ELSE EXISTS (SELECT 1 FROM queue
                 WHERE message >= $1 AND ($2::uuid IS NULL OR message < $2)) END"
    );
    let live = sqlx::query_scalar(AssertSqlSafe(live))
        .bind(day.first_id())
        .bind(day.end())
        .persistent(false)
        .fetch_one(connection)
        .await?;
    Ok(live)
}

#[cfg(test)]
mod tests {
    use postrider_model::MessageId;

    use super::*;
    use crate::rows::Id as _;

    #[test]
    fn an_id_lies_within_its_day() {
        let at = Timestamp::parse("2026-01-31T23:59:59.999999Z").unwrap();
        let (low, high) = (MessageId::new(at, [0; 10]), MessageId::new(at, [0xff; 10]));
        let day = Day::at(at);
        for id in [low.uuid(), high.uuid()] {
            assert_eq!(Day::of(id), day);
            assert!(day.first_id() <= id && id < day.end().unwrap());
        }
        let next = MessageId::new(at.after(Duration::from_micros(1)), [0; 10]);
        assert!(next.uuid() >= day.end().unwrap());
        assert_eq!(Day::of(next.uuid()).0, day.0 + 1);
    }

    #[test]
    fn ids_of_earlier_messages_lie_below_the_bound() {
        let at = Timestamp::from_micros(1_700_000_000_000_000);
        let before = MessageId::new(at.before(Duration::from_millis(1)), [0xff; 10]);
        let after = MessageId::new(at.after(Duration::from_millis(1)), [0; 10]);
        assert!(before.uuid() < first_id(at) && first_id(at) < after.uuid());
    }

    #[test]
    fn the_last_day_of_all_ids_has_no_end() {
        let last = Day::of(Uuid::max());
        assert_eq!(last.end(), None);
        assert!(last.first_id() < Uuid::max());
    }
}
