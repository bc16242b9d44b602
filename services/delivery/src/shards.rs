//! The shards that this node works on, and how far each has come.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use postrider_model::TenantId;
use postrider_store::{Epoch, Lease, Level, Shard};
use tokio::time::Instant;

/// Of so many tenants it is remembered in which shard they are; then it is found out anew.
const REMEMBERED_MOST: usize = 100_000;

/// How far a shard has come.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Taken. Which verbs stand is not known yet, so that nothing of it may be attempted.
    New,
    /// Its rows are being read; those that are here are attempted.
    Loading,
    Ready,
    /// To be given back: nothing of it waits here, attempts may still be under way.
    Leaving(Leaving),
    /// Let go of; the lease is on its way back.
    Given,
}

#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) since: Instant,
    pub(crate) levels: Vec<Level>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mine {
    pub(crate) epoch: Epoch,
    pub(crate) phase: Phase,
    /// It could not be given back: not tried again before then.
    pub(crate) stays_until: Option<Instant>,
}

/// What this node works on.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    mine: BTreeMap<Shard, Mine>,
    of_tenants: HashMap<TenantId, Shard>,
    survey: Survey,
    /// The survey is old.
    changed: bool,
}

/// The shards by their phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Taken and not begun.
    pub(crate) new: Arc<[Shard]>,
    pub(crate) loading: Arc<[Shard]>,
    pub(crate) ready: Arc<[Shard]>,
    /// Those whose rows are of interest: loading and ready.
    pub(crate) working: Arc<[Shard]>,
}

impl Shards {
    pub(crate) fn get(&self, shard: Shard) -> Option<&Mine> {
        self.mine.get(&shard)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Shard, &Mine)> {
        self.mine.iter().map(|(shard, mine)| (*shard, mine))
    }

    pub(crate) fn take(&mut self, lease: Lease) {
        let mine = Mine {
            epoch: lease.epoch,
            phase: Phase::New,
            stays_until: None,
        };
        self.mine.insert(lease.shard, mine);
        self.changed = true;
    }

    pub(crate) fn forget(&mut self, shard: Shard) {
        self.mine.remove(&shard);
        self.changed = true;
    }

    pub(crate) fn set(&mut self, shard: Shard, phase: Phase) {
        if let Some(mine) = self.mine.get_mut(&shard) {
            mine.phase = phase;
            self.changed = true;
        }
    }

    /// Goes on with a shard that was to be given back.
    pub(crate) fn keep(&mut self, shard: Shard, span: Duration) {
        if let Some(mine) = self.mine.get_mut(&shard) {
            mine.phase = Phase::New;
            self.changed = true;
            mine.stays_until = Some(Instant::now() + span);
        }
    }

    /// Who is in which phase; made anew after a change only.
    pub(crate) fn survey(&mut self) -> &Survey {
        if std::mem::take(&mut self.changed) {
            let in_phase = |is: fn(&Phase) -> bool| {
                let all = self.mine.iter().filter(move |(_, mine)| is(&mine.phase));
                all.map(|(shard, _)| *shard).collect::<Arc<[_]>>()
            };
            self.survey = Survey {
                new: in_phase(|phase| matches!(phase, Phase::New)),
                loading: in_phase(|phase| matches!(phase, Phase::Loading)),
                ready: in_phase(|phase| matches!(phase, Phase::Ready)),
                working: in_phase(|phase| matches!(phase, Phase::Loading | Phase::Ready)),
            };
        }
        &self.survey
    }

    /// The lease under which a tenant's mail may be attempted here.
    pub(crate) fn lease_for(&mut self, tenant: TenantId) -> Option<Lease> {
        let shard = self.of(tenant);
        let mine = self.mine.get(&shard)?;
        matches!(mine.phase, Phase::Loading | Phase::Ready).then_some(Lease {
            shard,
            epoch: mine.epoch,
        })
    }

    // A hash each time would be a good part of what a row costs.
    fn of(&mut self, tenant: TenantId) -> Shard {
        if self.of_tenants.len() >= REMEMBERED_MOST {
            self.of_tenants.clear();
        }
        let of_tenants = &mut self.of_tenants;
        *of_tenants
            .entry(tenant)
            .or_insert_with(|| Shard::of(tenant))
    }

    /// How many are worked on.
    pub(crate) fn count(&self) -> usize {
        self.mine
            .values()
            .filter(|mine| !matches!(mine.phase, Phase::Given))
            .count()
    }
}
