//! Verbs of operators, from their raising to their end.

use super::*;

impl World {
    pub(super) fn raise(&mut self, verb: ControlVerb, of: TenantId) {
        self.made += 1;
        self.database.controls.push(Control {
            id: ControlId::new(START, random(self.made)),
            verb,
            scope: Scope::Tenant(of),
            at: self.now,
        });
        self.loader.look_at_verbs();
    }

    pub(super) fn acknowledge(&mut self) {
        let node = NodeId::from_bytes([1; 16]);
        let Memory { verbs, flights, .. } = &mut self.memory;
        if let Some(next) = verbs.next_acknowledgement(node, flights) {
            verbs.acknowledged(&next);
            self.acknowledged.insert(next.control, next.too_late);
        }
    }

    pub(super) fn close(&mut self) {
        let Some(control) = self.database.controls.first().cloned() else {
            return;
        };
        let Some(too_late) = self.acknowledged.get(&control.id).cloned() else {
            return;
        };
        self.database.controls.remove(0);
        self.loader.look_at_verbs();
        let Scope::Tenant(of) = control.scope else {
            return;
        };
        if control.verb == ControlVerb::Release {
            let (freed, held) = std::mem::take(&mut self.database.held)
                .into_iter()
                .partition::<Vec<_>, _>(|row| row.tenant == of);
            self.database.held = held;
            for row in freed {
                let (due_at, cause) = (self.now, WaitCause::Held);
                self.database.put(QueueRow {
                    due_at,
                    cause,
                    ..row
                });
            }
            return;
        }
        for row in self.database.of_tenant(of) {
            if !too_late.contains(&row.recipient) {
                self.enact(control.verb, row);
            }
        }
    }

    fn enact(&mut self, verb: ControlVerb, row: QueueRow) {
        match verb {
            ControlVerb::Hold => {
                self.database.rows.remove(&row.recipient);
                self.database.held.push(row);
            }
            ControlVerb::Cancel => drop(self.database.rows.remove(&row.recipient)),
            ControlVerb::RetryNow if row.due_at > self.now && row.cause != WaitCause::Scheduled => {
                let due_at = self.now;
                self.database.put(QueueRow { due_at, ..row });
            }
            ControlVerb::RetryNow | ControlVerb::Suspend | ControlVerb::Release => {}
        }
    }
}
