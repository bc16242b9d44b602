//! What a submission becomes before it is admitted: one message, or one for each recipient of
//! bulk mail, whose link and signature are for one alone. Here is asked whom mail does not go to.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_model::{Credential, EmailAddress, MessageId, Stream, Timestamp};

use tokio::sync::OwnedSemaphorePermit;

use crate::accept::{AcceptError, Gate};
use crate::access::Caller;
use crate::admit::{Submission, distinct};

/// Bytes of all copies of bulk mail that may be in memory, over all requests.
pub(crate) const COPIES_MOST: usize = 64 * 1024 * 1024;

/// One message to be.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: MessageId,
    /// The first of those that its submission was split into.
    pub(crate) group: Option<MessageId>,
    /// The key it was handed in with.
    pub(crate) key: Option<Arc<Credential>>,
    /// Its stream is decided.
    pub(crate) submission: Submission,
    /// The message where several share it; the submission has none then.
    pub(crate) shared: Option<Arc<Vec<u8>>>,
    /// Those of its recipients, folded, that mail must not go to.
    pub(crate) suppressed: HashSet<String>,
}

impl Order {
    pub(crate) fn stream(&self) -> Stream {
        self.submission.stream.unwrap_or_default()
    }

    /// Gives it the message that several share, the last of them without a copy.
    pub(crate) fn take_shared(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.submission.raw = Arc::unwrap_or_clone(shared);
        }
    }
}

impl Gate {
    /// What a submission becomes; never nothing. Its copies are taken from `room`, in bytes.
    pub(crate) fn orders(
        &self,
        caller: &Caller,
        mut submission: Submission,
        room: &mut usize,
        now: Timestamp,
    ) -> Result<Vec<Order>, AcceptError> {
        let id = || self.ids.next(now, &self.rng);
        let order = |id, group, submission| Order {
            id,
            group,
            key: caller.key.clone(),
            submission,
            shared: None,
            suppressed: HashSet::new(),
        };
        let is_bulk = submission.stream == Some(Stream::Bulk);
        if !is_bulk || submission.envelope.len() < 2 {
            return Ok(vec![order(id(), None, submission)]);
        }
        let recipients = distinct(std::mem::take(&mut submission.envelope));
        let (most, size) = (self.rules.recipients_most, submission.raw.len());
        take_copies(most, recipients.len(), size, room)?;
        let shared = Arc::new(std::mem::take(&mut submission.raw));
        let first = id();
        let mut orders = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let id = if orders.is_empty() { first } else { id() };
            let one = of_one(&submission, recipient);
            orders.push(Order {
                shared: Some(Arc::clone(&shared)),
                ..order(id, Some(first), one)
            });
        }
        Ok(orders)
    }

    /// Waits until there is room in memory for what is left of `COPIES_MOST` as copies; given back
    /// when it is dropped.
    pub(crate) async fn room_for_copies(
        &self,
        left: usize,
    ) -> Result<Option<OwnedSemaphorePermit>, AcceptError> {
        let copies = COPIES_MOST.saturating_sub(left);
        if copies == 0 {
            return Ok(None);
        }
        let kilobytes = u32::try_from(copies.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.copies).acquire_many_owned(kilobytes).await;
        room.map(Some).map_err(|_| AcceptError::Stopped)
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

fn take_copies(
    recipients_most: usize,
    recipients: usize,
    size: usize,
    room: &mut usize,
) -> Result<(), AcceptError> {
    if recipients > recipients_most {
        return Err(AcceptError::TooManyRecipients {
            given: recipients,
            most: recipients_most,
        });
    }
    let left = room.checked_sub(size.saturating_mul(recipients));
    *room = left.ok_or(AcceptError::BulkTooLarge {
        size,
        recipients,
        most: *room / size.max(1),
    })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_one_request_share_one_room() {
        let mut room = 100;
        assert!(take_copies(10, 4, 20, &mut room).is_ok());
        assert_eq!(room, 20);
        for (recipients, size, want) in [(3, 10, Some(2)), (2, 11, Some(1)), (11, 1, None)] {
            let refused = take_copies(10, recipients, size, &mut room).unwrap_err();
            let most = match refused {
                AcceptError::BulkTooLarge { most, .. } => Some(most),
                _ => None,
            };
            assert_eq!((most, room), (want, 20), "{recipients} of {size}");
        }
        assert!(take_copies(10, 2, 10, &mut room).is_ok());
        assert_eq!(room, 0);
    }
}
