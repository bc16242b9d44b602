//! The slow sweep: each shard is looked through about once a minute for rows that nobody told of.
//! There should be none, and what is found is counted.
//!
//! A row that seems missing may only not have arrived yet. So it is looked for a second time,
//! after all changes that were committed by the first time have been read.

use std::collections::HashMap;

use postrider_model::{RecipientId, Timestamp};
use postrider_store::{QueueRow, Shard};

use super::Work;

/// In how many seconds all shards are swept.
const ROUND: usize = 60;
/// Shards swept at once.
const AT_ONCE: usize = 18;
/// Rows of each lane that are looked at: what is stuck comes to its front.
pub(super) const SWEPT: u32 = 20;

#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Shards whose turn has come.
    due: usize,
    /// The shard that was swept last.
    last: Option<Shard>,
    suspects: Suspects,
}

#[derive(Debug, Default)]
struct Suspects {
    rows: HashMap<RecipientId, QueueRow>,
    shards: Vec<Shard>,
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// There are none.
    #[default]
    None,
    /// All changes are to be read, from now on.
    Wait,
    /// They are being read.
    Reading,
    /// Look again.
    Look,
}

impl Sweep {
    pub(super) fn second(&mut self, shards: usize) {
        self.due = (self.due + shards.div_ceil(ROUND)).min(shards);
    }

    pub(super) fn next(&mut self, ready: &[Shard], until: Timestamp) -> Option<Work> {
        let shards = match self.suspects.step {
            Step::Wait | Step::Reading => return None,
            Step::Look => self.suspects.shards.clone(),
            Step::None => self.in_turn(ready),
        };
        (!shards.is_empty()).then_some(Work::Sweep { shards, until })
    }

    fn in_turn(&mut self, ready: &[Shard]) -> Vec<Shard> {
        let count = self.due.min(AT_ONCE).min(ready.len());
        let behind = ready.iter().filter(|shard| Some(**shard) > self.last);
        let shards: Vec<_> = behind.chain(ready).take(count).copied().collect();
        self.due -= count;
        self.last = shards.last().copied().or(self.last);
        shards
    }

    /// Changes are read from here on.
    pub(super) fn pass_begins(&mut self) {
        if self.suspects.step == Step::Wait {
            self.suspects.step = Step::Reading;
        }
    }

    /// All changes that were committed when the pass began have been read.
    pub(super) fn pass_ends(&mut self) {
        if self.suspects.step == Step::Reading {
            self.suspects.step = Step::Look;
        }
    }

    /// Somebody told of this one.
    pub(super) fn is_told(&mut self, recipient: RecipientId) {
        if self.suspects.step != Step::None {
            self.suspects.rows.remove(&recipient);
        }
    }

    /// Shards were swept, and these rows should be in memory and are not. Gives those for which
    /// that is certain.
    pub(super) fn swept(&mut self, shards: Vec<Shard>, missing: Vec<QueueRow>) -> Vec<QueueRow> {
        if self.suspects.step == Step::Look {
            let suspects = std::mem::take(&mut self.suspects).rows;
            let missing = missing.into_iter();
            return missing
                .filter(|row| suspects.get(&row.recipient) == Some(row))
                .collect();
        }
        if !missing.is_empty() {
            let rows = missing.into_iter().map(|row| (row.recipient, row));
            self.suspects = Suspects {
                rows: rows.collect(),
                shards,
                step: Step::Wait,
            };
        }
        Vec::new()
    }
}
