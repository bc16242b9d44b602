//! What is told of a result beside its event: on the metrics page, and in the log, where each line
//! can be read alone.

use std::time::Duration;

use postrider_model::{Event, EventKind, Reply, WaitCause, Waits};
use postrider_store::Outcome;

use super::decided::Decided;
use super::{Fate, Party, Report};
use crate::Shared;
use crate::instruments::ResultKind;
use crate::mask::masked;
use crate::outcome::Hint;
use crate::refusal::Class;
use crate::stages::Stage;

/// Counts what became of a recipient. `waits`: its ledger since it was last settled.
pub(super) fn count(
    shared: &Shared,
    party: &Party,
    (fate, report, events): (Fate, &Report, &[Event]),
    waits: &Waits,
) {
    let instruments = &shared.instruments.outcomes;
    // What our own address may not send today, or this machine not now, is nobody's «no».
    let events = match fate {
        Fate::Warming | Fate::Shut => &[],
        _ => events,
    };
    for kind in events.iter().filter_map(|event| ResultKind::of(event.kind)) {
        instruments.results.add(party.provider, kind, 1);
    }
    if let Some(class) = class(fate, report) {
        instruments.refusals.add(party.provider, class, 1);
    }
    for (cause, span) in waits.iter() {
        instruments.waited.add(cause, span);
    }
    if fate == Fate::Delivered && party.recipient.attempts == 0 {
        // What reports tell of it. It may have been put off before: over a day's allowance, say.
        let took = party.recipient.waits.on_its_way() + waits.on_its_way();
        instruments.first_attempt_seconds.span(took);
    }
}

/// Which kind of «no» it was; `None` for what was delivered, and where nobody said one.
fn class(fate: Fate, report: &Report) -> Option<Class> {
    match fate {
        Fate::Delivered | Fate::Suppressed | Fate::Shut | Fate::Warming => None,
        Fate::Expired => Some(Class::TooLate),
        Fate::NoRoute => Some(Class::Dns),
        Fate::Ambiguous => Some(Class::Connection),
        Fate::Deferred(Hint::Greylist) => Some(Class::Greylisted),
        // No host was asked: there is none, for good.
        Fate::Bounced => Some(report.class.unwrap_or(Class::NoMail)),
        Fate::Deferred(Hint::Usual) | Fate::Unreachable => {
            Some(report.class.unwrap_or(Class::OtherTemporary))
        }
    }
}

/// One line for one recipient and attempt.
pub(super) fn log(party: &Party, decided: &Decided, (fate, report): (Fate, &Report)) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let result = if decided.ambiguous {
        EventKind::Ambiguous
    } else {
        decided.kind
    };
    let next_at = match &decided.outcome {
        Outcome::Retry { due_at, .. } => Some(due_at),
        _ => None,
    };
    let stage = |stage| report.stages.millis(stage);
    tracing::info!(
        tenant.id = %party.row.tenant,
        message.id = %party.row.message,
        recipient.id = %party.row.recipient,
        attempt = party.recipient.attempts + 1,
        result = result.as_str(),
        class = class(fate, report).map(Class::as_str),
        provider = party.provider.as_str(),
        mx = report.mx.as_ref().map(|mx| mx.host.as_str()),
        address = report.mx.as_ref().map(|mx| tracing::field::display(mx.address)),
        tls = report.tls.as_ref().map(|tls| tls.version.as_str()),
        reply = report.reply.as_ref().map(shown),
        note = report.note.as_deref().map(masked),
        cause = decided.cause.map(WaitCause::as_str),
        next_at = next_at.map(tracing::field::display),
        duration_ms = report.took.map(millis),
        connect_ms = stage(Stage::Connect),
        tls_ms = stage(Stage::Tls),
        envelope_ms = stage(Stage::Envelope),
        message_ms = stage(Stage::Message),
        "an attempt to deliver ended: {result}"
    );
}

fn shown(reply: &Reply) -> String {
    masked(&reply.to_string())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
