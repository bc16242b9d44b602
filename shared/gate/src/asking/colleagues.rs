//! Addresses at a tenant's own domain: used at once, by the very message that names one first;
//! but only once a notice to it is accepted, else as any unknown one.

use postrider_message::Received;
use postrider_model::{EmailAddress, Tenant, Timestamp};
use postrider_runtime::apart;

use super::{AskOutcome, Unknown};
use crate::accept::Gate;
use crate::access::Caller;
use crate::order::Order;
use crate::reply::{Book, Trust};

/// Bytes; admission lets no header in that is as large.
const HEADER_MOST: usize = 512 * 1024;

impl Gate {
    /// Tells those at the tenant's own domain whom these orders would have replies go to, and who
    /// are not known yet. Whoever could not be told is not used: admission sees to that.
    pub(crate) async fn tell_colleagues(&self, caller: &Caller, orders: &[Order], now: Timestamp) {
        let tenant = &caller.tenant;
        // The copies of one submission name the same.
        let Some(order) = orders.first().filter(|_| tenant.own_domain) else {
            return;
        };
        let Some(facts) = facts(order) else { return };
        for address in self.colleagues(tenant, order, &facts) {
            let unknown = Unknown::of_own_domain(tenant.id, address);
            if self.settled(tenant, &unknown).is_some() {
                continue;
            }
            // Of several messages at once that name it the first tells it, and the others wait.
            let _turn = self.telling.of(tenant.id).await;
            if self.settled(tenant, &unknown).is_some() {
                continue;
            }
            // Nobody is told by a message that does not leave.
            if !self.would_admit(caller, order, now).await {
                return;
            }
            let told = match self.write_to(&unknown).await {
                // Also where it was asked lately: the next message that names it finds that in
                // memory.
                Ok(AskOutcome::Asked | AskOutcome::Lately | AskOutcome::TooManyToday) => {
                    self.roster.refresh(self.directory.as_ref()).await
                }
                Ok(_) => continue,
                Err(fault) => {
                    tracing::warn!(
                        tenant.id = %tenant.id,
                        error = &fault as &dyn std::error::Error,
                        "an address at a tenant's own domain could not be told, and is not used"
                    );
                    continue;
                }
            };
            if let Err(fault) = told {
                tracing::warn!(
                    error = &fault as &dyn std::error::Error,
                    "the directory cannot be read after a change"
                );
            }
        }
    }

    // On a copy, and only for a message that names a new one: a few a day, one at a time.
    async fn would_admit(&self, caller: &Caller, order: &Order, now: Timestamp) -> bool {
        let (sealing, order) = (self.sealing(caller), order.clone());
        let size = raw(&order).len();
        let admitted = apart(size, move || sealing.would_admit(order, now)).await;
        admitted.unwrap_or(false)
    }

    fn colleagues(&self, tenant: &Tenant, order: &Order, facts: &Received) -> Vec<EmailAddress> {
        let book = Book {
            roster: &self.roster,
            tenant,
            key: order.key.as_deref(),
            trust: Trust::WhoCanBeTold,
        };
        // What a key refuses is refused by admission.
        let replies = book.choose(facts);
        replies.map_or_else(|_| Vec::new(), |replies| replies.of_own_domain)
    }
}

// Of its header alone; `None` where admission will refuse it.
fn facts(order: &Order) -> Option<Received> {
    let header = postrider_message::normalise(header(raw(order))?.to_vec());
    postrider_message::read(&header).ok()
}

fn raw(order: &Order) -> &[u8] {
    let shared = order.shared.as_ref().map(|shared| shared.as_slice());
    shared.unwrap_or(&order.submission.raw)
}

// Up to the empty line, whatever its lines end with; `None` where it is larger than any that is
// admitted.
fn header(raw: &[u8]) -> Option<&[u8]> {
    let ends = |at: &usize| {
        let rest = raw.get(*at..).unwrap_or_default();
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n") || rest.starts_with(b"\r\r")
    };
    match (0..raw.len().min(HEADER_MOST)).find(ends) {
        Some(at) => raw.get(..=at),
        None => (raw.len() <= HEADER_MOST).then_some(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_with_the_first_empty_line_however_lines_end() {
        for (raw, want) in [
            (
                &b"A: b\r\nC: d\r\n\r\nE: f\r\n\r\n"[..],
                &b"A: b\r\nC: d\r\n"[..],
            ),
            (b"A: b\nC: d\n\nE: f\n\n", b"A: b\nC: d\n"),
            (b"A: b\rC: d\r\rE: f", b"A: b\rC: d\r"),
            (b"A: b\r\n", b"A: b\r\n"),
            (b"", b""),
        ] {
            assert_eq!(header(raw), Some(want));
        }
        let endless = vec![b'a'; HEADER_MOST + 1];
        assert_eq!(header(&endless), None);
    }
}
