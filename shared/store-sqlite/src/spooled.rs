//! Which bodies lie in the spool: rows that say so, and what reads and removes them.

use bytes::Bytes;
use postrider_model::MessageId;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::json_ids;
use crate::spool::{Extent, Placed};

/// A row of `bodies`.
#[derive(sqlx::FromRow)]
pub(crate) struct BodyRow {
    bytes: Vec<u8>,
    segment: Option<i64>,
    start: Option<i64>,
    length: Option<i64>,
}

impl BodyRow {
    fn extent(&self) -> Option<Extent> {
        extent(self.segment, self.start, self.length)
    }
}

/// All three, or it is in the row.
fn extent(segment: Option<i64>, start: Option<i64>, length: Option<i64>) -> Option<Extent> {
    Some(Extent {
        segment: segment?,
        start: start?,
        length: length?,
    })
}

/// Writes where the large bodies of new messages are going to lie.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    placed: &[(MessageId, Extent)],
) -> Result<(), Fault> {
    for (message, extent) in placed {
        sqlx::query(
            "INSERT INTO bodies (message, bytes, segment, start, length)
             VALUES (?1, x'', ?2, ?3, ?4)",
        )
        .bind(message.as_bytes().as_slice())
        .bind(extent.segment)
        .bind(extent.start)
        .bind(extent.length)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Where the bodies of these messages lie, of those in the spool.
pub(crate) async fn extents(
    connection: &mut SqliteConnection,
    messages: &[MessageId],
) -> Result<Vec<Extent>, Fault> {
    // Index bodies (primary key).
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT b.segment, b.start, b.length FROM json_each(?1) AS k
         CROSS JOIN bodies AS b ON b.message = unhex(k.value, '-')
         WHERE b.segment IS NOT NULL",
    )
    .bind(json_ids(messages))
    .fetch_all(connection)
    .await?;
    let extent = |(segment, start, length)| Extent {
        segment,
        start,
        length,
    };
    Ok(rows.into_iter().map(extent).collect())
}

/// The last segment that a row speaks of; 0 where none does.
pub(crate) async fn newest(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    // Index bodies_segment.
    sqlx::query_scalar("SELECT coalesce(max(segment), 0) FROM bodies WHERE segment IS NOT NULL")
        .fetch_one(connection)
        .await
}

impl SqliteStore {
    /// Where the body of a message lies, if that is in the spool.
    pub(crate) async fn lies_at(&self, message: MessageId) -> Result<Vec<Extent>, Fault> {
        let mut reader = self.readers().acquire().await?;
        extents(&mut reader, &[message]).await
    }

    /// The bytes that a row stands for. `None` where its body was removed since the row was read.
    pub(crate) async fn resolve(
        &self,
        message: MessageId,
        row: BodyRow,
    ) -> Result<Option<Bytes>, Fault> {
        let Some(extent) = row.extent() else {
            return Ok(Some(row.bytes.into()));
        };
        let segments = self.segments().clone();
        let read = tokio::task::spawn_blocking(move || segments.read(message, extent));
        let read = read.await.map_err(std::io::Error::other)??;
        if read.is_some() {
            return Ok(read);
        }
        // It went, or it was sealed again, since: then it lies in its row.
        match self.body_row(message).await? {
            None => Ok(None),
            Some(row) if row.extent().is_none() => Ok(Some(row.bytes.into())),
            Some(_) => Err(Fault::Corrupt {
                table: "bodies",
                column: "segment",
                id: message.to_string(),
            }),
        }
    }

    pub(crate) async fn body_row(&self, message: MessageId) -> Result<Option<BodyRow>, Fault> {
        // Index bodies (primary key).
        let row =
            sqlx::query_as("SELECT bytes, segment, start, length FROM bodies WHERE message = ?1")
                .bind(message.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await?;
        Ok(row)
    }

    /// Gives back what removed bodies had in the spool; their removal is committed. What fails here
    /// is done at the next start.
    pub(crate) async fn give_back(&self, extents: Vec<Extent>) {
        if extents.is_empty() {
            return;
        }
        let mut numbers: Vec<i64> = extents.iter().map(|extent| extent.segment).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let segments = self.segments().clone();
        let released = tokio::task::spawn_blocking(move || segments.release(&extents)).await;
        let done = match released.map_err(std::io::Error::other) {
            Ok(Ok(())) => self.remove_emptied(&numbers).await,
            Ok(Err(error)) | Err(error) => Err(error.into()),
        };
        if let Err(fault) = done {
            tracing::warn!(error = ?fault, "removed bodies could not be cleared: they are at the next start");
        }
    }

    /// What a crash or a fault left: segments that no row speaks of, and what lies in the others
    /// between the bodies that rows speak of. Before anything is written.
    pub(crate) async fn clear_unused(&self) -> Result<(), Fault> {
        let numbers = self.segments().numbers()?;
        self.remove_emptied(&numbers).await?;
        for number in self.segments().numbers()? {
            // Index bodies_segment.
            let rows: Vec<(i64, i64)> = sqlx::query_as(
                "SELECT start, length FROM bodies WHERE segment = ?1 ORDER BY start",
            )
            .bind(number)
            .fetch_all(self.readers())
            .await?;
            let of_row = |(start, length)| Extent {
                segment: number,
                start,
                length,
            };
            let extents: Vec<Extent> = rows.into_iter().map(of_row).collect();
            let segments = self.segments().clone();
            let cleared = tokio::task::spawn_blocking(move || segments.keep_only(number, &extents));
            cleared.await.map_err(std::io::Error::other)??;
        }
        Ok(())
    }

    /// Removes those of these segments that no row speaks of.
    async fn remove_emptied(&self, numbers: &[i64]) -> Result<(), Fault> {
        // Asked before the rows are: one that becomes old meanwhile is left for another time.
        let newest = self.segments().newest();
        for segment in numbers.iter().filter(|number| **number < newest) {
            // Index bodies_segment.
            let used: Option<i64> =
                sqlx::query_scalar("SELECT 1 FROM bodies WHERE segment = ?1 LIMIT 1")
                    .bind(segment)
                    .fetch_optional(self.readers())
                    .await?;
            if used.is_none() {
                self.segments().remove(*segment)?;
            }
        }
        Ok(())
    }
}

impl Placed {
    /// In the order in which they lie.
    pub(crate) fn in_order(&self) -> Vec<(MessageId, Extent)> {
        let mut all: Vec<_> = self
            .extents
            .iter()
            .map(|(id, extent)| (*id, *extent))
            .collect();
        all.sort_unstable_by_key(|(_, extent)| extent.start);
        all
    }
}
