//! What is true of a schedule whatever happened to it.

use super::super::*;
use super::{Model, RATES, is_within};

impl Model {
    pub(super) fn check(&mut self, due: &Due, first: &QueueRow) {
        let Due { row, waits } = due;
        let known = self.rows.remove(&row.recipient).expect("handed out once");
        assert_eq!(
            (known.recipient, known.attempts),
            (row.recipient, row.attempts)
        );
        assert!(row.due_at <= self.latest || known.due_at <= self.latest);
        assert_eq!((row.message, &row.domain), (first.message, &first.domain));
        assert_eq!((row.tenant, row.stream), (first.tenant, first.stream));
        assert!(
            !self.suspended.iter().any(|scope| is_within(row, scope)),
            "suspended"
        );
        assert!(self.free || row.tenant != tenant(3), "stopped");
        assert_ne!(row.cause, WaitCause::Scheduled, "not started");
        assert_eq!(waits.total(), self.now.since(row.since));
    }

    /// Since the limits are what they are, nobody was faster.
    pub(super) fn paces(&mut self) {
        let starts = std::mem::take(&mut self.starts);
        let (per_minute, burst) = match RATES[self.rate] {
            (per_minute, 0) => (per_minute, (per_minute / 6).max(1)),
            given => given,
        };
        if per_minute > 0 && !self.has_jumped {
            let mut all = starts.values();
            assert!(all.all(|starts| keeps_pace(starts, per_minute, burst)));
        }
    }

    pub(super) fn sizes(&self) {
        let here = self.rows.len();
        assert_eq!(self.schedule.len(), here);
        assert_eq!(self.schedule.causes(self.now).values().sum::<usize>(), here);
        if !self.has_jumped {
            self.ledgers();
        }
        let mut lanes = BTreeMap::<LaneKey, usize>::new();
        for row in self.rows.values() {
            *lanes.entry(row.lane()).or_default() += 1;
        }
        assert_eq!(self.schedule.lanes(), lanes.len());
        for (lane, total) in lanes {
            let count = self.schedule.lane(lane);
            assert!(count.total == total && count.runnable <= total);
        }
    }

    /// Without a jump, what the clocks say is all of the time and no more.
    fn ledgers(&self) {
        let now = self.schedule.at.now;
        for row in self.rows.values() {
            let id = self.schedule.rows.find(row.recipient).unwrap();
            let spent = self.schedule.spent(id);
            assert_eq!(spent.total(), now.since(row.since), "{spent:?} of {row:?}");
        }
    }

    /// With all rows out nothing is left but what is known of sites and tenants.
    pub(super) fn leaves_nothing(&mut self) {
        while let Some(due) = self.schedule.next_due() {
            self.now = due.max(self.now);
            assert!(!self.next());
        }
        let Schedule { sites, berths, .. } = &self.schedule;
        let parked = sites.parked();
        assert_eq!((berths.len(), parked.cap, parked.backoff), (0, 0, 0));
        assert!(sites.len() <= 8, "{sites:?}");
        assert!(self.schedule.asked.is_empty());
        for site in sites.iter() {
            assert_eq!((site.in_flight, site.called, site.parked.len()), (0, 0, 0));
        }
        let tenants: Vec<_> = self.schedule.tenants.iter().collect();
        assert!(
            tenants
                .iter()
                .all(|one| one.in_flight == 0 && one.called.is_empty())
        );
    }
}
