//! Accepting a message: admit → seal → commit, and the promise at the end of it.

mod error;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use postrider_model::{Domain, MessageId, Timestamp};
use postrider_runtime::{Clock, Rng};
use postrider_store::{
    Answer, Audit, ClaimScope, Committed, Directory, Failures, Intake, Mail, NewMessage, OverQuota,
    Period, Roster, StoreError, Suppressions,
};
use postrider_telemetry::Registry;
use tokio::sync::Semaphore;

pub use self::error::AcceptError;
use crate::access::{self, Caller};
use crate::admit::{Rules, Submission};
use crate::asking::{Turns, UnknownQueue};
use crate::claim::{Claims, Entry, Turn};
use crate::config::IdentityConfig;
use crate::identity::Service;
use crate::ids::MessageIds;
use crate::instruments::{Counted, Door, Instruments};
use crate::make::Made;
use crate::name::Names;
use crate::once::{self, Once};
use crate::order::COPIES_MOST;
use crate::quota::{QuotaExceeded, Quotas};
use crate::secret::MasterKey;
use crate::signing::KeyRing;

/// How long an idempotency key stands.
pub(crate) const CLAIM_LIFE: Duration = Duration::from_hours(24);

/// The gate. One for all doors of a process.
pub struct Gate {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) roster: Roster,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) ids: Arc<MessageIds>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) suppressions: Arc<dyn Suppressions>,
    pub(crate) failures: Arc<dyn Failures>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) unknown: UnknownQueue,
    /// Held while an address at a tenant's own domain is told that it is used.
    pub(crate) telling: Turns,
    /// Room for copies of bulk mail, in KiB.
    pub(crate) copies: Arc<Semaphore>,
    /// Domains of reply addresses that took no mail when they were last looked at.
    pub(crate) doubtful: Mutex<HashSet<Domain>>,
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
    /// Written to for reply addresses and ramps.
    pub directory: Arc<dyn Directory>,
    pub suppressions: Arc<dyn Suppressions>,
    /// What tenants are yet to be told of.
    pub failures: Arc<dyn Failures>,
    /// Written to for what owners of addresses say on their pages.
    pub audit: Arc<dyn Audit>,
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
    /// The domain whose mail stays on this machine.
    pub simulator: Option<Domain>,
    pub identity: IdentityConfig,
}

/// The promise: on disk, with every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The status and JSON to answer, `{"id":"…"}`; of a replay, those of the first time.
    pub answer: Answer,
    /// The message that was stored now, the first where it was split; `None` where an earlier
    /// request had stored it.
    pub stored: Option<MessageId>,
}

impl Accepted {
    /// The message that stands for the request: that of the first time where this is a repetition.
    pub fn id(&self) -> Option<MessageId> {
        self.stored.or_else(|| once::answered_id(&self.answer))
    }
}

impl Gate {
    pub fn new(ports: GatePorts, config: GateConfig) -> Self {
        let keys = KeyRing::new(ports.roster.clone(), Arc::clone(&ports.master));
        let rules = Rules {
            service: config.service,
            names: Arc::new(Names::new(&config.identity.names)),
            identity: Arc::new(config.identity),
            recipients_most: config.recipients_most,
            lifetime: config.lifetime,
            schedule_most: config.schedule_most,
            simulator: config.simulator,
        };
        Self {
            intake: ports.intake,
            mail: ports.mail,
            roster: ports.roster,
            master: ports.master,
            clock: ports.clock,
            rng: ports.rng,
            ids: Arc::default(),
            directory: ports.directory,
            suppressions: ports.suppressions,
            failures: ports.failures,
            audit: ports.audit,
            unknown: UnknownQueue::default(),
            telling: Turns::default(),
            copies: Arc::new(Semaphore::new(COPIES_MOST / 1024)),
            doubtful: Mutex::default(),
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
        // A session lasts, and so does an upload: whoever was let in then is looked at again.
        let caller = &access::renewed(&self.roster, caller, begun)?;
        let session = submission.session;
        let (submission, once) = self.prepared(caller, submission, begun).await?;
        let accepted = match once {
            Some(once) if once.look => self.accept_once(caller, submission, once).await,
            once => self.accept_new(caller, submission, once).await,
        }?;
        if door == Door::Smtp && accepted.stored.is_none() {
            let said = session.map(|code| format!(", in session {code}"));
            let said = said.unwrap_or_default();
            self.note_duplicate(caller, &accepted.answer, &said).await;
        }
        self.observe(door, begun);
        Ok(accepted)
    }

    async fn accept_once(
        &self,
        caller: &Caller,
        submission: Submission,
        once: Once,
    ) -> Result<Accepted, AcceptError> {
        match self.turn(&once.scope, once.request).await? {
            Earlier::Answer(answer) => Ok(replayed(answer)),
            // Held until the answer: an equal request that comes meanwhile waits for it.
            Earlier::None(_turn) => self.accept_new(caller, submission, Some(once)).await,
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
        once: Option<Once>,
    ) -> Result<Accepted, AcceptError> {
        let (now, door) = (self.clock.now(), submission.door);
        let Made {
            mut messages,
            unknown,
            room: _room,
        } = self.made(caller, submission, now).await?;
        let counted = messages.iter().map(|message| Counted::of(message, door));
        let counted: Vec<_> = counted.collect();
        let first = messages.first_mut().ok_or(AcceptError::NoRecipients)?;
        let (id, request) = (first.id, once.as_ref().map_or([0; 32], |once| once.request));
        let answer = Answer {
            request,
            status: 200,
            body: format!("{{\"id\":\"{id}\"}}"),
        };
        first.claim = once.map(|once| once.claim(&answer, now));
        match self.commit(messages).await? {
            Committed::Stored => {
                for one in &counted {
                    self.instruments.accepted(one);
                }
                self.unknown.put(unknown);
                Ok(Accepted {
                    answer,
                    stored: Some(id),
                })
            }
            // Another process was first under this key.
            Committed::Claimed(earlier) if earlier.request == request => Ok(replayed(earlier)),
            Committed::Claimed(_) => Err(AcceptError::KeyOfOtherRequest),
            Committed::OverQuota(over) => Err(self.over_quota(caller, &over, (&counted, now))),
        }
    }

    async fn commit(&self, mut messages: Vec<NewMessage>) -> Result<Committed, StoreError> {
        match messages.pop() {
            Some(only) if messages.is_empty() => self.intake.commit(only).await,
            last => {
                messages.extend(last);
                self.intake.commit_all(messages).await
            }
        }
    }

    /// Remembers the commit's refusal of these messages.
    pub(crate) fn over_quota(
        &self,
        caller: &Caller,
        over: &OverQuota,
        (messages, now): (&[Counted], Timestamp),
    ) -> AcceptError {
        let recipients = messages.iter().map(|one| one.for_period(over.period)).sum();
        self.quotas.learn(caller.tenant.id, over, now);
        self.count_over_quota();
        let of = (&*caller.tenant, &self.rules.identity.ramp);
        let is_vendor = over.period == Period::VendorDay;
        let vendor = self.roster.vendor(caller.tenant.vendor);
        let refused = QuotaExceeded::new(of, over, recipients, now);
        AcceptError::from(QuotaExceeded {
            vendor: vendor.filter(|_| is_vendor),
            ..refused
        })
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
