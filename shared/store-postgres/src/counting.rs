//! Counts on their way into the database: every few seconds, and before anybody reads them. Mail never
//! waits for it.
//!
//! Each is counted once, also where a commit is done and not heard of: then its counts are kept under
//! the number of its transaction, and the server is asked what became of that. Of counts that were
//! added to what is there, it tells whether they have to be added again. Of mail that was settled, it
//! tells whether it was then: if not, who settles it again counts it; if so, who is told the same again
//! finds it done and counts nothing. Mail that was accepted by one statement has no number before it is
//! done: unheard of, it is missing in reports.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use postrider_store::{Pending, RefusalTexts, StoreError, Tally};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::fault::{Fault, Meaning};
use crate::store::{Parts, bounded};
use crate::{PostgresStore, tally};

/// So many tallies that were not heard of are kept; of more the oldest are left out of the reports.
const UNHEARD_MOST: usize = 100;

/// What was counted, and whose turn it is to write it.
#[derive(Default)]
pub(crate) struct Counting {
    pub(crate) counted: Arc<Counted>,
    /// The rows that this process adds to.
    part: i32,
    turn: tokio::sync::Mutex<()>,
}

/// What was counted and is not written yet, or not known to be.
#[derive(Default)]
pub(crate) struct Counted {
    pending: Pending,
    unheard: Mutex<Vec<Unheard>>,
}

/// Counts whose transaction had a number, and of whose end nobody has heard.
struct Unheard {
    transaction: String,
    what: What,
    tally: Arc<Tally>,
}

/// What the transaction was to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// To write these counts.
    Write,
    /// To settle the mail that they count.
    Settle,
}

impl What {
    /// Whether its counts are still to be written. `None`: that is not decided yet.
    fn is_to_be_written(self, outcome: &str) -> Option<bool> {
        match outcome {
            "committed" => Some(self == Self::Settle),
            "aborted" => Some(self == Self::Write),
            // So long ago that nobody knows: better not counted than counted twice.
            "forgotten" => Some(false),
            _ => None,
        }
    }
}

impl Counting {
    pub(crate) fn of(part: i32) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }
}

impl Counted {
    /// Adds what a transaction came to, once it is committed.
    pub(crate) fn add(&self, tally: Tally) {
        self.pending.add(tally);
    }

    pub(crate) fn texts(&self) -> &RefusalTexts {
        self.pending.texts()
    }

    /// What a transaction comes to that is about to commit: added once that is heard of. Where it
    /// is not, whatever stopped it, the server is asked later.
    pub(crate) fn once_committed(self: &Arc<Self>, transaction: String, tally: Tally) -> Awaited {
        let awaited = Unheard {
            transaction,
            what: What::Settle,
            tally: Arc::new(tally),
        };
        Awaited(Arc::clone(self), Some(awaited))
    }

    fn keep(&self, one: Unheard) {
        self.unheard.lock().push(one);
    }
}

/// Counts that wait for a commit.
pub(crate) struct Awaited(Arc<Counted>, Option<Unheard>);

impl Awaited {
    /// It is committed.
    pub(crate) fn heard(mut self) {
        if let Some(one) = self.1.take() {
            self.0.add(Arc::unwrap_or_clone(one.tally));
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(one) = self.1.take().filter(|one| !one.tally.is_empty()) {
            self.0.keep(one);
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
        let Counting {
            counted,
            part,
            turn,
        } = self.counting();
        let _turn = turn.lock().await;
        self.hear_of(counted).await;
        loop {
            let tally = Arc::new(counted.pending.take());
            if tally.is_empty() {
                return Ok(());
            }
            let transaction = Arc::new(Mutex::new(None));
            let (rows, part) = (Arc::clone(&tally), *part);
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
                    Some(transaction) => counted.keep(Unheard {
                        transaction,
                        what: What::Write,
                        tally,
                    }),
                    None => counted.add(Arc::unwrap_or_clone(tally)),
                }
                return Err(fault);
            }
        }
    }

    /// What is to be written after all is counted again; what is not decided is asked after next time.
    async fn hear_of(&self, counted: &Counted) {
        let unheard = std::mem::take(&mut *counted.unheard.lock());
        let mut lost = unheard.len().saturating_sub(UNHEARD_MOST);
        let mut left = Vec::new();
        let mut each = unheard.into_iter().skip(lost);
        while let Some(one) = each.next() {
            let outcome = bounded(self.outcome_of(&one.transaction)).await;
            match outcome.map(|outcome| one.what.is_to_be_written(&outcome)) {
                Ok(Some(true)) => counted.add(Arc::unwrap_or_clone(one.tally)),
                Ok(Some(false)) => {}
                Ok(None) => left.push(one),
                // A number that this server has not given yet: it was restored, or took over.
                Err(fault) if fault.meaning() == Meaning::Row => lost += 1,
                // It tells nothing of the others either.
                Err(_) => {
                    left.push(one);
                    left.extend(each.by_ref());
                }
            }
        }
        counted.unheard.lock().splice(0..0, left);
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
