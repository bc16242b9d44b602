//! From a fate to what is recorded: the outcome, and the events that tell it.

use postrider_model::{Event, EventKind, RecipientState, Timestamp, WaitCause};
use postrider_store::Outcome;

use super::{Fate, Party, Report};
use crate::outcome::Hint;
use crate::retry::{self, Next, Tried, Wait};
use crate::{Shared, warmup};

pub(super) struct Decided {
    pub(super) outcome: Outcome,
    pub(super) kind: EventKind,
    pub(super) cause: Option<WaitCause>,
    /// The doubt came first, whatever follows from it.
    pub(super) ambiguous: bool,
}

/// What becomes of it.
pub(super) fn decide(
    shared: &Shared,
    party: &Party,
    fate: Fate,
    attempts: u32,
    now: Timestamp,
) -> Decided {
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
        Fate::Suppressed => return ended(RecipientState::Suppressed, EventKind::Suppressed),
        Fate::Shut => return when_it_opens(party, attempts, now),
        Fate::Warming => return tomorrow(party, attempts, now),
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

// It is due all the while, so that it goes when the way out opens, whoever has its shard then.
fn when_it_opens(party: &Party, attempts: u32, now: Timestamp) -> Decided {
    let cause = WaitCause::NoRoute;
    Decided {
        outcome: Outcome::Retry {
            due_at: party.row.due_at.min(now),
            attempts,
            cause,
        },
        kind: EventKind::Deferred,
        cause: Some(cause),
        ambiguous: false,
    }
}

fn tomorrow(party: &Party, attempts: u32, now: Timestamp) -> Decided {
    let cause = WaitCause::WarmUp;
    let due_at = warmup::next_day(now, party.row.stream);
    Decided {
        outcome: Outcome::Retry {
            // Its end is told when it comes.
            due_at: due_at.min(party.row.expires_at.max(now)),
            attempts,
            cause,
        },
        kind: EventKind::Deferred,
        cause: Some(cause),
        ambiguous: false,
    }
}

/// The events that tell it.
pub(super) fn events(
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
