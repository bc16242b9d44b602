//! Group commit, on a connection of its own.
//!
//! Takes whatever waits (never on a timer), does it in one transaction, and answers each caller when
//! it is on disk. A lost connection leaves open what became of the commit: the batch is done again
//! as it is, with the same ids, before anything else is thought of it. A batch that fails because
//! of a row is taken apart until that row fails alone.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::batch::{Batch, Work};
use crate::fault::{Fault, Meaning};
use crate::open::CONNECT_TIMEOUT;
use crate::writer::{Ask, Crew, Inbox};

/// How long a transaction may take; then its connection is given up. Longer than the server's own
/// limits: this one is for a server that says nothing any more.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a transaction is done again that met another one (a deadlock), or a missing part.
const TRIES: u32 = 5;
/// For how long a server that is away is tried again before the callers are told.
const PATIENCE: Duration = Duration::from_secs(6);
/// Between two such tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Committer<W: Work> {
    inbox: Arc<Mutex<Inbox<W>>>,
    crew: Crew,
    connection: Option<PgConnection>,
}

impl<W: Work> Committer<W> {
    pub(crate) fn new(inbox: Arc<Mutex<Inbox<W>>>, crew: Crew) -> Self {
        Self {
            inbox,
            crew,
            connection: None,
        }
    }

    /// Runs until the store is closed or its last handle dropped; what waits then is still done.
    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.gather().await {
            self.commit(batch).await;
        }
        if let Some(connection) = self.connection {
            // The server sees that we are gone, however this ends.
            let _late = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }

    async fn gather(&self) -> Option<Batch<W>> {
        let mut inbox = self.inbox.lock().await;
        let mut next = Some(self.first(&mut inbox).await?);
        // Callers that were answered a moment ago get their turn to come back: it costs
        // microseconds and spares an fsync.
        tokio::task::yield_now().await;
        let mut batch = Batch::new();
        while let Some(ask) = next {
            if let Err(ask) = batch.admit(ask) {
                inbox.held_back = Some(ask);
                break;
            }
            next = inbox.waiting.try_recv().ok();
        }
        Some(batch)
    }

    async fn first(&self, inbox: &mut Inbox<W>) -> Option<Ask<W>> {
        if let Some(ask) = inbox.held_back.take() {
            return Some(ask);
        }
        tokio::select! {
            biased;
            ask = inbox.waiting.recv() => ask,
            // Closed: nothing new comes in, and what waits is done before `None`.
            () = self.crew.closing.cancelled(), if !inbox.waiting.is_closed() => {
                inbox.waiting.close();
                inbox.waiting.recv().await
            }
        }
    }

    /// Commits a batch, halving it for as long as a row of it is refused.
    async fn commit(&mut self, batch: Batch<W>) {
        let mut parts = vec![batch];
        while let Some(batch) = parts.pop() {
            match self.perform_patiently(&batch).await {
                Ok(done) => batch.answer(done),
                Err(fault) if fault.meaning() == Meaning::Row && batch.len() > 1 => {
                    self.crew.instruments.bisections.add(1);
                    let (first, second) = batch.halves();
                    parts.extend([second, first]);
                }
                Err(fault) => {
                    self.crew.instruments.failed(&fault);
                    tell(&fault);
                    batch.refuse(&fault);
                }
            }
        }
    }

    async fn perform_patiently(&mut self, batch: &Batch<W>) -> Result<Vec<W::Done>, Fault> {
        let began = Instant::now();
        let mut tries = 1;
        loop {
            let fault = match self.perform(batch).await {
                Ok(done) => {
                    *self.crew.away_since.lock() = None;
                    let items = batch.works().into_iter().map(W::items).sum();
                    let took = began.elapsed();
                    self.crew.instruments.committed(W::KIND, items, took);
                    return Ok(done);
                }
                Err(fault) => fault,
            };
            match fault.meaning() {
                Meaning::Busy | Meaning::NoPart if tries < TRIES => tries += 1,
                // Whoever comes after a server has long been away is told at once.
                Meaning::Away if !self.is_long_away() && !self.crew.closing.is_cancelled() => {
                    sleep(PAUSE).await;
                }
                _ => return Err(fault),
            }
            self.crew.instruments.repeats.add(1);
        }
    }

    fn is_long_away(&self) -> bool {
        let mut away_since = self.crew.away_since.lock();
        away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
    }

    async fn perform(&mut self, batch: &Batch<W>) -> Result<Vec<W::Done>, Fault> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let works = batch.works();
        let transaction = W::perform(&works, &mut connection, &self.crew);
        let done = match timeout(TRANSACTION_TIMEOUT, transaction).await {
            Ok(done) => done,
            Err(_) => Err(Fault::Late(TRANSACTION_TIMEOUT)),
        };
        match &done {
            Ok(_) => self.connection = Some(connection),
            // Dropped: the server rolls back what was open on it, if it hears of it.
            Err(fault) if fault.meaning() == Meaning::Away => {}
            Err(fault) => self.recover(connection, fault.meaning()).await,
        }
        done
    }

    /// Makes a connection fit for the next transaction, or drops it.
    async fn recover(&mut self, mut connection: PgConnection, meaning: Meaning) {
        let mend = async {
            sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
            if meaning == Meaning::NoPart {
                self.crew.partitions.refresh(&mut connection).await?;
            }
            Ok::<_, Fault>(())
        };
        if matches!(timeout(CONNECT_TIMEOUT, mend).await, Ok(Ok(()))) {
            self.connection = Some(connection);
        }
    }

    async fn connect(&self) -> Result<PgConnection, Fault> {
        match timeout(CONNECT_TIMEOUT, self.crew.settings.connect()).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(Fault::Late(CONNECT_TIMEOUT)),
        }
    }
}

fn tell(fault: &Fault) {
    match fault.meaning() {
        Meaning::Full => tracing::error!(error = ?fault, "the database has no space left"),
        // Told to its caller, who knows what it is about.
        Meaning::Row => {}
        _ => tracing::warn!(error = ?fault, "the database is not available"),
    }
}
