//! Addresses at a tenant's own domain: used at once, by the very message that names one first;
//! but only once a notice to it is accepted, else as any unknown one.

use postrider_message::Received;
use postrider_model::{EmailAddress, Tenant};

use super::{AskOutcome, Unknown};
use crate::accept::Gate;
use crate::access::Caller;
use crate::order::Order;
use crate::reply::{Book, Trust};

impl Gate {
    /// Tells those at the tenant's own domain whom these orders would have replies go to, and who
    /// are not known yet. Whoever could not be told is not used: admission sees to that.
    pub(crate) async fn tell_colleagues(&self, caller: &Caller, orders: &[Order]) {
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
            let _turn = self.telling.lock().await;
            let told = match self.write_to(&unknown).await {
                Ok(AskOutcome::Asked) => self.roster.refresh(self.directory.as_ref()).await,
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
                tracing::warn!(%fault, "the directory cannot be read after a change");
            }
        }
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
    let shared = order.shared.as_ref().map(|shared| shared.as_slice());
    let raw = shared.unwrap_or(&order.submission.raw);
    let header = postrider_message::normalise(header(raw).to_vec());
    postrider_message::read(&header).ok()
}

// Up to the empty line, whatever its lines end with.
fn header(raw: &[u8]) -> &[u8] {
    let ends = |at: &usize| {
        let rest = raw.get(*at..).unwrap_or_default();
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n") || rest.starts_with(b"\r\r")
    };
    match (0..raw.len()).find(ends) {
        Some(at) => raw.get(..=at).unwrap_or(raw),
        None => raw,
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
            assert_eq!(header(raw), want);
        }
    }
}
