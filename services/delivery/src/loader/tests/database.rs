//! A database in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use postrider_model::{MessageId, RecipientId, TenantId, Timestamp, WaitCause};
use postrider_store::{Changes, Control, Cursor, Epoch, LaneKey, LanePage, Place, QueueRow, Shard};

use crate::loader::{Found, Work};

/// Changes that are given at once: few, so that a pass has many pages.
const CHANGES_MOST: usize = 5;
/// Of each lane that a sweep looks at.
const SWEPT: u32 = 20;

#[derive(Default)]
pub(super) struct Database {
    pub(super) rows: BTreeMap<RecipientId, (u64, QueueRow)>,
    pub(super) held: Vec<QueueRow>,
    pub(super) controls: Vec<Control>,
    /// Handed over in memory, and not taken yet.
    pub(super) news: VecDeque<QueueRow>,
    /// Who has which shard: us or another node.
    pub(super) owners: BTreeMap<Shard, (bool, Epoch)>,
    /// Another one after each crash: cursors from before are worth nothing.
    pub(super) life: u64,
    seq: u64,
}

impl Database {
    pub(super) fn put(&mut self, row: QueueRow) {
        self.seq += 1;
        self.rows.insert(row.recipient, (self.seq, row));
    }

    pub(super) fn of_tenant(&self, tenant: TenantId) -> Vec<QueueRow> {
        let rows = self.rows.values().map(|(_, row)| row);
        rows.filter(|row| row.tenant == tenant).cloned().collect()
    }

    pub(super) fn owns(&self, shard: Shard, epoch: Epoch) -> bool {
        self.owners.get(&shard) == Some(&(true, epoch))
    }

    /// Scheduled messages that may go.
    pub(super) fn start(&self, asked: &[MessageId], now: Timestamp) -> Vec<MessageId> {
        let due = |message: &&MessageId| {
            let mut rows = self.rows.values().map(|(_, row)| row);
            rows.any(|row| row.message == **message && row.due_at <= now)
        };
        asked.iter().filter(due).copied().collect()
    }

    pub(super) fn answer(&self, work: &Work) -> Found {
        match work {
            Work::Begin { cursor, .. } => {
                let newest = cursor.then(|| self.cursor(self.seq));
                Found::Begun(newest, self.controls.clone())
            }
            Work::Verbs => Found::Verbs(self.controls.clone()),
            Work::Shards {
                shards,
                until,
                limit,
            } => Found::Pages(self.pages(shards, *until, *limit)),
            Work::Sweep { shards, until } => Found::Pages(self.pages(shards, *until, SWEPT)),
            Work::Changes { shards, since } => Found::Changes(self.changes(shards, since)),
            Work::Near {
                shards,
                span,
                after,
            } => {
                let mut rows = self.due_before(shards, span.end);
                rows.retain(|row| row.due_at >= span.start && row.cause != WaitCause::Turn);
                rows.retain(|row| after.is_none_or(|after| row.place() > after));
                rows.truncate(crate::loader::PAGE as usize);
                Found::Rows(rows)
            }
            Work::Lane {
                lane,
                after,
                until,
                limit,
            } => Found::Rows(self.lane(*lane, *after, *until, *limit)),
        }
    }

    fn changes(&self, shards: &[Shard], since: &Cursor) -> Changes {
        let since = match since.0.split_once(';') {
            Some((life, seq)) if life == self.life.to_string() => seq.parse().unwrap(),
            _ => 0,
        };
        let new = self
            .rows
            .values()
            .filter(|(changed, row)| *changed > since && shards.contains(&Shard::of(row.tenant)));
        let mut new: Vec<_> = new.cloned().collect();
        new.sort_by_key(|(changed, _)| *changed);
        let more = new.len() > CHANGES_MOST;
        new.truncate(CHANGES_MOST);
        let last = new.last().map(|(changed, _)| *changed);
        let next = last.filter(|_| more).unwrap_or(self.seq);
        Changes {
            rows: new.into_iter().map(|(_, row)| row).collect(),
            next: self.cursor(next),
            more,
        }
    }

    fn cursor(&self, seq: u64) -> Cursor {
        Cursor(format!("{};{seq}", self.life))
    }

    fn due_before(&self, shards: &[Shard], until: Timestamp) -> Vec<QueueRow> {
        let rows = self.rows.values().map(|(_, row)| row);
        let here = rows.filter(|row| row.due_at < until && shards.contains(&Shard::of(row.tenant)));
        let mut here: Vec<_> = here.cloned().collect();
        here.sort_by_key(QueueRow::place);
        here
    }

    fn pages(&self, shards: &[Shard], until: Timestamp, limit: u32) -> Vec<LanePage> {
        let rows = self.due_before(shards, until);
        let lanes: BTreeSet<_> = rows.iter().map(QueueRow::lane).collect();
        let limit = limit as usize;
        let page = |lane: LaneKey| {
            let mut rows: Vec<_> = rows
                .iter()
                .filter(|row| row.lane() == lane)
                .cloned()
                .collect();
            let more = rows.len() > limit;
            rows.truncate(limit);
            LanePage { lane, rows, more }
        };
        lanes.into_iter().map(page).collect()
    }

    fn lane(&self, lane: LaneKey, after: Place, until: Timestamp, limit: u32) -> Vec<QueueRow> {
        let mut rows = self.due_before(&[Shard::of(lane.tenant)], until);
        rows.retain(|row| row.lane() == lane && row.place() > after);
        rows.truncate(limit as usize);
        rows
    }
}
