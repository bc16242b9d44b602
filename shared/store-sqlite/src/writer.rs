//! The way to the one writer: commands over a bounded channel, answered after their commit.

use futures_util::future::BoxFuture;
use postrider_store::{Committed, NewMessage, Settled, Settlement, StoreError};
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::recent::Recent;
use crate::spool::Spool;
use crate::suspects::Suspects;

/// A piece of work and who waits for its outcome.
pub(crate) struct Ask<W, R> {
    pub(crate) work: W,
    pub(crate) answer: oneshot::Sender<Result<R, Fault>>,
}

/// What the committer does.
pub(crate) enum Command {
    Intake(Box<Ask<NewMessage, Committed>>),
    /// All of them or none.
    Group(Ask<Vec<NewMessage>, Committed>),
    Settle(Box<Ask<Settlement, Settled>>),
    /// Something in a transaction of its own.
    Alone(Ask<Verb, ()>),
    /// Nothing, until the log is copied into the database file.
    Checkpoint(oneshot::Sender<Result<(), Fault>>),
}

/// The inside of a transaction.
pub(crate) type Verb =
    Box<dyn for<'c> FnOnce(&'c mut Desk) -> BoxFuture<'c, Result<(), Fault>> + Send>;

/// What a transaction works on.
pub(crate) struct Desk {
    pub(crate) connection: SqliteConnection,
    /// The newest change that was numbered.
    pub(crate) seq: i64,
    /// Grows with what is suppressed.
    pub(crate) suspects: Suspects,
    /// What was committed within the last minutes.
    pub(crate) recent: Recent,
    /// Where large bodies go.
    pub(crate) spool: Spool,
    /// Of bodies that a verb wrote into rows.
    pub(crate) bytes_in_log: usize,
}

#[derive(Clone)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    failed: CancellationToken,
}

impl Writer {
    /// Commands that wait at most; more callers wait to be let in.
    pub(crate) const WAITING_MOST: usize = 1_024;

    pub(crate) fn new(failed: CancellationToken) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(Self::WAITING_MOST);
        (Self { commands, failed }, receiver)
    }

    pub(crate) async fn commit(&self, message: NewMessage) -> Result<Committed, StoreError> {
        self.ask(|answer| {
            Command::Intake(Box::new(Ask {
                work: message,
                answer,
            }))
        })
        .await
    }

    pub(crate) async fn commit_all(
        &self,
        messages: Vec<NewMessage>,
    ) -> Result<Committed, StoreError> {
        self.ask(|answer| {
            Command::Group(Ask {
                work: messages,
                answer,
            })
        })
        .await
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        self.ask(|answer| {
            Command::Settle(Box::new(Ask {
                work: settlement,
                answer,
            }))
        })
        .await
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(Command::Checkpoint).await
    }

    /// Runs `verb` in a transaction of its own and returns what it made, after the commit.
    pub(crate) async fn alone<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Fault>>
            + Send
            + 'static,
    {
        self.numbering(|desk| verb(&mut desk.connection)).await
    }

    /// `alone`, for a verb that numbers changes of the queue.
    pub(crate) async fn numbering<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Desk) -> BoxFuture<'c, Result<T, Fault>> + Send + 'static,
    {
        let (made, value) = oneshot::channel();
        let work: Verb = Box::new(move |desk| {
            Box::pin(async move {
                // Nobody waits any more where this fails; the verb is done all the same.
                let _gone = made.send(verb(desk).await?);
                Ok(())
            })
        });
        self.ask(|answer| Command::Alone(Ask { work, answer }))
            .await?;
        value.await.map_err(|_| self.away())
    }

    async fn ask<R>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<R, Fault>>) -> Command,
    ) -> Result<R, StoreError> {
        if self.failed.is_cancelled() {
            return Err(self.away());
        }
        let (answer, outcome) = oneshot::channel();
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| self.away())?;
        // The committer drops what it cannot do any more.
        Ok(outcome.await.map_err(|_| self.away())??)
    }

    fn away(&self) -> StoreError {
        StoreError::Unavailable(Box::from(if self.failed.is_cancelled() {
            "the database failed: restart to recover"
        } else {
            "the store is closed"
        }))
    }
}
