//! From what an attempt learned of a recipient to what is recorded, and what is left in memory.

mod decided;
mod told;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postrider_model::{
    EnhancedCode, Event, EventKind, MxHost, Provider, RecipientState, Reply, Stream, Timestamp,
    TlsFacts, WaitCause, Waits,
};
use postrider_store::{Lease, OpenRecipient, Outcome, QueueRow, Settled, Settlement, StoreError};
use tokio::time::Instant;

use self::decided::{Decided, decide, events};
use crate::instruments::ResultKind;
use crate::journal::JournalError;
use crate::outcome::{Hint, says_no_mailbox};
use crate::refusal::Class;
use crate::stages::Stages;
use crate::{Shared, kept};

/// How long to wait before a result is offered to the database again, at first and at most.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MOST: Duration = Duration::from_secs(5);

/// How long a tenant's mail does not go to a mailbox that is said not to be there: it may be made again.
const SUPPRESSED_FOR: Duration = Duration::from_hours(24 * 30);

/// How long a recipient rests at least whose end cannot be recorded.
const UNRECORDED_REST: Duration = Duration::from_hours(1);

/// One recipient in an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) row: QueueRow,
    /// What it waited for until the attempt began.
    pub(crate) waits: Waits,
    /// When that was.
    pub(crate) begun: Timestamp,
    /// Under which the attempt was begun.
    pub(crate) lease: Lease,
    pub(crate) recipient: OpenRecipient,
    /// Whose exchangers it goes to, once that is known.
    pub(crate) provider: Provider,
}

/// What an attempt leaves in memory of a row.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing: the recipient is settled, held or not there any more.
    Done,
    /// It was rescheduled.
    Again(Box<QueueRow>),
    /// Nothing was learned of it: it waits on, as the row says.
    Back(Box<QueueRow>),
    /// What is known of it here is old: the database knows more, or it is another node's.
    Stale(Box<QueueRow>),
}

/// What became of a recipient in this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// The remote refused it for good, or no mail is taken there.
    Bounced,
    /// Its time ran out.
    Expired,
    /// Its tenant's mail does not go there any more. Nobody was asked.
    Suppressed,
    /// Tried again after the usual wait, or a shorter one.
    Deferred(Hint),
    /// No host could be talked to, or none wanted to talk to us.
    Unreachable,
    /// DNS gave no route now.
    NoRoute,
    /// Nothing may leave this machine now. Nobody was asked.
    Shut,
    /// Our address has sent what it may today. Nobody was asked.
    Warming,
    /// The remote may have it; sent again all the same.
    Ambiguous,
}

/// What an attempt learned, for the event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) reply: Option<Reply>,
    pub(crate) mx: Option<MxHost>,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) took: Option<Duration>,
    pub(crate) note: Option<String>,
    /// Our own «never», where no remote was asked.
    pub(crate) never: Option<EnhancedCode>,
    /// Which kind of «no» it was, where a remote or the line said one.
    pub(crate) class: Option<Class>,
    pub(crate) stages: Stages,
}

/// Records what became of a recipient. Returns after it is on disk; while the database is away it
/// goes on trying, and the journal has the result meanwhile.
pub(crate) async fn settle(shared: &Shared, party: &Party, fate: Fate, report: Report) -> Left {
    let at = shared.clock.now();
    // Whose time had run out, and who gets no mail any more, was not tried again.
    let tried = !matches!(
        fate,
        Fate::Expired | Fate::Suppressed | Fate::Shut | Fate::Warming
    );
    let attempts = party.recipient.attempts + u32::from(tried);
    let decided = decide(shared, party, fate, attempts, at);
    told::log(party, &decided, (fate, &report));
    let settlement = settlement(shared, party, &decided, (fate, report), (attempts, at));
    let offered = Instant::now();
    let settled = record(shared, settlement).await;
    shared.instruments.settled_in(offered.elapsed());
    left(party, decided.outcome, settled, at)
}

/// What is recorded of it. Counts it as well.
fn settlement(
    shared: &Shared,
    party: &Party,
    decided: &Decided,
    (fate, report): (Fate, Report),
    (attempts, at): (u32, Timestamp),
) -> Settlement {
    let events = events(party, decided, &report, attempts, at);
    let mut waits = party.waits.clone();
    waits.add(WaitCause::Attempt, at.since(party.begun));
    // What the simulator says is said of nobody.
    let is_real = !shared.config.is_simulated(&party.row.domain);
    if is_real {
        told::count(shared, party, (fate, &report, &events), &waits);
    }
    let is_gone = is_real && fate == Fate::Bounced && is_without_mailbox(&report);
    Settlement {
        message: party.row.message,
        recipient: party.row.recipient,
        at,
        outcome: decided.outcome.clone(),
        reply: report.reply,
        events,
        waits,
        lease: Some(party.lease),
        suppress_until: is_gone.then(|| at.after(SUPPRESSED_FOR)),
        tell_tenant: is_real && is_told(shared, party, &decided.outcome),
        provider: party.provider,
        simulated: !is_real,
    }
}

/// What is left to do with the row, by what was decided and what the database made of it.
fn left(party: &Party, outcome: Outcome, settled: Option<Settled>, at: Timestamp) -> Left {
    match (outcome, settled) {
        (_, Some(Settled::NotOwner)) => Left::Stale(Box::new(party.row.clone())),
        (
            Outcome::Retry {
                due_at,
                attempts,
                cause,
            },
            Some(Settled::Recorded) | None,
        ) => Left::Again(Box::new(QueueRow {
            due_at,
            attempts,
            cause,
            since: at,
            ..party.row.clone()
        })),
        // Nothing can be recorded of it, and the database has it as it was: as long as it is here,
        // it is not taken for a row that got lost, and not sent again.
        (Outcome::Final { .. } | Outcome::Held { .. }, None) => {
            let due_at = party.row.expires_at.max(at.after(UNRECORDED_REST));
            let row = party.row.clone();
            Left::Back(Box::new(QueueRow { due_at, ..row }))
        }
        _ => Left::Done,
    }
}

/// Whether its tenant is told by mail that it failed: of mail that somebody waits for, and never
/// of our own, which that mail would be.
fn is_told(shared: &Shared, party: &Party, outcome: &Outcome) -> bool {
    let failed = |state| matches!(state, RecipientState::Failed | RecipientState::Expired);
    let ends = matches!(outcome, Outcome::Final { state, .. } if failed(*state));
    let tenant = shared.roster.tenant(party.row.tenant);
    let wants = tenant.is_some_and(|tenant| tenant.notices && !tenant.is_house);
    ends && wants && party.row.stream == Stream::Transactional
}

fn is_without_mailbox(report: &Report) -> bool {
    let said = report.reply.as_ref().and_then(|reply| reply.enhanced);
    said.or(report.never).is_some_and(says_no_mailbox)
}

/// What offering a settlement to the database came to.
pub(crate) enum Offered {
    Settled(Settled),
    /// Nothing will ever come of it.
    Useless,
    /// The database is away: the same may succeed later.
    Later,
}

/// Offers a settlement to the database, once.
pub(crate) async fn offer(shared: &Shared, settlement: &Settlement) -> Offered {
    let recipient = settlement.recipient;
    match shared.queue.settle(settlement.clone()).await {
        Ok(settled) => Offered::Settled(settled),
        // Repeating it is useless, and it must not hold up the rest.
        Err(fault @ (StoreError::Rejected { .. } | StoreError::Corrupt { .. })) => {
            tracing::error!(error = &fault as &dyn std::error::Error, recipient.id = %recipient, "a result cannot be recorded");
            Offered::Useless
        }
        Err(fault) => {
            shared.instruments.settle_failures.add(1);
            tracing::error!(error = &fault as &dyn std::error::Error, recipient.id = %recipient, "a result waits for the database");
            Offered::Later
        }
    }
}

/// Offers a settlement until it is taken. Meanwhile the journal has it: should we die, the next
/// start settles from there instead of sending again. `None` where it can never be recorded.
async fn record(shared: &Shared, mut settlement: Settlement) -> Option<Settled> {
    postrider_runtime::failpoint::reach("delivery.before_settle");
    let mut pause = AGAIN_AFTER;
    let mut unsettled = None;
    let settled = loop {
        match offer(shared, &settlement).await {
            Offered::Settled(settled) => break Some(settled),
            // The outcome is worth more than the words: what has none is sent again.
            Offered::Useless if has_words(&settlement) => {
                settlement = without_words(settlement);
                continue;
            }
            Offered::Useless => break None,
            Offered::Later => {}
        }
        if unsettled.is_none() {
            unsettled = Some(Unsettled::new(&shared.unsettled));
            let value = kept::to_value(&settlement);
            said(shared.journal.record(settlement.recipient, value));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AFTER_MOST);
    };
    // Had it been recorded the first time, the same again would be `Recorded`.
    if settled == Some(Settled::TooLate) {
        note_double(shared, &settlement).await;
    }
    said(shared.journal.close(settlement.recipient));
    settled
}

fn has_words(settlement: &Settlement) -> bool {
    let said = |event: &Event| event.reply.is_some() || event.mx.is_some() || event.note.is_some();
    settlement.reply.is_some() || settlement.events.iter().any(said)
}

/// The same without what others had a say in.
fn without_words(settlement: Settlement) -> Settlement {
    let events = settlement.events.into_iter().map(|event| Event {
        reply: None,
        mx: None,
        tls: None,
        note: None,
        ..event
    });
    Settlement {
        reply: None,
        events: events.collect(),
        ..settlement
    }
}

/// Counts a result that waits for the database.
struct Unsettled<'a>(&'a AtomicUsize);

impl<'a> Unsettled<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The remote took it from us, and before that was recorded it was ended: by another node, which had
/// the shard before or meanwhile, or by a verb. So it may have been sent twice, or although it was
/// cancelled, and that is said. What a retry came to is not of interest any more.
pub(crate) async fn note_double(shared: &Shared, settlement: &Settlement) {
    let Outcome::Final {
        state: RecipientState::Delivered,
        attempts,
    } = settlement.outcome
    else {
        return;
    };
    let event = Event {
        attempt: attempts,
        note: Some(
            "the remote took it from this node, which could not record it before another node or a verb had ended it: it may have arrived although it was cancelled, or twice"
                .to_owned(),
        ),
        ..Event::new(settlement.recipient, settlement.at, EventKind::Ambiguous)
    };
    tracing::warn!(
        message.id = %settlement.message,
        recipient.id = %settlement.recipient,
        "delivered by this node, and ended before that was recorded"
    );
    let noted = Settlement {
        outcome: Outcome::Noted,
        reply: None,
        events: vec![event],
        waits: Waits::default(),
        lease: None,
        suppress_until: None,
        tell_tenant: false,
        ..settlement.clone()
    };
    let results = &shared.instruments.outcomes.results;
    results.add(Provider::None, ResultKind::Ambiguous, 1);
    let mut pause = AGAIN_AFTER;
    while let Offered::Later = offer(shared, &noted).await {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AFTER_MOST);
    }
}

// A journal that cannot be written costs at worst a doubt without its event.
pub(crate) fn said(done: Result<(), JournalError>) {
    if let Err(fault) = done {
        tracing::error!(
            error = &fault as &dyn std::error::Error,
            "the journal cannot be written"
        );
    }
}
