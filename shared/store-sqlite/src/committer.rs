//! The one writer: group commit.
//!
//! Takes whatever waits (never on a timer), writes it in one transaction, and answers each caller
//! when it is on disk. A batch that fails because of a row is taken apart until that row fails
//! alone; a fault of the disk ends all writing.

use std::sync::Arc;
use std::time::Instant;

use postrider_runtime::failpoint;
use postrider_store::{Committed, Fresh, NewMessage, Outcome, Pending};
use sqlx::Connection as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::batch::{Answers, Batch};
use crate::checkpoint::Log;
use crate::fault::{Fault, Meaning};
use crate::instruments::Instruments;
use crate::news::Ticker;
use crate::settle::Ledger;
use crate::writer::{Ask, Command, Desk, Verb};
use crate::{arrival, events, intake, settle, transaction};

/// How often a transaction is tried anew while another process holds the database (each try
/// waits for the connection's busy timeout).
pub(crate) const TRIES: u32 = 3;

pub(crate) struct Committer {
    pub(crate) desk: Desk,
    pub(crate) commands: mpsc::Receiver<Command>,
    /// What was taken from the channel and did not fit the last batch.
    pub(crate) held_back: Option<Command>,
    pub(crate) ticker: Ticker,
    pub(crate) log: Log,
    pub(crate) fresh: Fresh,
    pub(crate) failed: CancellationToken,
    pub(crate) closing: CancellationToken,
    pub(crate) instruments: Instruments,
    pub(crate) counts: Arc<Pending>,
}

impl Committer {
    /// Runs until the store is closed or its last handle dropped; what waits then is still done.
    pub(crate) async fn run(mut self) {
        while let Some(command) = self.next().await {
            // Dropped unanswered, its caller hears «unavailable».
            if self.failed.is_cancelled() {
                continue;
            }
            match command {
                Command::Alone(ask) => self.alone(ask).await,
                Command::Group(ask) => self.group(ask).await,
                Command::Checkpoint(answer) => {
                    let _gone = answer.send(self.log.copy_all().await);
                }
                item => {
                    let batch = self.gather(item).await;
                    self.commit(batch).await;
                }
            }
        }
        if let Err(error) = self.desk.connection.close().await {
            tracing::warn!(%error, "closing the database failed; its log is replayed at the next start");
        }
    }

    async fn next(&mut self) -> Option<Command> {
        if let Some(command) = self.held_back.take() {
            return Some(command);
        }
        tokio::select! {
            biased;
            command = self.commands.recv() => command,
            // Closed: nothing new comes in, and what waits is done before `None`.
            () = self.closing.cancelled(), if !self.commands.is_closed() => {
                self.commands.close();
                self.commands.recv().await
            }
        }
    }

    async fn gather(&mut self, first: Command) -> Batch {
        let mut batch = Batch::default();
        let mut next = Some(first);
        // Callers that were answered a moment ago get their turn to come back: it costs
        // microseconds and spares an fsync.
        tokio::task::yield_now().await;
        while let Some(command) = next {
            if let Err(command) = batch.admit(command) {
                self.held_back = Some(command);
                break;
            }
            next = self.commands.try_recv().ok();
        }
        batch
    }

    /// Commits a batch, halving it for as long as a row of it is refused.
    async fn commit(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(batch) = parts.pop() {
            // Dropped unanswered, as above: what the log has of another part may count yet.
            if self.failed.is_cancelled() {
                continue;
            }
            match self.perform_patiently(&batch).await {
                Ok(answers) => {
                    let (items, bytes) = (batch.len(), batch.bytes_in_log);
                    batch.answer(answers);
                    self.log.wrote(items, bytes).await;
                }
                Err(fault) if fault.meaning() == Meaning::Row && batch.len() > 1 => {
                    self.instruments.bisections.add(1);
                    let (first, second) = batch.halves();
                    parts.extend([second, first]);
                }
                Err(fault) => {
                    self.take_to_heart(&fault);
                    batch.refuse(&fault);
                }
            }
        }
    }

    async fn perform_patiently(&mut self, batch: &Batch) -> Result<Answers, Fault> {
        let mut tries = 1;
        loop {
            match self.perform(batch).await {
                Err(fault) if fault.meaning() == Meaning::Busy && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// One transaction. All of it is on disk when it returns `Ok`, none of it is there when not
    /// (but for a fault of the disk: then only a restart tells).
    async fn perform(&mut self, batch: &Batch) -> Result<Answers, Fault> {
        let (before, mark) = (self.desk.seq, self.desk.spool.mark());
        let done = self.transact(batch).await;
        if let Err(fault) = &done {
            // A number that no row has would be waited for again and again.
            self.desk.seq = before;
            // After a fault of the disk only a restart tells what rows refer to.
            if fault.meaning() != Meaning::Broken {
                self.desk.spool.back_to(mark);
            }
        }
        done
    }

    async fn transact(&mut self, batch: &Batch) -> Result<Answers, Fault> {
        let began = Instant::now();
        transaction::begin(&mut self.desk.connection).await?;
        let mut answers = match self.write(batch).await {
            Ok(answers) => answers,
            Err(fault) => {
                transaction::rollback(&mut self.desk.connection).await;
                return Err(fault);
            }
        };
        reach_before_commit(batch);
        transaction::commit(&mut self.desk.connection).await?;
        if !batch.intakes.is_empty() {
            failpoint::reach("store.after_commit");
        }
        self.counts.add(std::mem::take(&mut answers.tally));
        let (messages, settlements) = (batch.intakes.len(), batch.settles.len());
        self.instruments
            .committed(messages, settlements, began.elapsed());
        let messages = batch.intakes.iter().map(|ask| &ask.work);
        // Those too that an earlier try had stored.
        let stored = messages.clone().zip(&answers.committed);
        let stored = stored.filter(|(_, done)| **done == Committed::Stored);
        self.desk.recent.learn(stored.map(|(message, _)| message));
        let new: Vec<_> = messages.filter(|m| answers.new.contains(&m.id)).collect();
        self.announce(&new);
        self.forget_settled(batch);
        Ok(answers)
    }

    async fn write(&mut self, batch: &Batch) -> Result<Answers, Fault> {
        let Desk {
            connection,
            seq,
            suspects,
            spool,
            recent,
            ..
        } = &mut self.desk;
        let messages: Vec<_> = batch.intakes.iter().map(|ask| &ask.work).collect();
        let settlements: Vec<_> = batch.settles.iter().map(|ask| &ask.work).collect();
        let accepted = intake::store(connection, &messages, (&mut *seq, spool, recent)).await?;
        let mut tally = accepted.tally;
        let ledger = Ledger {
            suspects,
            texts: self.counts.texts(),
            tally: &mut tally,
        };
        let recorded = settle::record(connection, &settlements, seq, ledger).await?;
        let all = [accepted.events, recorded.events].concat();
        events::insert(connection, &all).await?;
        Ok(Answers {
            committed: accepted.outcomes,
            new: accepted.new,
            settled: recorded.outcomes,
            tally,
        })
    }

    async fn alone(&mut self, ask: Ask<Verb, ()>) {
        let done = self.perform_alone(ask.work).await;
        if let Err(fault) = &done {
            self.take_to_heart(fault);
        }
        let _gone = ask.answer.send(done);
        let bytes = std::mem::take(&mut self.desk.bytes_in_log);
        self.log.wrote(1, bytes).await;
    }

    async fn perform_alone(&mut self, verb: Verb) -> Result<(), Fault> {
        let before = self.desk.seq;
        let done = self.transact_alone(verb).await;
        match done {
            Ok(()) => self.ticker.reached(self.desk.seq),
            Err(_) => self.desk.seq = before,
        }
        done
    }

    async fn transact_alone(&mut self, verb: Verb) -> Result<(), Fault> {
        transaction::begin(&mut self.desk.connection).await?;
        if let Err(fault) = verb(&mut self.desk).await {
            transaction::rollback(&mut self.desk.connection).await;
            return Err(fault);
        }
        transaction::commit(&mut self.desk.connection).await
    }

    /// Keeps what was committed for its first attempt, and hands its rows over. What was
    /// rescheduled its owner settled itself, and knows.
    pub(crate) fn announce(&self, new: &[&NewMessage]) {
        for message in new {
            if message.due_at <= message.accepted_at {
                self.fresh.keep(message);
            }
        }
        self.ticker.reached(self.desk.seq);
        self.ticker.rows(arrival::queue_rows(new));
    }

    /// Drops what has had its first attempt.
    fn forget_settled(&self, batch: &Batch) {
        for ask in &batch.settles {
            if ask.work.outcome != Outcome::Noted {
                self.fresh.take(ask.work.message, ask.work.recipient);
            }
        }
    }

    /// Ends all writing where the file or its disk cannot be trusted any more.
    pub(crate) fn take_to_heart(&self, fault: &Fault) {
        self.instruments.failed(fault);
        match fault.meaning() {
            Meaning::Broken => {
                tracing::error!(error = ?fault, "the database failed: the process has to end");
                self.failed.cancel();
            }
            Meaning::Full => tracing::error!(error = ?fault, "the database has no space left"),
            Meaning::Busy | Meaning::Away => {
                tracing::warn!(error = ?fault, "the database is not available");
            }
            // Told to its caller, who knows what it is about.
            Meaning::Row => {}
        }
    }
}

fn reach_before_commit(batch: &Batch) {
    if !batch.intakes.is_empty() {
        failpoint::reach("store.before_commit");
    }
    let moves =
        |outcome: &Outcome| matches!(outcome, Outcome::Final { .. } | Outcome::Retry { .. });
    if batch.settles.iter().any(|ask| moves(&ask.work.outcome)) {
        failpoint::reach("store.before_settle");
    }
}
