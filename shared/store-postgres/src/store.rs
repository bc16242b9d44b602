//! The handle that implements the ports.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use postrider_store::{Fresh, StoreError};
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::controls::Enacting;
use crate::counting::Counting;
use crate::fault::Fault;
use crate::listener::News;
use crate::looks::Looks;
use crate::partitions::Partitions;
use crate::transaction;
use crate::writer::Writer;

/// How long a call that is no batch may take, waiting for its connection and all. Longer than the
/// server's own limit on a statement: this one is for a server that says nothing any more.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The relay's database. Cheap to clone; clones share its connections.
#[derive(Clone)]
pub struct PostgresStore(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) writer: Writer,
    pub(crate) readers: PgPool,
    /// For heartbeats alone.
    pub(crate) beats: PgPool,
    pub(crate) fresh: Fresh,
    pub(crate) news: News,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) enacting: Enacting,
    pub(crate) looks: Looks,
    pub(crate) counting: Counting,
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl PostgresStore {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Would return once only a restart could tell what is kept, as SQLite's does after an error of
    /// its disk. A server looks after its own disk and connections heal, so this waits for ever.
    pub async fn failed(&self) {
        std::future::pending::<()>().await;
    }

    /// Does what waits and closes all connections. Calls on other clones are `Unavailable` from
    /// here on.
    pub async fn close(self) {
        // A server that does not answer must not keep us from ending: the last counts are missing then.
        let _late = timeout(Duration::from_secs(3), self.write_counts()).await;
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        // A server that does not answer must not keep us from ending.
        let pools = async {
            self.0.readers.close().await;
            self.0.beats.close().await;
        };
        let _late = timeout(Duration::from_secs(3), pools).await;
    }

    pub(crate) fn of_parts(parts: Arc<Parts>) -> Self {
        Self(parts)
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.0
    }

    pub(crate) fn counting(&self) -> &Counting {
        &self.0.counting
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    pub(crate) fn fresh(&self) -> &Fresh {
        &self.0.fresh
    }

    pub(crate) fn board(&self) -> &News {
        &self.0.news
    }

    pub(crate) fn enacting(&self) -> &Enacting {
        &self.0.enacting
    }

    pub(crate) fn looks(&self) -> &Looks {
        &self.0.looks
    }

    pub(crate) fn partitions(&self) -> &Partitions {
        &self.0.partitions
    }

    /// Runs `verb` in a transaction of its own and returns what it made, after the commit.
    pub(crate) async fn alone<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send,
        F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, Fault>> + Send,
    {
        let done = async {
            let mut connection = self.lend().await?;
            transaction::begin(&mut connection).await?;
            // Where it fails the connection is dropped, and all is undone.
            let made = verb(&mut connection).await?;
            transaction::commit(&mut connection).await?;
            connection.back();
            Ok(made)
        };
        Ok(bounded(done).await?)
    }

    /// A connection for one call.
    pub(crate) async fn lend(&self) -> Result<Lent, Fault> {
        self.lend_from(&self.0.readers).await
    }

    /// The connection for heartbeats.
    pub(crate) async fn lend_for_beat(&self) -> Result<Lent, Fault> {
        self.lend_from(&self.0.beats).await
    }

    async fn lend_from(&self, pool: &PgPool) -> Result<Lent, Fault> {
        if self.0.closing.is_cancelled() {
            return Err(Fault::Closed);
        }
        Ok(Lent(Some(pool.acquire().await?)))
    }
}

/// Runs a call within its time.
pub(crate) async fn bounded<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(done) => done,
        Err(_) => Err(Fault::Late(CALL_TIMEOUT)),
    }
}

/// A connection that is only used again if its borrower says that all went well: after a fault, a
/// timeout or a cancelled call nobody knows in which state it is.
pub(crate) struct Lent(Option<PoolConnection<Postgres>>);

impl Lent {
    /// Gives it back for others.
    pub(crate) fn back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "taken only by those who consume it")]
    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("a connection")
    }
}

impl DerefMut for Lent {
    #[expect(clippy::expect_used, reason = "taken only by those who consume it")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("a connection")
    }
}
