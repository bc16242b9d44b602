//! Who goes next.

use std::time::Duration;

use postrider_model::{Limits, Stream, TenantId, Timestamp};

use super::berth::{Berth, Standing};
use super::ledger::Stop;
use super::line::{Kind, Line};
use super::rows::{Chain, Place, Timer};
use super::slab::Id;
use super::tenant::{QUANTUM, Standing as Stand, Tenant};
use super::wheel::Popped;
use super::{Due, Group, Pace, Schedule, Slot, Ticket};

/// How many recipients are handed out at once: a transaction's most (RFC 5321 §4.5.3.1.8 has
/// every host take 100; others stay at 50, for some do not).
const GROUP_MOST: usize = 50;
/// How many steps one call takes at most, so that no call is long.
pub(super) const STEPS_MOST: usize = 1_000;
/// How long a tenant without a token, or stopped, rests at most before its limits are read again.
const REST_MOST: Duration = Duration::from_secs(1);

/// What a tenant may spend in its turn.
#[derive(Clone, Copy, Debug)]
struct Means {
    limits: Limits,
    /// First attempts that may start, by lane.
    tokens: u64,
    bulk_tokens: u64,
    /// A berth waits in front of its site's queue for the last of them, and for a connection:
    /// the lanes for which they are saved.
    saved: Option<Stream>,
    /// There is one connection left, and it is saved too.
    last_connection: bool,
}

impl Means {
    /// What rows of this line may spend that nothing was saved for.
    fn of(&self, line: Line) -> u64 {
        let saved = match self.saved {
            Some(Stream::Transactional) => true,
            Some(Stream::Bulk) => line.stream == Stream::Bulk,
            None => false,
        };
        if saved && self.last_connection {
            return 0;
        }
        match line.kind {
            Kind::First => self.whole(line).saturating_sub(u64::from(saved)),
            Kind::Again => u64::MAX,
        }
    }

    /// All that rows of this line may spend.
    fn whole(&self, line: Line) -> u64 {
        match (line.kind, line.stream) {
            (Kind::Again, _) => u64::MAX,
            (Kind::First, Stream::Transactional) => self.tokens,
            (Kind::First, Stream::Bulk) => self.bulk_tokens,
        }
    }
}

/// Who goes next of a tenant.
#[derive(Clone, Copy, Debug)]
struct Choice {
    berth: Id<Berth>,
    line: Line,
    most: u64,
}

impl Schedule {
    /// The next group to attempt. `pace` is asked for each tenant whose turn comes. `None` where
    /// nothing may start now: ask again at `next_due`, and after any other call that changes
    /// something.
    pub(crate) fn next(
        &mut self,
        now: Timestamp,
        pace: &dyn Fn(TenantId) -> Pace,
    ) -> Option<Group> {
        self.tick(now);
        self.unfinished = false;
        self.promote();
        self.wake();
        self.free_overdue();
        self.budget = STEPS_MOST;
        let group = if self.late_goes {
            self.next_late(pace).or_else(|| self.next_turn(pace))
        } else {
            self.next_turn(pace).or_else(|| self.next_late(pace))
        }?;
        self.late_goes = group.ticket.slot.is_some();
        Some(group)
    }

    /// Puts a tenant at the end of the ring.
    pub(super) fn enlist(&mut self, id: Id<Tenant>) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        match tenant.standing {
            Stand::Turning => return,
            Stand::Resting(until) => drop(self.resting.remove(&(until, id))),
            Stand::Idle | Stand::Full => {}
        }
        tenant.standing = Stand::Turning;
        // What it started too many is forgiven as if it had stood in the ring.
        let rounds = i64::try_from(self.round.saturating_sub(tenant.turn.round));
        let credit = rounds.unwrap_or(i64::MAX).saturating_mul(QUANTUM);
        tenant.turn.credit = tenant.turn.credit.saturating_add(credit).min(0);
        tenant.turn.begun = false;
        self.ring.push_back(id);
    }

    /// Takes a tenant out of the ring, or from where it rests.
    pub(super) fn stand(&mut self, id: Id<Tenant>, standing: Stand) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        match tenant.standing {
            Stand::Turning if self.ring.front() == Some(&id) => drop(self.ring.pop_front()),
            Stand::Turning => self.ring.retain(|other| *other != id),
            Stand::Resting(until) => drop(self.resting.remove(&(until, id))),
            Stand::Idle | Stand::Full => {}
        }
        tenant.turn.credit = tenant.turn.credit.min(0);
        tenant.standing = standing;
        if let Stand::Resting(until) = standing {
            self.resting.insert((until, id));
        }
    }

    /// Rows whose time has come, or is over.
    fn promote(&mut self) {
        for _ in 0..STEPS_MOST {
            match self.wheel.pop(&mut self.rows, self.at.now) {
                Popped::Nothing => return,
                Popped::Moved => {}
                Popped::Row(id) => match self.rows.get(id).map(|row| row.place) {
                    Some(Place::Later) => self.arrive(id),
                    Some(Place::Line(_)) => self.expire(id),
                    _ => {}
                },
            }
        }
    }

    fn expire(&mut self, id: Id<super::rows::Row>) {
        let tenant = self.rows.get(id).map(|row| row.tenant);
        let Some(tenant) = tenant.and_then(|tenant| self.tenants.get_mut(tenant)) else {
            return;
        };
        if tenant.is_held() {
            self.rows.join(Chain::Timer, &mut tenant.overdue, id);
            if let Some(row) = self.rows.get_mut(id) {
                row.timer = Timer::Overdue;
            }
            return;
        }
        let carried = self.lift(id);
        self.settle_in(id, carried);
    }

    /// Tenants and sites whose rest is over.
    fn wake(&mut self) {
        while let Some((until, id)) = self.resting.first().copied() {
            // Nobody rests longer than `REST_MOST`, but by a clock that went back.
            if until > self.at.now && until <= self.at.now.after(REST_MOST) {
                break;
            }
            self.enlist(id);
        }
        while let Some(site) = self.sites.wake(self.at) {
            self.call_parked(site);
        }
    }

    /// Rows that expired while their tenant was held come out now that it is not.
    fn free_overdue(&mut self) {
        let mut steps = STEPS_MOST;
        while let Some(id) = self.resumed.front().copied() {
            let tenant = self.tenants.get(id).filter(|tenant| !tenant.is_held());
            let Some(row) = tenant.and_then(|tenant| tenant.overdue) else {
                self.resumed.pop_front();
                continue;
            };
            if steps == 0 {
                return;
            }
            steps -= 1;
            let carried = self.lift(row);
            self.settle_in(row, carried);
        }
    }

    fn next_turn(&mut self, pace: &dyn Fn(TenantId) -> Pace) -> Option<Group> {
        while let Some(id) = self.ring.front().copied() {
            if !self.can_afford() {
                return None;
            }
            let Some(tenant) = self.tenants.get_mut(id) else {
                self.ring.pop_front();
                continue;
            };
            if !std::mem::replace(&mut tenant.turn.begun, true) {
                self.round = self.round.max(tenant.turn.round + 1);
                tenant.turn.round = self.round;
                tenant.turn.credit += QUANTUM;
            }
            if tenant.turn.credit <= 0 {
                tenant.turn.begun = false;
                self.ring.rotate_left(1);
                continue;
            }
            let pace = pace(tenant.id);
            if let Some(group) = self.serve(id, pace) {
                return Some(group);
            }
        }
        None
    }

    /// A group of the tenant whose turn it is. `None` where it has none: then it has left the
    /// ring, or the call is at the end of its steps.
    fn serve(&mut self, id: Id<Tenant>, pace: Pace) -> Option<Group> {
        let Pace::At(limits) = pace else {
            self.halt(id);
            return None;
        };
        self.go_on(id, limits);
        loop {
            if !self.can_afford() {
                return None;
            }
            let means = self.means(id, limits)?;
            let Some(choice) = self.choose(id, &means) else {
                self.sit_out(id, &means);
                return None;
            };
            if let Some(group) = self.take(id, choice, limits) {
                return Some(group);
            }
        }
    }

    /// A tenant whose pace is «stopped»: asked again in a while.
    fn halt(&mut self, id: Id<Tenant>) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        tenant.stopped = true;
        tenant.clocks.stop(self.at.ticks, Stop::Held);
        self.stand(id, Stand::Resting(self.at.now.after(REST_MOST)));
        self.uncall_all(id);
    }

    /// A tenant that may go, perhaps after it might not.
    fn go_on(&mut self, id: Id<Tenant>, limits: Limits) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        tenant.limits = limits;
        tenant.clocks.stop(self.at.ticks, Stop::Nothing);
        if std::mem::take(&mut tenant.stopped) && tenant.overdue.is_some() {
            self.resumed.push_back(id);
        }
    }

    /// What a tenant may spend; `None` where all its attempts are under way: then it has left.
    fn means(&mut self, id: Id<Tenant>, limits: Limits) -> Option<Means> {
        let of_all = self.settings.tenant_most;
        let tenant = self.tenants.get_mut(id)?;
        let most = tenant.most(of_all);
        if tenant.in_flight >= most {
            self.fill(id);
            return None;
        }
        let now = self.at.now;
        let tokens = tenant.purse.tokens(Stream::Transactional, now, limits);
        let bulk_tokens = tenant.purse.tokens(Stream::Bulk, now, limits);
        let saving = tenant.saving.and_then(|berth| self.berths.get(berth));
        let saving = saving.filter(|berth| berth.standing == Standing::Parked);
        let first = |berth: &Berth| {
            Line::ALL
                .into_iter()
                .find(|line| berth.queues.of(*line).rows > 0)
        };
        let saved = saving.and_then(first).map(|line| line.stream);
        let unpaid = (tokens == 0, bulk_tokens == 0);
        tenant.clocks.unpaid(self.at.ticks, unpaid);
        let last_connection = tenant.in_flight + 1 >= most;
        Some(Means {
            limits,
            tokens,
            bulk_tokens,
            saved,
            last_connection,
        })
    }

    fn fill(&mut self, id: Id<Tenant>) {
        if let Some(tenant) = self.tenants.get_mut(id) {
            let own = usize::try_from(tenant.limits.connections).unwrap_or(usize::MAX);
            // Where all may have no more, it is its turn that it waits for.
            if own > 0 && own <= self.settings.tenant_most {
                tenant.clocks.stop(self.at.ticks, Stop::Connections);
            }
        }
        self.stand(id, Stand::Full);
        self.uncall_all(id);
    }

    /// Who goes of a tenant: the transactional lane before the bulk lane; a called berth before
    /// others, for its slot waits for it; first attempts and later ones in turn.
    fn choose(&mut self, id: Id<Tenant>, means: &Means) -> Option<Choice> {
        for stream in [Stream::Transactional, Stream::Bulk] {
            let kinds = self.kinds(id, stream);
            if let Some(choice) = self.choose_kept(id, means, kinds) {
                return Some(choice);
            }
            for line in kinds {
                let most = means.of(line);
                if most > 0
                    && let Some(berth) = self.front(id, line)
                {
                    return Some(Choice { berth, line, most });
                }
            }
        }
        None
    }

    /// A berth that a slot or a token is kept for, if it can go in one of these lines.
    fn choose_kept(&self, id: Id<Tenant>, means: &Means, kinds: [Line; 2]) -> Option<Choice> {
        let tenant = self.tenants.get(id)?;
        let saving = tenant.saving.into_iter();
        for berth in tenant.called.iter().copied().chain(saving) {
            let Some(one) = self.berths.get(berth) else {
                continue;
            };
            if one.standing == Standing::Parked {
                continue;
            }
            for line in kinds {
                let own = tenant.saving == Some(berth);
                let most = if own {
                    means.whole(line)
                } else {
                    means.of(line)
                };
                if most > 0 && one.queues.of(line).rows > 0 {
                    return Some(Choice { berth, line, most });
                }
            }
        }
        None
    }

    /// The lines of a lane, that one first which did not go last.
    fn kinds(&self, id: Id<Tenant>, stream: Stream) -> [Line; 2] {
        let tenant = self.tenants.get(id);
        let last = tenant.and_then(|tenant| *tenant.last.of(stream));
        let (first, again) = (
            Line::new(stream, Kind::First),
            Line::new(stream, Kind::Again),
        );
        match last {
            Some(Kind::First) => [again, first],
            _ => [first, again],
        }
    }

    /// The berth in front of a line's ring that has something in it.
    fn front(&mut self, id: Id<Tenant>, line: Line) -> Option<Id<Berth>> {
        loop {
            let ring = self.tenants.get_mut(id)?.rings.of_mut(line);
            let berth = ring.front().copied()?;
            if let Some(one) = self.berths.get_mut(berth) {
                let queue = one.queues.of_mut(line);
                if queue.rows > 0 && one.standing != Standing::Parked {
                    return Some(berth);
                }
                queue.listed = false;
            }
            ring.pop_front();
            self.drop_berth_if_idle(berth);
        }
    }

    /// The group in front of a berth's line. `None` where it may not go: then something moved.
    fn take(&mut self, id: Id<Tenant>, choice: Choice, limits: Limits) -> Option<Group> {
        let Choice { berth, line, most } = choice;
        let one = self.berths.get(berth)?;
        let called = one.standing == Standing::Called;
        let leader = one.queues.of(line).groups?;
        let domain = self.rows.get(leader)?.domain;
        let site = self.sites.destination(domain)?.site;
        if site != one.site {
            if called {
                self.uncall(berth);
            }
            self.move_group(leader);
            return None;
        }
        if called {
            self.answer_call(berth);
        }
        if !self.sites.site(site)?.has_room() {
            self.park(berth);
            return None;
        }
        let visit = self.sites.begin(domain);
        self.unlist_front(id, berth, line);
        let most = usize::try_from(most).unwrap_or(GROUP_MOST).min(GROUP_MOST);
        let rows = self.cut(berth, line, most);
        // What is left of it, and what else a called berth has, stands at the end of the ring.
        self.list_all(berth);
        self.drop_berth_if_idle(berth);
        let started = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let tenant = self.tenants.get_mut(id)?;
        tenant.in_flight += 1;
        *tenant.last.of_mut(line.stream) = Some(line.kind);
        tenant.turn.credit -= i64::try_from(started).unwrap_or(i64::MAX);
        if line.kind == Kind::First {
            tenant.purse.spend(line.stream, started, limits);
        }
        if tenant.saving == Some(berth) {
            tenant.saving = None;
        }
        let (tenant, born) = (tenant.id, tenant.born);
        let slot = Some(Slot {
            tenant,
            born,
            visit,
        });
        let ticket = Ticket { slot };
        Some(Group { rows, ticket })
    }

    /// At most `most` rows of the group in front; what is left of it stays in front.
    fn cut(&mut self, berth: Id<Berth>, line: Line, most: usize) -> Vec<Due> {
        let mut rows = Vec::<Due>::new();
        while rows.len() < most {
            let front = self
                .berths
                .get(berth)
                .and_then(|one| one.queues.of(line).groups);
            let Some((id, due)) = front.and_then(|id| Some((id, self.due(id)?))) else {
                break;
            };
            if rows
                .first()
                .is_some_and(|first| !are_one_group(first, &due))
            {
                break;
            }
            self.take_out(id);
            rows.push(due);
        }
        rows
    }

    fn unlist_front(&mut self, id: Id<Tenant>, berth: Id<Berth>, line: Line) {
        let Some(tenant) = self.tenants.get_mut(id) else {
            return;
        };
        let ring = tenant.rings.of_mut(line);
        if ring.front() == Some(&berth) {
            ring.pop_front();
            if let Some(one) = self.berths.get_mut(berth) {
                one.queues.of_mut(line).listed = false;
            }
        }
    }

    /// Its destination belongs to another site by now: the group moves there.
    fn move_group(&mut self, leader: Id<super::rows::Row>) {
        let group: Vec<_> = self.rows.ring(Chain::Group, Some(leader)).collect();
        let lifted = group.into_iter().map(|id| (id, self.lift(id)));
        let lifted: Vec<_> = lifted.collect();
        for (id, carried) in lifted {
            self.budget = self.budget.saturating_sub(1);
            self.settle_in(id, carried);
        }
    }

    /// A tenant that has nothing to start now leaves the ring.
    fn sit_out(&mut self, id: Id<Tenant>, means: &Means) {
        let mut until = None;
        let mut shut_in = false;
        for stream in [Stream::Transactional, Stream::Bulk] {
            let line = Line::new(stream, Kind::First);
            if self.front(id, line).is_some() {
                let want = means.whole(line).saturating_add(1);
                let at = (self.at.now, means.limits);
                let tenant = self.tenants.get(id);
                let when = tenant.map(|tenant| tenant.purse.when(stream, want, at));
                until = until.into_iter().chain(when).min();
            }
            shut_in |= self.front(id, Line::new(stream, Kind::Again)).is_some();
        }
        let standing = match until {
            // A connection is kept for one that waits for its site.
            _ if shut_in => Stand::Full,
            Some(until) => {
                let soonest = self.at.now.after(Duration::from_micros(1));
                Stand::Resting(until.max(soonest).min(self.at.now.after(REST_MOST)))
            }
            None => Stand::Idle,
        };
        self.stand(id, standing);
        self.uncall_all(id);
    }

    /// Whether a tenant is held, now that somebody asks: for not all have a turn.
    fn is_stopped(&mut self, id: TenantId, pace: &dyn Fn(TenantId) -> Pace) -> bool {
        let Some(tenant) = self.tenants.find(id) else {
            return false;
        };
        let held = self.tenants.get(tenant).is_some_and(Tenant::is_held);
        if !held && pace(id) == Pace::Stopped {
            self.halt(tenant);
            return true;
        }
        held
    }

    /// The rows in front of those past their expiry that go together.
    fn next_late(&mut self, pace: &dyn Fn(TenantId) -> Pace) -> Option<Group> {
        let mut rows = Vec::<Due>::new();
        while rows.len() < GROUP_MOST
            && let Some(id) = self.late
            && self.can_afford()
        {
            let due = self.due(id)?;
            if rows
                .first()
                .is_some_and(|first| !are_one_group(first, &due))
            {
                break;
            }
            if rows.is_empty() && self.is_stopped(due.row.tenant, pace) {
                let carried = self.lift(id);
                self.settle_in(id, carried);
                continue;
            }
            self.take_out(id);
            rows.push(due);
        }
        let ticket = Ticket { slot: None };
        (!rows.is_empty()).then_some(Group { rows, ticket })
    }
}

fn are_one_group(one: &Due, other: &Due) -> bool {
    let of = |due: &Due| (due.row.message, Kind::of(due.row.attempts, due.row.cause));
    of(one) == of(other) && one.row.domain == other.row.domain
}
