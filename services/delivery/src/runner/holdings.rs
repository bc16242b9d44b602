//! Shards that come and go: what the runner makes of what their owner publishes.

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_model::Timestamp;
use postrider_store::{Lease, Level, Shard};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::Runner;
use crate::ownership::LetGo;
use crate::shards::{Leaving, Phase};
use crate::standing::{Held, Holdings};

/// How long attempts may go on by themselves when their shard is to be given back.
const END_BY_THEMSELVES: Duration = Duration::from_secs(5);
/// How long those that are past a dot are waited for. A shard that was given back while a reply
/// is awaited would have its mail sent twice.
const REPLY_MOST: Duration = Duration::from_secs(30);
/// How long a shard stays whose attempts did not end in that time.
const STAYS: Duration = Duration::from_mins(1);

impl Runner {
    /// Compares what is worked on with what is held.
    pub(super) fn take_stock(&mut self, now: Timestamp) {
        let holdings = self.standing.holdings();
        self.lose(&holdings, now);
        for (shard, held) in holdings.iter() {
            match self.memory.shards.get(*shard) {
                None => self.take(*shard, held, now),
                Some(mine) if held.surplus => {
                    let stays = mine.stays_until.is_some_and(|until| until > Instant::now());
                    let works = !matches!(mine.phase, Phase::Leaving(_) | Phase::Given);
                    if works && !stays {
                        self.leave(*shard, now);
                    }
                }
                Some(_) => {}
            }
        }
        self.give_back_shards(now);
    }

    /// What is not ours any more leaves memory; its attempts are stopped where they can be.
    fn lose(&mut self, holdings: &Holdings, now: Timestamp) {
        let lost = self.memory.shards.all().filter(|(shard, mine)| {
            let held = holdings.get(shard);
            held.is_none_or(|held| held.epoch != mine.epoch)
        });
        let lost: BTreeSet<_> = lost.map(|(shard, _)| shard).collect();
        for shard in &lost {
            // Their buckets are the next owner's.
            self.memory.schedule.let_go_shard(*shard, now);
            for flight in self.memory.flights.of_shard(*shard) {
                flight.halt.call();
            }
            self.memory.shards.forget(*shard);
        }
        if !lost.is_empty() {
            self.loader.forget(&lost, &mut self.memory.shards);
        }
    }

    fn take(&mut self, shard: Shard, held: &Held, now: Timestamp) {
        let epoch = held.epoch;
        self.memory.shards.take(Lease { shard, epoch });
        self.memory.schedule.take_shard(shard, now);
        for level in held.levels.iter() {
            self.memory.schedule.set_level(*level, now);
        }
    }

    /// Begins to give a shard back: nothing more of it is begun.
    fn leave(&mut self, shard: Shard, now: Timestamp) {
        let levels = self.memory.schedule.let_go_shard(shard, now);
        let since = Instant::now();
        let leaving = Phase::Leaving(Leaving { since, levels });
        self.memory.shards.set(shard, leaving);
        let gone = BTreeSet::from([shard]);
        self.loader.forget(&gone, &mut self.memory.shards);
    }

    /// Gives back those that nothing is under way of any more.
    pub(super) fn give_back_shards(&mut self, now: Timestamp) {
        let leaving = self.memory.shards.all().filter_map(|(shard, mine)| {
            let Phase::Leaving(leaving) = &mine.phase else {
                return None;
            };
            let epoch = mine.epoch;
            Some((Lease { shard, epoch }, leaving.clone()))
        });
        let leaving: Vec<_> = leaving.collect();
        for (lease, Leaving { since, levels }) in leaving {
            let shard = lease.shard;
            if self.memory.flights.of_shard(shard).next().is_none() {
                self.give_back(LetGo { lease, levels });
            } else if since.elapsed() > REPLY_MOST {
                self.stay(shard, &levels, now);
            } else if since.elapsed() > END_BY_THEMSELVES {
                for flight in self.memory.flights.of_shard(shard) {
                    flight.halt.call();
                }
            }
        }
    }

    fn give_back(&mut self, let_go: LetGo) {
        let shard = let_go.lease.shard;
        match self.let_go.try_send(let_go) {
            Ok(()) | Err(TrySendError::Closed(_)) => self.memory.shards.set(shard, Phase::Given),
            // At the next poll.
            Err(TrySendError::Full(_)) => {}
        }
    }

    /// Its attempts wait for replies: it is worked on for another while.
    fn stay(&mut self, shard: Shard, levels: &[Level], now: Timestamp) {
        self.memory.shards.keep(shard, STAYS);
        self.memory.schedule.take_shard(shard, now);
        for level in levels {
            self.memory.schedule.set_level(*level, now);
        }
    }

    /// At the stop nothing more is begun: what nothing is under way of goes back at once.
    pub(super) fn leave_all(&mut self, now: Timestamp) {
        let all: Vec<_> = self.memory.shards.all().map(|(shard, _)| shard).collect();
        for shard in all {
            let mine = self.memory.shards.get(shard);
            if mine.is_some_and(|mine| !matches!(mine.phase, Phase::Leaving(_) | Phase::Given)) {
                self.leave(shard, now);
            }
            self.give_back_if_idle(shard);
        }
    }

    pub(super) fn give_back_if_idle(&mut self, shard: Shard) {
        let Some(mine) = self.memory.shards.get(shard) else {
            return;
        };
        let epoch = mine.epoch;
        if let Phase::Leaving(Leaving { levels, .. }) = &mine.phase
            && self.memory.flights.of_shard(shard).next().is_none()
        {
            let (lease, levels) = (Lease { shard, epoch }, levels.clone());
            self.give_back(LetGo { lease, levels });
        }
    }

    /// At the end the rest goes back, with what is in its buckets.
    pub(super) async fn let_go_of_all(&mut self) {
        let all = self.memory.shards.all();
        let leaving = all.filter_map(|(shard, mine)| match &mine.phase {
            Phase::Leaving(Leaving { levels, .. }) => {
                let epoch = mine.epoch;
                let (lease, levels) = (Lease { shard, epoch }, levels.clone());
                Some(LetGo { lease, levels })
            }
            _ => None,
        });
        for let_go in leaving.collect::<Vec<_>>() {
            if self.let_go.send(let_go).await.is_err() {
                return;
            }
        }
    }
}
