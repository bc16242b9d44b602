//! Shards that come and go.

use super::*;

impl World {
    pub(super) fn change_owner(&mut self, shard: Shard, ours: bool) {
        let before = self.database.owners.get(&shard).copied();
        let (was_ours, epoch) = before.unwrap_or((false, Epoch(0)));
        if was_ours != ours {
            let epoch = Epoch(epoch.0 + 1);
            self.database.owners.insert(shard, (ours, epoch));
        }
    }

    /// Another node takes it, delivers something and defers something.
    pub(super) fn lose(&mut self, of: TenantId) {
        self.change_owner(Shard::of(of), false);
        let mut rows = self.database.of_tenant(of).into_iter();
        if let Some(row) = rows.next() {
            self.database.rows.remove(&row.recipient);
        }
        if let Some(row) = rows.next() {
            self.put_off(row, Duration::from_mins(5));
        }
    }

    pub(super) fn learn(&mut self) {
        let leaving = |(shard, mine): (Shard, &Mine)| {
            let idle = self.memory.flights.of_shard(shard).next().is_none();
            (idle && matches!(mine.phase, Phase::Leaving(_))).then_some(shard)
        };
        let given: Vec<_> = self.memory.shards.all().filter_map(leaving).collect();
        for shard in given {
            self.change_owner(shard, false);
        }
        let memory = &mut self.memory;
        let all = memory.shards.all();
        let lost = all.filter(|(shard, mine)| !self.database.owns(*shard, mine.epoch));
        let lost: BTreeSet<_> = lost.map(|(shard, _)| shard).collect();
        for shard in &lost {
            memory.schedule.let_go_shard(*shard, self.now);
            for flight in memory.flights.of_shard(*shard) {
                flight.halt.call();
            }
            memory.shards.forget(*shard);
        }
        if !lost.is_empty() {
            self.loader.forget(&lost, &mut memory.shards);
        }
        for (shard, (ours, epoch)) in &self.database.owners {
            if *ours && memory.shards.get(*shard).is_none() {
                let (shard, epoch) = (*shard, *epoch);
                memory.shards.take(Lease { shard, epoch });
                memory.schedule.take_shard(shard, self.now);
            }
        }
    }

    pub(super) fn leave(&mut self, shard: Shard) {
        let memory = &mut self.memory;
        let mine = memory.shards.get(shard).map(|mine| mine.phase.clone());
        if let Some(Phase::New | Phase::Loading | Phase::Ready) = mine {
            let levels = memory.schedule.let_go_shard(shard, self.now);
            let since = tokio::time::Instant::now();
            let leaving = Phase::Leaving(Leaving { since, levels });
            memory.shards.set(shard, leaving);
            self.loader
                .forget(&BTreeSet::from([shard]), &mut memory.shards);
        }
    }

    pub(super) fn stay(&mut self, shard: Shard) {
        let memory = &mut self.memory;
        let mine = memory.shards.get(shard).map(|mine| mine.phase.clone());
        if let Some(Phase::Leaving(_)) = mine {
            memory.shards.keep(shard, Duration::from_mins(1));
            memory.schedule.take_shard(shard, self.now);
        }
    }
}
