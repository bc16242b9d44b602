use std::time::Duration;

use postrider_model::{Limits, Stream, Waits};
use postrider_store::QueueRow;

use super::*;

mod fairness;
mod ledgers;
mod lines;
mod model;
mod oldest;
mod paces;
mod sites;
mod slots;
mod stops;
mod way_out;

const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const FREE: Limits = Limits {
    requests_per_second: 0,
    per_minute: 0,
    burst: 0,
    bulk_per_minute: 0,
    connections: 0,
    per_day: 0,
    per_month: 0,
};

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

fn random(n: u64) -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn tenant(n: u64) -> TenantId {
    TenantId::new(START, random(n))
}

fn domain(n: u64) -> Domain {
    Domain::parse(&format!("d{n}.test")).unwrap()
}

/// Recipient `n` of tenant `of`, the only one of its message, due at the start.
fn row(n: u64, of: u64) -> QueueRow {
    QueueRow {
        recipient: RecipientId::new(START, random(n)),
        message: MessageId::new(START, random(n)),
        tenant: tenant(of),
        stream: Stream::Transactional,
        domain: domain(1),
        accepted_at: START,
        since: START,
        due_at: START,
        expires_at: at(300_000),
        attempts: 0,
        cause: WaitCause::Turn,
    }
}

fn to(mut row: QueueRow, site: u64) -> QueueRow {
    row.domain = domain(site);
    row
}

fn bulk(row: QueueRow) -> QueueRow {
    let stream = Stream::Bulk;
    QueueRow { stream, ..row }
}

fn again(row: QueueRow, due_at: Timestamp, cause: WaitCause) -> QueueRow {
    QueueRow {
        attempts: 1,
        due_at,
        cause,
        ..row
    }
}

/// The recipients of a group, by the numbers they were made from.
fn numbers(group: &Group) -> Vec<u64> {
    let rows = group.rows.iter();
    let id = |due: &Due| due.row.recipient.as_bytes()[8..].try_into().unwrap();
    // The first two bits there are the UUID's variant.
    rows.map(|due| u64::from_be_bytes(id(due)) & (u64::MAX >> 2))
        .collect()
}

fn schedule_with(site_cap: usize, tenant_most: usize) -> Schedule {
    let settings = Settings {
        site_cap,
        tenant_most,
        retry_divisor: 1,
    };
    let mut schedule = Schedule::new(settings, START);
    Shard::all().for_each(|shard| schedule.take_shard(shard, START));
    schedule
}

fn started() -> Schedule {
    schedule_with(100_000, 100_000)
}

impl Schedule {
    fn add(&mut self, row: QueueRow) {
        let now = self.at.now;
        self.insert(row, Waits::default(), now);
    }

    /// All groups that go now, each ended at once as served.
    fn run(&mut self, now: Timestamp, limits: Limits) -> Vec<Vec<Due>> {
        let mut groups = Vec::new();
        while let Some(group) = self.next(now, &|_| Pace::At(limits)) {
            self.ended(group.ticket, Health::Served, now);
            groups.push(group.rows);
        }
        groups
    }

    fn free(&mut self, now: Timestamp) -> Option<Group> {
        self.next(now, &|_| Pace::At(FREE))
    }
}

/// Whether in any window no more started than the rate times its length, and the burst.
fn keeps_pace(starts: &[Timestamp], per_minute: u32, burst: u32) -> bool {
    const MINUTE: i128 = 60_000_000;
    // The lowest that the bucket's debt was so far, seen from the first start.
    let mut least = i128::MAX;
    (0_i128..).zip(starts).all(|(n, at)| {
        let debt = n * MINUTE - i128::from(per_minute) * i128::from(at.as_micros());
        least = least.min(debt);
        debt - least < i128::from(burst) * MINUTE
    })
}

fn causes<const N: usize>(of: [(WaitCause, usize); N]) -> BTreeMap<WaitCause, usize> {
    of.into()
}
