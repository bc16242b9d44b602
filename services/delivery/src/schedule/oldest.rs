//! How long the mail that has waited longest has been due.

use postrider_model::Timestamp;

use super::Schedule;
use super::line::Line;
use super::tenant::Tenant;

impl Schedule {
    /// When what has stood in line for longest was due; what an operator holds does not count.
    /// Looks at the head of each queue: not to be asked for at each turn.
    pub(crate) fn oldest_due(&self) -> Option<Timestamp> {
        let goes = self.berths.iter().filter(|berth| {
            let tenant = self.tenants.get(berth.tenant);
            !tenant.is_some_and(Tenant::is_held)
        });
        let queues = goes.flat_map(|berth| Line::ALL.map(|line| berth.queues.of(line).groups));
        let heads = queues.chain([self.late]).flatten();
        let due = heads.filter_map(|head| self.rows.get(head).map(|row| row.due_at));
        due.min()
    }
}
