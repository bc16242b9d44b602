//! How many wait, for what. One look at the whole queue: not for every second.

use std::time::Duration;

use postrider_model::WaitCause;
use tokio::time::timeout;
use uuid::Uuid;

use crate::fault::Fault;
use crate::rows::Place;
use crate::{PostgresStore, transaction};

/// A queue of ten million rows takes some seconds.
const TIMEOUT: Duration = Duration::from_mins(1);
/// All of the queue is read: in the order in which it lies.
const PATIENT: &str = "SET LOCAL statement_timeout = '55s'; SET LOCAL enable_seqscan = on";

impl PostgresStore {
    pub(crate) async fn count_waiting(&self) -> Result<Vec<(WaitCause, u64)>, Fault> {
        match timeout(TIMEOUT, self.look_at_all()).await {
            Ok(done) => done,
            Err(_) => Err(Fault::Late(TIMEOUT)),
        }
    }

    async fn look_at_all(&self) -> Result<Vec<(WaitCause, u64)>, Fault> {
        let mut snapshot = self.lend().await?;
        transaction::begin_reading(&mut snapshot).await?;
        sqlx::raw_sql(PATIENT).execute(&mut *snapshot).await?;
        // Index recipients_held.
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT cause, count(*) FROM queue GROUP BY cause
             UNION ALL SELECT 'held', count(*) FROM recipients WHERE state = 'held'",
        )
        .fetch_all(&mut *snapshot)
        .await?;
        transaction::commit(&mut snapshot).await?;
        snapshot.back();
        let place = Place {
            table: "queue",
            id: Uuid::nil(),
        };
        let counts = rows.into_iter().map(|(cause, count)| {
            let cause = place.cell("cause", WaitCause::parse(&cause))?;
            Ok((cause, place.number("count", count)?))
        });
        counts.collect()
    }
}
