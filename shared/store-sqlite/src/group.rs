//! Messages that are stored together or not at all, in a transaction of their own.

use std::time::Instant;

use postrider_runtime::failpoint;
use postrider_store::{Committed, NewMessage, Tally};

use crate::batch::bytes_in_log;
use crate::committer::{Committer, TRIES};
use crate::fault::{Fault, Meaning};
use crate::writer::{Ask, Desk};
use crate::{events, intake, transaction};

impl Committer {
    pub(crate) async fn group(&mut self, ask: Ask<Vec<NewMessage>, Committed>) {
        let Ask { work, answer } = ask;
        let messages: Vec<&NewMessage> = work.iter().collect();
        let done = self.perform_group(&messages).await;
        if let Err(fault) = &done {
            self.take_to_heart(fault);
        }
        // Who does not wait any more need not be told.
        let _gone = answer.send(done);
        let bytes = work.iter().map(bytes_in_log).sum();
        self.log.wrote(work.len(), bytes).await;
    }

    async fn perform_group(&mut self, messages: &[&NewMessage]) -> Result<Committed, Fault> {
        let mut tries = 1;
        loop {
            let (before, mark) = (self.desk.seq, self.desk.spool.mark());
            let done = self.transact_group(messages).await;
            if !matches!(done, Ok(Committed::Stored)) {
                // A number that no row has would be waited for again and again.
                self.desk.seq = before;
                let is_broken = matches!(&done, Err(fault) if fault.meaning() == Meaning::Broken);
                if !is_broken {
                    self.desk.spool.back_to(mark);
                }
            }
            match done {
                Err(fault) if fault.meaning() == Meaning::Busy && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn transact_group(&mut self, messages: &[&NewMessage]) -> Result<Committed, Fault> {
        let began = Instant::now();
        transaction::begin(&mut self.desk.connection).await?;
        let new = match self.write_group(messages).await {
            Ok(Ok(new)) => new,
            Ok(Err(refused)) => {
                transaction::rollback(&mut self.desk.connection).await;
                return Ok(refused);
            }
            Err(fault) => {
                transaction::rollback(&mut self.desk.connection).await;
                return Err(fault);
            }
        };
        failpoint::reach("store.before_commit");
        transaction::commit(&mut self.desk.connection).await?;
        failpoint::reach("store.after_commit");
        let took = began.elapsed();
        self.instruments.committed(messages.len(), 0, took);
        self.desk.recent.learn(messages.iter().copied());
        self.counts.add(Tally::of_accepted(&new));
        self.announce(&new);
        Ok(Committed::Stored)
    }

    /// Those that were not there before; or what stands in the way of one, and so of all.
    async fn write_group<'m>(
        &mut self,
        messages: &[&'m NewMessage],
    ) -> Result<Result<Vec<&'m NewMessage>, Committed>, Fault> {
        let Desk {
            connection,
            seq,
            spool,
            recent,
            ..
        } = &mut self.desk;
        let accepted = intake::store(connection, messages, (seq, spool, recent)).await?;
        let outcomes = accepted.outcomes.into_iter().zip(messages).enumerate();
        for (at, (outcome, message)) in outcomes {
            match outcome {
                Committed::Stored => {}
                Committed::OverQuota(over) => {
                    let before = messages.get(..at).unwrap_or_default();
                    return Ok(Err(Committed::OverQuota(over.without(before, message))));
                }
                claimed @ Committed::Claimed(_) => return Ok(Err(claimed)),
            }
        }
        events::insert(connection, &accepted.events).await?;
        let new = messages.iter().filter(|m| accepted.new.contains(&m.id));
        Ok(Ok(new.copied().collect()))
    }
}
