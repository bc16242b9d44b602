//! Accepting a message: admit → seal → commit, and the promise at the end of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postrider_message::{MessageError, SignError};
use postrider_model::{MessageId, Timestamp};
use postrider_runtime::{Clock, Rng};
use postrider_store::{
    Answer, Claim, ClaimScope, Committed, Intake, Mail, NewMessage, OverQuota, Roster, StoreError,
};
use postrider_telemetry::Registry;

use crate::access::Caller;
use crate::admit::{ClaimRequest, Rules, Submission};
use crate::claim::{Claims, Entry, Turn};
use crate::identity::Service;
use crate::ids::MessageIds;
use crate::instruments::{Counted, Door, Instruments};
use crate::quota::{QuotaExceeded, Quotas};
use crate::secret::MasterKey;
use crate::signing::KeyRing;

/// How long an idempotency key stands.
pub(crate) const CLAIM_LIFE: Duration = Duration::from_hours(24);
/// Above this a message is parsed and signed on a blocking thread, in bytes.
pub(crate) const INLINE_MOST: usize = 128 * 1024;

/// The gate. One for all doors of a process.
pub struct Gate {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) roster: Roster,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) ids: Arc<MessageIds>,
    pub(crate) keys: KeyRing,
    pub(crate) rules: Rules,
    pub(crate) size_most: usize,
    claims: Claims,
    pub(crate) quotas: Arc<Quotas>,
    space_is_short: AtomicBool,
    pub(crate) instruments: Instruments,
}

/// What the gate works with.
pub struct GatePorts {
    pub intake: Arc<dyn Intake>,
    /// Read for sealing again.
    pub mail: Arc<dyn Mail>,
    pub roster: Roster,
    pub master: Arc<MasterKey>,
    pub clock: Clock,
    pub rng: Rng,
    pub metrics: Registry,
}

/// The gate's settings.
#[derive(Clone, Debug)]
pub struct GateConfig {
    pub service: Service,
    /// Bytes that a message may have on the wire.
    pub size_most: usize,
    /// Recipients of one message at any door.
    pub recipients_most: usize,
    /// How long delivery is tried.
    pub lifetime: Duration,
    /// How far ahead a message may be scheduled.
    pub schedule_most: Duration,
}

/// The promise: on disk, with every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The status and JSON to answer, `{"id":"…"}`; of a replay, those of the first time.
    pub answer: Answer,
    /// The message that was stored now; `None` where an earlier request had stored it.
    pub stored: Option<MessageId>,
}

/// Why a message did not come into being. Nothing of it is kept then.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("the message has no recipient")]
    NoRecipients,
    #[error("the message has {given} recipients, {most} are the most")]
    TooManyRecipients { given: usize, most: usize },
    #[error("the From field lists {given} addresses, one is allowed")]
    SeveralFrom { given: usize },
    #[error("the message has {size} bytes on the wire, {most} are the most")]
    TooLarge { size: usize, most: usize },
    #[error("the time {at} is more than {} days ahead", most.as_secs() / 86_400)]
    ScheduledTooLate { at: Timestamp, most: Duration },
    #[error("it expires at {at}, before it is sent at {due}")]
    ExpiresTooEarly { at: Timestamp, due: Timestamp },
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("this idempotency key was used with another request")]
    KeyOfOtherRequest,
    #[error("a request with this idempotency key is still under way")]
    KeyInProgress,
    /// More than the tenant may have accepted in a day or a month.
    #[error(transparent)]
    OverQuota(#[from] QuotaExceeded),
    #[error("the free space is below its mark")]
    SpaceIsShort,
    #[error("no DKIM key is there to sign with")]
    NoSigningKey,
    #[error("the bounce domain is too long for a return path")]
    NoReturnPath,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the work was stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    pub fn new(ports: GatePorts, config: GateConfig) -> Self {
        let keys = KeyRing::new(ports.roster.clone(), Arc::clone(&ports.master));
        let rules = Rules {
            service: config.service,
            recipients_most: config.recipients_most,
            lifetime: config.lifetime,
            schedule_most: config.schedule_most,
        };
        Self {
            intake: ports.intake,
            mail: ports.mail,
            roster: ports.roster,
            master: ports.master,
            clock: ports.clock,
            rng: ports.rng,
            ids: Arc::default(),
            keys,
            rules,
            size_most: config.size_most,
            claims: Claims::default(),
            quotas: Arc::default(),
            space_is_short: AtomicBool::new(false),
            instruments: Instruments::new(&ports.metrics),
        }
    }

    /// Closes or opens the gate for want of space. Told by who watches the disk.
    pub fn set_space_is_short(&self, short: bool) {
        self.space_is_short.store(short, Ordering::Relaxed);
    }

    /// Whether the gate is closed for want of space: a door may say so before it reads a body.
    pub fn space_is_short(&self) -> bool {
        self.space_is_short.load(Ordering::Relaxed)
    }

    /// Whether some active DKIM key of the directory does not open with this process's master
    /// key: it was sealed with another one, and this process would sign with less, or nothing.
    pub fn is_sealed_by_another_key(&self) -> bool {
        self.keys.some_stay_closed()
    }

    /// Accepts a message. `Ok` means that it is on disk with every recipient. Not to be
    /// cancelled: what is half done then may be stored without an answer.
    pub async fn accept(
        &self,
        caller: &Caller,
        submission: Submission,
    ) -> Result<Accepted, AcceptError> {
        let (begun, door) = (self.clock.now(), submission.door);
        if self.space_is_short() {
            return Err(AcceptError::SpaceIsShort);
        }
        let accepted = match submission.claim.clone() {
            None => self.accept_new(caller, submission, None).await,
            Some(request) => self.accept_once(caller, submission, request).await,
        }?;
        self.observe(door, begun);
        Ok(accepted)
    }

    async fn accept_once(
        &self,
        caller: &Caller,
        submission: Submission,
        request: ClaimRequest,
    ) -> Result<Accepted, AcceptError> {
        let (scope, request) = (request.scope(caller.tenant.id), request.request);
        match self.turn(&scope, request).await? {
            Earlier::Answer(answer) => Ok(replayed(answer)),
            // Held until the answer: an equal request that comes meanwhile waits for it.
            Earlier::None(_turn) => {
                let claim = Some((scope, request));
                self.accept_new(caller, submission, claim).await
            }
        }
    }

    /// What was answered under this key before, or the turn to answer it.
    pub(crate) async fn turn(
        &self,
        scope: &ClaimScope,
        request: [u8; 32],
    ) -> Result<Earlier, AcceptError> {
        loop {
            let turn = match self.claims.enter(scope, request).await {
                Entry::Mine(turn) => Some(turn),
                Entry::Ended => None,
                Entry::OtherRequest => return Err(AcceptError::KeyOfOtherRequest),
                Entry::StillRunning => return Err(AcceptError::KeyInProgress),
            };
            match self.intake.answered(scope, self.clock.now()).await? {
                Some(answer) if answer.request == request => return Ok(Earlier::Answer(answer)),
                Some(_) => return Err(AcceptError::KeyOfOtherRequest),
                None => {}
            }
            // The first one failed and released the key: whoever has the turn tries itself.
            if let Some(turn) = turn {
                return Ok(Earlier::None(turn));
            }
        }
    }

    async fn accept_new(
        &self,
        caller: &Caller,
        submission: Submission,
        claim: Option<(ClaimScope, [u8; 32])>,
    ) -> Result<Accepted, AcceptError> {
        let (now, door) = (self.clock.now(), submission.door);
        let mut message = self.sealed(caller, submission, now).await?;
        let (id, counted) = (message.id, Counted::of(&message, door));
        let request = claim.as_ref().map_or([0; 32], |(_, request)| *request);
        let answer = Answer {
            request,
            status: 200,
            body: format!("{{\"id\":\"{id}\"}}"),
        };
        message.claim = claim.map(|(scope, _)| Claim {
            scope,
            answer: answer.clone(),
            until: now.after(CLAIM_LIFE),
        });
        match self.intake.commit(message).await? {
            Committed::Stored => {
                self.instruments.accepted(&counted);
                Ok(Accepted {
                    answer,
                    stored: Some(id),
                })
            }
            // Another process was first under this key.
            Committed::Claimed(earlier) if earlier.request == request => Ok(replayed(earlier)),
            Committed::Claimed(_) => Err(AcceptError::KeyOfOtherRequest),
            Committed::OverQuota(over) => {
                Err(self.over_quota(caller, &over, (counted.recipients, now)))
            }
        }
    }

    async fn sealed(
        &self,
        caller: &Caller,
        submission: Submission,
        now: Timestamp,
    ) -> Result<NewMessage, AcceptError> {
        let large = submission.raw.len() > INLINE_MOST;
        let sealing = self.sealing(caller);
        let work = move || sealing.seal(submission, now);
        let sealed = if large {
            let work = tokio::task::spawn_blocking(work).await;
            work.map_err(|_| AcceptError::Stopped)?
        } else {
            work()
        };
        if let Err(AcceptError::OverQuota(_)) = &sealed {
            self.count_over_quota();
        }
        sealed
    }

    /// Remembers the commit's refusal of so many recipients.
    pub(crate) fn over_quota(
        &self,
        caller: &Caller,
        over: &OverQuota,
        (recipients, now): (usize, Timestamp),
    ) -> AcceptError {
        self.quotas.learn(caller.tenant.id, over, now);
        self.count_over_quota();
        QuotaExceeded::new(over, recipients, now).into()
    }

    pub(crate) fn count_over_quota(&self) {
        self.instruments.over_quota.add(1);
    }

    pub(crate) fn observe(&self, door: Door, begun: Timestamp) {
        self.instruments.took(door, self.clock.now().since(begun));
    }
}

/// What is found under an idempotency key.
pub(crate) enum Earlier {
    /// The very same request was answered with this.
    Answer(Answer),
    /// Nothing: it is this request's to answer, while the turn is held.
    None(Turn),
}

fn replayed(answer: Answer) -> Accepted {
    Accepted {
        answer,
        stored: None,
    }
}
