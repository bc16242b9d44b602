//! What a submission becomes before it is admitted: one message, or one for each recipient of
//! bulk mail, whose link and signature are for one alone. Here is asked whom mail does not go to.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_model::{Credential, EmailAddress, MessageId, Stream, Timestamp};

use crate::accept::{AcceptError, Gate};
use crate::access::Caller;
use crate::admit::{Submission, distinct};

/// Bytes of all copies of one bulk submission that may be in memory.
const COPIES_MOST: usize = 64 * 1024 * 1024;

/// One message to be.
pub(crate) struct Order {
    pub(crate) id: MessageId,
    /// The first of those that its submission was split into.
    pub(crate) group: Option<MessageId>,
    /// The key it was handed in with.
    pub(crate) key: Option<Arc<Credential>>,
    /// Its stream is decided.
    pub(crate) submission: Submission,
    /// Those of its recipients, folded, that mail must not go to.
    pub(crate) suppressed: HashSet<String>,
}

impl Order {
    pub(crate) fn stream(&self) -> Stream {
        self.submission.stream.unwrap_or_default()
    }
}

impl Gate {
    /// What a submission becomes; never nothing.
    pub(crate) fn orders(
        &self,
        caller: &Caller,
        mut submission: Submission,
        now: Timestamp,
    ) -> Result<Vec<Order>, AcceptError> {
        let id = || self.ids.next(now, &self.rng);
        let order = |id, group, submission| Order {
            id,
            group,
            key: caller.key.clone(),
            submission,
            suppressed: HashSet::new(),
        };
        let is_bulk = submission.stream == Some(Stream::Bulk);
        if !is_bulk || submission.envelope.len() < 2 {
            return Ok(vec![order(id(), None, submission)]);
        }
        let recipients = distinct(std::mem::take(&mut submission.envelope));
        copies_fit(
            self.rules.recipients_most,
            recipients.len(),
            submission.raw.len(),
        )?;
        let first = id();
        let mut orders = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let id = if orders.is_empty() { first } else { id() };
            let one = of_one(&submission, recipient);
            orders.push(order(id, Some(first), one));
        }
        Ok(orders)
    }

    /// Marks those whom the tenant's mail must not go to, as of now.
    pub(crate) async fn mark_suppressed(
        &self,
        caller: &Caller,
        orders: &mut [Order],
        now: Timestamp,
    ) -> Result<(), AcceptError> {
        // Our own mail is one letter to one person, within caps of its own.
        if caller.tenant.is_house {
            return Ok(());
        }
        for stream in [Stream::Transactional, Stream::Bulk] {
            let of_stream = || orders.iter().filter(|order| order.stream() == stream);
            let all = of_stream().flat_map(|order| order.submission.envelope.iter().cloned());
            let all: Vec<EmailAddress> = all.collect();
            if all.is_empty() {
                continue;
            }
            let tenant = caller.tenant.id;
            let found = self.suppressions.among(tenant, stream, &all, now).await?;
            let found: HashSet<String> = found.iter().map(EmailAddress::folded).collect();
            if found.is_empty() {
                continue;
            }
            for order in orders.iter_mut().filter(|order| order.stream() == stream) {
                let folded = order.submission.envelope.iter().map(EmailAddress::folded);
                order.suppressed = folded.filter(|one| found.contains(one)).collect();
            }
        }
        Ok(())
    }
}

fn copies_fit(recipients_most: usize, recipients: usize, size: usize) -> Result<(), AcceptError> {
    if recipients > recipients_most {
        return Err(AcceptError::TooManyRecipients {
            given: recipients,
            most: recipients_most,
        });
    }
    if size.saturating_mul(recipients) > COPIES_MOST {
        return Err(AcceptError::BulkTooLarge {
            size,
            recipients,
            most: (COPIES_MOST / size.max(1)).max(1),
        });
    }
    Ok(())
}

fn of_one(submission: &Submission, recipient: EmailAddress) -> Submission {
    let hidden = submission.bcc.iter();
    let hidden = hidden.filter(|bcc| bcc.address.folded() == recipient.folded());
    Submission {
        bcc: hidden.cloned().collect(),
        envelope: vec![recipient],
        claim: None,
        ..submission.clone()
    }
}
