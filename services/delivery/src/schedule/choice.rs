//! Which of a tenant's berths goes next, and what the tenant may spend on it.

use postrider_model::{Limits, Stream};

use super::Schedule;
use super::berth::{Berth, Standing};
use super::line::{Kind, Line};
use super::slab::Id;
use super::tenant::Tenant;

/// What a tenant may spend in its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub(super) limits: Limits,
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

    /// Whether rows of this line could go, were the last connection not kept for a berth.
    pub(super) fn shuts_out(&self, line: Line) -> bool {
        self.whole(line) > 0 && self.of(line) == 0 && self.last_connection
    }

    /// All that rows of this line may spend.
    pub(super) fn whole(&self, line: Line) -> u64 {
        match (line.kind, line.stream) {
            (Kind::Again, _) => u64::MAX,
            (Kind::First, Stream::Transactional) => self.tokens,
            (Kind::First, Stream::Bulk) => self.bulk_tokens,
        }
    }
}

/// Who goes next of a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) berth: Id<Berth>,
    pub(super) line: Line,
    pub(super) most: u64,
}
impl Schedule {
    /// What a tenant may spend; `None` where all its attempts are under way: then it has left.
    pub(super) fn means(&mut self, id: Id<Tenant>, limits: Limits) -> Option<Means> {
        let of_all = self.settings.tenant_most;
        let tenant = self.tenants.get(id)?;
        let most = tenant.most(of_all);
        if tenant.in_flight >= most {
            self.fill(id);
            return None;
        }
        let now = self.at.now;
        let saved = self.saved(id);
        let tenant = self.tenants.get_mut(id)?;
        let tokens = tenant.purse.tokens(Stream::Transactional, now, limits);
        let bulk_tokens = tenant.purse.tokens(Stream::Bulk, now, limits);
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

    /// The lane of the berth that waits for its site with a token and a connection saved.
    fn saved(&self, id: Id<Tenant>) -> Option<Stream> {
        let berth = self.tenants.get(id)?.saving?;
        let one = self.berths.get(berth)?;
        if one.standing != Standing::Parked || !self.is_saved_for(berth) {
            return None;
        }
        let mut lines = Line::ALL.into_iter();
        let first = lines.find(|line| one.queues.of(*line).rows > 0);
        first.map(|line| line.stream)
    }

    /// Who goes of a tenant: the transactional lane before the bulk lane; a called berth before
    /// others, for its slot waits for it; first attempts and later ones in turn.
    pub(super) fn choose(&mut self, id: Id<Tenant>, means: &Means) -> Option<Choice> {
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
    pub(super) fn front(&mut self, id: Id<Tenant>, line: Line) -> Option<Id<Berth>> {
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
}
