//! Rows that were read, put in their place: into memory, or left where they are.

use postrider_model::{Timestamp, Waits};
use postrider_store::{Changes, LanePage, QueueRow, Shard};

use super::{Ahead, From, Loader, Memory, Moving, PAGE};

impl Loader {
    pub(super) fn put_pages(&mut self, pages: &[LanePage], memory: &mut Memory, now: Timestamp) {
        for page in pages {
            for row in &page.rows {
                self.put(row.clone(), From::Lane, memory, now);
            }
            if let Some(last) = page.rows.last().filter(|_| page.more) {
                self.lanes.spill(page.lane, last.place());
            }
        }
    }

    pub(super) fn put_changes(&mut self, changes: Changes, memory: &mut Memory, now: Timestamp) {
        self.cursor = Some(changes.next);
        if changes.more {
            self.ahead = Ahead::AnotherPage;
        } else {
            self.sweep.pass_ends();
        }
        for row in changes.rows {
            self.put(row, From::Changes, memory, now);
        }
        if !changes.more {
            memory.verbs.pass_ends(&mut memory.schedule, now);
        }
    }

    /// A page of what is due before `end`, which was the bound when it was asked for.
    pub(super) fn put_near(
        &mut self,
        end: Timestamp,
        rows: Vec<QueueRow>,
        memory: &mut Memory,
        now: Timestamp,
    ) {
        let last = rows.last().map(QueueRow::place);
        self.moving = match (self.moving, last) {
            (Some(moving), Some(last)) if rows.len() >= PAGE as usize => Some(Moving {
                after: Some(last),
                ..moving
            }),
            _ => (end < self.bound).then_some(Moving {
                from: end,
                after: None,
            }),
        };
        for row in rows {
            self.put(row, From::Read, memory, now);
        }
    }

    pub(super) fn swept(
        &mut self,
        shards: Vec<Shard>,
        pages: Vec<LanePage>,
        memory: &mut Memory,
        now: Timestamp,
    ) {
        let missing = |row: &QueueRow| {
            !memory.schedule.contains(row.recipient)
                && !memory.flights.has(row.recipient)
                && !self.ended.contains_key(&row.recipient)
                && self.lanes.has_in_memory(row)
        };
        let rows = pages.into_iter().flat_map(|page| page.rows);
        let missing: Vec<_> = rows.filter(missing).collect();
        let missing = missing.into_iter().filter(|row| {
            memory.shards.lease_for(row.tenant).is_some() && !memory.verbs.turns_away(row)
        });
        let missing: Vec<_> = missing.collect();
        let found = self.sweep.swept(shards, missing);
        if !found.is_empty() {
            tracing::error!(
                recipients = found.len(),
                "the sweep found recipients that nobody had told of"
            );
            self.instruments.owner.sweep_found.add(found.len() as u64);
        }
        for row in found {
            self.put(row, From::Read, memory, now);
        }
    }

    pub(super) fn put(&mut self, row: QueueRow, from: From, memory: &mut Memory, now: Timestamp) {
        let recipient = row.recipient;
        self.sweep.is_told(recipient);
        if memory.shards.lease_for(row.tenant).is_none() {
            return;
        }
        if memory.flights.has(recipient) {
            if from == From::Changes {
                memory.flights.tell(row);
            }
            return;
        }
        // The answer was asked for before the attempt ended: it may be older than what that left.
        let left = self.ended.get(&recipient);
        if from != From::Hand && left.is_some_and(|attempts| row.attempts < *attempts) {
            return;
        }
        if memory.verbs.turns_away(&row) {
            return;
        }
        if memory.schedule.contains(recipient) {
            match from {
                From::Changes if row.due_at >= self.bound => {
                    memory.schedule.remove(recipient);
                }
                From::Changes => memory.schedule.insert(row, Waits::default(), now),
                From::Hand | From::Lane | From::Read => {}
            }
            return;
        }
        if row.due_at >= self.bound {
            return;
        }
        if from == From::Lane || self.lanes.admits(&row, &memory.schedule) {
            memory.schedule.insert(row, Waits::default(), now);
        }
    }
}
