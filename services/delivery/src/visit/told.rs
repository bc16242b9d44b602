//! What a visit tells of itself, for the event and the log.

use std::time::Duration;

use postrider_model::{MxHost, OwnVerdict, Reply};

use crate::outcome::{Phase, refuses};
use crate::pool::Lease;
use crate::refusal::Class;
use crate::session::{End, Fault, OpenFailure, Spent, Transaction};
use crate::settle::Report;
use crate::stages::Stages;

/// What is told of a session that was not opened.
pub(super) fn of_failure(failure: OpenFailure) -> Report {
    let class = match &failure.reply {
        Some(reply) => Class::of_reply(failure.phase, reply),
        None => Class::of_silence(failure.phase),
    };
    let note = format!("{}: {}", failure.phase.as_str(), in_full(&failure.cause));
    Report {
        note: failure.reply.is_none().then_some(note),
        reply: failure.reply,
        mx: Some(MxHost {
            host: failure.peer.host,
            address: failure.peer.address.ip(),
        }),
        tls: None,
        took: Some(total(&failure.spent)),
        never: None,
        class: Some(class),
        stages: Stages::of(&failure.spent),
    }
}

/// What is told of a transaction; a recipient's own reply is added to it.
pub(super) fn of_transaction(lease: &Lease, transaction: &Transaction) -> Report {
    let facts = lease.connection.facts();
    Report {
        reply: None,
        mx: Some(facts.mx.clone()),
        tls: facts.tls.clone(),
        took: Some(total(&facts.opening) + transaction.took),
        note: note(&transaction.end),
        never: None,
        class: class(&transaction.end),
        stages: Stages::of(&facts.opening).plus(&Stages::of(&transaction.spent)),
    }
}

/// What a reply that is not part of a transaction's answers says.
pub(super) fn with_reply(report: Report, (phase, reply): (Phase, &Reply)) -> Report {
    Report {
        reply: Some(reply.clone()),
        class: refuses(reply.code).then(|| Class::of_reply(phase, reply)),
        ..report
    }
}

// For who has no answer.
fn class(end: &End) -> Option<Class> {
    match end {
        End::Broken { phase, .. } => Some(Class::of_silence(*phase)),
        End::Ambiguous { .. } => Some(Class::Connection),
        End::TooLarge { .. } | End::NeedsSmtpUtf8 => Some(Class::Content),
        End::Answered | End::NotJournaled(_) => None,
    }
}

fn note(end: &End) -> Option<String> {
    match end {
        End::Answered => None,
        End::Broken { phase, cause } => Some(format!("{}: {}", phase.as_str(), in_full(cause))),
        End::Ambiguous { cause } => Some(format!(
            "no reply to the end of the message ({}): the remote may have it already",
            in_full(cause)
        )),
        End::TooLarge { most } => Some(format!("{} {most} bytes", OwnVerdict::TooLarge.note())),
        End::NeedsSmtpUtf8 => Some(OwnVerdict::NeedsSmtpUtf8.note()),
        End::NotJournaled(fault) => Some(format!("not sent: {fault}")),
    }
}

fn in_full(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn total(spent: &Spent) -> Duration {
    spent.0.iter().map(|(_, span)| *span).sum()
}
