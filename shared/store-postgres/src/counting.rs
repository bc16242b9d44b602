//! Counts on their way into the database: every few seconds, and before anybody reads them. Mail never
//! waits for it.
//!
//! They are added to what is there, so that a write which is done and not heard of must not be done
//! again: it is kept under the number of its transaction, and the server is asked what became of that.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use postrider_store::{Pending, StoreError, Tally};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::fault::{Fault, Meaning};
use crate::store::{Parts, bounded};
use crate::{PostgresStore, tally};

/// So many writes that were not heard of are kept; of more the oldest are left out of the reports.
const UNHEARD_MOST: usize = 100;

/// What was counted, and whose turn it is to write it.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) pending: Arc<Pending>,
    /// The rows that this process adds to.
    part: i32,
    turn: tokio::sync::Mutex<Vec<Unheard>>,
}

/// Counts whose write failed after its transaction had a number.
struct Unheard {
    transaction: String,
    tally: Arc<Tally>,
}

impl Counting {
    pub(crate) fn of(part: i32) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }
}

impl PostgresStore {
    /// Writes all that was counted until now. May be cancelled at any point: it is done all the same.
    pub(crate) async fn write_counts(&self) -> Result<(), StoreError> {
        let store = self.clone();
        let written = self.parts().tasks.spawn(async move { store.write().await });
        match written.await {
            Ok(written) => written,
            Err(panic) => Err(StoreError::Unavailable(Box::new(panic))),
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let counting = self.counting();
        let mut unheard = counting.turn.lock().await;
        self.hear_of(&mut unheard).await;
        loop {
            let tally = Arc::new(counting.pending.take());
            if tally.is_empty() {
                return Ok(());
            }
            let transaction = Arc::new(Mutex::new(None));
            let (rows, part) = (Arc::clone(&tally), counting.part);
            let number = Arc::clone(&transaction);
            let written = self
                .alone(move |connection| {
                    Box::pin(async move {
                        *number.lock() = Some(transaction_of(connection).await?);
                        tally::add(connection, &rows, part).await
                    })
                })
                .await;
            if let Err(fault) = written {
                let transaction = transaction.lock().take();
                match transaction {
                    Some(transaction) => unheard.push(Unheard { transaction, tally }),
                    None => counting.pending.add((*tally).clone()),
                }
                return Err(fault);
            }
        }
    }

    /// What was not written after all is counted again; what may be yet is asked after next time.
    async fn hear_of(&self, unheard: &mut Vec<Unheard>) {
        let mut lost = unheard.len().saturating_sub(UNHEARD_MOST);
        unheard.drain(..lost);
        for one in std::mem::take(unheard) {
            let outcome = bounded(self.outcome_of(&one.transaction)).await;
            match outcome.as_deref() {
                Ok("aborted") => self.counting().pending.add((*one.tally).clone()),
                // Or so long ago that nobody knows: better not counted than counted twice.
                Ok("committed" | "forgotten") => {}
                // A number that this server has not given yet: it was restored, or took over.
                Err(fault) if fault.meaning() == Meaning::Row => lost += 1,
                Ok(_) | Err(_) => unheard.push(one),
            }
        }
        if lost > 0 {
            tracing::warn!(
                lost,
                "whether these counts were written is not known: reports may lack them"
            );
        }
    }

    /// `committed`, `aborted`, `in progress` or `forgotten`.
    async fn outcome_of(&self, transaction: &str) -> Result<String, Fault> {
        let mut connection = self.lend().await?;
        // No index: the server's own log of transactions.
        let outcome =
            sqlx::query_scalar("SELECT coalesce(pg_xact_status($1::text::xid8), 'forgotten')")
                .bind(transaction)
                .fetch_one(&mut *connection)
                .await?;
        connection.back();
        Ok(outcome)
    }
}

/// The number of the transaction that this connection is in.
async fn transaction_of(connection: &mut PgConnection) -> Result<String, Fault> {
    let number = sqlx::query_scalar("SELECT pg_current_xact_id()::text");
    Ok(number.fetch_one(connection).await?)
}

/// Writes what was counted every few seconds, until the store is closed or its last handle dropped.
pub(crate) async fn keep(parts: Weak<Parts>, closing: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = tokio::time::sleep(Pending::EVERY) => {}
        }
        let Some(parts) = parts.upgrade() else {
            return;
        };
        if let Err(fault) = PostgresStore::of_parts(parts).write_counts().await {
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "counts for reports wait for the database"
            );
        }
    }
}
