//! From what an attempt learned of a recipient to what is recorded, and what is left in memory.

use std::time::Duration;

use postrider_model::{
    Event, EventKind, MxHost, RecipientState, Reply, Timestamp, TlsFacts, WaitCause,
};
use postrider_store::{OpenRecipient, Outcome, QueueRow, Settled, Settlement, StoreError};

use crate::journal::JournalError;
use crate::outcome::Hint;
use crate::retry::{self, Next, Tried, Wait};
use crate::{Shared, kept};

/// How long to wait before a result is offered to the database again, at first and at most.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AFTER_MOST: Duration = Duration::from_secs(5);

/// One recipient in an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) row: QueueRow,
    pub(crate) recipient: OpenRecipient,
}

/// What an attempt leaves in memory of a row.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing: the recipient is settled, held or not there any more.
    Done,
    /// It waits again.
    Again(Box<QueueRow>),
}

/// What became of a recipient in this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// The remote refused it for good, or no mail is taken there.
    Bounced,
    /// Its time ran out.
    Expired,
    /// Tried again after the usual wait, or a shorter one.
    Deferred(Hint),
    /// No host could be talked to, or none wanted to talk to us.
    Unreachable,
    /// DNS gave no route now.
    NoRoute,
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
}

/// Records what became of a recipient. Returns after it is on disk; while the database is away it
/// goes on trying, and the journal has the result meanwhile.
pub(crate) async fn settle(shared: &Shared, party: &Party, fate: Fate, report: Report) -> Left {
    let at = shared.clock.now();
    // Whose time had run out was not tried again.
    let attempts = party.recipient.attempts + u32::from(fate != Fate::Expired);
    let decided = decide(shared, party, fate, attempts, at);
    let events = events(party, &decided, &report, attempts, at);
    log(party, &decided, &report);
    for event in &events {
        shared.instruments.results.add(event.kind.as_str(), 1);
    }
    let settlement = Settlement {
        message: party.row.message,
        recipient: party.row.recipient,
        at,
        outcome: decided.outcome.clone(),
        reply: report.reply,
        events,
    };
    record(shared, settlement).await;
    match decided.outcome {
        Outcome::Retry {
            due_at,
            attempts,
            cause,
        } => Left::Again(Box::new(QueueRow {
            due_at,
            attempts,
            cause,
            ..party.row.clone()
        })),
        _ => Left::Done,
    }
}

struct Decided {
    outcome: Outcome,
    kind: EventKind,
    cause: Option<WaitCause>,
    /// The doubt came first, whatever follows from it.
    ambiguous: bool,
}

fn decide(shared: &Shared, party: &Party, fate: Fate, attempts: u32, now: Timestamp) -> Decided {
    let ended = |state, kind| Decided {
        outcome: Outcome::Final { state, attempts },
        kind,
        cause: None,
        ambiguous: false,
    };
    let wait = match fate {
        Fate::Delivered => return ended(RecipientState::Delivered, EventKind::Delivered),
        Fate::Bounced => return ended(RecipientState::Failed, EventKind::Bounced),
        Fate::Expired => return ended(RecipientState::Expired, EventKind::Expired),
        Fate::Deferred(Hint::Greylist) => Wait::Greylist,
        Fate::Unreachable => Wait::Destination,
        Fate::NoRoute => Wait::NoRoute,
        Fate::Deferred(Hint::Usual) | Fate::Ambiguous => Wait::Usual,
    };
    let tried = Tried {
        attempt: attempts,
        wait,
        now,
        expires_at: party.row.expires_at,
    };
    let ambiguous = fate == Fate::Ambiguous;
    match retry::next(&shared.retry, &tried, &shared.router.rng) {
        Next::Expire => Decided {
            ambiguous,
            ..ended(RecipientState::Expired, EventKind::Expired)
        },
        Next::Again { due_at, cause } => Decided {
            outcome: Outcome::Retry {
                due_at,
                attempts,
                cause,
            },
            kind: EventKind::Deferred,
            cause: Some(cause),
            ambiguous,
        },
    }
}

fn events(
    party: &Party,
    decided: &Decided,
    report: &Report,
    attempts: u32,
    at: Timestamp,
) -> Vec<Event> {
    let event = |kind, cause| Event {
        attempt: attempts,
        reply: report.reply.clone(),
        mx: report.mx.clone(),
        tls: report.tls.clone(),
        duration: report.took,
        cause,
        note: report.note.clone(),
        ..Event::new(party.row.recipient, at, kind)
    };
    match (decided.ambiguous, &decided.outcome) {
        // The doubt is the event; that it is tried again stands in it.
        (true, Outcome::Retry { .. }) => vec![event(EventKind::Ambiguous, decided.cause)],
        (true, _) => vec![event(EventKind::Ambiguous, None), event(decided.kind, None)],
        (false, _) => vec![event(decided.kind, decided.cause)],
    }
}

fn log(party: &Party, decided: &Decided, report: &Report) {
    let result = if decided.ambiguous {
        EventKind::Ambiguous
    } else {
        decided.kind
    };
    tracing::info!(
        tenant.id = %party.row.tenant,
        message.id = %party.row.message,
        recipient.id = %party.row.recipient,
        attempt = party.recipient.attempts + 1,
        result = result.as_str(),
        cause = decided.cause.map(WaitCause::as_str),
        mx = report.mx.as_ref().map(|mx| mx.host.as_str()),
        address = report.mx.as_ref().map(|mx| tracing::field::display(mx.address)),
        tls = report.tls.as_ref().map(|tls| tls.version.as_str()),
        reply = report.reply.as_ref().map(tracing::field::display),
        note = report.note.as_deref(),
        duration_ms = report.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        "attempt ended"
    );
}

/// What offering a settlement to the database came to.
pub(crate) enum Again {
    /// It is on disk, or nothing will ever come of it.
    No,
    Later,
}

/// Offers a settlement to the database, once.
pub(crate) async fn offer(shared: &Shared, settlement: &Settlement) -> Again {
    let recipient = settlement.recipient;
    match shared.queue.settle(settlement.clone()).await {
        Ok(Settled::Recorded | Settled::TooLate | Settled::Gone) => Again::No,
        // Repeating it is useless, and it must not hold up the rest.
        Err(fault @ (StoreError::Rejected { .. } | StoreError::Corrupt { .. })) => {
            tracing::error!(%fault, recipient.id = %recipient, "a result cannot be recorded");
            Again::No
        }
        Err(fault) => {
            shared.instruments.settle_failures.add(1);
            tracing::error!(%fault, recipient.id = %recipient, "a result waits for the database");
            Again::Later
        }
    }
}

/// Offers a settlement until it is taken. Meanwhile the journal has it: should we die, the next
/// start settles from there instead of sending again.
async fn record(shared: &Shared, settlement: Settlement) {
    postrider_runtime::failpoint::reach("delivery.before_settle");
    let mut pause = AGAIN_AFTER;
    let mut kept = false;
    while let Again::Later = offer(shared, &settlement).await {
        if !std::mem::replace(&mut kept, true) {
            let value = kept::to_value(&settlement);
            said(shared.journal.record(settlement.recipient, value));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AFTER_MOST);
    }
    said(shared.journal.close(settlement.recipient));
}

// A journal that cannot be written costs at worst a doubt without its event.
pub(crate) fn said(done: Result<(), JournalError>) {
    if let Err(fault) = done {
        tracing::error!(%fault, "the journal cannot be written");
    }
}
