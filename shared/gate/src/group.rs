//! Accepting several messages of one request: one claim, one quota, one transaction.

use postrider_model::{MessageId, Timestamp};
use postrider_store::{Answer, Claim, ClaimScope, Committed, NewMessage};

use crate::accept::{AcceptError, CLAIM_LIFE, Earlier, Gate};
use crate::access::{self, Caller};
use crate::admit::{ClaimRequest, Submission};
use crate::instruments::{Counted, Door};

/// Messages that one request brings.
#[derive(Clone, Debug)]
pub struct Group {
    /// Their own claims are passed over.
    pub submissions: Vec<Submission>,
    /// For all of them together.
    pub claim: Option<ClaimRequest>,
}

/// The promise for a group: on disk, with every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedGroup {
    /// The status and JSON to answer; of a replay, those of the first time.
    pub answer: Answer,
    /// The messages that were stored now; none where an earlier request had stored them.
    pub stored: Vec<MessageId>,
}

/// Why a group did not come into being. Nothing of it is kept then.
#[derive(Debug)]
pub enum GroupError<E> {
    /// By the door, which saw what became of each message.
    Refused(E),
    Accept(AcceptError),
}

impl<E> From<AcceptError> for GroupError<E> {
    fn from(error: AcceptError) -> Self {
        Self::Accept(error)
    }
}

impl Gate {
    /// Accepts those of a group that can be, or none. `decide` is given what became of each, in
    /// their order, and answers with the JSON that is the promise for those that are `Ok` (at
    /// least one), or refuses the group. Not to be cancelled, as `accept`.
    pub async fn accept_all<E>(
        &self,
        caller: &Caller,
        group: Group,
        decide: impl FnOnce(&[Result<MessageId, AcceptError>]) -> Result<String, E> + Send,
    ) -> Result<AcceptedGroup, GroupError<E>> {
        let begun = self.clock.now();
        let first = group.submissions.first();
        let door = first.map_or(Door::Http, |first| first.door);
        if self.space_is_short() {
            return Err(AcceptError::SpaceIsShort.into());
        }
        let caller = &access::renewed(&self.roster, caller, begun).map_err(AcceptError::from)?;
        let tenant = caller.tenant.id;
        let claimed = group
            .claim
            .map(|claim| (claim.scope(tenant), claim.request));
        // Held until the answer: an equal request that comes meanwhile waits for it.
        let _turn = match &claimed {
            None => None,
            Some((scope, request)) => match self.turn(scope, *request).await? {
                Earlier::Answer(answer) => return Ok(replayed(answer)),
                Earlier::None(turn) => Some(turn),
            },
        };
        let accepted = self
            .accept_group(caller, (group.submissions, claimed), door, decide)
            .await?;
        self.observe(door, begun);
        Ok(accepted)
    }

    async fn accept_group<E>(
        &self,
        caller: &Caller,
        (submissions, claimed): (Vec<Submission>, Option<(ClaimScope, [u8; 32])>),
        door: Door,
        decide: impl FnOnce(&[Result<MessageId, AcceptError>]) -> Result<String, E>,
    ) -> Result<AcceptedGroup, GroupError<E>> {
        let now = self.clock.now();
        let made = self.made_all(caller, submissions, now).await?;
        let mut messages = Vec::with_capacity(made.len());
        let mut told = Vec::with_capacity(made.len());
        let (mut unknown, mut rooms) = (Vec::new(), Vec::new());
        for one in made {
            told.push(one.and_then(|made| {
                let first = made.messages.first().ok_or(AcceptError::NoRecipients)?.id;
                messages.extend(made.messages);
                unknown.extend(made.unknown);
                rooms.push(made.room);
                Ok(first)
            }));
        }
        let body = decide(&told).map_err(GroupError::Refused)?;
        let request = claimed.as_ref().map_or([0; 32], |(_, request)| *request);
        let answer = Answer {
            request,
            status: 200,
            body,
        };
        // A claim for the whole group stands at the first.
        if let Some(first) = messages.first_mut() {
            first.claim = claimed.map(|(scope, _)| Claim {
                scope,
                answer: answer.clone(),
                until: now.after(CLAIM_LIFE),
                recent: false,
            });
        }
        let accepted = self
            .commit_group(caller, (messages, door), answer, now)
            .await?;
        drop(rooms);
        if !accepted.stored.is_empty() {
            self.unknown.put(unknown);
        }
        Ok(accepted)
    }

    async fn commit_group<E>(
        &self,
        caller: &Caller,
        (messages, door): (Vec<NewMessage>, Door),
        answer: Answer,
        now: Timestamp,
    ) -> Result<AcceptedGroup, GroupError<E>> {
        let stored = messages.iter().map(|message| message.id).collect();
        let counted = messages.iter().map(|message| Counted::of(message, door));
        let counted: Vec<_> = counted.collect();
        let committed = self.intake.commit_all(messages).await;
        match committed.map_err(AcceptError::from)? {
            Committed::Stored => {
                for one in &counted {
                    self.instruments.accepted(one);
                }
                Ok(AcceptedGroup { answer, stored })
            }
            // Another process was first under this key.
            Committed::Claimed(earlier) if earlier.request == answer.request => {
                Ok(replayed(earlier))
            }
            Committed::Claimed(_) => Err(AcceptError::KeyOfOtherRequest.into()),
            Committed::OverQuota(over) => {
                Err(self.over_quota(caller, &over, (&counted, now)).into())
            }
        }
    }
}

fn replayed(answer: Answer) -> AcceptedGroup {
    let stored = Vec::new();
    AcceptedGroup { answer, stored }
}
