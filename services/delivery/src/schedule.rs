//! Whose turn it is: round robin over tenants, each at its own pace. Pure; the time is an
//! argument.
//!
//! A row stands in exactly one place: in `later` until it is due, then in its tenant's lane
//! until it is handed out; who takes it puts it back with a new due time, or not. What is in
//! flight is not here, nor what a destination may take.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use postrider_model::{Limits, RecipientId, TenantId, Timestamp, WaitCause};
use postrider_store::QueueRow;

mod bucket;
mod lane;

use bucket::Bucket;
use lane::{Kind, Lane};

/// How many recipients are handed out at once: a transaction's most (RFC 5321 §4.5.3.1.8 has
/// every host take 100; others stay at 50, for some do not).
const GROUP_MOST: usize = 50;
/// How many rows become ready in one step, so that no step is long.
const PROMOTED_MOST: usize = 1_000;
/// How long a tenant without a token rests at most before its limits are read again.
const REST_MOST: Duration = Duration::from_secs(1);

/// How fast a tenant's first attempts may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nothing starts: its mail is kept until it is resumed.
    Stopped,
    /// First attempts per minute, and how many at once after a pause. `per_minute` 0 is no limit;
    /// `burst` 0 is ten seconds' worth, at least 1. Later attempts have waited enough.
    At { per_minute: u32, burst: u32 },
}

impl Pace {
    /// The pace that a tenant's limits give it.
    pub(crate) fn of(limits: Limits) -> Self {
        Self::At {
            per_minute: limits.per_minute,
            burst: limits.burst,
        }
    }
}

/// All waiting rows of this node.
///
/// Buckets are empty when `next` is first called and fill from then on, for nobody knows what
/// the process before has spent.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    started: Option<Timestamp>,
    rows: HashMap<RecipientId, Slot>,
    later: BTreeSet<(Timestamp, RecipientId)>,
    later_causes: BTreeMap<WaitCause, usize>,
    lanes: HashMap<TenantId, Lane>,
    /// Tenants with a lane that may go on, each once.
    ring: VecDeque<TenantId>,
    /// Tenants with a lane that has only first attempts and no token, each once.
    resting: BTreeSet<(Timestamp, TenantId)>,
    buckets: HashMap<TenantId, Bucket>,
}

#[derive(Debug)]
struct Slot {
    row: QueueRow,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Later,
    Ready,
}

impl Schedule {
    /// How many rows wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Puts a row in, in place of what was there for its recipient.
    pub(crate) fn insert(&mut self, row: QueueRow) {
        if let Some(slot) = self.rows.get_mut(&row.recipient)
            && slot.place == Place::Ready
            && row.due_at <= slot.row.due_at
            && Kind::of(&row) == Kind::of(&slot.row)
        {
            // Read again while it waits for its turn: it keeps its place in the line.
            slot.row = row;
            return;
        }
        self.remove(row.recipient);
        self.later.insert((row.due_at, row.recipient));
        *self.later_causes.entry(row.cause).or_default() += 1;
        let place = Place::Later;
        self.rows.insert(row.recipient, Slot { row, place });
    }

    /// Takes a row out: cancelled, held, gone. `None` where it does not wait here.
    pub(crate) fn remove(&mut self, recipient: RecipientId) -> Option<QueueRow> {
        let Slot { row, place } = self.rows.remove(&recipient)?;
        match place {
            Place::Later => self.leave_later(&row),
            // Its id stays in the lane and is passed over when its turn comes.
            Place::Ready => {
                if let Some(lane) = self.lanes.get_mut(&row.tenant) {
                    lane.forget(Kind::of(&row));
                }
            }
        }
        Some(row)
    }

    /// The next group to attempt: due recipients of one message at one domain, first attempts or
    /// later ones, at most `GROUP_MOST`. `pace` is asked for each tenant whose turn comes. `None`
    /// where nothing may start now; then ask again at `next_due`, after an `insert`, and when a
    /// tenant is resumed.
    pub(crate) fn next(
        &mut self,
        now: Timestamp,
        pace: &dyn Fn(TenantId) -> Pace,
    ) -> Option<Vec<QueueRow>> {
        self.started.get_or_insert(now);
        self.promote(now);
        self.wake(now);
        for _ in 0..self.ring.len() {
            let tenant = self.ring.pop_front()?;
            let group = match pace(tenant) {
                Pace::Stopped => self.skip(tenant),
                Pace::At { per_minute, burst } => self.serve(tenant, now, (per_minute, burst)),
            };
            if !group.is_empty() {
                return Some(group);
            }
        }
        None
    }

    /// When `next` may have more, where that depends on time alone. It may lie in the past: then
    /// there is more to promote.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let due = self.later.first().map(|(at, _)| *at);
        let rested = self.resting.first().map(|(at, _)| *at);
        due.into_iter().chain(rested).min()
    }

    /// How many rows are not due yet for this reason.
    pub(crate) fn waiting_for(&self, cause: WaitCause) -> usize {
        self.later_causes.get(&cause).copied().unwrap_or(0)
    }

    /// How many rows wait for what. Rows not due yet wait for what their last attempt said.
    pub(crate) fn causes(&self, now: Timestamp) -> BTreeMap<WaitCause, usize> {
        let mut causes = self.later_causes.clone();
        // Due, but `next` has not come to them. Of more than it takes in a step, the rest is
        // counted as it came in, so that counting stays cheap.
        let overdue = self.later.iter().take_while(|(due_at, _)| *due_at <= now);
        for (_, recipient) in overdue.take(PROMOTED_MOST) {
            if let Some(slot) = self.rows.get(recipient) {
                uncount(&mut causes, slot.row.cause);
                *causes.entry(WaitCause::Turn).or_default() += 1;
            }
        }
        for lane in self.lanes.values() {
            let (first, again) = (lane.waiting(Kind::First), lane.waiting(Kind::Again));
            let (first_cause, again_cause) = match lane.state {
                lane::State::Turning => (WaitCause::Turn, WaitCause::Turn),
                lane::State::Unpaid => (WaitCause::TenantPace, WaitCause::Turn),
                lane::State::Suspended => (WaitCause::Held, WaitCause::Held),
            };
            *causes.entry(first_cause).or_default() += first;
            *causes.entry(again_cause).or_default() += again;
        }
        causes.retain(|_, count| *count > 0);
        causes
    }

    /// Moves what is due to its tenant's lane.
    fn promote(&mut self, now: Timestamp) {
        for _ in 0..PROMOTED_MOST {
            let Some((due_at, recipient)) = self.later.first().copied() else {
                return;
            };
            if due_at > now {
                return;
            }
            self.later.pop_first();
            if let Some(slot) = self.rows.get_mut(&recipient) {
                slot.place = Place::Ready;
                uncount(&mut self.later_causes, slot.row.cause);
                self.line_up(recipient);
            }
        }
    }

    fn line_up(&mut self, recipient: RecipientId) {
        let Some(Slot { row, .. }) = self.rows.get(&recipient) else {
            return;
        };
        let tenant = row.tenant;
        let lane = self.lanes.entry(tenant).or_insert_with(|| {
            self.ring.push_back(tenant);
            Lane::default()
        });
        lane.push(row);
        if Kind::of(row) == Kind::Again
            && let Some(until) = lane.rests_until.take()
        {
            self.resting.remove(&(until, tenant));
            self.ring.push_back(tenant);
        }
    }

    /// Puts tenants whose rest is over back into the ring.
    fn wake(&mut self, now: Timestamp) {
        while let Some((until, tenant)) = self.resting.first().copied() {
            // Nobody rests longer than `REST_MOST`, but by a clock that went back.
            if until > now && until <= now.after(REST_MOST) {
                return;
            }
            self.resting.pop_first();
            if let Some(lane) = self.lanes.get_mut(&tenant) {
                lane.rests_until = None;
                self.ring.push_back(tenant);
            }
        }
    }

    fn skip(&mut self, tenant: TenantId) -> Vec<QueueRow> {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.state = lane::State::Suspended;
            self.go_on(tenant);
        }
        Vec::new()
    }

    /// One turn of a tenant that was taken out of the ring.
    fn serve(&mut self, tenant: TenantId, now: Timestamp, limits: (u32, u32)) -> Vec<QueueRow> {
        let started = *self.started.get_or_insert(now);
        let bucket = self
            .buckets
            .entry(tenant)
            .or_insert_with(|| Bucket::empty_at(started));
        let tokens = bucket.tokens(now, limits);
        let Some(lane) = self.lanes.get_mut(&tenant) else {
            return Vec::new();
        };
        let Some(kind) = lane.choose(tokens > 0) else {
            if lane.waiting(Kind::First) > 0 {
                let until = bucket.next_token(now, limits).min(now.after(REST_MOST));
                lane.rests_until = Some(until);
                self.resting.insert((until, tenant));
            } else {
                self.lanes.remove(&tenant);
            }
            return Vec::new();
        };
        let most = match kind {
            Kind::First => GROUP_MOST.min(usize::try_from(tokens).unwrap_or(GROUP_MOST)),
            Kind::Again => GROUP_MOST,
        };
        let rows = &mut self.rows;
        let group = lane.take(kind, most, |id| take_ready(rows, id, kind));
        if kind == Kind::First {
            bucket.spend(group.len(), limits);
        }
        self.go_on(tenant);
        group
    }

    /// Puts a tenant back at the end of the ring, if anything of it is left.
    fn go_on(&mut self, tenant: TenantId) {
        let Some(lane) = self.lanes.get(&tenant) else {
            return;
        };
        if lane.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.ring.push_back(tenant);
        }
    }

    fn leave_later(&mut self, row: &QueueRow) {
        self.later.remove(&(row.due_at, row.recipient));
        uncount(&mut self.later_causes, row.cause);
    }
}

/// The row, if this id still stands for one that is ready in this line.
fn take_ready(
    rows: &mut HashMap<RecipientId, Slot>,
    id: RecipientId,
    kind: Kind,
) -> Option<QueueRow> {
    let slot = rows.get(&id)?;
    if slot.place != Place::Ready || Kind::of(&slot.row) != kind {
        return None;
    }
    rows.remove(&id).map(|slot| slot.row)
}

fn uncount(causes: &mut BTreeMap<WaitCause, usize>, cause: WaitCause) {
    if let Some(count) = causes.get_mut(&cause) {
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
