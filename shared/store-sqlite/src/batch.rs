//! What shares one transaction: intakes and settlements, up to a measure.

use std::collections::HashSet;

use postrider_model::{MessageId, RecipientId};
use postrider_store::{Committed, NewMessage, Settled, Settlement, Tally};

use crate::fault::Fault;
use crate::spool::ROW_MOST;
use crate::writer::{Ask, Command};

const MESSAGES_MOST: usize = 256;
const BYTES_MOST: usize = 8 << 20;
const SETTLEMENTS_MOST: usize = 500;

#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) intakes: Vec<Ask<NewMessage, Committed>>,
    pub(crate) settles: Vec<Ask<Settlement, Settled>>,
    /// Of all bodies.
    pub(crate) bytes: usize,
    /// Of those that go through the log.
    pub(crate) bytes_in_log: usize,
    settling: HashSet<RecipientId>,
}

/// Bytes of its body that go through the log: a large one is written beside it.
pub(crate) fn bytes_in_log(message: &NewMessage) -> usize {
    let bytes = message.body.len();
    if bytes > ROW_MOST { 0 } else { bytes }
}

/// The outcomes of a batch, in its order.
pub(crate) struct Answers {
    pub(crate) committed: Vec<Committed>,
    /// The messages that were not there before.
    pub(crate) new: HashSet<MessageId>,
    pub(crate) settled: Vec<Settled>,
    /// What it adds to the counts.
    pub(crate) tally: Tally,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.intakes.len() + self.settles.len()
    }

    /// Takes the command in, or gives it back where it does not fit any more or does not
    /// belong in a batch. An empty batch takes a message of any size.
    pub(crate) fn admit(&mut self, command: Command) -> Result<(), Command> {
        match command {
            Command::Intake(ask) if self.fits(&ask.work) => {
                self.bytes += ask.work.body.len();
                self.bytes_in_log += bytes_in_log(&ask.work);
                self.intakes.push(*ask);
                Ok(())
            }
            // Two results of one recipient are told one after the other.
            Command::Settle(ask)
                if self.settles.len() < SETTLEMENTS_MOST
                    && self.settling.insert(ask.work.recipient) =>
            {
                self.settles.push(*ask);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn fits(&self, message: &NewMessage) -> bool {
        let bytes = self.bytes + message.body.len();
        self.intakes.is_empty() || (self.intakes.len() < MESSAGES_MOST && bytes <= BYTES_MOST)
    }

    /// Two halves, in order. Intakes and settlements part first.
    pub(crate) fn halves(mut self) -> (Self, Self) {
        let mut second = Self::default();
        if self.intakes.is_empty() {
            second.settles = self.settles.split_off(self.settles.len() / 2);
        } else if self.settles.is_empty() {
            second.intakes = self.intakes.split_off(self.intakes.len() / 2);
        } else {
            second.settles = std::mem::take(&mut self.settles);
        }
        (self, second)
    }

    pub(crate) fn answer(self, answers: Answers) {
        // Who does not wait any more need not be told.
        for (ask, done) in self.intakes.into_iter().zip(answers.committed) {
            let _gone = ask.answer.send(Ok(done));
        }
        for (ask, done) in self.settles.into_iter().zip(answers.settled) {
            let _gone = ask.answer.send(Ok(done));
        }
    }

    pub(crate) fn refuse(self, fault: &Fault) {
        for ask in self.intakes {
            let _gone = ask.answer.send(Err(fault.clone()));
        }
        for ask in self.settles {
            let _gone = ask.answer.send(Err(fault.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_model::{EventKind, TenantId};
    use postrider_store::conformance::fixture::{delivered, message, settlement};
    use tokio::sync::oneshot;

    use super::*;

    fn intake(size: usize) -> Command {
        let mut work = message(TenantId::from_bytes([1; 16]));
        work.body = vec![b'x'; size].into();
        let (answer, _) = oneshot::channel();
        Command::Intake(Box::new(Ask { work, answer }))
    }

    fn settle(work: Settlement) -> Command {
        let (answer, _) = oneshot::channel();
        Command::Settle(Box::new(Ask { work, answer }))
    }

    #[test]
    fn a_batch_is_bounded_in_messages_and_bytes_but_never_starves_a_large_one() {
        let mut small = Batch::default();
        let taken = (0..300).filter(|_| small.admit(intake(10)).is_ok());
        assert_eq!(taken.count(), MESSAGES_MOST);

        let mut large = Batch::default();
        assert!(large.admit(intake(BYTES_MOST * 2)).is_ok());
        assert!(large.admit(intake(1)).is_err());
    }

    #[test]
    fn two_results_of_one_recipient_never_share_a_batch() {
        let given = message(TenantId::from_bytes([1; 16]));
        let result = settlement(&given, 1, EventKind::Delivered, delivered());
        let mut batch = Batch::default();
        assert!(batch.admit(settle(result.clone())).is_ok());
        assert!(batch.admit(settle(result)).is_err());
        assert!(batch.admit(intake(10)).is_ok());
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn halving_ends_with_single_rows_in_order() {
        let mut batch = Batch::default();
        for size in 1..=5 {
            assert!(batch.admit(intake(size)).is_ok());
        }
        let (mut parts, mut sizes) = (vec![batch], Vec::new());
        while let Some(part) = parts.pop() {
            if part.len() == 1 {
                sizes.push(part.intakes[0].work.body.len());
            } else {
                let (first, second) = part.halves();
                assert!(first.len() > 0 && second.len() > 0);
                parts.extend([second, first]);
            }
        }
        assert_eq!(sizes, [1, 2, 3, 4, 5]);
    }
}
