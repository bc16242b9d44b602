//! Attempts, from their beginning to what they leave.

use super::*;

impl World {
    pub(super) fn dispatch(&mut self) {
        let pace = |_: TenantId| Pace::At(Limits::default());
        let Some(group) = self.memory.schedule.next(self.now, &pace) else {
            return;
        };
        let tenant = group.rows[0].row.tenant;
        let lease = self.memory.shards.lease_for(tenant).unwrap();
        let task = self.runtime.spawn(async {}).id();
        let halt = Halt::new(Shutdown::new(Duration::ZERO));
        self.flying.push(Flying {
            task,
            rows: group.rows.iter().map(|due| due.row.clone()).collect(),
            lease,
            halt: halt.clone(),
            dotted: false,
            left: None,
        });
        let flight = Flight {
            rows: group.rows,
            ticket: group.ticket,
            lease,
            halt,
            begun: self.now,
        };
        self.memory.flights.begin(task, flight);
    }

    /// 0: nothing was learned. 1: nor now, and they rest. 2: delivered. 3, 4: deferred. 5: the dot
    /// is out, and its reply awaited.
    pub(super) fn record(&mut self, which: usize, what: u8) {
        let flying = &mut self.flying[which];
        if flying.left.is_some() {
            return;
        }
        let ids = || flying.rows.iter().map(|row| row.recipient);
        if what > 1 && !flying.dotted {
            flying.dotted = flying.halt.pass(ids());
        }
        let what = match what {
            5 => return,
            _ if flying.dotted => what.max(2),
            _ => what.min(1),
        };
        let (lease, rows) = (flying.lease, flying.rows.clone());
        let left = rows.into_iter().map(|row| self.recorded(row, lease, what));
        let left = left.collect();
        let flying = &mut self.flying[which];
        flying
            .halt
            .is_known(flying.rows.iter().map(|row| row.recipient));
        flying.left = Some(left);
    }

    fn recorded(&mut self, row: QueueRow, lease: Lease, what: u8) -> Left {
        let Some((_, live)) = self.database.rows.get(&row.recipient) else {
            return Left::Done;
        };
        if live.attempts > row.attempts {
            return Left::Stale(Box::new(row));
        }
        let wait = match what {
            0 => return Left::Back(Box::new(row)),
            1 => {
                let due_at = self.now.after(Duration::from_secs(1));
                return Left::Back(Box::new(QueueRow { due_at, ..row }));
            }
            2 => {
                self.database.rows.remove(&row.recipient);
                return Left::Done;
            }
            3 => Duration::from_mins(5),
            _ => Duration::from_mins(80),
        };
        if !self.database.owns(lease.shard, lease.epoch) {
            return Left::Stale(Box::new(row));
        }
        let row = self.put_off(row, wait);
        Left::Again(Box::new(row))
    }

    pub(super) fn put_off(&mut self, row: QueueRow, wait: Duration) -> QueueRow {
        let row = QueueRow {
            since: self.now,
            due_at: self.now.after(wait),
            attempts: row.attempts + 1,
            cause: WaitCause::Retry,
            ..row
        };
        self.database.put(row.clone());
        row
    }

    pub(super) fn end(&mut self, which: usize) {
        if self.flying[which].left.is_none() {
            self.record(which, 0);
        }
        let Flying {
            task, lease, left, ..
        } = self.flying.remove(which);
        let flight = self.memory.flights.end(task).unwrap();
        for due in &flight.rows {
            self.loader.has_ended(due.row.recipient);
        }
        let mine = self.memory.shards.get(lease.shard);
        let ours = mine.is_some_and(|mine| {
            mine.epoch == lease.epoch && matches!(mine.phase, Phase::Loading | Phase::Ready)
        });
        for left in left.unwrap() {
            self.put_back(left, ours);
        }
        self.memory.flights.forget(&flight);
        self.memory
            .schedule
            .ended(flight.ticket, Health::Served, self.now);
        let lane = flight.rows[0].row.lane();
        self.loader.has_room(lane, &self.memory.schedule);
    }

    fn put_back(&mut self, left: Left, ours: bool) {
        match (left, ours) {
            (Left::Done, _) => {}
            (Left::Again(row), true) => self.loader.again(*row, &mut self.memory, self.now),
            (Left::Back(row), true) => self.memory.back(*row, Waits::default(), self.now),
            (Left::Stale(row), _) | (Left::Again(row) | Left::Back(row), false) => {
                if self.memory.shards.lease_for(row.tenant).is_some() {
                    self.loader.read_again(row.lane());
                }
            }
        }
    }
}
