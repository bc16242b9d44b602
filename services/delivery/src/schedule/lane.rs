//! One tenant's rows that are due, in the order they became so: first attempts and later ones
//! in a line each, for only the first are paced.

use std::collections::{HashMap, VecDeque};

use postrider_model::{Domain, MessageId, RecipientId, Timestamp, WaitCause};
use postrider_store::QueueRow;

/// Which line a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    First,
    Again,
}

impl Kind {
    pub(super) fn of(row: &QueueRow) -> Self {
        // Who found its destination at the cap has paid for its turn.
        if row.attempts == 0 && row.cause != WaitCause::DestinationCap {
            Self::First
        } else {
            Self::Again
        }
    }
}

/// What was found when the tenant's turn came last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Turning,
    /// Its bucket has no token for a first attempt.
    Unpaid,
    Suspended,
}

/// Invariant: a tenant's lane stands in the ring, or rests until `rests_until`, never both.
#[derive(Debug, Default)]
pub(super) struct Lane {
    first: Line,
    again: Line,
    /// Whose turn it was last, so that neither line keeps the other waiting.
    last: Option<Kind>,
    pub(super) state: State,
    pub(super) rests_until: Option<Timestamp>,
}

type Group = (MessageId, Domain);

#[derive(Debug, Default)]
struct Line {
    /// Invariant: the keys of `members`, each once.
    order: VecDeque<Group>,
    /// Ids of rows taken out since are among them.
    members: HashMap<Group, VecDeque<RecipientId>>,
    /// How many rows stand here, those taken out not counted.
    waiting: usize,
}

impl Lane {
    pub(super) fn waiting(&self, kind: Kind) -> usize {
        match kind {
            Kind::First => self.first.waiting,
            Kind::Again => self.again.waiting,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.waiting == 0 && self.again.waiting == 0
    }

    pub(super) fn push(&mut self, row: &QueueRow) {
        let line = self.line(Kind::of(row));
        let key = (row.message, row.domain.clone());
        line.waiting += 1;
        if let Some(group) = line.members.get_mut(&key) {
            group.push_back(row.recipient);
        } else {
            line.order.push_back(key.clone());
            line.members.insert(key, VecDeque::from([row.recipient]));
        }
    }

    /// A row of this line was taken out by its id.
    pub(super) fn forget(&mut self, kind: Kind) {
        let line = self.line(kind);
        line.waiting = line.waiting.saturating_sub(1);
    }

    /// Which line goes now, in turn where both can.
    pub(super) fn choose(&mut self, has_token: bool) -> Option<Kind> {
        let unpaid = self.first.waiting > 0 && !has_token;
        self.state = if unpaid {
            State::Unpaid
        } else {
            State::Turning
        };
        let kind = match (self.first.waiting > 0 && has_token, self.again.waiting > 0) {
            (true, true) if self.last == Some(Kind::First) => Kind::Again,
            (true, _) => Kind::First,
            (false, true) => Kind::Again,
            (false, false) => return None,
        };
        self.last = Some(kind);
        Some(kind)
    }

    /// At most `most` rows of the group in front; `claim` gives the row of an id, or `None` where
    /// it is not here any more. What is left of the group stays in front.
    pub(super) fn take(
        &mut self,
        kind: Kind,
        most: usize,
        mut claim: impl FnMut(RecipientId) -> Option<QueueRow>,
    ) -> Vec<QueueRow> {
        let line = self.line(kind);
        let mut taken = Vec::new();
        while taken.is_empty() {
            let Some(key) = line.order.front() else { break };
            let group = line.members.entry(key.clone()).or_default();
            while taken.len() < most {
                let Some(id) = group.pop_front() else { break };
                taken.extend(claim(id));
            }
            if group.is_empty() {
                line.members.remove(key);
                line.order.pop_front();
            }
        }
        line.waiting = line.waiting.saturating_sub(taken.len());
        taken
    }

    fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::First => &mut self.first,
            Kind::Again => &mut self.again,
        }
    }
}
