//! Making messages of submissions: what the client asked in the header, what its key says, whom
//! mail does not go to; then admission and seal, on whatever thread there is time for it.

use postrider_model::Timestamp;
use postrider_runtime::apart;
use postrider_store::NewMessage;
use tokio::sync::OwnedSemaphorePermit;

use crate::accept::{AcceptError, Gate};
use crate::access::Caller;
use crate::admit::Submission;
use crate::asking::Unknown;
use crate::instruments::Door;
use crate::once::Once;
use crate::options::{self, Options};
use crate::order::{COPIES_MOST, Order};

/// A signature is as much work as the rest of what is done to so many bytes.
const SIGNATURE: usize = 64 * 1024;

/// What one submission became: one message, or one for each recipient.
pub(crate) struct Made {
    /// At least one.
    pub(crate) messages: Vec<NewMessage>,
    /// To be written to once they are accepted.
    pub(crate) unknown: Vec<Unknown>,
    /// Held until they are stored: what their copies take of memory.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A submission with all that it asks said outright, and under what it is stored once.
    pub(crate) async fn prepared(
        &self,
        caller: &Caller,
        submission: Submission,
        now: Timestamp,
    ) -> Result<(Submission, Option<Once>), AcceptError> {
        let (size, caller) = (submission.raw.len(), caller.clone());
        let work = move || prepare(&caller, submission, now);
        let prepared = apart(size, work).await;
        prepared.map_err(|_| AcceptError::Stopped)?
    }

    /// Makes what one submission becomes.
    pub(crate) async fn made(
        &self,
        caller: &Caller,
        submission: Submission,
        now: Timestamp,
    ) -> Result<Made, AcceptError> {
        let size = submission.raw.len();
        let mut left = COPIES_MOST;
        let mut orders = self.orders(caller, submission, &mut left, now)?;
        self.mark_suppressed(caller, &mut orders, now).await?;
        self.tell_colleagues(caller, &orders, now).await;
        let room = self.room_for_copies(left).await?;
        let sealing = self.sealing(caller);
        let size = size + orders.len().saturating_sub(1) * SIGNATURE;
        let made = apart(size, move || sealing.made(orders, now)).await;
        let made = made.map_err(|_| AcceptError::Stopped)?;
        self.count_refused(&made);
        made.map(|made| Made { room, ..made })
    }

    /// The same for several of one request, one after another on a thread of their own: at most
    /// one of them is in memory twice. What is wrong with one is told of it alone.
    pub(crate) async fn made_all(
        &self,
        caller: &Caller,
        submissions: Vec<Submission>,
        now: Timestamp,
    ) -> Result<Vec<Result<Made, AcceptError>>, AcceptError> {
        let sizes = submissions.iter().map(|submission| submission.raw.len());
        let size: usize = sizes.map(|size| size + SIGNATURE).sum();
        let (mut left, mut orders) = (COPIES_MOST, Vec::with_capacity(submissions.len()));
        for submission in submissions {
            let (submission, _) = self.prepared(caller, submission, now).await?;
            orders.push(self.orders(caller, submission, &mut left, now));
        }
        for orders in orders.iter_mut().flatten() {
            self.mark_suppressed(caller, orders, now).await?;
            self.tell_colleagues(caller, orders, now).await;
        }
        let mut room = self.room_for_copies(left).await?;
        let sealing = self.sealing(caller);
        let work = move || {
            let mut all = Vec::with_capacity(orders.len());
            for orders in orders {
                match orders.and_then(|orders| sealing.made(orders, now)) {
                    Err(error) if !is_of_one(&error) => return Err(error),
                    one => all.push(one),
                }
            }
            Ok(all)
        };
        let made = apart(size, work).await;
        let made = made.map_err(|_| AcceptError::Stopped)?;
        self.count_refused(&made);
        let mut made = made?;
        // One of them holds it for all.
        if let Some(first) = made.iter_mut().flatten().next() {
            first.room = room.take();
        }
        Ok(made)
    }

    fn count_refused<T>(&self, made: &Result<T, AcceptError>) {
        if let Err(AcceptError::OverQuota(_)) = made {
            self.count_over_quota();
        }
    }
}

impl crate::sealing::Sealing {
    /// Seals what a submission becomes, all of it or nothing.
    fn made(&self, orders: Vec<Order>, now: Timestamp) -> Result<Made, AcceptError> {
        let mut made = Made {
            messages: Vec::with_capacity(orders.len()),
            unknown: Vec::new(),
            room: None,
        };
        for mut order in orders {
            order.take_shared();
            let sealed = self.seal(order, now)?;
            made.messages.push(sealed.message);
            // The copies of one submission name the same.
            made.unknown = sealed.unknown;
        }
        Ok(made)
    }
}

fn prepare(
    caller: &Caller,
    mut submission: Submission,
    now: Timestamp,
) -> Result<(Submission, Option<Once>), AcceptError> {
    let over_smtp = submission.door == Door::Smtp;
    let mut said = if over_smtp {
        submission.raw = postrider_message::normalise(submission.raw);
        Options::of(&submission.raw, now)?
    } else {
        Options {
            stream: submission.stream,
            tags: std::mem::take(&mut submission.tags),
            scheduled_at: submission.scheduled_at,
            expires_at: submission.expires_at,
            key: None,
        }
    };
    let once = match submission.claim.take() {
        Some(claim) => {
            let scope = claim.scope(caller.tenant.id);
            Some(Once::by_key(scope, claim.request))
        }
        None if over_smtp => Once::over_smtp(caller, &submission, said.key.take()),
        None => None,
    };
    let said = options::with_defaults(said, caller.key.as_deref(), now);
    submission.stream = Some(said.stream.unwrap_or_default());
    submission.tags = said.tags;
    submission.scheduled_at = said.scheduled_at;
    submission.expires_at = said.expires_at;
    Ok((submission, once))
}

// Whether one message of a group is at fault; else none of them can be accepted.
fn is_of_one(error: &AcceptError) -> bool {
    match error {
        AcceptError::NoRecipients
        | AcceptError::TooManyRecipients { .. }
        | AcceptError::SeveralFrom { .. }
        | AcceptError::TooLarge { .. }
        | AcceptError::ScheduledTooLate { .. }
        | AcceptError::ExpiresTooEarly { .. }
        | AcceptError::BadOption { .. }
        | AcceptError::UnknownReplyTo { .. }
        | AcceptError::NameRefused { .. }
        | AcceptError::NotConfirmed { .. }
        | AcceptError::AskedInVain { .. }
        | AcceptError::Disowned { .. }
        | AcceptError::TestKey { .. }
        | AcceptError::BulkTooLarge { .. }
        | AcceptError::Message(_) => true,
        AcceptError::KeyOfOtherRequest
        | AcceptError::KeyInProgress
        | AcceptError::DeniedNow(_)
        | AcceptError::OverQuota(_)
        | AcceptError::SpaceIsShort
        | AcceptError::NoSigningKey
        | AcceptError::NoReturnPath
        | AcceptError::Sign(_)
        | AcceptError::Stopped
        | AcceptError::Store(_) => false,
    }
}
