//! How many wait, for what. One look at the whole queue: not for every second.

use postrider_model::WaitCause;
use sqlx::{AssertSqlSafe, Row as _};

use crate::SqliteStore;
use crate::fault::Fault;
use crate::rows::Place;

impl SqliteStore {
    pub(crate) async fn count_waiting(&self) -> Result<Vec<(WaitCause, u64)>, Fault> {
        // No index: all of the queue, once, whereas GROUP BY would sort it. Index recipients_held.
        let columns = WaitCause::ALL.iter().map(|cause| match cause {
            WaitCause::Held => "(SELECT count(*) FROM recipients WHERE state = 'held')".to_owned(),
            cause => format!("count(*) FILTER (WHERE cause = '{cause}')"),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let row = sqlx::query(AssertSqlSafe(format!("SELECT {columns} FROM queue")))
            .fetch_one(self.readers())
            .await?;
        let place = Place {
            table: "queue",
            id: &[],
        };
        let counts = WaitCause::ALL.iter().enumerate().map(|(at, cause)| {
            let count = place.number("cause", row.try_get(at)?)?;
            Ok((*cause, count))
        });
        counts.collect()
    }
}
