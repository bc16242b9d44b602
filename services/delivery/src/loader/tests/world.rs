//! An owner of shards with its database: what the runner does, step by step.

mod attempts;
mod owners;
mod verbs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use postrider_model::{
    ControlId, Domain, Limits, MessageId, NodeId, RecipientId, Stream, TenantId, Timestamp,
    WaitCause, Waits,
};
use postrider_runtime::Shutdown;
use postrider_store::{Control, ControlVerb, Epoch, Lease, QueueRow, Scope, Shard, StoreError};
use postrider_telemetry::Registry;
use tokio::runtime::Runtime;
use tokio::task::Id;

use super::database::Database;
use super::steps::Step;
use crate::attempt::Left;
use crate::controls::Verbs;
use crate::flights::{Flight, Flights};
use crate::halt::Halt;
use crate::instruments::Instruments;
use crate::loader::{Found, Loader, Memory, Work};
use crate::schedule::{Health, Pace, Schedule, Settings};
use crate::shards::{Leaving, Mine, Phase, Shards};

pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
/// So few that a lane is spilled at 16 rows, the least share there is.
const ROWS_MOST: usize = 8;
const VERBS: [ControlVerb; 5] = [
    ControlVerb::Hold,
    ControlVerb::Cancel,
    ControlVerb::Suspend,
    ControlVerb::RetryNow,
    ControlVerb::Release,
];

pub(super) struct World {
    database: Database,
    pub(super) loader: Loader,
    memory: Memory,
    instruments: Instruments,
    now: Timestamp,
    asked: Option<(Work, Found)>,
    flying: Vec<Flying>,
    acknowledged: BTreeMap<ControlId, Vec<RecipientId>>,
    made: u64,
    runtime: Runtime,
}

/// An attempt under way.
struct Flying {
    task: Id,
    rows: Vec<QueueRow>,
    lease: Lease,
    halt: Halt,
    dotted: bool,
    /// What became of it, once that is recorded.
    left: Option<Vec<Left>>,
}

fn random(n: u64) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn tenant(n: u64) -> TenantId {
    TenantId::new(START, random(n))
}

pub(super) fn domain(n: u64) -> Domain {
    Domain::parse(&format!("d{n}.test")).unwrap()
}

/// Recipient `n`, of this tenant, due now; one of three domains.
pub(super) fn row((of, n): (u64, u64), now: Timestamp) -> QueueRow {
    QueueRow {
        recipient: RecipientId::new(START, random(n)),
        message: MessageId::new(START, random(n)),
        tenant: tenant(of),
        stream: Stream::Transactional,
        domain: domain(n % 3),
        accepted_at: now,
        since: now,
        due_at: now,
        expires_at: now.after(Duration::from_hours(1_000)),
        attempts: 0,
        cause: WaitCause::Turn,
    }
}

impl World {
    pub(super) fn new() -> Self {
        let settings = Settings {
            site_cap: 4,
            tenant_most: 6,
            retry_divisor: 1,
        };
        let instruments = Instruments::new(&Registry::new());
        Self {
            database: Database::default(),
            loader: Loader::new(instruments.clone(), ROWS_MOST, START),
            memory: Memory {
                schedule: Schedule::new(settings, START),
                flights: Flights::default(),
                shards: Shards::default(),
                verbs: Verbs::default(),
            },
            instruments,
            now: START,
            asked: None,
            flying: Vec::new(),
            acknowledged: BTreeMap::new(),
            made: 0,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Commit {
                of,
                count,
                told,
                delay,
            } => self.commit(of, (count, delay), told),
            Step::News => self.hear(),
            Step::Ask => self.ask(),
            Step::Answer(ok) => self.answer(ok),
            Step::Settled => self.settle_down(),
            Step::Poll => self.loader.poll(self.now, &self.memory),
            Step::Second => self.loader.second(&self.memory),
            Step::Pass(seconds) => self.now = self.now.after(Duration::from_secs(seconds)),
            Step::Start => self.start(),
            Step::Dispatch(most) => (0..most).for_each(|_| self.dispatch()),
            Step::Record { which, what } if which < self.flying.len() => self.record(which, what),
            Step::End(which) if which < self.flying.len() => self.end(which),
            Step::Record { .. } | Step::End(_) => {}
            Step::Raise { verb, of } => self.raise(VERBS[verb], tenant(of)),
            Step::Acknowledge => self.acknowledge(),
            Step::Close => self.close(),
            Step::Crash => self.database.life += 1,
            Step::Take(of) => self.change_owner(Shard::of(tenant(of)), true),
            Step::Lose(of) => self.lose(tenant(of)),
            Step::Learn => self.learn(),
            Step::Leave(of) => self.leave(Shard::of(tenant(of))),
            Step::Stay(of) => self.stay(Shard::of(tenant(of))),
        }
    }

    /// No row is in two places.
    pub(super) fn check(&self) {
        for row in self.flying.iter().flat_map(|flying| &flying.rows) {
            assert!(self.memory.flights.has(row.recipient));
            assert!(!self.memory.schedule.contains(row.recipient), "{row:?}");
        }
    }

    /// All is delivered in the end, and the sweep has found nothing.
    pub(super) fn deliver_all(&mut self) {
        self.database.controls.clear();
        for row in std::mem::take(&mut self.database.held) {
            self.database.put(row);
        }
        for of in [0, 1] {
            self.stay(Shard::of(tenant(of)));
            self.change_owner(Shard::of(tenant(of)), true);
        }
        self.learn();
        for _ in 0..2_000 {
            while !self.flying.is_empty() {
                self.record(0, 2);
                self.end(0);
            }
            self.loader.poll(self.now, &self.memory);
            self.loader.second(&self.memory);
            self.settle_down();
            self.start();
            (0..50).for_each(|_| self.dispatch());
            self.check();
            if self.database.rows.is_empty() && self.flying.is_empty() {
                break;
            }
            self.now = self.now.after(Duration::from_secs(20));
        }
        assert!(self.database.rows.is_empty(), "{:#?}", self.database.rows);
        assert_eq!(self.instruments.owner.sweep_found.get(), 0);
    }

    fn commit(&mut self, of: u64, (count, delay): (u64, u64), told: bool) {
        let first = self.made;
        for place in 0..count {
            self.made += 1;
            let n = self.made;
            let row = QueueRow {
                message: MessageId::new(START, random(first * 1_000 + place / 3)),
                due_at: self.now.after(Duration::from_secs(delay)),
                cause: if delay > 0 {
                    WaitCause::Scheduled
                } else {
                    WaitCause::Turn
                },
                ..row((of, n), self.now)
            };
            if told {
                self.database.news.push_back(row.clone());
            }
            self.database.put(row);
        }
    }

    fn hear(&mut self) {
        if self.loader.is_away() {
            return;
        }
        while let Some(row) = self.database.news.pop_front() {
            self.loader.hand(row, &mut self.memory, self.now);
        }
    }

    fn ask(&mut self) {
        if self.asked.is_none()
            && let Some(work) = self.loader.next(&mut self.memory, self.now)
        {
            let found = self.database.answer(&work);
            self.asked = Some((work, found));
        }
    }

    fn answer(&mut self, ok: bool) {
        let Some((work, found)) = self.asked.take() else {
            return;
        };
        if !ok {
            let away = StoreError::Unavailable("the test took it away".into());
            return self
                .loader
                .found(work, Err(away), &mut self.memory, self.now);
        }
        if let Found::Begun(_, controls) | Found::Verbs(controls) = &found {
            let memory = &mut self.memory;
            let (again, _) =
                memory
                    .verbs
                    .obey(controls, &mut memory.schedule, &memory.flights, self.now);
            for lane in again {
                if memory.shards.lease_for(lane.tenant).is_some() {
                    self.loader.read_again(lane);
                }
            }
        }
        self.loader
            .found(work, Ok(found), &mut self.memory, self.now);
    }

    /// Asks until there is nothing to ask.
    fn settle_down(&mut self) {
        for _ in 0..1_000 {
            self.hear();
            self.answer(true);
            self.ask();
            if self.asked.is_none() {
                return;
            }
        }
        panic!("it never stops to ask: {:?}", self.asked);
    }

    fn start(&mut self) {
        let messages = self.memory.schedule.scheduled(self.now, 500);
        let started = self.database.start(&messages, self.now);
        for message in messages {
            if started.contains(&message) {
                self.memory.schedule.start(message, self.now);
            } else {
                self.memory.schedule.drop_message(message);
            }
        }
    }
}
