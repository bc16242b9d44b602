//! The way to the committers: work over bounded channels, answered after its commit.
//!
//! Four kinds of batch, each with committers of its own, so that none waits for another: messages
//! without an idempotency key (they never wait behind another node's uncommitted key), messages
//! with one, groups of messages, and settlements. On SQLite there is one writer for all.

use std::sync::Arc;

use postrider_store::{Committed, Fresh, NewMessage, Settled, Settlement, StoreError};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch::{Group, Work};
use crate::committer::Committer;
use crate::counting::Counted;
use crate::fault::Fault;
use crate::instruments::Instruments;
use crate::listener::News;
use crate::partitions::Partitions;

/// A piece of work and who waits for its outcome.
pub(crate) struct Ask<W: Work> {
    pub(crate) work: W,
    pub(crate) answer: oneshot::Sender<Result<W::Done, Fault>>,
}

/// What committers share.
#[derive(Clone)]
pub(crate) struct Crew {
    pub(crate) settings: PgConnectOptions,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) fresh: Fresh,
    pub(crate) news: News,
    pub(crate) instruments: Instruments,
    pub(crate) counts: Arc<Counted>,
    pub(crate) closing: CancellationToken,
    /// Since when the server is away, if it is.
    pub(crate) away_since: Arc<parking_lot::Mutex<Option<Instant>>>,
}

/// Work that waits, as the committers of a kind share it.
pub(crate) struct Inbox<W: Work> {
    pub(crate) waiting: mpsc::Receiver<Ask<W>>,
    /// What was taken from the channel and did not fit the last batch.
    pub(crate) held_back: Option<Ask<W>>,
}

#[derive(Clone)]
pub(crate) struct Writer {
    plain: mpsc::Sender<Ask<NewMessage>>,
    keyed: mpsc::Sender<Ask<NewMessage>>,
    groups: mpsc::Sender<Ask<Group>>,
    settles: mpsc::Sender<Ask<Settlement>>,
}

impl Writer {
    /// Pieces of work of a kind that wait at most; more callers wait to be let in.
    const WAITING_MOST: usize = 1_024;

    /// Starts `workers` committers of each kind, and one for groups, which are few and large.
    pub(crate) fn start(workers: u32, crew: &Crew, tasks: &TaskTracker) -> Self {
        Self {
            plain: start(workers, crew, tasks),
            keyed: start(workers, crew, tasks),
            groups: start(1, crew, tasks),
            settles: start(workers, crew, tasks),
        }
    }

    pub(crate) async fn commit(&self, message: NewMessage) -> Result<Committed, StoreError> {
        let kind = match message.claim {
            None => &self.plain,
            Some(_) => &self.keyed,
        };
        ask(kind, message).await
    }

    pub(crate) async fn commit_all(
        &self,
        messages: Vec<NewMessage>,
    ) -> Result<Committed, StoreError> {
        ask(&self.groups, Group(messages)).await
    }

    pub(crate) async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        ask(&self.settles, settlement).await
    }
}

fn start<W: Work>(workers: u32, crew: &Crew, tasks: &TaskTracker) -> mpsc::Sender<Ask<W>> {
    let (sender, waiting) = mpsc::channel(Writer::WAITING_MOST);
    let inbox = Arc::new(Mutex::new(Inbox {
        waiting,
        held_back: None,
    }));
    for _ in 0..workers {
        tasks.spawn(Committer::new(Arc::clone(&inbox), crew.clone()).run());
    }
    sender
}

async fn ask<W: Work>(kind: &mpsc::Sender<Ask<W>>, work: W) -> Result<W::Done, StoreError> {
    let (answer, outcome) = oneshot::channel();
    let asked = kind.send(Ask { work, answer }).await;
    asked.map_err(|_| Fault::Closed)?;
    // Committers that are gone drop what they cannot do any more.
    Ok(outcome.await.map_err(|_| Fault::Closed)??)
}
